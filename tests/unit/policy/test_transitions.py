"""The moves a task may make, and who may make each: a test for each row of `docs/explanation/task-life.md`."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from claw_files.core.errors import AlreadyClaimed, MoveRefused, NotYours, StaleGeneration
from claw_files.core.model import AgentId, AgentKind, Need, State, Task, TaskId
from claw_files.policy import manual_edits
from claw_files.policy import transitions as t
from tests.support import builders as a
from tests.support.builders import BOSS, IRIS, PETER, SAM, START, WORKER

LEASE = timedelta(minutes=90)
LATER = START + timedelta(minutes=10)

peter, iris = t.Actor(id=PETER), t.Actor(id=IRIS)
sam, tick = t.Actor(id=SAM, coordinator=True), t.Actor(id=SAM, coordinator=True, tick=True)
reviewer = t.Actor(id=IRIS, reviewer=True)
person = t.Actor(id=BOSS, kind=AgentKind.HUMAN)
stranger = t.Actor(id=IRIS, may_take=False)


def task(state: State, **fields: object) -> Task:
    return a.task(state=state, **fields)


# --- the table: one test for each of its rows


def test_backlog_to_in_progress_is_the_claim_of_the_agent_it_is_delegated_to() -> None:
    claimed = t.claim(task(State.BACKLOG), peter, 7, START, LEASE)

    assert (claimed.state, claimed.assignee, claimed.generation) == (State.IN_PROGRESS, PETER, 7)
    assert claimed.lease == START + LEASE


def test_backlog_to_in_progress_is_open_to_any_agent_of_its_type_if_it_is_not_delegated() -> None:
    free = task(State.BACKLOG, assignee=None)

    assert t.claim(free, iris, 1, START, LEASE).assignee == IRIS
    with pytest.raises(MoveRefused):
        t.claim(free, stranger, 1, START, LEASE)
    with pytest.raises(MoveRefused):
        t.claim(free, t.Actor(id=WORKER, kind=AgentKind.WORKER), 1, START, LEASE)


def test_a_delegated_task_is_claimed_by_nobody_else() -> None:
    for actor in (iris, sam, person):
        with pytest.raises(NotYours):
            t.claim(task(State.BACKLOG), actor, 2, START, LEASE)


def test_an_expired_lease_alone_does_not_release_the_task() -> None:
    held = t.claim(task(State.BACKLOG), peter, 1, START, LEASE)

    with pytest.raises(AlreadyClaimed):
        t.claim(held, iris, 2, START + 2 * LEASE, LEASE)


@pytest.mark.parametrize("state", [s for s in State if s not in (State.BACKLOG, State.IN_PROGRESS)])
def test_only_what_is_in_backlog_can_be_claimed(state: State) -> None:
    for actor in (peter, sam, person, tick):
        with pytest.raises((MoveRefused, NotYours)):
            t.claim(task(state, assignee=actor.id), actor, 2, START, LEASE)


@pytest.mark.parametrize("state", [State.REVIEW, State.DONE, State.BLOCKED, State.FAILED])
def test_backlog_to_anything_by_hand_is_acknowledgement_and_move_in_one(state: State) -> None:
    standing = manual_edits.stand(task(state, recorded=None), reviewed=False)

    assert (standing.state, standing.moved, standing.conflict) == (state, True, None)


def test_in_progress_to_in_progress_renews_the_lease() -> None:
    held = t.progress(task(State.IN_PROGRESS, lease=START), peter, LATER, LEASE, eta=LATER)

    assert (held.lease, held.eta, held.updated) == (LATER + LEASE, LATER, LATER)
    with pytest.raises(NotYours):
        t.progress(task(State.IN_PROGRESS), iris, LATER, LEASE)


def test_progress_is_no_way_around_the_claim() -> None:
    for free in (task(State.BACKLOG), task(State.BACKLOG, assignee=None)):
        with pytest.raises(MoveRefused, match="clawfiles claim TC-47"):
            t.progress(free, peter, LATER, LEASE)


def test_in_progress_to_review_or_done_is_the_holders() -> None:
    held = task(State.IN_PROGRESS, lease=START, outputs=("a",))

    assert t.finish(held, peter, LATER, reviewed=True).state is State.REVIEW
    done = t.finish(held, peter, LATER, reviewed=False, summary="Fixed", outputs=("b", "a"))
    assert (done.state, done.completed, done.lease, done.outputs) == (State.DONE, LATER, None, ("a", "b"))
    for actor in (iris, person, sam):
        with pytest.raises(NotYours):
            t.finish(held, actor, LATER, reviewed=False)


def test_done_where_the_route_wants_a_review_becomes_review_by_hand_too() -> None:
    for before in (None, State.IN_PROGRESS):
        assert manual_edits.stand(task(State.DONE, recorded=before), reviewed=True).state is State.REVIEW


def test_in_progress_to_failed_is_the_holders_or_the_ticks() -> None:
    held = task(State.IN_PROGRESS, failures=1)

    for actor in (peter, tick):
        failed = t.fail(held, actor, LATER, "boom")
        assert (failed.state, failed.failures, failed.reason) == (State.FAILED, 2, "boom")
    with pytest.raises(NotYours):
        t.fail(held, iris, LATER, "boom")


def test_in_progress_to_backlog_is_release_and_ends_the_generation() -> None:
    for actor in (peter, sam):
        released = t.release(task(State.IN_PROGRESS), actor, 2, LATER, "no time")
        assert (released.state, released.assignee, released.generation) == (State.BACKLOG, None, 2)
    for other in (iris, person):
        with pytest.raises(NotYours):
            t.release(task(State.IN_PROGRESS), other, 2, LATER, None)


def test_review_to_done_is_the_reviewers() -> None:
    for actor in (reviewer, person):
        assert t.approve(task(State.REVIEW), actor, LATER).completed == LATER
    for other in (peter, iris):
        with pytest.raises(MoveRefused):
            t.approve(task(State.REVIEW), other, LATER)


def test_nobody_approves_their_own_work_where_there_is_somebody_else() -> None:
    own = task(State.REVIEW, assignee=reviewer.id)
    with pytest.raises(MoveRefused, match=r"sam may: `clawfiles approve TC-47 --agent sam`"):
        t.approve(own, reviewer, LATER, AgentId("sam"))
    assert t.approve(own, reviewer, LATER, None).state is State.DONE
    with pytest.raises(MoveRefused, match="sam may"):
        t.approve(task(State.REVIEW), reviewer, LATER, AgentId("sam"), maker=reviewer.id)
    with pytest.raises(MoveRefused, match="sam may"):
        t.approve(task(State.REVIEW, assignee=person.id), person, LATER, AgentId("sam"))
    assert t.approve(task(State.REVIEW, assignee=person.id), person, LATER, None).state is State.DONE


def test_nobody_approves_around_the_review() -> None:
    for state in (State.BACKLOG, State.IN_PROGRESS):
        with pytest.raises(MoveRefused):
            t.approve(task(state), peter, LATER)


def test_review_or_done_to_backlog_is_the_reviewers_or_the_ticks_for_a_new_attempt_of_the_same_agent() -> None:
    for state in (State.REVIEW, State.DONE):
        for actor in (reviewer, tick):
            again = t.reopen(task(state, completed=START, cached_from="TC-1"), actor, 3, LATER, "no tests")
            assert (again.state, again.assignee, again.attempt) == (State.BACKLOG, PETER, 2)
            assert (again.generation, again.reason, again.completed) == (3, "no tests", None)
            assert again.cached_from is None, "what it finds itself is no copy"
        with pytest.raises(MoveRefused):
            t.reopen(task(state), peter, 3, LATER, "again")
    with pytest.raises((MoveRefused, NotYours)):
        t.reopen(task(State.IN_PROGRESS), peter, 3, LATER, "that is called release")


def test_any_open_task_can_be_blocked_by_any_agent_with_a_note() -> None:
    for state in t.OPEN:
        need = Need(agent=SAM, question="which key?")
        blocked = t.block(task(state), iris, LATER, "no key", need)
        assert (blocked.state, blocked.reason, blocked.need) == (State.BLOCKED, "no key", need)
        with pytest.raises(MoveRefused, match="needs a reason"):
            t.block(task(state), iris, LATER, "  ")


def test_blocked_to_in_progress_is_unblock_by_the_holder_the_coordinator_or_a_person_and_progress_of_the_holder() -> (
    None
):
    blocked = task(State.BLOCKED, reason="no key", lease=START)
    for actor in (peter, sam, person):
        unblocked = t.unblock(blocked, actor, LATER, LEASE)
        assert (unblocked.state, unblocked.reason, unblocked.need) == (State.IN_PROGRESS, None, None)
        assert unblocked.assignee == "peter"
    assert t.progress(blocked, peter, LATER, LEASE).state is State.IN_PROGRESS
    for actor in (sam, person, iris):
        with pytest.raises(NotYours, match="clawfiles unblock"):
            t.progress(blocked, actor, LATER, LEASE)
    with pytest.raises(NotYours):
        t.unblock(blocked, iris, LATER, LEASE)


def test_what_was_blocked_before_anybody_claimed_it_goes_back_to_the_backlog_with_its_assignee() -> None:
    unblocked = t.unblock(task(State.BLOCKED, reason="no key"), sam, LATER, LEASE)
    assert (unblocked.state, unblocked.assignee, unblocked.reason) == (State.BACKLOG, "peter", None)


def test_blocked_to_backlog_is_release_by_the_holder_the_coordinator_or_a_person() -> None:
    for actor in (peter, sam, person):
        assert t.release(task(State.BLOCKED), actor, 2, LATER, None).assignee is None
    with pytest.raises(NotYours):
        t.release(task(State.BLOCKED), iris, 2, LATER, None)


def test_failed_to_backlog_is_the_ticks_next_attempt() -> None:
    again = t.next_attempt(task(State.FAILED, failures=1), tick, IRIS, 2, LATER)

    assert (again.state, again.assignee, again.attempt, again.failures) == (State.BACKLOG, IRIS, 2, 1)
    for other in (peter, person, sam):
        with pytest.raises(MoveRefused):
            t.next_attempt(task(State.FAILED), other, PETER, 2, LATER)


def test_failed_to_dead_is_the_ticks() -> None:
    assert t.die(task(State.FAILED), tick, LATER).state is State.DEAD
    for other in (peter, person, sam):
        with pytest.raises(MoveRefused):
            t.die(task(State.FAILED), other, LATER)


def test_dead_to_backlog_is_requeue_by_a_person_or_the_coordinator_and_attempts_start_anew() -> None:
    for actor in (person, sam):
        again = t.requeue(task(State.DEAD, failures=3, attempt=3, cached_from="TC-1"), actor, 4, LATER)
        assert (again.state, again.failures, again.attempt) == (State.BACKLOG, 0, 4), "4: the key of a new message"
        assert again.cached_from is None
    with pytest.raises(MoveRefused):
        t.requeue(task(State.DEAD), peter, 4, LATER)
    with pytest.raises(MoveRefused, match="requeue"):
        t.release(task(State.DEAD), person, 4, LATER, "release would leave its failures and its folder as they are")


def test_any_open_task_can_be_cancelled_by_its_requester_the_coordinator_or_a_person() -> None:
    for state in t.OPEN:
        for actor in (iris, sam, person):
            cancelled = t.cancel(task(state, requested_by=IRIS), actor, 2, LATER, "too late")
            assert (cancelled.state, cancelled.generation) == (State.CANCELLED, 2)
        with pytest.raises((MoveRefused, NotYours)):
            t.cancel(task(state, requested_by=BOSS), peter, 2, LATER, None)


def test_a_pair_of_states_without_a_row_is_refused_for_everybody() -> None:
    everybody = (peter, iris, sam, tick, reviewer, person)
    for source in State:
        for target in State:
            if not t.moves_between(source, target):
                for actor in everybody:
                    with pytest.raises(MoveRefused):
                        t.check(task(source), target, actor)


def test_a_refusal_names_the_rule_the_owner_and_the_right_command() -> None:
    with pytest.raises(MoveRefused) as refused:
        t.next_attempt(task(State.IN_PROGRESS), peter, PETER, 2, LATER)
    with pytest.raises(NotYours) as theirs:
        t.finish(task(State.IN_PROGRESS), iris, LATER, reviewed=False)

    assert refused.value.rule == "transitions"
    assert {"`clawfiles done TC-47`", "`clawfiles release TC-47`"} <= set(re.findall("`.*?`", str(refused.value)))
    assert theirs.value.owner == PETER


def test_a_late_answer_to_a_step_is_told_how_the_step_begins_again() -> None:
    step = replace(task(State.CANCELLED), flow=TaskId("TC-9"), step="approve")
    with pytest.raises(MoveRefused) as refused:
        t.finish(step, peter, LATER, reviewed=False)
    assert "`clawfiles workflow resume TC-9 --from approve`" in str(refused.value)


def test_the_holder_owns_the_file_only_while_it_is_in_progress() -> None:
    assert {state: t.owner(task(state), SAM) for state in State if t.owner(task(state), SAM) == PETER} == {
        State.IN_PROGRESS: PETER
    }


# --- generations


def test_a_zombies_done_after_a_retry_is_refused() -> None:
    held = t.claim(task(State.BACKLOG), peter, 1, START, LEASE)
    failed = t.fail(held, tick, LATER, "lost")
    with pytest.raises(MoveRefused):
        t.finish(failed, peter, LATER, reviewed=False)

    again = t.next_attempt(failed, tick, PETER, 2, LATER)

    with pytest.raises(StaleGeneration):
        t.check_generation(again, PETER, 1)
    t.check_generation(again, PETER, 2)


def test_a_holders_write_names_its_generation_and_another_agents_is_refused() -> None:
    held = task(State.IN_PROGRESS, generation=3)

    t.check_generation(held, PETER, None)  # weaker, accepted
    for number in (2, 4):
        with pytest.raises(StaleGeneration):
            t.check_generation(held, PETER, number)
    with pytest.raises(NotYours):
        t.check_generation(held, IRIS, 3)


def test_every_move_that_takes_a_task_away_takes_a_new_generation() -> None:
    taken = (
        t.release(task(State.IN_PROGRESS), peter, 9, LATER, None),
        t.reopen(task(State.DONE), tick, 9, LATER, "why"),
        t.next_attempt(task(State.FAILED), tick, PETER, 9, LATER),
        t.requeue(task(State.DEAD), person, 9, LATER),
        t.cancel(task(State.BACKLOG), person, 9, LATER, None),
        t.reserve(task(State.BACKLOG), PETER, 9, LATER),
    )

    assert {(after.generation, after.lease) for after in taken} == {(9, None)}


# --- moves by hand


def test_a_file_that_says_what_was_recorded_has_not_moved() -> None:
    for state in State:
        assert manual_edits.stand(task(state), reviewed=True) == manual_edits.ManualEdit(state=state)


def test_what_nobody_may_do_by_hand_leaves_the_recorded_state_in_force() -> None:
    for before, said in (
        (State.REVIEW, State.DONE),
        (State.FAILED, State.DONE),
        (State.DEAD, State.BACKLOG),
        (State.CANCELLED, State.IN_PROGRESS),
        (State.DONE, State.IN_PROGRESS),
    ):
        standing = manual_edits.stand(task(said, recorded=before), reviewed=False)
        assert standing.state is before
        assert standing.conflict
        assert before in standing.conflict


def test_cancelling_by_hand_is_believed_of_every_open_task() -> None:
    for before in t.OPEN:
        assert manual_edits.stand(task(State.CANCELLED, recorded=before), reviewed=False).moved


def test_a_failure_by_hand_counts_once() -> None:
    said = task(State.FAILED, recorded=State.IN_PROGRESS)

    written = manual_edits.record(said, manual_edits.stand(said, reviewed=False), 1, LATER, LEASE)

    assert (written.failures, written.recorded) == (1, State.FAILED)
    assert manual_edits.record(written, manual_edits.ManualEdit(state=State.FAILED), 1, LATER, LEASE).failures == 1


def test_an_acknowledgement_by_hand_gets_a_lease_and_a_release_by_hand_loses_its_holder() -> None:
    acknowledged, released = (
        task(State.IN_PROGRESS, recorded=State.BACKLOG),
        task(State.BACKLOG, recorded=State.BLOCKED),
    )

    assert (
        manual_edits.record(acknowledged, manual_edits.ManualEdit(state=State.IN_PROGRESS), 4, LATER, LEASE).lease
        == LATER + LEASE
    )
    assert (
        manual_edits.record(acknowledged, manual_edits.ManualEdit(state=State.IN_PROGRESS), 4, LATER, LEASE).generation
        == 4
    )
    assert manual_edits.record(released, manual_edits.ManualEdit(state=State.BACKLOG), 4, LATER, LEASE).assignee is None


def test_no_move_changes_the_task_it_was_given() -> None:
    held = task(State.IN_PROGRESS)
    before = replace(held)

    t.finish(held, peter, LATER, reviewed=False)

    assert held == before


# --- the page


def test_the_page_tells_the_table_letter_by_letter() -> None:
    page = (Path(__file__).parents[3] / "docs/explanation/task-life.md").read_text()
    rows = re.findall(r"^\| ([A-Z][0-9]?) \| ([^|]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|", page, re.MULTILINE)
    told = [tuple(cell.strip() for cell in row) for row in rows]

    assert told == [
        (
            move.letter,
            "any open" if move.sources == t.OPEN else ", ".join(s.value for s in move.sources) or "(none)",
            move.target.value,
            ", ".join(role.value for role in move.who),
            move.by,
        )
        for move in t.MOVES
    ]


def test_the_pages_diagram_has_an_arrow_for_every_way_and_no_other() -> None:
    page = (Path(__file__).parents[3] / "docs/explanation/task-life.md").read_text()
    drawn = set(re.findall(r"^ +(\w+) --> (\w+)", page, re.MULTILINE))

    assert drawn == {(source.value, move.target.value) for move in t.MOVES for source in move.sources}


def test_whoever_writes_verified_beside_an_end_finds_it_cleared_when_the_end_is_written_down() -> None:
    said = a.task(state=State.DONE, recorded=State.IN_PROGRESS, verified=LATER)
    standing = manual_edits.stand(said, reviewed=False)

    assert manual_edits.record(said, standing, 1, LATER, LEASE).verified is None
    assert t.finish(replace(said, state=State.IN_PROGRESS), peter, LATER, reviewed=False).verified is None
    assert t.approve(replace(said, state=State.REVIEW), reviewer, LATER).verified is None
    assert t.reopen(replace(said, recorded=State.DONE), tick, 2, LATER, "no").verified is None


def test_only_the_tick_marks_what_is_done_as_verified() -> None:
    assert t.verify(task(State.DONE), tick, LATER).verified == LATER
    for actor, state in ((peter, State.DONE), (tick, State.REVIEW)):
        with pytest.raises(MoveRefused):
            t.verify(task(state), actor, LATER)
