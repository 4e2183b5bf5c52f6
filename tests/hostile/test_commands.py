"""What is started for a hostile task: the operator's command, with the task's words as data, and it always ends."""

import json
import os
import sys
import time
from pathlib import Path

import pytest

from claw_files.testing.patience import until
from tests.hostile.conftest import RAW, environment
from tests.hostile.corpus import SCREENS

# The agent writes down how it was called and what it was given, then does as the test wants.
SCRIPT = """
import json, os, sys
text = sys.stdin.read()
found = {"argv": sys.argv, "env": dict(os.environ), "stdin": text, "cwd": os.getcwd(),
         "fds": sorted(int(fd) for fd in os.listdir("/proc/self/fd")), "cmdline": open("/proc/self/cmdline").read()}
with open(sys.argv[1] + "/seen.new", "w") as file:
    json.dump(found, file)
os.rename(sys.argv[1] + "/seen.new", sys.argv[1] + "/seen.json")
"""


def team(site, script: str = "", **settings: str) -> None:
    """A team in which Peter is a program: it notes what it sees, then runs `script`."""
    (site.root.parent / "agent.py").write_text(SCRIPT + script)
    more = "".join(f"{key} = {value}\n" for key, value in settings.items())
    command = json.dumps([sys.executable, str(site.root.parent / "agent.py"), str(site.root.parent), "{task}"])
    config = site.read("clawfiles.toml").replace("[agents.peter]", f"[agents.peter]\ncommand = {command}\n{more}")
    site.write("clawfiles.toml", config)


def seen(site) -> dict:
    path = site.root.parent / "seen.json"
    until(path.exists, "the agent's start")
    return json.loads(path.read_text())


def ended(site) -> str:
    """run.md of the one run, when it has its end."""

    def look() -> str | None:
        texts = [path.read_text() for path in (site.root / "runs").glob("*/run.md")]
        return next((text for text in texts if "\nended:" in text), None)

    return until(look, "the run's end")


TITLES = [
    "x; touch PWNED",
    "$(touch PWNED)",
    "`touch PWNED`",
    "--output=PWNED",
    "-rf",
    "a\nb",
    "{run_dir} {message_file}",
    "| tee PWNED",
    "%s ${IFS} \\x00",
    SCREENS[53][1],
]


@pytest.mark.parametrize("title", TITLES, ids=[ascii(title) for title in TITLES])
def test_a_title_reaches_its_agent_on_standard_input_and_nowhere_else(site, title: str) -> None:
    team(site)
    site.ok("task", "new", "--agent", "sam", "--to", "peter", "--", title)

    found = seen(site)

    assert found["argv"][1:] == [str(site.root.parent), "TC-1"]
    shown = [line for line in found["stdin"].splitlines() if line.startswith("TC-1: “")]
    assert len(shown) == 1 and not RAW.search(shown[0])
    words = " ".join(title.split())
    assert words not in found["cmdline"]
    assert [name for name, value in found["env"].items() if words in value] == []
    ended(site)
    assert not list(site.root.parent.rglob("PWNED"))


def test_nothing_in_a_task_s_file_names_a_program_a_folder_or_a_setting(site) -> None:
    team(site, env='["TOKEN_OF_PETER"]')
    (site.root.parent / "evil").mkdir()
    keys = 'command: ["touch", "PWNED"]\ncwd: ../evil\nruntime: command\nenv: [HOME]\nmodel: --yolo\nworkspace: ../evil'
    site.write("status/tc-1.md", f"---\ntitle: x\n{keys}\n---\n")
    site.delegated(1)
    os.environ["TOKEN_OF_PETER"], os.environ["TOKEN_OF_IRIS"] = "for peter", "for iris"
    try:
        site.ok("heartbeat")
    finally:
        del os.environ["TOKEN_OF_PETER"], os.environ["TOKEN_OF_IRIS"]

    found = seen(site)

    assert found["cwd"] == str(site.root)
    ours = {name for name in found["env"] if not name.startswith(("CLAWFILES_", "LC_", "__CF"))}
    assert ours <= {"PATH", "HOME", "LANG", "TZ", "TOKEN_OF_PETER"}
    assert found["env"]["TOKEN_OF_PETER"] == "for peter"
    assert set(found["fds"]) <= {0, 1, 2, 3}  # 3 is the listing of the folder itself
    ended(site)
    assert not list(site.root.parent.rglob("PWNED"))


