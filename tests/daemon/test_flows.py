"""Spawned work under a real daemon: results reach whoever asked, once, whoever was busy, down or killed meanwhile."""

import pytest

from claw_files.core.model import State
from tests.daemon.conftest import ROOT, TEAM, Home
from tests.support.office import python

# Spawns what it is told to, is busy until its gate opens, and keeps the id of every message that woke it.
ASKS = """
import os, subprocess, sys, time
env = {key.removeprefix("CLAWFILES_").lower(): value for key, value in os.environ.items()}
message = env["message_id"].partition("Z-")[2] or env["message_id"]
with open("heard.txt", "a") as file: file.write(f"{env['agent']} {message}\\n")
if env["kind"] != "task": raise SystemExit
name = env.get("label", "asker")
if not os.path.exists("spawned-" + name) and name != "below":
    command = [sys.executable, "-m", "claw_files", "spawn", "look", "--worker", "reader", "--size", "S", "--label"]
    done = subprocess.run([*command, "below"], env=os.environ | {"PYTHONPATH": PATH}, capture_output=True, text=True)
    open("spawned-" + name, "w").write(done.stdout + done.stderr)
open("busy-" + env["run"], "w").close()
while not os.path.exists("go-" + name) and not os.path.exists("go"): time.sleep(0.02)
if "label" in env:
    with open(f"checkpoints/subagent-{name}.md", "w") as file:
        file.write(f"---\\nrun: {env['run']}\\nstatus: done\\n---\\nwhat {name} found\\n")
else:
    with open(f"status/{env['task'].lower()}.md", "a") as file: file.write("\\nStatus: DONE\\n")
""".replace("PATH", repr(str(ROOT)))
AGENTS = f"""
[agents.asker]
{python(ASKS)}
[agents.reader]
kind = "worker"
{python(ASKS)}
[limits]
runs = 8
depth = 2
[heartbeat]
ack = "1h"
"""


@pytest.fixture
def home(home: Home) -> Home:
    home.write("clawfiles.toml", TEAM + AGENTS)
    return home


def heard(home: Home) -> list[str]:
    return home.read("heard.txt").split("\n")[:-1] if (home.root / "heard.txt").exists() else []


def is_there(home: Home, name: str) -> None:
    home.until(lambda: (home.root / name).exists(), name)


def told(home: Home, agent: str, key: str) -> int:
    """How many messages of that key lie in its inbox."""
    return sum(name == f"{key}.md" for box in ("new", "cur", "done") for name in home.names(f"inbox/{agent}/{box}"))


def restart(home: Home) -> None:
    home.kill()
    home.start()


def test_a_busy_requester_is_notified_once_after_its_run_though_the_daemon_was_killed(home: Home) -> None:
    home.start()
    home.new("asker")
    is_there(home, "busy-tc-2.1-s1")
    home.kill()
    home.write("go-below", "")  # it ends while there is no daemon
    home.until(lambda: home.live() == ["tc-1.1-s1"], "the worker ends")
    home.start()
    home.until(lambda: told(home, "asker", "tc-2.1.done"), "the result is there")
    assert [line for line in heard(home) if "done" in line] == [], "it is busy, and was not woken"
    restart(home)

    home.write("go-asker", "")
    home.until(lambda: "asker tc-2.1.done" in heard(home), "it is woken with it")
    restart(home)
    home.until(lambda: home.lines() == 0 and not home.live(), "all is over")

    assert sorted(heard(home)) == ["asker tc-1.1", "asker tc-2.1.done", "reader tc-2.1"]
    assert told(home, "asker", "tc-2.1.done") == 1


def test_the_result_of_a_workers_worker_goes_up_once_where_that_has_ended(home: Home) -> None:
    home.start()
    home.ok("spawn", "look", "--worker", "reader", "--label", "up", "--size", "S", by="asker")
    is_there(home, "busy-tc-2.1-s1")
    home.write("go-up", "")
    home.until(lambda: told(home, "asker", "tc-1.1.done"), "its own result is there")
    home.kill()
    home.write("go-below", "")
    home.until(lambda: home.live() == [], "its worker ends")
    home.start()
    home.until(lambda: "asker tc-2.1.done" in heard(home), "whoever asked for the first hears of the second")
    restart(home)
    home.until(lambda: home.lines() == 0 and not home.live(), "all is over")

    assert sorted(line for line in heard(home) if line.startswith("asker")) == [
        "asker tc-1.1.done",
        "asker tc-2.1.done",
    ]
    assert [told(home, "reader", key) for key in ("tc-1.1.done", "tc-2.1.done")] == [0, 0]


def test_a_flow_that_is_cancelled_under_a_daemon_stays_ended(home: Home) -> None:
    """Ticks go on meanwhile: no attempt of it may begin again, and another tree goes on."""
    home.start()
    home.new("asker")
    is_there(home, "busy-tc-2.1-s1")
    other = home.new("slow")
    home.until(lambda: len(home.live()) == 3, "the other runs")

    said = home.ok("flow", "cancel", "TC-1")

    assert said == "stopped tc-2.1-s1, tc-1.1-s1\ncancelled TC-2, TC-1\n"
    home.until(lambda: home.lines() == 1, "the daemon takes the lines out")
    assert (home.task("TC-1"), home.task("TC-2")) == (State.CANCELLED, State.CANCELLED)
    assert home.live() == ["tc-3.1-s1"]
    home.write("go", "")
    home.until(lambda: home.task(other) is State.DONE, "the other is done")
    assert home.names("runs") == ["tc-1.1-s1", "tc-2.1-s1", "tc-3.1-s1"]


def test_a_message_to_an_idle_session_is_answered_once(home: Home) -> None:
    home.write("go", "")
    home.start()
    home.ok("spawn", "look", "--worker", "reader", "--label", "below", "--size", "S", "--mode", "session")
    home.until(lambda: told(home, "sam", "tc-1.1.done"), "the first answer")
    home.kill()
    for text in ("two", "three"):
        home.app().staying.send(home.app().actor, home.app().sessions.one(None, "below").task, text)
    home.start()
    home.until(lambda: told(home, "sam", "tc-1.3.done") and home.lines() == 0, "the answers")

    assert [line for line in heard(home) if line.startswith("reader")] == [f"reader tc-1.{n}" for n in (1, 2, 3)]
    assert [told(home, "sam", f"tc-1.{n}.done") for n in (1, 2, 3, 4)] == [1, 1, 1, 0]
