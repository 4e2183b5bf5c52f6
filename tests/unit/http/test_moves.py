"""Which move a status means, for every state a task can be in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claw_files.core.errors import BadValue, UsageError
from claw_files.core.model import AgentId, State, Task, TaskId
from claw_files.core.operation_table import OPERATIONS
from claw_files.http.status_moves import REACHED, WAYS, Needed, pick, plan
from claw_files.operations.dispatch import checked

PETER, IRIS = AgentId("peter"), AgentId("iris")


def task(state: State, holder: AgentId | None = None) -> Task:
    return Task(id=TaskId("TC-1"), state=state, assignee=holder)


@pytest.mark.parametrize(
    ("state", "holder", "status", "move"),
    [
        (State.BACKLOG, None, "in_progress", "claim"),
        (State.BACKLOG, PETER, "in_progress", "claim"),
        (State.IN_PROGRESS, PETER, "in_progress", "progress"),
        (State.BLOCKED, PETER, "in_progress", "progress"),
        (State.BLOCKED, IRIS, "in_progress", "unblock"),
        (State.IN_PROGRESS, IRIS, "in_progress", "claim"),
        (State.IN_PROGRESS, PETER, None, "progress"),
        (State.IN_PROGRESS, PETER, "done", "done"),
        (State.IN_PROGRESS, PETER, "DONE", "done"),
        (State.REVIEW, IRIS, "done", "approve"),
        (State.IN_PROGRESS, PETER, "review", "review"),
        (State.IN_PROGRESS, PETER, "blocked", "block"),
        (State.IN_PROGRESS, PETER, "failed", "fail"),
        (State.IN_PROGRESS, PETER, "backlog", "release"),
        (State.DEAD, None, "backlog", "release"),
        (State.REVIEW, IRIS, "backlog", "reopen"),
        (State.DONE, IRIS, "backlog", "reopen"),
        (State.IN_PROGRESS, IRIS, "cancelled", "cancel"),
    ],
)
def test_a_status_means_the_move_that_leads_there(
    state: State, holder: AgentId | None, status: str | None, move: str
) -> None:
    assert pick(task(state, holder), PETER, {"status": status}) == move


def test_a_named_generation_ends_its_own_attempt_and_approves_nothing() -> None:
    assert pick(task(State.REVIEW, PETER), PETER, {"status": "done", "generation": 1}) == "done"


def test_a_question_makes_it_a_need() -> None:
    need = Needed(agent="iris", question="Which?")
    assert plan(task(State.IN_PROGRESS, PETER), PETER, {"status": "blocked", "need": need, "generation": 2}) == (
        "task_need",
        {"task": "TC-1", "agent": "iris", "question": "Which?", "generation": 2},
    )


@pytest.mark.parametrize("status", ["dead", "nonsense", "", "in progress please"])
def test_a_state_that_no_move_leads_to_is_wrong_use(status: str) -> None:
    with pytest.raises(BadValue):
        pick(task(State.BACKLOG), PETER, {"status": status})


@given(
    st.sampled_from(State),
    st.sampled_from([None, PETER, IRIS]),
    st.sampled_from([None, *REACHED]),
    st.fixed_dictionaries(
        {},
        optional={
            "note": st.just("why"),
            "outputs": st.just(("PR #1",)),
            "eta": st.just("10:00"),
            "generation": st.just(1),
            "need": st.just(Needed(agent="iris", question="?")),
        },
    ),
)
def test_every_plan_is_a_call_as_the_table_takes_it_and_drops_no_field(
    state: State, holder: AgentId | None, status: str | None, fields: dict[str, object]
) -> None:
    patch = {"status": status, **fields}
    try:
        call, arguments = plan(task(state, holder), PETER, patch)
    except UsageError:
        assert not fields.keys() <= WAYS[pick(task(state, holder), PETER, patch)].fields.keys()
        return
    assert len(arguments) >= 1 + len(fields)
    if call != "task_block" or "note" in arguments:  # which wants one
        checked(OPERATIONS[call], arguments)