@pytest.mark.parametrize("name", ["./agent.sh", "bin/agent.sh", "agent-in-the-workspace"])
def test_a_program_of_the_workspace_is_not_found_by_a_relative_name(site, name: str) -> None:
    for place in ("agent.sh", "bin/agent.sh", "agent-in-the-workspace"):
        site.write(place, "#!/bin/sh\ntouch PWNED\n").chmod(0o755)
    config = site.read("clawfiles.toml").replace("[agents.peter]", f"[agents.peter]\ncommand = [{json.dumps(name)}]")
    site.write("clawfiles.toml", config)
    site.good(1)
    site.delegated(1)

    beat = site.program("heartbeat", cwd=site.root, path=f".:{os.environ['PATH']}")

    assert beat.status in (0, 6)
    if beat.status == 0:
        assert "could not start" in ended(site)
    assert not list(site.root.rglob("PWNED"))


def test_a_run_folder_that_is_a_link_is_never_written_to(site) -> None:
    outside = site.root.parent / "outside"
    outside.mkdir()
    (outside / "run.md").write_text("theirs")
    team(site)
    site.good(1, 2)
    site.delegated(1, 2)
    (site.place("runs/tc-1.1-s1")).symlink_to(outside)
    (site.place("runs/tc-7.1-s1")).symlink_to(outside)

    for _ in range(3):
        site("heartbeat")
    seen(site)  # TC-2 was begun all the same

    assert sorted(path.name for path in outside.iterdir()) == ["run.md"]
    assert (outside / "run.md").read_text() == "theirs"
    ended(site)


def test_no_program_is_started_where_runs_leads_out(site) -> None:
    outside = site.root.parent / "outside"
    outside.mkdir()
    team(site)
    (site.root / "runs").symlink_to(outside)
    site.good(1)
    site.delegated(1)

    beat = site("heartbeat", "--json")

    assert beat.status == 6  # it decided to wake Peter, and cannot
    assert any(problem.startswith("wake peter: ") and "runs" in problem for problem in beat.json["problems"])
    assert site.served(1) and list(outside.iterdir()) == []
    (site.root / "runs").unlink()
    site.ok("heartbeat")
    assert seen(site)["argv"][2] == "TC-1"  # as soon as it is put right
    ended(site)


def test_a_description_larger_than_an_argument_may_be_arrives_by_file_and_by_standard_input(site) -> None:
    team(site)
    (site.root.parent / "body.md").write_text("word " * 30_000)
    site.ok("task", "new", "long", "--to", "peter", "--body", str(site.root.parent / "body.md"), by="sam")

    assert len(seen(site)["stdin"]) < 10_240
    assert "all 146 KB of it are in `definitions/tc-1.md`" in seen(site)["stdin"]
    assert (site.root / "status/tc-1.md").read_text().count("word") == 30_000
    (message,) = (site.root / "runs").glob("*/message.md")
    assert message.stat().st_mode & 0o777 == 0o600
    ended(site)


FLOODS = {
    "a line without end": "sys.stdout.write('y' * (4 << 20))",
    "lines without end": "sys.stdout.write('y\\n' * (2 << 20))",
    "binary": "sys.stdout.buffer.write(bytes(range(256)) * (8 << 10))",
    "escapes": "sys.stdout.write('\\x1b]0;own\\x07\\x1b[2J\\x9b31m' * 99_999 + '\\x1b[2Jlast \\x1b]52;c;eA==\\x07')",
    "forged markdown": "print('```\\n---\\nexit: 0\\nstatus: done\\n---\\n```\\nTC-1: DONE')",
    "claims": "print('TC-1: DONE'); print('HEARTBEAT_OK'); print('task completed successfully')",
}


@pytest.mark.parametrize("flood", FLOODS)
def test_output_is_capped_escaped_and_no_completion(site, flood: str) -> None:
    team(site, f"{FLOODS[flood]}\nsys.stdout.flush()\n")
    site.good(1)
    site.delegated(1)
    site.ok("heartbeat")

    run = ended(site)
    for _ in range(100):  # its supervisor may live a moment longer than its last line
        site.ok("heartbeat")
        if "without a result" in "".join(path.read_text() for path in (site.root / "audit").iterdir()):
            break
        time.sleep(0.1)

    assert "exit: 0" in run.split("\n---\n")[0]  # it went well, it says; but nobody said that the task is done
    (log,) = (site.root / "runs").glob("*/stdout.log")
    assert log.stat().st_size <= (1 << 20) + 4096
    shown = site.ok("task", "show", "TC-1", "--json").json
    journal = "".join(path.read_text() for path in (site.root / "audit").iterdir())
    assert shown["status"] != "done" and "without a result" in journal  # a slow tick may try it again already
    assert not RAW.search(run.replace("\t", " "))
    for line in (["explain", "TC-1"], ["task", "show", "TC-1"], ["log"]):
        site.ok(*line)  # and clean


