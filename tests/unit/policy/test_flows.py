"""Trees of spawned work: depth, limits, order of ending, and who hears of what; whatever stands in `parent`."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claw_files import config
from claw_files.config import Settings
from claw_files.core.errors import Refused
from claw_files.core.model import AgentId, RunId, State, Stay, Task, TaskId
from claw_files.policy import flow_tree
from claw_files.policy.flow_tree import Caller

TEAM = b"""
[workspace]
coordinator = "sam"
[agents.sam]
[agents.peter]
[agents.ann]
kind = "human"
[agents.research]
kind = "worker"
[agents.reader]
kind = "worker"
[limits]
"""
SETTINGS = config.parse(TEAM)
SAM, PETER, ANN, RESEARCH, READER = (AgentId(name) for name in ("sam", "peter", "ann", "research", "reader"))


def deeper(depth: int = 1, children: int = 5) -> Settings:
    return config.parse(TEAM + f"depth = {depth}\nchildren = {children}\n".encode())


def spawned(number: int, parent: int | None = None, spawner: AgentId = SAM, **more: object) -> Task:
    facts = {"assignee": RESEARCH, "state": State.IN_PROGRESS, "spawner": spawner, "label": f"l{number}", **more}
    return Task(id=TaskId(f"TC-{number}"), parent=TaskId(f"TC-{parent}") if parent else None, **facts)


def among(*tasks: Task) -> Callable[[TaskId], Task | None]:
    return {task.id: task for task in tasks}.get


def nobody(task: TaskId) -> RunId | None:
    return None


# --- any set of tasks

numbers = st.integers(1, 12)


@st.composite
def tasks(draw: st.DrawFn) -> list[Task]:
    """Tasks with parents that somebody made up: themselves, circles, what does not exist."""
    found = {}
    for number in draw(st.lists(numbers, max_size=12, unique=True)):
        parent = draw(st.one_of(st.none(), numbers))
        label = draw(st.sampled_from([None, "a", "b"]))
        group = draw(st.sampled_from([None, None, "g"]))
        session = draw(st.sampled_from([None, Stay.OPEN, Stay.CLOSED]))
        state = draw(st.sampled_from(list(State)))
        found[number] = spawned(number, parent, label=label, group=group, state=state, session=session)
    return list(found.values())


@given(tasks())
def test_every_spawned_task_is_in_exactly_one_flow_whatever_its_parent_says(found: list[Task]) -> None:
    members = [member.task.id for flow in flow_tree.forest(found) for member in flow.members]

    assert len(members) == len(set(members))
    assert {task.id for task in found if task.label} <= set(members)


@given(tasks())
def test_nothing_ends_before_what_was_spawned_in_it_and_nothing_closed_ends_again(found: list[Task]) -> None:
    for flow in flow_tree.forest(found):
        ends = [task.id for task in flow_tree.plan_end(flow)]
        ups = {member.task.id: member.parent for member in flow.members}

        assert all(ends.index(task) < ends.index(up) for task, up in ups.items() if up in ends and task in ends)
        assert set(ends) == {member.task.id for member in flow.members if flow_tree.is_open(member.task)}


@given(tasks())
def test_a_branch_is_closed_downwards(found: list[Task]) -> None:
    for flow in flow_tree.forest(found):
        for member in flow.members:
            kept = {it.task.id for it in flow_tree.branch(flow, member.task.id).members}

            assert {it.task.id for it in flow.members if it.parent in kept} <= kept


@given(tasks())
def test_depth_and_asker_end_for_any_parents(found: list[Task]) -> None:
    find = among(*found)
    for task in found:
        assert 0 <= flow_tree.depth(task, find) <= len(found)
        flow_tree.asker(SETTINGS, task, find, nobody)


def test_a_chain_of_ten_thousand_is_no_matter_of_the_stack() -> None:
    chain = [spawned(number, number - 1 if number > 1 else None) for number in range(1, 10_001)]

    (flow,) = flow_tree.forest(chain)

    assert (len(flow.members), flow.members[-1].depth) == (10_000, 9_999)
    assert flow_tree.depth(chain[-1], among(*chain)) == flow_tree.MOST


# --- depth and children


def test_depth_counts_spawns_and_not_what_was_delegated_between() -> None:
    top, worker = Task(id=TaskId("TC-1"), assignee=PETER), spawned(2, 1)
    between, below = spawned(3, 2, label=None), spawned(4, 3)
    find = among(top, worker, between, below)

    assert [flow_tree.depth(task, find) for task in (top, worker, between, below)] == [0, 1, 1, 2]


def test_a_spawn_that_is_too_deep_is_refused_with_its_rule_and_the_alternative() -> None:
    flow_tree.check_spawn(SETTINGS, Caller(by=PETER), 0)
    flow_tree.check_spawn(deeper(2), Caller(by=RESEARCH, within=TaskId("TC-1"), depth=1), 0)

    with pytest.raises(Refused, match=r"within TC-1 .* limits.depth is 1.*; .*your spawner decides"):
        flow_tree.check_spawn(SETTINGS, Caller(by=SAM, within=TaskId("TC-1"), depth=1, in_run=True), 0)


@pytest.mark.parametrize(
    ("caller", "is_bounded"),
    [
        (Caller(by=PETER), True),
        (Caller(by=SAM), False),
        (Caller(by=ANN), False),
        (Caller(by=SAM, in_run=True), True),
        (Caller(by=SAM, within=TaskId("TC-1"), in_run=True), True),
    ],
)
def test_children_are_bounded_but_for_the_coordinator_and_people_outside_of_runs(
    caller: Caller, is_bounded: bool
) -> None:
    flow_tree.check_spawn(deeper(children=2), caller, 1)
    if not is_bounded:
        flow_tree.check_spawn(deeper(children=2), caller, 100)
        return
    with pytest.raises(Refused, match=r"2 open spawns, and limits.children is 2; .*flow cancel"):
        flow_tree.check_spawn(deeper(children=2), caller, 2)


def test_several_at_once_are_refused_before_the_first_where_not_all_have_room() -> None:
    flow_tree.check_spawn(deeper(children=5), Caller(by=PETER), 2, more=3)
    with pytest.raises(Refused, match=r"limits.children is 5, which leaves no room for 4"):
        flow_tree.check_spawn(deeper(children=5), Caller(by=PETER), 2, more=4)


def test_children_are_those_of_the_task_and_without_one_those_of_the_session() -> None:
    of_task, of_session = spawned(2, 1, spawner=PETER), spawned(3, spawner=PETER)
    within, outside = Caller(by=SAM, within=TaskId("TC-1")), Caller(by=PETER)

    assert [flow_tree.is_child(it, within) for it in (of_task, of_session)] == [True, False]
    assert [flow_tree.is_child(it, outside) for it in (of_task, of_session)] == [False, True]
    assert not flow_tree.is_child(spawned(2, 1, state=State.DONE), within)


def test_nothing_is_spawned_below_what_was_cancelled() -> None:
    with pytest.raises(Refused, match="TC-1 was cancelled"):
        flow_tree.check_spawn(deeper(3), Caller(by=PETER, within=TaskId("TC-2"), stopped=TaskId("TC-1")), 0)


# --- trees


def test_a_group_is_one_flow_and_others_stay_apart() -> None:
    found = flow_tree.forest(
        [spawned(1, group="week"), spawned(2, group="week"), spawned(3), spawned(4, 1), spawned(10)]
    )

    shown = {flow.id: [(it.task.id, it.depth) for it in flow.members] for flow in found}

    assert shown == {
        "week": [("TC-1", 0), ("TC-4", 1), ("TC-2", 0)],
        "TC-3": [("TC-3", 0)],
        "TC-10": [("TC-10", 0)],
    }


def test_the_same_group_name_of_another_spawner_is_another_flow() -> None:
    assert len(flow_tree.forest([spawned(1, group="week"), spawned(2, group="week", spawner=PETER)])) == 2


def test_a_task_made_in_a_run_without_spawn_is_no_part_of_its_flow() -> None:
    """`task new` inside a run is work for later: cancelling the run's flow does not touch it."""
    (flow,) = flow_tree.forest([spawned(1), spawned(2, 1), spawned(3, 1, label=None)])

    assert [member.task.id for member in flow.members] == ["TC-1", "TC-2"]


