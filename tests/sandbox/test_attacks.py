"""What an agent in a real sandbox tries, and fails to do; and what it can do all the same."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from claw_files.core.model import AgentId, TaskId
from claw_files.policy.sandbox_arguments import SandboxPlan, argv
from claw_files.processes.bubblewrap import PROGRAM
from claw_files.processes.supervisor import resolved
from tests.sandbox.conftest import SECRET, Yard, agent

TRIES = f"""
import ctypes, glob, json, os, socket, subprocess
W, HOME, RUN = os.environ["CLAWFILES_WORKSPACE"], os.environ["HOME"], os.environ["CLAWFILES_RUN"]
libc = ctypes.CDLL(None, use_errno=True)
def write(path, how="w"):
    with open(path, how) as file: file.write("forged")
def read(path):
    with open(path) as file: return file.read()
def call(result):
    if result: raise OSError(ctypes.get_errno(), "refused")
def remount():
    call(libc.mount(None, W.encode(), None, 32 | 4096, None))
def in_a_namespace_of_its_own(do):
    pid = os.fork()
    if pid == 0:
        try:
            call(libc.unshare(0x10000000 | 0x00020000))
            do()
        except BaseException: os._exit(1)
        os._exit(0)
    if os.waitpid(pid, 0)[1]: raise OSError("refused")
def environs():
    texts = [open(path, "rb").read() for path in glob.glob("/proc/[0-9]*/environ")]
    if not any({SECRET!r}.encode() in text for text in texts): raise OSError("not there")
def link(target, name):
    os.symlink(target, name)
    write(name)
def by_link():
    os.symlink(W + "/status", "s")
    write("s/x.md")
def unmount():
    call(libc.umount2((W + "/.clawfiles").encode(), 2))
    read(W + "/.clawfiles/secret")
FORBIDDEN = {{
    "a new status file": lambda: write(W + "/status/x.md"),
    "a task's definition": lambda: write(W + "/definitions/tc-1.md", "a"),
    "a task's status file": lambda: write(W + "/status/tc-1.md", "a"),
    "the ledger": lambda: write(W + "/HEARTBEAT.md", "a"),
    "the configuration": lambda: write(W + "/clawfiles.toml", "a"),
    "the journal": lambda: write(glob.glob(W + "/audit/*")[0], "a"),
    "its own inbox": lambda: write(W + "/inbox/peter/new/mine.md"),
    "another's inbox": lambda: write(W + "/inbox/iris/new/x.md"),
    "another's message": lambda: read(glob.glob(W + "/inbox/iris/*/*.md")[0]),
    "a new inbox": lambda: os.mkdir(W + "/inbox/dimitrios"),
    "another's checkpoint": lambda: write(W + "/checkpoints/iris.md"),
    "a worker's result": lambda: write(W + "/checkpoints/subagent-mail.md"),
    "its checkpoint, away": lambda: os.unlink(W + "/checkpoints/peter.md"),
    "its own run": lambda: write(W + "/runs/" + RUN + "/run.md", "a"),
    "a run of another": lambda: read(W + "/runs/tc-1.1-s1/run.md"),
    "the private folder": lambda: read(W + "/.clawfiles/secret"),
    "the addresses of people": lambda: read(W + "/mine.txt"),
    "the gateway's token": lambda: read(W + "/token"),
    "the outbox": lambda: os.listdir(W + "/outbox")[0],
    "into the private folder": lambda: write(W + "/.clawfiles/x"),
    "under the private folder": unmount,
    "another's work": lambda: read(os.path.join(W, "work", "iris", "secret")),
    "the home": lambda: read(HOME + "/secret"),
    "a link to a file": lambda: link(W + "/status/tc-1.md", "l"),
    "a link to a folder": by_link,
    "a hard link": lambda: os.link(W + "/status/tc-1.md", "h"),
    "a move": lambda: os.rename(W + "/status/tc-1.md", "t"),
    "the way up": lambda: write("../iris/x"),
    "by the first process": lambda: write("/proc/1/root" + W + "/status/x.md"),
    "by its own process": lambda: write("/proc/self/cwd/../../status/x.md"),
    "the system": lambda: write("/usr/x"),
    "the root": lambda: write("/x"),
    "another run's environment": environs,
    "a process outside": lambda: os.kill(int(read(W + "/pid")), 0),
    "mounting anew": remount,
    "mounting anew as root of its own": lambda: in_a_namespace_of_its_own(remount),
    "uncovering as root of its own": lambda: in_a_namespace_of_its_own(unmount),
}}
ALLOWED = {{
    "its folder": lambda: write("mine"),
    "its checkpoint": lambda: write(W + "/checkpoints/peter.md"),
    "a temporary file": lambda: write("/tmp/x"),
    "its home": lambda: write(HOME + "/x"),
    "reading the board": lambda: read(W + "/status/tc-1.md"),
    "reading what is asked for": lambda: read(W + "/definitions/tc-1.md"),
    "reading its message": lambda: read(W + "/runs/" + RUN + "/message.md"),
    "programs": lambda: subprocess.run(["ls", "/usr"], check=True, stdout=subprocess.DEVNULL),
}}
def outcome(do):
    try:
        do()
    except (OSError, IndexError) as error:
        return type(error).__name__
    return "done"
