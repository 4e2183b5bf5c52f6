"""Ticks that start real processes: attempts, breakers, checks, workers, groups, limits."""

import os
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from claw_files.core.model import AgentId, State, TaskId
from claw_files.policy.snapshot import Act
from claw_files.services.delegation.delegation import DelegationResult, SpawnOrder
from claw_files.services.heartbeat.heartbeat import TickResult
from claw_files.system.disk_files import DiskFiles
from tests.support.office import TEAM, Office, python

MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
TASK, PETER = TaskId("TC-1"), AgentId("peter")

DIES = "import sys; sys.exit('no such table: mail')"
WRITES = """
import os
import time
with open(f"status/{os.environ['CLAWFILES_TASK'].lower()}.md", "a") as file:
    file.write("\\nStatus: DONE - PR #1\\n")
"""
WAITS = """
import os, sys, time
sys.stdin.read()
while not os.path.exists("go"): time.sleep(0.01)
"""
WORKS = """
import os, time
while os.path.exists("wait"): time.sleep(0.01)
env = {key.removeprefix("CLAWFILES_").lower(): value for key, value in os.environ.items()}
label = env["label"]
if "silent" in label: raise SystemExit(1)
status = "failed" if "bad" in label else "done"
length = int(label.rpartition("-")[2]) if "long" in label else 0
with open(f"checkpoints/subagent-{label}.md", "w") as file:
    file.write(f"---\\nlabel: {label}\\nrun: {env['run']}\\ntask: {env['task']}\\nagent: {env['agent']}\\n"
               f"status: {status}\\noutputs: []\\n---\\nwhat {label} found\\n" + "a long line of it\\n" * length)
"""

CHECKS = "while test -e checking; do sleep 0.01; done; test -e all-is-well || { echo no all-is-well; exit 1; }"

CONFIG = f"""{TEAM.partition("[routes]")[0]}
[agents.importer]
{python(DIES)}
[agents.coder]
{python(WRITES)}
[agents.slow]
{python(WAITS)}
[agents.research]
kind = "worker"
{python(WORKS)}

[routes]
bug = {{ to = ["peter", "iris", "self"] }}
import = {{ to = ["importer", "iris"] }}
checked = {{ to = ["peter"], verify = ["sh", "-c", "{CHECKS}"] }}

[limits]
runs = 4
"""


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path / "sam", CONFIG)
    yield made
    made.write("go", "")
    made.stop()


def spawn(office: Office, label: str, **more: Any) -> DelegationResult:
    """A worker that was spawned by sam and not started yet."""
    given = {"text": f"Look into {label}", "label": label, "size": "S"}
    found = office.app().delegations.spawn(SpawnOrder(**{**given, **more}), AgentId("sam"))
    office.settle()
    return found


def live(office: Office) -> int:
    return sum(run.alive for run in office.app().runtime.live())


def test_an_agent_with_a_command_is_woken_and_what_it_wrote_ends_the_task(office: Office) -> None:
    office.delegated("coder", type=None)

    assert office.acts() == ["wake TC-1"]
    office.runs_end()

    assert office.acts(MINUTE) == ["record TC-1", "inform TC-1", "close TC-1"]
    assert office.boxes("coder") == {"done": ["tc-1.1"]}


def test_an_agent_that_dies_each_time_is_tried_again_ever_later_and_then_its_task_is_a_dead_letter(
    office: Office,
) -> None:
    office.delegated("importer", type=None)
    assert office.acts() == ["wake TC-1"]
    office.runs_end()
    assert office.acts() == ["fail TC-1"]
    assert "no such table: mail" in str(office.task("TC-1").reason)
    assert office.acts(2 * SECOND) == [], "its failure may be a second younger"
    assert office.acts(1.5 * SECOND) == ["retry TC-1", "deliver TC-1", "wake TC-1"]
    office.runs_end()
    assert office.acts() == ["fail TC-1"]
    assert office.acts(4 * SECOND) == []
    assert office.acts(2 * SECOND) == ["retry TC-1", "deliver TC-1", "wake TC-1"]
    office.runs_end()

    acts = office.acts()

    assert acts[:2] == ["fail TC-1", "dead-letter TC-1"]
    assert office.acts() == []
    assert office.lines == []
    assert not office.exists("status/tc-1.md")
    letter = office.read("dead-letter/tc-1.md")
    assert "status: dead" in letter
    assert letter.count(" fail (importer)") == 3
    assert letter.count(" wake (importer)") == 3
    assert letter.count("no such table: mail") >= 3
    assert office.read("announcements.md").count("failed 3 times") == 1
    assert office.boxes("importer") == {"done": ["tc-1.1", "tc-1.2", "tc-1.3"]}


