"""The runs that one message may lead to: counted from their root message, whatever the agents make of it."""

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from claw_files.core.model import AgentId, Kind
from tests import runs
from tests.support.office import TEAM, Office, python

ROOT = Path(__file__).parents[2]
LIMIT = 6
MINUTE = timedelta(minutes=1)
PING, PONG, ME = AgentId("ping"), AgentId("pong"), AgentId("dimitrios")
# In each run two of what its file says, the second time in other words; {other} is who woke it not.
TWICE = """
import os, subprocess, sys
me = os.environ["CLAWFILES_AGENT"]
other = "pong" if me == "ping" else "ping"
task = os.environ.get("CLAWFILES_TASK", "TC-1")
env = {"PATH": os.environ["PATH"], "PYTHONPATH": os.environ["PYTHONPATH"]}
for number, line in enumerate(open("does.txt").read().splitlines()):
    words = line.format(other=other, task=task, new=os.environ["CLAWFILES_RUN"].replace(".", "-") + str(number)).split()
    done = subprocess.run([sys.executable, "-m", "claw_files", *words], env=env, capture_output=True, text=True)
    with open("said.txt", "a") as file: file.write(f"{words} {done.returncode} {done.stdout}{done.stderr}\\n")
"""
WORKER = """
import os
env = {key.removeprefix("CLAWFILES_").lower(): value for key, value in os.environ.items()}
with open(f"checkpoints/subagent-{env['label']}.md", "w") as file:
    file.write(f"---\\nrun: {env['run']}\\nstatus: done\\n---\\nfound\\n")
"""
CONFIG = f"""{TEAM.partition("[routes]")[0]}
[agents.ping]
{python(TWICE)}
env = ["PYTHONPATH"]
[agents.pong]
{python(TWICE)}
env = ["PYTHONPATH"]
[agents.research]
kind = "worker"
{python(WORKER)}
[limits]
wakes = {LIMIT}
runs = 10
spawns_per_minute = 1000
children = 1000
unread = 1000
"""


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    made = Office(tmp_path / "sam", CONFIG)
    made.clock.on_sleep = lambda: time.sleep(0.02)
    yield made
    made.write("does.txt", "")
    made.stop()


def settles(office: Office, after: timedelta = MINUTE) -> int:
    """Tick until nobody is woken any more; how many runs there were."""
    count = -1
    for _ in range(60):
        office.tick(after)
        office.runs_end()
        if count == (count := len(office.names("runs"))):
            return count
    raise AssertionError(f"it goes on: {count} runs, {office.read('said.txt')[-2000:]}")


@pytest.mark.parametrize(
    "does",
    [
        ["send {other} and-you?", "send {other} and-then?"],
        ["ask {other} which?", "send ping well"],
        ["task new {new} --to {other}", "send {other} done?"],
        ["spawn {new} --label {new} --size S", "send {other} well"],
        ["spawn {new} --label {new} --size S --group {new}", "spawn b{new} --label b{new} --size S --group {new}"],
    ],
    ids=["messages", "questions", "tasks", "workers", "groups"],
)
def test_the_runs_of_one_message_stop_at_the_limit_which_is_reported_once(office: Office, does: list[str]) -> None:
    office.write("does.txt", "\n".join(does))
    office.app().messages.send(ME, PING, "begin")

    assert settles(office) <= LIMIT, office.read("said.txt")
    assert len(office.names("runs")) == LIMIT
    told = office.audit(action="escalate")
    assert [(line["agent"], "6 runs followed from message" in line["why"]) for line in told] == [("dimitrios", True)]


def test_a_raised_limit_lets_it_go_on_and_a_message_sent_anew_begins_anew(office: Office) -> None:
    office.write("does.txt", "send {other} and-you?\nsend {other} and-then?")
    office.app().messages.send(ME, PING, "begin")
    settles(office)

    office.write("clawfiles.toml", CONFIG.replace(f"wakes = {LIMIT}", f"wakes = {LIMIT + 2}"))
    assert settles(office) == LIMIT + 2
    office.app().messages.send(ME, PONG, "once more")
    assert settles(office) == 2 * (LIMIT + 2)


def test_the_count_outlives_lock_files_and_the_messages_themselves(office: Office) -> None:
    office.write("does.txt", "send {other} and-you?\nsend {other} and-then?")
    office.app().messages.send(ME, PING, "begin")
    for _ in range(60):
        office.tick(MINUTE)
        office.runs_end()
        for path in office.root.rglob("*.lock"):
            path.unlink()
        for path in [*office.root.glob("inbox/p?ng/cur/*"), *office.root.glob("inbox/p?ng/done/*")]:
            path.unlink()

    assert len(office.names("runs")) == LIMIT


def test_repeated_reopening_by_a_review_stops_at_the_limit(office: Office) -> None:
    office.write("clawfiles.toml", CONFIG + '[routes.checked]\nto = ["ping"]\nreview = "pong"\n')
    office.write("does.txt", "claim {task}\ndone {task}\nreopen {task} again")
    office.delegated("ping", type="checked")

    assert settles(office) <= LIMIT + 2, "a person's task and its first review are roots of their own"


def test_an_answer_of_a_person_begins_anew(office: Office) -> None:
    sent = runs.typed(office.root, "ping", "ask", "dimitrios", "may I?", "--json", root="x")
    assert sent.returncode == 0, sent.stderr
    (key,) = office.box("dimitrios")
    question = office.app().workspace.find_message(ME, key)
    assert question is not None
    assert question[0].root == "x"

    office.app("dimitrios").messages.answer(ME, question[0].id, "yes")

    answer = office.app().workspace.find_message(PING, f"{question[0].key}.answer")
    assert answer is not None
    assert answer[0].root is None


def test_only_what_waits_for_the_limit_is_held_and_it_is_said(office: Office) -> None:
    office.write("does.txt", "send {other} and-you?\nsend {other} and-then?")
    office.app().messages.send(ME, PING, "begin")
    settles(office)
    office.write("does.txt", "")
    office.app().messages.send(ME, PONG, "something else", kind=Kind.ANNOUNCE)

    assert settles(office) == LIMIT + 1
    assert {str(wait.held_by) for wait in office.app().snapshots.waits()} == {"limits.wakes"}


def test_without_a_manager_the_monitor_is_woken_once_and_wakes_no_agent(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = CONFIG.partition("[agents.sam]")[0].replace('"sam"', '"ping"').replace('"sentry"', '"ping"')
    office.write("clawfiles.toml", bare + "[agents.ping]" + CONFIG.partition("[agents.ping]")[2])
    office.write("does.txt", "send {other} and-you?\nsend {other} and-then?")
    office.app().messages.send(PONG, PING, "begin")

    assert settles(office) == LIMIT + 1
    assert [line["agent"] for line in office.audit(action="escalate")] == ["ping"]