# --- who hears


def test_a_named_agent_hears_itself() -> None:
    assert flow_tree.asker(SETTINGS, spawned(1, spawner=PETER), among(), nobody) is None


def test_a_worker_at_work_hears_in_its_run_and_one_that_is_tried_again_later() -> None:
    up, child = spawned(1, spawner=PETER), spawned(2, 1, spawner=RESEARCH, assignee=READER)

    at_work = flow_tree.asker(SETTINGS, child, among(up), lambda task: RunId("tc-1.1-s1") if task == "TC-1" else None)
    later = flow_tree.asker(SETTINGS, child, among(up), nobody)

    assert at_work == flow_tree.Asker(agent=RESEARCH, run=RunId("tc-1.1-s1"), boss=PETER, passed=(RESEARCH,))
    assert later == flow_tree.Asker(agent=RESEARCH, waits=True, boss=PETER, passed=(RESEARCH,))


@pytest.mark.parametrize("state", [State.DONE, State.REVIEW, State.DEAD, State.CANCELLED])
def test_where_the_worker_has_ended_its_spawner_hears(state: State) -> None:
    up, child = spawned(1, spawner=PETER, state=state), spawned(2, 1, spawner=RESEARCH)

    assert flow_tree.asker(SETTINGS, child, among(up), nobody) == flow_tree.Asker(
        agent=PETER, boss=PETER, passed=(RESEARCH,)
    )


def test_a_result_goes_up_to_the_first_live_recipient() -> None:
    top, middle = spawned(1, spawner=PETER), spawned(2, 1, spawner=RESEARCH, assignee=READER, state=State.DONE)
    child = spawned(3, 2, spawner=READER)

    found = flow_tree.asker(SETTINGS, child, among(top, middle), lambda it: RunId("r") if it == "TC-1" else None)

    assert found == flow_tree.Asker(agent=RESEARCH, run=RunId("r"), boss=PETER, passed=(READER, RESEARCH))


@pytest.mark.parametrize("parent", [None, 99, 2])
def test_where_nothing_is_above_the_coordinator_hears(parent: int | None) -> None:
    found = flow_tree.asker(SETTINGS, spawned(2, parent, spawner=RESEARCH), among(), nobody)

    assert found is not None
    assert (found.agent, found.boss) == (SAM, SAM)