def test_an_agent_whose_breaker_is_open_is_not_woken_until_it_is_half_open_and_then_once(office: Office) -> None:
    for _ in range(3):
        office.delegated("importer", type=None)
        office.acts()
        office.runs_end()
        office.acts()
    assert [str(office.task(f"TC-{n}").assignee) for n in (1, 2, 3)] == ["importer", "importer", "sam"]
    office.delegated("importer", type=None)
    office.delegated("importer", type=None)

    def woken(after: timedelta) -> list[str]:
        return [act for act in office.acts(after) if act.startswith("wake")]

    assert woken(5 * SECOND) == woken(9 * MINUTE) == []
    assert woken(MINUTE) == ["wake TC-4"]
    office.runs_end()
    assert office.acts()[-2:] == ["fail TC-4", "next-agent TC-4"]  # one attempt has shown that it is no better
    assert office.acts(SECOND) == []


def test_a_success_of_a_worker_closes_its_breaker(office: Office) -> None:
    text = office.read("clawfiles.toml").replace("runs = 4", "runs = 4\nbreaker = 2")
    office.write("clawfiles.toml", f"{text}\n[heartbeat]\nattempts = 1\n")
    for label in ("silent-1", "good", "silent-2"):
        spawn(office, label)
        office.acts()
        office.runs_end()
        office.acts()

    spawn(office, "last")

    assert "wake TC-4" in office.acts()


def test_with_an_open_breaker_a_failed_task_goes_to_the_next_agent_of_its_route(office: Office) -> None:
    text = office.read("clawfiles.toml").replace("runs = 4", "runs = 4\nbreaker = 1")
    office.write("clawfiles.toml", text)
    office.delegated(type="import")
    office.acts()
    office.runs_end()

    assert office.acts() == ["fail TC-1", "next-agent TC-1"]

    assert office.task("TC-1").assignee == "iris"
    assert office.boxes("iris") == {"new": ["tc-1.2"]}
    assert office.boxes("importer") == {"done": ["tc-1.1"]}


def test_a_message_of_an_attempt_that_is_over_wakes_nobody(office: Office) -> None:
    office.delegated("coder", type=None)
    office.write("status/tc-1.md", "TC-1: FAILED - no access\n")  # before it was ever woken

    acts = [*office.acts(), *office.acts(4 * SECOND)]

    assert acts.count("wake TC-1") == 1
    assert office.names("runs") == ["tc-1.2-s1"]


def test_an_agent_that_writes_its_file_anew_in_each_attempt_uses_up_its_attempts_all_the_same(office: Office) -> None:
    office.delegated("peter", type=None)
    for _ in range(3):
        office.clock.advance(10 * SECOND)
        office.write("status/tc-1.md", "TC-1: FAILED - no access\n")
        office.acts()
        office.acts(10 * SECOND)

    assert office.exists("dead-letter/tc-1.md")
    assert office.boxes("peter") == {"done": ["tc-1.1", "tc-1.2", "tc-1.3"]}


def test_the_check_of_a_route_is_a_run_and_its_failure_sends_the_task_back(office: Office) -> None:
    office.delegated("peter", type="checked")
    office.write("status/tc-1.md", "Status: DONE\n")
    office.write("checking", "")
    assert office.acts(MINUTE) == ["record TC-1", "verify TC-1"]
    (office.root / "checking").unlink()
    office.runs_end()
    assert office.acts() == ["reopen TC-1", "deliver TC-1"]
    assert "all-is-well" in office.message("peter", "tc-1.2")

    office.write("all-is-well", "")
    office.clock.advance(MINUTE)
    office.add("status/tc-1.md", "Fixed.\nTC-1: COMPLETED\n")
    office.write("checking", "")
    assert office.acts() == ["record TC-1", "verify TC-1"]
    (office.root / "checking").unlink()
    office.runs_end()

    assert office.acts() == ["verified TC-1", "inform TC-1", "close TC-1"]


