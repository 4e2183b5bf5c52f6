"""Which earlier spawn may answer a new one."""

from datetime import timedelta

import pytest

from claw_files.config import Route
from claw_files.core.model import AgentId, State, TaskId
from claw_files.policy import result_reuse
from claw_files.testing.clock import START
from tests.support import builders as a

HOUR = timedelta(hours=1)
ROUTE = Route(type="digging", cache=HOUR)
QUESTION = ("dig here", AgentId("research"), "m", "repos", "digging")


def test_the_same_question_has_the_same_mark_and_any_part_of_it_makes_another() -> None:
    mark = result_reuse.fingerprint(*QUESTION)

    assert result_reuse.fingerprint(" dig here\n", *QUESTION[1:]) == mark
    others = [(*QUESTION[:at], value, *QUESTION[at + 1 :]) for at in range(5) for value in ("other", "")]
    others.append(("dig here1", AgentId("research"), "m", "repos", "digging"))
    others.append(("dig here", AgentId("research"), None, "mrepos", "digging"))
    assert len({mark, *(result_reuse.fingerprint(*other) for other in others)}) == len(others) + 1


@pytest.mark.parametrize(
    ("more", "may"),
    [
        ({}, True),
        ({"completed": START - HOUR}, False),
        ({"completed": START - HOUR + timedelta(seconds=1)}, True),
        ({"completed": START + timedelta(seconds=1)}, False),
        ({"completed": None}, False),
        ({"asked": "another"}, False),
        ({"state": State.REVIEW}, False),
        ({"state": State.FAILED}, False),
        ({"cached_from": TaskId("TC-1")}, False),
    ],
)
def test_only_a_run_of_its_own_that_was_done_in_time_answers(more: dict[str, object], may: bool) -> None:
    task = a.worker_task(**{"state": State.DONE, "completed": START, "asked": "mark", **more})

    assert result_reuse.may_answer(task, "mark", ROUTE, START) is may
    assert not result_reuse.may_answer(task, "mark", Route(type="digging"), START)


def test_a_copy_says_whose_it_is_and_costs_nothing() -> None:
    earlier = a.worker_task(
        "first", State.DONE, outputs=("./checkpoints/subagent-first.md", "./map.png"), summary="gold"
    )
    task = a.worker_task("second", id="TC-61", assignee=None)

    done = result_reuse.answered(
        task, earlier, "checkpoints/subagent-second.md", "checkpoints/subagent-first.md", START, generation=2
    )
    result = result_reuse.copied(a.result(earlier, usage={"cost": "1"}, body="gold"), task, earlier)

    assert (done.state, done.cached_from, done.assignee, done.summary) == (State.DONE, earlier.id, a.WORKER, "gold")
    assert done.outputs == ("./checkpoints/subagent-second.md", "./map.png")
    assert (result.label, result.cached_from, result.usage, result.run) == ("second", earlier.id, {}, "tc-60.1-s1")