found = {{name: outcome(do) for name, do in {{**FORBIDDEN, **ALLOWED}}.items()}}
found["processes"] = len(glob.glob("/proc/[0-9]*"))
write("found.part")
with open("found.part", "w") as file: json.dump([list(FORBIDDEN), list(ALLOWED), found], file)
os.rename("found.part", "found.json")
"""
STAYS = """
import os, time
os.makedirs("work/iris", exist_ok=True)
open("work/iris/secret", "w").write("iris")
open("pid", "w").write(str(os.getpid()))
while not os.path.exists("go"): time.sleep(0.02)
"""


def test_attacks_in_a_sandbox_fail_and_own_files_are_writable(yard: Yard, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "secret").write_text("the home's")
    secrets = '[agents.me]\nkind = "human"\nchannels = ["addresses:mine.txt"]\n[openclaw]\ntoken_file = "token"\n'
    yard.team(agent("iris", STAYS, 'env = ["IRIS_KEY"]'), agent("peter", TRIES), secrets)
    for path in ("mine.txt", "token", "outbox/post.md"):
        yard.write(path, "secret")
    (yard.root / "mine.txt").chmod(0o600)
    yard.start(HOME=str(home), IRIS_KEY=SECRET)
    assert yard.ok("task", "new", "Stays", "--to", "iris").startswith("TC-1")
    yard.until(lambda: (yard.root / "pid").exists(), "iris is at work")
    yard.write(".clawfiles/secret", "a token")
    yard.write("checkpoints/iris.md", "iris was here")
    before = {path: path.read_bytes() for path in (yard.root / "status").iterdir()}

    yard.ok("task", "new", "Tries", "--to", "peter")
    forbidden, allowed, found = yard.found()

    assert {name: found[name] for name in forbidden if found[name] == "done"} == {}
    assert {name: found[name] for name in allowed if found[name] != "done"} == {}
    assert found["processes"] <= 4  # bubblewrap, the agent, what it just called
    assert (yard.root / "checkpoints/peter.md").read_text() == "forged"
    assert (yard.root / "checkpoints/iris.md").read_text() == "iris was here"
    assert {path: path.read_bytes() for path in before if path.name == "tc-1.md"} == {
        path: text for path, text in before.items() if path.name == "tc-1.md"
    }
    assert not (yard.root / "status/x.md").exists()
    assert os.listdir(home) == ["secret"]


def test_without_a_network_not_even_this_machine_is_reached(yard: Yard) -> None:
    script = """
import json, os, socket
listener = socket.create_server(("127.0.0.1", 0))  # its own loopback is down
try:
    socket.create_connection(("127.0.0.1", int(os.environ["PORT"])), 5).close()
    found = "reached"
except OSError as error:
    found = type(error).__name__
open("part", "w").write(json.dumps(found))
os.rename("part", "found.json")
"""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        more = 'env = ["PORT"]\nprofile = '
        yard.team(agent("peter", script, f'{more}"alone"'), agent("iris", script, f'{more}"boxed"'))
        yard.start(PORT=port)
        yard.new("peter")
        yard.new("iris")

        assert yard.found("peter") in ("ConnectionRefusedError", "OSError")
        assert yard.found("iris") == "reached"


def test_a_worker_leaves_its_result_and_an_empty_one_is_taken_away(yard: Yard) -> None:
    script = """
import os
if os.environ["CLAWFILES_LABEL"] == "mail":
    path = os.environ["CLAWFILES_WORKSPACE"] + "/checkpoints/subagent-mail.md"
    with open(path, "w") as file:
        file.write("---\\nstatus: done\\nrun: " + os.environ["CLAWFILES_RUN"] + "\\n---\\nread in " + os.getcwd())