def test_five_workers_of_which_two_fail_are_reported_together_once(office: Office) -> None:
    for label in ("mail", "bad-calendar", "tasks", "silent-news", "weather"):
        spawn(office, label, group="morning", group_size=5, attempts=1)
    said: list[str] = []
    for _ in range(4):
        said += office.acts()
        office.runs_end()

    assert said.count("report sam") == 1
    assert office.box("sam") == ["group.morning.report"]
    report = office.message("sam", "group.morning.report")
    assert "3 results" in report
    for label in ("mail", "tasks", "weather"):
        assert f"what {label} found" in report
    assert "bad-calendar: no result" in report
    assert "silent-news: no result" in report
    assert office.lines == []
    assert office.names("dead-letter") == ["tc-2.md", "tc-4.md"]
    assert office.acts(MINUTE) == []
    assert office.read("announcements.md").count("is a dead letter") == 1, "a person hears of the group once"


def test_five_long_results_make_a_report_of_a_few_lines_that_names_their_files(office: Office) -> None:
    for number in range(5):
        spawn(office, f"long-{number + 17_000}", group="survey", group_size=5)
    for _ in range(3):
        office.acts()
        office.runs_end()

    report = office.message("sam", "group.survey.report")

    assert len(report) < 10_240
    for number in range(5):
        label = f"long-{number + 17_000}"
        assert f"what {label} found" in report
        assert f"KB of it are in `checkpoints/subagent-{label}.md`" in report


def test_long_and_short_results_together_lie_in_one_file_that_the_report_names(office: Office) -> None:
    for number in range(3):
        spawn(office, f"long-{number + 400}", group="survey", group_size=3)
    for _ in range(3):
        office.acts()
        office.runs_end()

    report = office.message("sam", "group.survey.report")

    assert len(report) < 1_000
    (body,) = office.names("inbox/sam/bodies")
    assert f"inbox/sam/bodies/{body}" in report
    assert office.read(f"inbox/sam/bodies/{body}").count("a long line of it") == 1_203


def test_a_result_over_1_mb_fails_and_says_what_to_do(office: Office) -> None:
    spawn(office, "long-70000", attempts=1)
    office.acts()
    office.runs_end()
    office.acts()

    assert office.state("TC-1") is State.DEAD
    assert "name it in `outputs`" in str(office.task("TC-1").reason)


def test_a_result_of_an_earlier_run_is_moved_aside_and_never_taken_for_the_new_one(office: Office) -> None:
    spawn(office, "mail")
    office.acts()
    office.runs_end()
    office.acts()
    assert office.state("TC-1") is State.DONE
    old = office.read("checkpoints/subagent-mail.md")
    office.write("wait", "")
    spawn(office, "mail")

    assert office.acts(MINUTE) == ["wake TC-2"]

    assert not office.exists("checkpoints/subagent-mail.md")
    (kept,) = office.names("checkpoints/old")
    assert office.read(f"checkpoints/old/{kept}") == old
    assert office.acts(SECOND) == []  # it still runs
    (office.root / "wait").unlink()
    office.runs_end()
    assert office.acts() == ["finish TC-2", "inform TC-2", "close TC-2"]
    assert "run: tc-2.1-s1" in office.read("checkpoints/subagent-mail.md")


def test_no_more_runs_than_the_limit_live_at_once_and_the_others_follow_in_order(office: Office) -> None:
    office.write("wait", "")
    for number in range(7):
        spawn(office, f"w{number}")
        office.clock.advance(SECOND)

    assert office.acts() == ["wake TC-1", "wake TC-2", "wake TC-3", "wake TC-4"]
    assert office.acts(MINUTE) == []
    assert live(office) == 4
    (office.root / "wait").unlink()
    office.runs_end()

    assert [act for act in office.acts() if "wake" in act] == ["wake TC-5", "wake TC-6", "wake TC-7"]
    office.runs_end()
    office.acts()
    assert office.lines == []


