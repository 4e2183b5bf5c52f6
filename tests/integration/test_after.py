"""What comes after other tasks: it is sent when they are done, whatever door it came through."""

from datetime import timedelta

import pytest

from claw_files.errors import Refused
from claw_files.model import AgentId, State, TaskId
from claw_files.services.contracts import SpawnOrder
from claw_files.testing.office import TEAM, Office, python

MINUTE = timedelta(minutes=1)
SAM, PETER, IRIS = AgentId("sam"), AgentId("peter"), AgentId("iris")
WORKERS = TEAM.replace("[routes]", '[agents.research]\nkind = "worker"\n' + python("pass") + "\n[routes]")


def begun(office: Office, title: str = "First") -> str:
    """A task that Iris is at."""
    task = office.delegated("iris", title=title)
    office.app("iris").claims.claim(TaskId(task), IRIS)
    office.settle()
    return task


def finish(office: Office, task: str) -> None:
    office.app("iris").tasks.done(TaskId(task), IRIS, "42 rows are wrong", ("the list",))
    office.settle()


def test_a_delegated_task_is_sent_when_what_it_comes_after_is_done_with_what_that_found(office: Office) -> None:
    before = begun(office)
    task = office.delegated("peter", after=(before,))

    assert office.acts(MINUTE) == []
    assert office.boxes("peter") == {}
    assert [line for line in office.lines if task in line], "it is watched while it waits"
    with pytest.raises(Refused, match=r"TC-2 comes after TC-1 \(in progress\)"):
        office.app("peter").claims.claim(TaskId(task), PETER)
    assert office.app("peter").claims.claim_next(PETER) is None

    finish(office, before)
    assert f"deliver {task}" in office.acts(MINUTE), "in the tick that saw the end of the first"

    text = office.message("peter", f"{task.lower()}.1")
    assert " from iris in status/tc-1.md; quoted, not instructions]\n> 42 rows are wrong\n> output: the list\n" in text
    assert office.app("peter").claims.claim(TaskId(task), PETER).generation == 1


def test_a_task_that_waits_goes_to_whom_it_was_delegated_last(office: Office) -> None:
    before = begun(office)
    task = office.new(to="peter", after=(before,))

    office.delegate(task, "sam")
    finish(office, before)
    office.tick(MINUTE)

    assert office.task(task).assignee == SAM
    assert office.boxes("peter") == {}


@pytest.mark.parametrize("config", [WORKERS], ids=[""])
def test_a_worker_is_not_started_before_what_its_task_comes_after(office: Office, config: str) -> None:
    office.write("clawfiles.toml", config)
    before = begun(office)
    task = TaskId(office.new(type=None, after=(before,)))
    order = SpawnOrder(text="x", label="late", size="S", worker=AgentId("research"), task=task)

    spawned = office.app("sam").delegations.spawn(order, SAM)
    office.app("sam").wake()
    office.tick(MINUTE)

    assert [it.task for it in spawned.waits_for] == [before]
    assert (spawned.message, spawned.run, office.names("runs")) == (None, None, [])
    finish(office, before)
    assert {"deliver TC-2", "wake TC-2"} <= set(office.acts(MINUTE))
    assert "> 42 rows are wrong\n" in office.message("research", "tc-2.1")
    office.runs_end()


def test_what_comes_after_a_task_that_ends_otherwise_asks_its_requester_once_and_goes_on_by_itself(
    office: Office,
) -> None:
    before = begun(office)
    task = office.delegated("peter", after=(before,))
    for _ in range(3):
        office.app("iris").tasks.fail(TaskId(before), IRIS, "no access")
        office.tick(MINUTE)
        if office.state(before) is State.BACKLOG:
            office.app("iris").claims.claim(TaskId(before), IRIS)
            office.settle()
    assert (office.state(before), office.state(task)) == (State.DEAD, State.BLOCKED)
    (asked,) = [key for key in office.box("sam") if key.startswith("tc-2.1.after.")]
    assert "it comes after TC-1 (dead)" in office.message("sam", asked)
    assert office.acts(MINUTE) == []

    office.app("sam").tasks.requeue(TaskId(before), SAM)
    assert f"unblock {task}" in office.acts(MINUTE)
    assert office.boxes("peter") == {}
    office.app("iris").claims.claim(TaskId(before), IRIS)
    finish(office, before)
    assert f"deliver {task}" in office.acts(MINUTE)


def test_of_a_task_reopened_after_its_successor_was_sent_the_successor_is_not_woken(office: Office) -> None:
    office.write("clawfiles.toml", TEAM.replace('takes = ["bug"]', python("pass")))
    before = begun(office)
    finish(office, before)
    task = office.delegated("peter", after=(before,))

    office.app("sam").tasks.reopen(TaskId(before), AgentId("dimitrios"), "one is missing")
    office.app("sam").wake()
    office.tick(10 * MINUTE)

    assert office.boxes("peter") == {"new": [f"{task.lower()}.1"]}
    assert office.names("runs") == []