"""
    yard.team(agent("research", script, 'kind = "worker"'))
    yard.start()
    first = yard.run("spawn", "read the mail", "--label", "mail", "--size", "S", "--sandbox", "require", "--wait")
    second = yard.run("spawn", "read nothing", "--label", "none", "--size", "S", "--sandbox", "require")

    assert first.returncode == 0, first.stderr + yard.printed()
    assert f"read in {yard.root / 'work' / 'mail'}" in first.stdout
    assert second.returncode == 0, second.stderr
    yard.run_md("tc-2.1-s1")
    assert not (yard.root / "checkpoints/subagent-none.md").exists()
    assert os.listdir(yard.root / ".clawfiles/doors") == []


def test_term_reaches_the_agent_in_the_sandbox_and_it_may_tidy_up(yard: Yard) -> None:
    script = """
import os, signal, sys, time
def end(*_):
    time.sleep(0.5)  # it is given two seconds
    open("tidied", "w").close()
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
open("ready", "w").close()
time.sleep(300)
"""
    yard.team(agent("peter", script))
    task = yard.new("peter")
    work = yard.root / "work/peter"
    yard.until(lambda: (work / "ready").exists(), "peter is at work")

    yard.ok("subagents", "kill", "all")

    assert "stopped" in yard.run_md(f"{task.lower()}.1-s1")
    assert (work / "tidied").exists()


def test_a_home_that_the_workspace_holds_is_not_uncovered(yard: Yard) -> None:
    yard.team(agent("peter", "pass"))
    home = yard.root / "home"
    home.mkdir()
    made = yard.popen("task", "new", "A bug", "--to", "peter", "--agent", "sam", env={"HOME": str(home)})
    made.communicate(timeout=60)

    assert "contains the home" in yard.run_md("tc-1.1-s1")


def test_a_working_folder_that_is_a_link_or_the_boards_own_is_not_bound(yard: Yard) -> None:
    yard.write("workers/other.py", "pass")
    others = '[agents.other]\ncommand = ["python3", "{workspace}/workers/other.py"]\n'
    kinds = {"board": "status", "all": ".", "programs": "workers", "hidden": ".git"}
    for name, more in (("linked", ""), *((name, f'workspace = "{folder}"') for name, folder in kinds.items())):
        yard.team(agent("peter", "pass", f'profile = "boxed"\n{more}'), others)
        if name == "linked":
            (yard.root / "work").mkdir(exist_ok=True)
            (yard.root / "status").mkdir(exist_ok=True)
            (yard.root / "work/peter").symlink_to(yard.root / "status")
        task = yard.new("peter", name)

        said = yard.run_md(f"{task.lower()}.1-s1")

        assert "could not start" in said
        assert ("is or is below a link" if name == "linked" else "cannot be a working folder") in said
        (yard.root / "work/peter").unlink(missing_ok=True)


def test_without_bubblewrap_require_refuses_and_prefer_runs_unsandboxed_with_a_journal_line(
    yard: Yard, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    yard.team(
        "[profiles.better]\nsandbox = 'prefer'\n",
        agent("peter", "pass"),
        agent("iris", "print('in none')", 'profile = "better"'),
    )
    path = tmp_path / "path"
    path.mkdir()
    for program in ("sh", "env"):
        (path / program).symlink_to(resolved([program], os.defpath))
    monkeypatch.setenv("PATH", str(path))

    refused = yard.run("task", "new", "Boxed", "--to", "peter")
    spawned = yard.run("spawn", "x", "--label", "x", "--size", "S", "--worker", "iris", "--sandbox", "require")
    found = yard.popen("doctor", "--json").communicate(timeout=60)[0].decode()
    task = yard.new("iris")

    assert (refused.returncode, spawned.returncode) == (5, 5)
    assert task == "TC-1"  # what was refused has made no task
    assert "peter may only run in a sandbox; bubblewrap is not installed: install" in refused.stderr
    assert '"no-sandbox"' in found
    assert "apt-get install bubblewrap" in found
    assert "exited" in yard.run_md(f"{task.lower()}.1-s1")
    [line] = yard.audit(action="no sandbox")
    assert line["agent"] == "iris"
    assert "bubblewrap is not installed" in line["why"]


def test_a_run_that_finds_no_bubblewrap_ends_with_one_sentence(
    yard: Yard, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    yard.team(agent("peter", "pass"))
    made = yard.ok("task", "new", "and then it was gone").split()[0]
    yard.app().delegations.delegate(TaskId(made), AgentId("sam"), AgentId("peter"))
    monkeypatch.setenv("PATH", str(tmp_path))
    yard.app().heartbeat.wake()

    said = yard.run_md(f"{made.lower()}.1-s1")

    assert "could not start: its profile requires a sandbox, and bubblewrap is not installed" in said


def test_the_sandbox_works_for_an_ordinary_user_too(tmp_path: Path) -> None:
    import tempfile

    with tempfile.TemporaryDirectory(dir="/var/tmp") as scratch:  # which that user can reach
        base = Path(scratch)
        base.chmod(0o777)
        for name in ("work", "hidden", "door"):
            (base / name).mkdir()
            (base / name).chmod(0o777)
        (base / "hidden/secret").write_text("x")
        links = tuple((path, os.readlink(path)) for path in ("/bin", "/lib", "/lib64") if os.path.islink(path))
        walls = SandboxPlan(
            program=resolved([PROGRAM], os.environ["PATH"]),
            links=links,
            readable=("/usr", *(path for path in ("/bin", "/lib", "/lib64") if not os.path.islink(path))),
            home=None,
            base=scratch,
            root=scratch,
            hidden=(f"{scratch}/hidden",),
            visible=(),
            writable=(f"{scratch}/work",),
            protected=(),
            covered=(),
            door=f"{scratch}/door",
            cwd=f"{scratch}/work",
        )
        script = "id -u > mine; echo x > ../x; cat ../hidden/secret; ls ../hidden; ls /proc | grep -c '^[0-9]'"
        ordinary = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"] if os.geteuid() == 0 else []
        command = argv(walls, ("/bin/sh", "-c", script))

        done = subprocess.run(
            [*ordinary, *command],
            capture_output=True,
            text=True,
        )

        assert (base / "work/mine").read_text() == f"{os.geteuid() or 65534}\n", done.stderr
        assert not (base / "x").exists()
        assert done.stdout.split()[-1:] in (["3"], ["4"], ["5"])
        assert "secret" not in done.stdout
        assert "Read-only file system" in done.stderr


def test_a_client_of_ours_stays_outside_and_starts_the_rest_behind_the_walls(yard: Yard) -> None:
    import sys
    from datetime import UTC, datetime, timedelta

    from claw_files.core.model import AgentId, KeyText, Run, RunId
    from claw_files.processes import Sandbox, StartOrder

    root = str(yard.root)
    client = (
        sys.executable,
        "-c",
        "import subprocess, sys; open('../../by-the-client', 'w'); subprocess.run(sys.argv[1:])",
    )
    order = StartOrder(
        run=Run(
            id=RunId("tc-1.1-s1"),
            agent=AgentId("peter"),
            key=KeyText("tc-1.1"),
            started=datetime.now(UTC),
            timeout=timedelta(seconds=30),
        ),
        workspace=root,
        command=(*client, "sh", "-c", "touch mine; touch ../../forged"),
        cwd="work/peter",
        sandbox=Sandbox(required=True, hidden=(f"{root}/.clawfiles",), inbox="inbox/peter", outside=len(client)),
    )

    assert yard.app().runtime.start(order)
    yard.run_md("tc-1.1-s1")

    assert sorted(name for name in os.listdir(root) if name in ("by-the-client", "forged")) == ["by-the-client"]
    assert (yard.root / "work/peter/mine").exists()


def test_in_a_compartment_only_that_one_is_seen_and_its_private_folder_is_not(yard: Yard) -> None:
    script = """
