"""On random workspaces: what `heartbeat --dry-run` and `explain` say is what the tick then does."""

import shutil
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from claw_files.core.errors import ClawError
from claw_files.core.model import AgentId, TaskId
from claw_files.policy.snapshot import Act, Action
from claw_files.services.heartbeat.heartbeat import TickResult
from tests.proofs import examples
from tests.support.office import Office

MINUTE = timedelta(minutes=1)
TASKS, AGENTS = ("TC-1", "TC-2", "TC-3"), ("peter", "iris")
WORDS = ("IN PROGRESS", "IN PROGRESS, ETA 12:30", "DONE", "BLOCKED - no access", "FAILED - no access", "REVIEW")
LINES = (
    "- {task} delegated to {agent}, check at 10:00", "{task} wait until 11:00", "- [x] {task} delegated to {agent}",
    "- TC-9 wait until 11:00", "- TC-9 delegated to nobody, check at 10:00",
)  # fmt: skip
STEP = st.one_of(
    st.tuples(st.just("delegate"), st.sampled_from(TASKS), st.sampled_from(AGENTS)),
    st.tuples(st.just("claim"), st.sampled_from(TASKS), st.sampled_from(AGENTS)),
    st.tuples(st.just("read"), st.just(""), st.sampled_from(AGENTS)),
    st.tuples(st.just("write"), st.sampled_from(TASKS), st.sampled_from(WORDS)),
    st.tuples(st.just("report"), st.sampled_from(TASKS), st.sampled_from(WORDS)),
    st.tuples(st.just("line"), st.sampled_from(TASKS), st.sampled_from(LINES)),
    st.tuples(st.just("wait"), st.just(""), st.integers(1, 90)),
    st.tuples(st.just("tick"), st.just(""), st.just("")),
)


def take(office: Office, what: str, task: str, more: str | int) -> None:
    """One step, as a person, an agent or the clock takes it; what is refused changes nothing."""
    app = office.app("sam")
    with suppress(ClawError):
        if what == "delegate":
            app.delegations.delegate(TaskId(task), AgentId("sam"), AgentId(str(more)))
        elif what == "claim":
            app.claims.claim(TaskId(task), AgentId(str(more)))
        elif what == "read":
            app.messages.inbox(AgentId(str(more)))
        elif what == "write":
            office.write(f"status/{task.lower()}.md", f"{task}: {more}\n")
        elif what == "report":
            office.write("status/peter.md", f"{task}: {more}\n")
        elif what == "line":
            office.write("HEARTBEAT.md", (office.read("HEARTBEAT.md") if office.exists("HEARTBEAT.md") else "") + "\n")
            office.add("HEARTBEAT.md", str(more).format(task=task, agent="peter") + "\n")
        elif what == "wait":
            office.clock.advance(int(more) * MINUTE)
        else:
            office.tick()
    office.settle()


def told(actions: Iterable[Action], task: str | None) -> list[str]:
    """The actions for the task as `explain` says them, in their order."""
    return [f"{it.act} {it.agent or ''}".rstrip() + f": {it.why}" for it in actions if it.task == task]


def same(said: Iterable[Action], done: Iterable[Action], task: str | None) -> None:
    """Assert that what was said of the task was done: first what follows from its line, in that order."""
    said, done = tuple(said), tuple(done)
    first = told((it for it in said if it.is_of_line), task)
    assert told(done, task)[: len(first)] == first
    assert {*told(said, task)} <= {*told(done, task)}


def made(folder: str, steps: list[tuple[str, str, str | int]]) -> Office:
    office = Office(Path(folder) / "sam")
    for number in range(len(TASKS)):
        office.new(type="reviewed" if number else "bug")
    for step in steps:
        take(office, *step)
    return office


EXAMPLES = settings(max_examples=examples(160), deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.proof
@EXAMPLES
@example(steps=[("line", "TC-3", LINES[2]), ("line", "TC-3", LINES[0])])  # the second line counts: the first goes
@given(steps=st.lists(STEP, max_size=8))
def test_the_tick_does_what_its_dry_run_said(steps: list[tuple[str, str, str | int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        office = made(folder, steps)

        said: TickResult = office.app().heartbeat.preview()
        done = office.tick()

        for task in {action.task for action in (*said.actions, *done.actions)}:
            same(said.actions, done.actions, task)
        assert bool(said.actions) == bool(done.actions)


@pytest.mark.proof
@EXAMPLES
@given(steps=st.lists(STEP, max_size=8), task=st.sampled_from([*TASKS, "TC-9"]))
def test_the_tick_does_what_explain_said_comes_next(steps: list[tuple[str, str, str | int]], task: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        office = made(folder, steps)
        with suppress(ClawError):
            found = office.app().explaining.explain(TaskId(task))
            if found.now:
                same(found.now, office.tick().actions, task)
                return
            if found.next_at is None:
                return
            left = found.next_at - office.clock.now()
            assert left > timedelta(), "a past time is never what comes next"
            shutil.copytree(office.root, Path(folder) / "copy" / "sam")
            earlier = Office(Path(folder) / "copy" / "sam")
            earlier.clock.advance(office.clock.now() - earlier.clock.now() + left / 2)
            assert told(earlier.tick().actions, task) == [], "it comes no earlier"
            same(found.coming, office.tick(left).actions, task)


def test_the_dry_run_says_what_follows_a_critical_finding() -> None:
    """The coordinator hears of the finding first; the edit by hand and the escalation behind it are said, too."""
    with tempfile.TemporaryDirectory() as folder:
        blocked = ("write", "TC-1", "BLOCKED - no access\n\nCritical: the key is public")
        office = made(folder, [("delegate", "TC-1", "peter"), ("tick", "", ""), ("claim", "TC-1", "peter"), blocked])

        said = office.app().heartbeat.preview().actions
        done = office.tick().actions

        assert [it.act for it in said if it.task == "TC-1"][:1] == [Act.CRITICAL]
        assert told(said, "TC-1") == told(done, "TC-1")