def test_two_messages_for_one_agent_are_two_runs_one_after_the_other(office: Office) -> None:
    office.delegated("slow", type=None)
    office.clock.advance(SECOND)
    office.delegated("slow", type=None)

    assert office.acts() == ["wake TC-1"]
    assert office.acts(6 * MINUTE) == []  # the one that waits for its turn is not overdue
    office.write("go", "")
    office.runs_end()
    assert "wake TC-2" in office.acts()


def test_the_answer_to_a_question_wakes_who_waits_for_it(office: Office) -> None:
    office.delegated("slow", type=None)
    office.acts()
    office.write("status/tc-1.md", "TC-1: BLOCKED\nNeeds: iris - which port?\n")
    office.write("go", "")
    office.runs_end()
    assert office.acts(SECOND) == ["record TC-1", "ask TC-1"]
    (asked,) = office.box("iris")

    office.app("iris").messages.answer(AgentId("iris"), asked, "8443")

    assert office.acts(SECOND) == ["wake TC-1"]
    office.runs_end()
    assert "8443" in office.read(f"runs/{asked}.answer-s1/message.md")


class Halting(DiskFiles):
    """Says when it is about to write, and waits for a word."""

    pipes: tuple[int, int] = (-1, -1)

    def commit(self, *args: Any, **more: Any) -> Any:
        os.write(self.pipes[1], b"x")
        os.read(self.pipes[0], 1)
        return super().commit(*args, **more)


def test_the_second_of_two_concurrent_ticks_names_the_first_and_does_nothing(office: Office) -> None:
    office.new()
    office.write("HEARTBEAT.md", "- TC-1 delegated to peter, check at 2026-03-07 10:00\n")
    halted, go = os.pipe(), os.pipe()

    def first() -> None:
        Halting.pipes = (go[0], halted[1])
        office.make_files = lambda path: Halting(path, clock=office.clock, durable=False)
        office.app().heartbeat.tick()

    child = forked(first)
    os.read(halted[0], 1)
    before = office.tree()
    second: TickResult = office.app().heartbeat.tick()
    after = office.tree()
    os.write(go[1], b"x" * 100)
    assert os.waitpid(child, 0)[1] == 0

    assert second.busy is not None
    assert f"clawfiles heartbeat (process {child}" in second.busy
    assert second.actions == ()
    assert after == before
    assert office.boxes("peter") == {"new": ["tc-1.1"]}


class Slow(DiskFiles):
    """Says when its file is in place and its line not in the journal yet, and takes its time over that."""

    swapped = -1

    def _journal(self, *args: Any) -> None:
        os.write(self.swapped, b"x")
        time.sleep(0.3)
        super()._journal(*args)


@pytest.mark.parametrize("kind", ["bug", "reviewed"])
def test_an_end_that_a_command_is_about_to_journal_is_no_move_by_hand(office: Office, kind: str) -> None:
    office.write("clawfiles.toml", TEAM)
    office.delegated("peter", type=kind)
    office.app().claims.claim(TASK, PETER)
    if kind == "reviewed":
        office.app().tasks.done(TASK, PETER)
        office.tick()
    halted, Slow.swapped = os.pipe()

    def ends() -> None:
        office.make_files = lambda path: Slow(path, clock=office.clock, durable=False)
        tasks = office.app().tasks
        tasks.approve(TASK, AgentId("sam")) if kind == "reviewed" else tasks.done(TASK, PETER)

    child = forked(ends)
    os.close(Slow.swapped)
    assert os.read(halted, 1)
    ticked = office.app().heartbeat.tick()
    assert os.waitpid(child, 0)[1] == 0

    assert [action.act for action in ticked.actions] == [Act.INFORM, Act.CLOSE]
    assert office.state(TASK) is State.DONE


def forked(act: Callable[[], None]) -> int:
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        act()
        code = 0
    finally:
        os._exit(code)