import glob, json, os, subprocess
W, BASE = os.environ["CLAWFILES_WORKSPACE"], os.environ["CLAWFILES_BASE"]
def write(path):
    try: open(path, "w").close()
    except OSError: return False
    return True
found = {
    "compartments": os.listdir(BASE + "/compartments"),
    "private": os.listdir(W + "/.clawfiles") + os.listdir(BASE + "/.clawfiles"),
    "inboxes": os.listdir(W + "/inbox") + os.listdir(BASE + "/inbox"),
    "writes": [write(W + "/status/x.md"), write(BASE + "/status/x.md"), write(W + "/checkpoints/shield.md")],
    "claims": subprocess.run(["clawfiles", "claim", os.environ["CLAWFILES_TASK"]], capture_output=True).returncode,
}
with open("part", "w") as file: json.dump(found, file)
os.rename("part", "found.json")
"""
    yard.team(agent("shield", script, 'profile = "boxed"\ncompartment = true'), "[agents.other]\ncompartment = true\n")
    yard.write("compartments/other/status/tc-9.md", "a secret")
    yard.write(".clawfiles/x", "")
    yard.start()
    yard.ok("task", "new", "A secret", "--to", "shield")
    path = yard.root / "compartments/shield" / "work" / "shield/found.json"
    yard.until(path.exists, "shield has found out")

    found = json.loads(path.read_text())

    assert (found["compartments"], found["private"], found["inboxes"]) == (["shield"], [], ["shield"])
    assert found["writes"] == [False, False, True]
    assert found["claims"] == 0
    assert path.parent.stat().st_mode & 0o077 == 0