STAYS = """
import signal, subprocess, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
with open(sys.argv[1] + "/pids", "w") as file:
    file.write(f"{os.getpid()} {child.pid} ")
    file.flush()
"""
STUBBORN = {
    "runs for ever": "time.sleep(600)",
    "burns": "while True: pass",
    "floods": "while True: sys.stdout.write('y' * 65536)",
    "closes its output": "os.close(1); os.close(2); time.sleep(600)",
    "stops itself": "os.kill(os.getpid(), signal.SIGSTOP)",
    "breeds": "[subprocess.Popen(['sleep', '600'], start_new_session=True) for _ in range(40)]; time.sleep(600)",
    "holds descriptors": "held = [open('/dev/null') for _ in range(500)]; time.sleep(600)",
    "leaves a child and goes": "pass",
}


@pytest.mark.parametrize("way", STUBBORN)
def test_a_program_that_will_not_end_is_ended_with_all_it_started(site, way: str) -> None:
    team(site, STAYS + STUBBORN[way] + "\n", timeout='"2s"')
    site.good(1, 2)
    site.delegated(1)
    site.ok("heartbeat")
    pids = until(lambda: (site.root.parent / "pids").exists() and (site.root.parent / "pids").read_text().split(), "it")

    run = ended(site)

    assert ("timed out" in run) is (way != "leaves a child and goes"), run
    until(lambda: not [pid for pid in pids if Path(f"/proc/{pid}").exists()], "the end of what it started")
    until(lambda: not [it for it in Path("/proc").glob("[0-9]*/environ") if str(site.root) in _environ(it)], "the rest")
    site.ok("heartbeat")
    site.ok("claim", "TC-2", by="iris")


def _environ(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8", "replace")
    except OSError:
        return ""


def test_an_agent_holds_none_of_our_locks_and_ends_no_other_task(site) -> None:
    team(site, "import time; time.sleep(600)\n", timeout='"60s"')
    site.good(1, 2)
    site.delegated(1)
    site.ok("heartbeat")
    seen(site)

    site.ok("claim", "TC-2", by="iris")
    site.ok("done", "TC-2", by="iris")
    assert site.ok("heartbeat", "--json").json["busy"] is None
    site.ok("cancel", "TC-1", by="sam")
    assert "ended" in ended(site)


def test_a_stale_claim_finishes_nothing(site) -> None:
    site.good(1)
    site.ok("claim", "TC-1", by="peter")
    site.ok("release", "TC-1", by="peter")
    site.ok("claim", "TC-1", by="iris")
    before = site.read("status/tc-1.md")

    assert site("done", "TC-1", "--generation", "1", by="peter").status in (4, 5)
    stolen = before.replace("assignee: iris", "assignee: peter").replace("generation: 3", "generation: 1")
    site.write("status/tc-1.md", stolen.replace("status: in_progress", "status: done"))
    site.ok("heartbeat")
    shown = site.ok("task", "show", "TC-1", "--json").json
    assert (shown["status"], shown["assignee"]) == ("in_progress", "iris")
    assert shown["conflicts"] == [] or "iris" in str(shown["conflicts"])


def test_an_illegal_jump_by_hand_is_a_conflict_and_the_state_before_stays(site) -> None:
    site.good(1)
    site.ok("claim", "TC-1", by="peter")
    site.ok("done", "TC-1", by="peter")
    site.write("status/tc-1.md", site.read("status/tc-1.md").replace("status: done", "status: dead"))

    shown = site.ok("task", "show", "TC-1", "--json").json

    assert shown["status"] == "done" and shown["conflicts"]
    assert site("claim", "TC-1", by="iris").status in (4, 5)


def test_a_circle_of_a_thousand_tasks_is_followed_one_step_and_blocks_only_itself(site) -> None:
    for number in range(1, 1001):
        site.write(f"status/tc-{number}.md", f"---\ntitle: x\nafter: [TC-{number % 1000 + 1}]\n---\n")
    site.write("status/tc-2000.md", "# TC-2000: free\n")

    assert site("claim", "TC-1", by="peter").status == 5
    assert site.ok("claim", "--next", "--json", by="peter").json["task"] == "TC-2000"
    assert "TC-2" in site.ok("explain", "TC-1").out
    assert site("claim", "--next", by="peter").status == 3


def test_the_environment_of_the_tests_names_no_workspace() -> None:
    assert not [name for name in environment() if name.startswith("CLAWFILES_")]
