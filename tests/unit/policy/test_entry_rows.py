"""What a tick decides for one line: a test for each row of `docs/explanation/heartbeat.md`."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from claw_files.core.model import AgentId, Box, Kind, Need, RunId, State, Stay, TaskId, Unclear
from claw_files.policy import transitions
from claw_files.policy.flow_tree import Asker
from claw_files.policy.ledger_line_rules import ROWS, plan_entry
from claw_files.policy.resilience import RunOutcome
from claw_files.policy.rule_context import case_of, mark
from claw_files.policy.snapshot import (
    Act,
    Action,
    FilePlace,
    MonthSpending,
    Predecessor,
    Snapshot,
    TaskEvidence,
    ToldMark,
)
from tests.support import builders as a
from tests.support.builders import BOSS, IRIS, PETER, SAM, SENTRY, START, WORKER

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
TICK = transitions.Actor(id=SAM, coordinator=True, tick=True)
ACK, CHECK, SILENT = 5 * MINUTE, 30 * MINUTE, 45 * MINUTE


def plan(
    look: TaskEvidence, after: timedelta = timedelta(0), snap: Snapshot | None = None, **around: object
) -> tuple[Action, ...]:
    """What is decided `after` START for the look, alone in its snapshot unless one is given."""
    return plan_entry(look, snap or a.snapshot(look, **around), START + after)


def acts(*args: object, **kwargs: object) -> list[Act]:
    return [action.act for action in plan(*args, **kwargs)]


# --- pending, unreadable


def test_a_file_that_is_being_written_is_waited_for() -> None:
    look = a.look(a.task(state=State.DONE), pending=True, unreadable="empty")

    assert acts(look, HOUR) == []


def test_an_unreadable_file_is_reported_once_for_each_content() -> None:
    look = TaskEvidence(entry=a.entry(a.task()), unreadable="no UTF-8", digest="aaaaaaaabbbb")
    first, _ = plan(look)
    told = (f"sentry/{first.key}",)
    other = TaskEvidence(entry=a.entry(a.task(), at=START + HOUR), unreadable="no UTF-8", digest="ccccccccdddd")

    assert (first.act, first.agent, first.kind) == (Act.ESCALATE, SENTRY, Kind.ANNOUNCE)
    assert (
        acts(
            TaskEvidence(entry=a.entry(a.task(), at=START + HOUR), unreadable="no UTF-8", digest="aaaaaaaabbbb"),
            told=told,
        )
        == []
    )
    assert acts(other, told=told) == [Act.ESCALATE, Act.EXTEND]


def test_a_file_still_unreadable_at_the_next_check_is_escalated() -> None:
    look = TaskEvidence(entry=a.entry(a.task()), unreadable="no UTF-8", digest="aaaaaaaabbbb")
    first, later = plan(look)

    (second,) = plan(look, CHECK, told=(f"sentry/{first.key}",))

    assert later.at == START + CHECK
    assert (second.act, second.agent) == (Act.ESCALATE, SAM)


def test_a_status_file_that_is_gone_is_reported_once_and_nothing_is_made() -> None:
    look = TaskEvidence(
        entry=a.entry(a.task()), unreadable="its status file is gone: status/tc-47.md", digest="gone", gone=True
    )
    first, later = plan(look)

    assert (first.act, first.agent, later.act) == (Act.ESCALATE, SENTRY, Act.EXTEND)
    assert first.text == "TC-47: its status file is gone: status/tc-47.md"
    assert acts(look, told=(f"sentry/{first.key}",)) == [Act.ESCALATE], "still so when the line is due"


# --- said by hand


def test_a_forbidden_move_by_hand_is_reported_once_and_the_recorded_state_stays_in_effect() -> None:
    look = a.look(a.task(state=State.DONE, recorded=State.REVIEW, type="code-review"))
    (told,) = plan(look)

    assert (told.act, told.agent) == (Act.CONFLICT, SENTRY)
    assert case_of(look, a.snapshot(look), START).task.state is State.REVIEW
    assert acts(look, told=(f"sentry/{told.key}",)) == [Act.REVIEW]


def test_an_edit_by_another_agent_is_reported_once_and_corrected_each_time() -> None:
    look = a.look(a.task(state=State.DONE, recorded=State.IN_PROGRESS, stranger="names iris"))
    (first,) = plan(look)
    (again,) = plan(look, told=(f"sentry/{first.key}",))

    assert [(it.act, it.agent, it.details["told"]) for it in (first, again)] == [
        (Act.CONFLICT, SENTRY, False),
        (Act.CONFLICT, SENTRY, True),
    ]
    assert case_of(look, a.snapshot(look), START).task.state is State.IN_PROGRESS


def test_a_report_is_carried_into_the_status_file() -> None:
    task = a.task(state=State.IN_PROGRESS)
    said = a.report(task, State.DONE, START + MINUTE)

    (carry,) = plan(a.look(task, sent=True, reports=(said,)), 2 * MINUTE)

    assert (carry.act, carry.details["report"]) == (Act.CARRY, said)


def test_a_report_acknowledges_before_anything_is_sent_again() -> None:
    task = a.task()
    look = a.look(task, sent=True, box=Box.NEW, reports=(a.report(task, State.IN_PROGRESS, START + MINUTE),))

    assert acts(look, HOUR) == [Act.CARRY]


def test_a_report_older_than_the_attempts_message_is_old_news() -> None:
    task = a.task(attempt=2, updated=START)
    old = a.report(task, State.DONE, START - MINUTE)

    assert acts(a.look(task, sent=True, reports=(old,))) == []
    assert acts(a.look(task, reports=(old,))) == [Act.DELIVER], "nor does it count between retry and message"


def test_a_report_as_old_as_the_message_within_a_second_is_its_answer() -> None:
    task = a.task()
    sent = a.message(task, sent=START + timedelta(milliseconds=600))

    assert acts(a.look(task, sent=sent, reports=(a.report(task, State.IN_PROGRESS, START),))) == [Act.CARRY]


def test_a_report_from_before_a_block_does_not_lift_it() -> None:
    task = a.task(state=State.BLOCKED, updated=START + HOUR, reason="no key")
    early, late = (a.report(task, State.IN_PROGRESS, START + after) for after in (MINUTE, 2 * HOUR))

    assert Act.CARRY not in acts(a.look(task, sent=True, reports=(early,)), 2 * HOUR)
    assert acts(a.look(task, sent=True, reports=(late,)), 2 * HOUR) == [Act.CARRY]


def test_a_report_that_its_author_may_not_make_is_reported_once_as_a_conflict() -> None:
    task = a.task(state=State.BLOCKED, reason="no key")
    look = a.look(task, sent=True, reports=(a.report(task, State.DEAD, START + MINUTE),))
    (told,) = plan(look, 2 * MINUTE)

    assert told.act is Act.CONFLICT
    assert acts(look, 2 * MINUTE, told=(f"sentry/{told.key}",)) == [Act.ESCALATE]


def test_a_final_state_reported_by_another_agent_is_reported_once_and_not_carried() -> None:
    task = a.task(state=State.IN_PROGRESS, updated=START)
    ended, goes_on = (
        a.look(task, sent=True, reports=(a.report(task, state, START + MINUTE, author=IRIS),))
        for state in (State.DONE, State.BLOCKED)
    )
    (told,) = plan(ended, 2 * MINUTE)

    assert (told.act, told.agent) == (Act.CONFLICT, SENTRY)
    assert acts(ended, 2 * MINUTE, told=(f"sentry/{told.key}",)) == [Act.EXTEND]
    assert acts(goes_on, 2 * MINUTE) == [Act.EXTEND]


def test_an_allowed_move_by_hand_is_written_down_first() -> None:
    for state in (State.IN_PROGRESS, State.REVIEW, State.DONE, State.BLOCKED, State.FAILED):
        assert acts(a.look(a.task(state=state, recorded=State.BACKLOG), sent=True)) == [Act.RECORD], state


def test_a_task_released_by_hand_is_no_longer_watched_as_with_the_command() -> None:
    assert acts(a.look(a.task(recorded=State.IN_PROGRESS), sent=True)) == [Act.RECORD, Act.UNWATCH]


# --- closed, ticked, unknown


def test_a_run_of_a_workflow_is_left_to_its_planner() -> None:
    run = a.look(a.task(state=State.IN_PROGRESS, recorded=State.IN_PROGRESS, workflow="x", assignee="workflow"))
    assert plan(run) == ()
    over = a.look(a.task(state=State.CANCELLED, recorded=State.CANCELLED, workflow="x"))
    step = a.look(a.task("TC-48", state=State.IN_PROGRESS, flow="TC-47"))
    assert plan(over, snap=a.snapshot(over, step)) == (), "its steps are cancelled first"
    assert [action.act for action in plan(over)] == [Act.CLOSE]


def test_the_line_of_a_step_stays_until_its_run_has_counted_it() -> None:
    for state in (State.DONE, State.CANCELLED):
        assert plan(a.look(a.task(state=state, recorded=state, flow="TC-1", step="draft"))) == ()


def test_a_cancelled_task_with_a_live_run_has_it_stopped_before_its_line_goes() -> None:
    task = a.task(state=State.CANCELLED)

    assert acts(a.look(task, run=a.run(task))) == [Act.STOP]
    assert acts(a.look(task, run=a.run(task, ended=START))) == [Act.CLOSE]


def test_a_ticked_line_of_a_cancelled_task_does_not_leave_its_run_behind() -> None:
    task = a.task(state=State.CANCELLED)

    assert acts(a.look(task, run=a.run(task), ticked=True)) == [Act.STOP]


def test_cancelling_does_not_stop_the_run_of_somebody_who_only_looks_at_the_task() -> None:
    look = a.look(a.task(state=State.CANCELLED))
    reviewing = a.run(look.task, agent=SAM, key="tc-47.1.review")

    assert acts(look, live=(reviewing,)) == [Act.CLOSE]


def test_the_line_of_a_dead_task_is_removed() -> None:
    assert acts(a.look(a.task(state=State.DEAD), place=FilePlace.DEAD_LETTER)) == [Act.CLOSE]


def test_the_spawner_of_a_dead_task_is_notified_once() -> None:
    task = a.worker_task(state=State.DEAD, spawner=PETER, reason="no such table")
    look = a.look(task, place=FilePlace.DEAD_LETTER)

    told, close = plan(look)

    assert (told.act, told.agent, close.act) == (Act.INFORM, PETER, Act.CLOSE)
    assert "failed permanently: “no such table”" in told.text
    assert acts(look, told=("peter/tc-60.1.failed",)) == [Act.CLOSE]
    assert acts(look, told=("peter/tc-60.1.dead",)) == [Act.CLOSE], "the dead letter's own message told it"


def test_a_dead_task_still_in_status_is_moved_first() -> None:
    assert acts(a.look(a.task(state=State.DEAD))) == [Act.DEAD_LETTER]


def test_a_ticked_box_stops_the_watch_and_changes_no_state() -> None:
    for state in (State.BACKLOG, State.IN_PROGRESS, State.BLOCKED, State.REVIEW, State.FAILED):
        assert acts(a.look(a.task(state=state), sent=True, ticked=True)) == [Act.UNWATCH], state


def test_a_ticked_box_of_a_finished_task_is_closed_as_always() -> None:
    assert acts(a.look(a.task(state=State.DONE), ticked=True)) == [Act.INFORM, Act.CLOSE]


def test_a_line_for_an_agent_that_nobody_knows_is_told_to_the_coordinator_once() -> None:
    look = a.look(a.task(assignee=AgentId("bob")))
    told, later = plan(look)
    known = (f"sam/{told.key}",)

    assert (told.act, told.agent, later.at) == (Act.ESCALATE, SAM, START + CHECK)
    assert acts(a.look(look.task, at=later.at), told=known) == []
    assert acts(a.look(look.task, at=later.at), CHECK, told=known) == [Act.ESCALATE, Act.EXTEND], "at each check"
    assert acts(a.look(a.task(assignee=AgentId("bob")), ticked=True)) == [Act.UNWATCH]


@pytest.mark.parametrize(("of_file", "of_line"), [("bob", "peter"), ("peter", "bob")])
def test_an_unknown_agent_in_line_or_file_is_reported_until_both_are_corrected(of_file: str, of_line: str) -> None:
    task = a.task(assignee=AgentId(of_file), title="A bug")
    look = replace(a.look(task), entry=a.entry(task, agent=AgentId(of_line)))

    told, _ = plan(look)

    assert (told.act, told.agent) == (Act.ESCALATE, SAM)
    assert ("status/tc-47.md" in told.text) is (of_file == "bob")
    assert acts(a.look(a.task())) == [Act.DELIVER], "settled, it goes on by itself"


def test_an_unread_report_of_an_unknown_agent_is_escalated() -> None:
    look = a.look(a.task(assignee=AgentId("bob")), at=START + HOUR)
    unread = {"sam/tc-47.1.unknown-agent": ToldMark(box=Box.NEW, sent=START)}

    (told,) = plan(look, ACK, told=unread)

    assert (told.act, told.agent) == (Act.ESCALATE, BOSS)


# --- unclear


WORDS = (Unclear(path="status/tc-47.md", line=3, text="In Progess", hint="Write `Status: in progress`."),)


def unclear(state: State = State.BACKLOG, agent: AgentId = IRIS, **fields: Any) -> TaskEvidence:
    """A task whose agent wrote words into its file, a minute after it was sent, that were not understood."""
    task = a.task(assignee=agent, state=state, type="bug", unclear=WORDS, **fields.pop("task", {}))
    sent = a.message(task, status_hash="as it was", sends=fields.pop("sends", 1))
    given = {"box": Box.NEW, "modified": START + MINUTE, "last_word": START + MINUTE, **fields}
    return a.look(task, sent=sent, **given)


@pytest.mark.parametrize("state", [State.BACKLOG, State.IN_PROGRESS])
def test_the_author_of_unclear_words_is_asked_once_with_the_line(state: State) -> None:
    asked, later = plan(unclear(state), HOUR)

    assert (asked.act, asked.agent, asked.key, later.act) == (Act.NUDGE, IRIS, "tc-47.1.unclear", Act.EXTEND)
    assert "status/tc-47.md, line 3, says “In Progess”" in asked.text
    assert "Write `Status: in progress`." in asked.text
    told = (f"iris/{asked.key}",)
    assert acts(unclear(state, at=later.at), HOUR, told=told) == [], "and not before the next check"


@pytest.mark.parametrize("sends", [1, 2])
def test_nothing_is_sent_again_or_handed_on_for_unclear_words(sends: int) -> None:
    for after in (2 * MINUTE, ACK, 6 * MINUTE, HOUR, 5 * HOUR):
        done = acts(unclear(sends=sends), after) + acts(unclear(sends=sends), after, told=("iris/tc-47.1.unclear",))

        assert not {Act.RESEND, Act.NEXT_AGENT, Act.FAIL} & {*done}, after


def test_unclear_words_are_asked_about_once_their_file_is_older_than_ack() -> None:
    assert acts(unclear(), MINUTE + ACK - timedelta(seconds=1)) == []
    assert acts(unclear(), MINUTE + ACK) == [Act.NUDGE, Act.EXTEND]


def test_unclear_words_that_stay_are_escalated_at_the_next_check_with_the_line_quoted() -> None:
    (told, later) = plan(unclear(), HOUR, told=("iris/tc-47.1.unclear",))

    assert (told.act, told.agent, later.act) == (Act.ESCALATE, SAM, Act.EXTEND)
    assert "line 3, says “In Progess”" in told.text


def test_a_run_that_ended_over_unclear_words_has_not_failed_and_is_not_run_again() -> None:
    over = a.run(a.task(), ended=START + MINUTE)
    look = unclear(agent=PETER, box=Box.CUR, run=over)

    assert acts(look, 2 * MINUTE) == []
    assert acts(look, HOUR) == [Act.NUDGE, Act.EXTEND]
    assert acts(look, HOUR, told=("peter/tc-47.1.unclear",)) == [Act.ESCALATE, Act.EXTEND]
    asked = a.run(a.task(), id=RunId("tc-47.1.unclear-s1"), key="tc-47.1.unclear")
    assert acts(look, HOUR, told=("peter/tc-47.1.unclear",), live=(asked,)) == [], "nor while it is asked"


def test_the_run_of_the_question_is_not_the_run_of_the_attempt() -> None:
    task = a.task(state=State.IN_PROGRESS)
    asked = a.run(task, ended=START + HOUR, id=RunId("tc-47.1.unclear-s1"), key="tc-47.1.unclear")

    assert Act.FAIL not in acts(a.look(task, sent=True, run=asked), 2 * HOUR)


def test_a_lost_run_has_failed_whatever_the_file_says() -> None:
    lost = a.run(a.task(), ended=START + MINUTE, reason="lost", exit=None)

    assert acts(unclear(agent=PETER, box=Box.CUR, run=lost), HOUR) == [Act.FAIL]


def test_the_coordinator_is_asked_about_words_from_before_the_message_and_nothing_is_sent_again() -> None:
    draft = a.look(a.task(unclear=WORDS))
    before = replace(unclear(), digest="as it was")

    assert acts(draft, HOUR) == [Act.DELIVER]
    assert acts(unclear(agent=PETER), HOUR) == [], "it waits to be woken"
    (asked, _) = plan(before, HOUR)
    assert (asked.act, asked.agent) == (Act.NUDGE, "sam")
    assert acts(before, HOUR, told=("sam/tc-47.1.unclear",)) == [Act.ESCALATE, Act.EXTEND]


def test_clear_statements_count_beside_unclear_ones() -> None:
    look = unclear(State.IN_PROGRESS, task={"eta": START + 5 * HOUR, "lease": START + 5 * HOUR})

    assert acts(look, 2 * MINUTE) == [Act.WAIT_UNTIL]


def test_a_failed_task_is_not_retried_over_words_that_came_after_the_failure() -> None:
    later = unclear(State.FAILED, task={"failures": 1, "updated": START})
    earlier = unclear(State.FAILED, task={"failures": 1, "updated": START + 2 * MINUTE})

    assert acts(later, HOUR) == [Act.NUDGE, Act.EXTEND]
    assert acts(earlier, HOUR) == [Act.RETRY]


def test_of_a_worker_s_task_nobody_is_asked() -> None:
    task = a.worker_task(state=State.IN_PROGRESS, unclear=WORDS)

    assert acts(a.look(task, sent=True, run=a.run(task, ended=START)), HOUR) == [Act.FAIL]


# --- people


def with_boss(state: State = State.BACKLOG, **fields: Any) -> TaskEvidence:
    task = a.task(state=state, assignee=BOSS, type="bug")
    return a.look(task, sent=a.message(task, sends=2, status_hash="as it was"), **{"box": Box.NEW, **fields})


def test_a_person_is_notified_once_and_reminded_once() -> None:
    assert acts(a.look(a.task(assignee=BOSS))) == [Act.DELIVER]
    for box in Box:
        look = with_boss(box=box, at=START + CHECK)
        (reminded,) = plan(look, CHECK)

        assert acts(look, CHECK - MINUTE) == []
        assert (reminded.act, reminded.agent, reminded.kind) == (Act.NUDGE, BOSS, Kind.ANNOUNCE)
        for after in (CHECK, HOUR, 100 * HOUR):
            assert acts(look, after, told=(f"dimitrios/{reminded.key}",)) == [], after


def test_a_person_is_reminded_outside_quiet_hours() -> None:
    more = '[quiet_hours]\nwindows = ["03:00-10:00"]\ntimezone = "Europe/Berlin"\n'

    look = with_boss()
    assert look.message
    told_before = replace(look, message=replace(look.message, sent=START - 7 * HOUR))

    assert acts(told_before, 14 * MINUTE, more=more) == []
    assert acts(told_before, 15 * MINUTE, more=more) == [Act.NUDGE]


def test_a_person_notified_by_a_brief_is_reminded_one_interval_later() -> None:
    more = '[quiet_hours]\nwindows = ["03:00-10:00"]\ntimezone = "Europe/Berlin"\n'
    end = 15 * MINUTE

    assert acts(with_boss(), end, more=more) == []
    assert acts(with_boss(), end + CHECK - MINUTE, more=more) == []
    assert acts(with_boss(), end + CHECK, more=more) == [Act.NUDGE]


def test_a_person_who_gave_up_is_not_asked_again() -> None:
    failed = a.task(state=State.FAILED, assignee=BOSS, failures=1, updated=START)

    assert acts(a.look(failed)) == [Act.DEAD_LETTER]


def test_a_persons_work_in_progress_is_left_alone() -> None:
    look = with_boss(State.IN_PROGRESS)

    assert [acts(look, after) for after in (HOUR, 10 * HOUR, 100 * HOUR)] == [[], [], []]


def test_a_person_hears_nothing_of_an_escalation_about_their_own_work() -> None:
    task = a.task(state=State.BLOCKED, assignee=BOSS, reason="no key")
    unread = {"sam/" + f"tc-47.1.blocked.{mark('no key')}": ToldMark(box=Box.NEW, sent=START)}

    assert acts(a.look(task, sent=True), HOUR, told=unread) == []


@pytest.mark.parametrize("state", [State.BACKLOG, State.IN_PROGRESS])
def test_a_ticked_box_says_that_a_persons_work_is_done(state: State) -> None:
    (carry,) = plan(with_boss(state, ticked=True))

    assert carry.act is Act.CARRY
    assert (carry.details["report"].author, carry.details["report"].state) == (BOSS, State.DONE)


# --- workers


def test_a_workers_result_moves_its_task_when_its_run_has_ended() -> None:
    for state in (State.BACKLOG, State.IN_PROGRESS):
        task = a.worker_task(state=state)
        look = a.look(task, sent=True, run=a.run(task, ended=START + MINUTE), result=a.result(task), at=START + HOUR)

        assert acts(look, MINUTE) == [Act.FINISH]


def test_a_workers_result_with_another_run_id_is_never_taken_for_it() -> None:
    task = a.worker_task()
    stale = a.result(task, run="tc-60.0-s1")
    (failed,) = plan(a.look(task, sent=True, run=a.run(task, ended=START + MINUTE), result=stale), MINUTE)

    assert failed.act is Act.FAIL
    assert "subagent-email-check.md" in failed.why


def test_a_worker_that_ends_well_without_a_result_has_failed() -> None:
    task = a.worker_task()
    run = a.run(task, ended=START + MINUTE, exit=0, tail="bye")

    (failed,) = plan(a.look(task, sent=True, run=run), MINUTE)

    assert (failed.act, failed.text) == (Act.FAIL, "bye")


def test_a_working_worker_is_left_alone_until_two_minutes_after_its_time_limit() -> None:
    task = a.worker_task(state=State.IN_PROGRESS)
    run = a.run(task)

    (until,) = plan(a.look(task, sent=True, run=run), 9 * MINUTE)

    assert (until.act, until.at) == (Act.WAIT_UNTIL, START + 12 * MINUTE)
    assert acts(a.look(task, sent=True, run=run, at=until.at), 11 * MINUTE) == []
    assert acts(a.look(task, sent=True, run=run, at=until.at), 12 * MINUTE) == [Act.STOP, Act.EXTEND]


def test_a_worker_that_waits_for_a_slot_waits_its_turn() -> None:
    for state in (State.BACKLOG, State.IN_PROGRESS):
        assert acts(a.look(a.worker_task(state=state), sent=True, box=Box.NEW), HOUR) == []


def test_nobody_writes_to_a_worker_its_spawner_hears_of_it() -> None:
    look = a.look(a.worker_task(state=State.IN_PROGRESS), sent=True, spawner=IRIS)

    (told, _) = plan(look, 5 * HOUR)

    assert (told.act, told.agent) == (Act.ESCALATE, IRIS)


def test_a_workers_result_waits_while_its_task_is_blocked() -> None:
    task = a.worker_task(state=State.BLOCKED, reason="budget")

    assert acts(a.look(task, sent=True, run=a.run(task, ended=START), result=a.result(task))) == [Act.ESCALATE]


# --- the daemon stopped


@pytest.mark.parametrize("state", [State.BACKLOG, State.IN_PROGRESS])
def test_a_run_that_a_stopping_daemon_ended_is_begun_again_at_once_and_counts_as_no_failure(state: State) -> None:
    task = a.task(state=state, failures=2)
    run = a.run(task, ended=START, reason="drained", exit=-15)

    (again,) = plan(a.look(task, sent=True, run=run, at=START + HOUR))

    assert (again.act, again.key, again.agent) == (Act.AGAIN, "tc-47.1.drained", PETER)
    after = transitions.again(task, TICK, 2, START, again.why)
    assert (after.state, after.attempt, after.generation, after.failures) == (State.BACKLOG, 2, 2, 2)
    assert "tc-47.1-s1" in (after.reason or "")


def test_a_drained_workers_whole_result_counts_and_a_partial_one_does_not() -> None:
    task = a.worker_task(state=State.IN_PROGRESS)
    run = a.run(task, ended=START, reason="drained")

    def after(**result: object) -> list[Act]:
        return acts(a.look(task, sent=True, run=run, result=a.result(task, **result)))

    assert after() == [Act.FINISH]
    assert after(status=State.FAILED) == [Act.FINISH]
    assert after(status=State.FAILED, partial=True) == [Act.AGAIN]
    assert after(run="tc-60.0-s1") == [Act.AGAIN], "that of another run"
    assert acts(a.look(task, sent=True, run=run)) == [Act.AGAIN]


def test_what_its_agent_had_said_before_the_daemon_stopped_counts() -> None:
    for state, told in ((State.REVIEW, Act.REVIEW), (State.FAILED, Act.RETRY), (State.BLOCKED, Act.ESCALATE)):
        task = a.task(state=state, failures=1 if state is State.FAILED else 0, reason="no key")

        assert acts(a.look(task, sent=True, run=a.run(task, ended=START, reason="drained")), HOUR) == [told]


def test_a_cancelled_task_is_not_begun_again() -> None:
    task = a.task(state=State.CANCELLED)

    assert acts(a.look(task, sent=True, run=a.run(task, ended=START, reason="drained"))) == [Act.CLOSE]


def test_a_check_that_a_stopping_daemon_ended_is_run_once_more() -> None:
    task = a.task(state=State.DONE, type="checked")

    def after(**fields: object) -> list[Act]:
        return acts(a.look(task, sent=True, verify=a.run(task, **fields)))

    assert after(ended=START, reason="drained", exit=-15) == [Act.VERIFY]
    assert after(ended=START, exit=1) == [Act.REOPEN]
    assert after() == []


# --- the run ended


def test_a_run_that_ended_without_a_word_has_failed_with_exit_code_and_tail() -> None:
    for state in (State.BACKLOG, State.IN_PROGRESS):
        task = a.task(state=state)
        run = a.run(task, ended=START + MINUTE, exit=3, tail="Traceback")

        (failed,) = plan(a.look(task, sent=True, run=run), MINUTE)

        assert (failed.act, failed.text) == (Act.FAIL, "Traceback")
        assert "(exit 3)" in failed.why


def test_an_ended_run_counts_before_the_eta_and_before_the_check_time() -> None:
    task = a.task(state=State.IN_PROGRESS, eta=START + HOUR)

    assert acts(a.look(task, sent=True, run=a.run(task, ended=START), at=START + HOUR)) == [Act.FAIL]


def test_a_run_that_changed_the_file_and_ended_well_is_asked_not_run_again() -> None:
    task = a.task()
    sent = a.message(task, status_hash="as it was")

    def after(**run: object) -> list[Act]:
        over = a.run(task, ended=START + MINUTE, **run)
        return acts(a.look(task, sent=sent, modified=START + MINUTE, run=over), HOUR)

    assert after() == [Act.NUDGE]
    assert after(exit=1) == [Act.FAIL]
    assert after(exit=None, reason="lost") == [Act.FAIL]


def test_a_change_from_before_the_run_is_no_word_of_it() -> None:
    task = a.task()
    sent = a.message(task, status_hash="as it was")

    def after(modified: timedelta) -> list[Act]:
        over = a.run(task, started=START + MINUTE, ended=START + 2 * MINUTE)
        return acts(a.look(task, sent=sent, modified=START + modified, run=over), HOUR)

    assert after(MINUTE - timedelta(milliseconds=1)) == [Act.FAIL]
    assert after(MINUTE) == [Act.NUDGE]


def test_a_lost_run_has_failed() -> None:
    task = a.task(state=State.IN_PROGRESS)
    (failed,) = plan(a.look(task, sent=True, run=a.run(task, ended=START, reason="lost", exit=None)))

    assert failed.act is Act.FAIL
    assert "lost" in failed.why


def test_an_ended_run_of_a_blocked_task_is_no_failure() -> None:
    task = a.task(state=State.BLOCKED, reason="no key")

    assert acts(a.look(task, sent=True, run=a.run(task, ended=START))) == [Act.ESCALATE]


def test_the_ended_run_of_a_former_holder_does_not_fail_the_next_one() -> None:
    mine = a.task(state=State.IN_PROGRESS, assignee=IRIS, generation=2)
    his = a.run(mine, ended=START, agent=PETER, generation=1)

    assert Act.FAIL not in acts(a.look(mine, run=his))
    assert Act.FAIL not in acts(a.look(a.task(assignee=None, generation=2), run=his))


def test_a_run_that_a_nudge_started_ends_without_failing_the_task() -> None:
    task = a.task(state=State.IN_PROGRESS)

    assert Act.FAIL not in acts(a.look(task, sent=True, run=a.run(task, ended=START, key="tc-47.1.nudge")))


# --- comes_after


def before(state: State | None, **fields: object) -> tuple[Predecessor, ...]:
    return (Predecessor(task=TaskId("TC-1"), state=state, **fields),)


def test_the_successor_of_an_open_task_is_not_sent() -> None:
    waiting = a.look(a.task(after=("TC-1",)), before=before(State.IN_PROGRESS))
    sent = a.look(a.task(after=("TC-1",)), sent=True, box=Box.NEW, before=before(State.DONE))

    assert acts(waiting) == acts(waiting, 9 * HOUR) == []
    assert acts(sent, HOUR) == [], "what was reopened after the message was sent: nothing is sent again, nobody is next"
    assert acts(a.look(a.task(after=("TC-1",)))) == [Act.DELIVER]
    assert acts(replace(waiting, before=before(None))) == [], "a file that cannot be read is not done"


@pytest.mark.parametrize("state", [State.CANCELLED, State.DEAD])
def test_the_successor_of_a_task_that_ended_otherwise_is_blocked(state: State) -> None:
    look = a.look(a.task(after=("TC-1",)), before=before(state), at=START + HOUR)
    gone = replace(look, before=before(None, is_missing=True))
    (block,) = plan(look)

    assert (block.act, block.why) == (Act.BLOCK, f"it depends on TC-1 ({state})")
    assert acts(gone) == [], "it may be gone for a moment only"
    assert acts(gone, HOUR) == [Act.BLOCK]
    assert acts(replace(look, run=a.run(look.task))) == [], "no second attempt beside a live run"


def test_the_requester_is_asked_once_about_what_waits_in_vain() -> None:
    task = a.task(state=State.BLOCKED, after=("TC-1",), requested_by=IRIS, reason="it depends on TC-1 (dead)")
    look = a.look(task, before=before(State.DEAD))
    (ask,) = plan(look)

    assert (ask.act, ask.agent, ask.kind) == (Act.ESCALATE, IRIS, Kind.QUESTION)
    assert "`clawfiles requeue TC-1`" in ask.text and "`clawfiles cancel TC-47`" in ask.text
    assert acts(look, 9 * HOUR, told=(f"iris/{ask.key}",)) == []


def test_a_task_blocked_by_a_predecessor_continues_when_it_can() -> None:
    task = a.task(state=State.BLOCKED, after=("TC-1",), reason="it depends on TC-1 (dead)")

    assert acts(a.look(task, before=before(State.BACKLOG))) == [Act.UNBLOCK], "it was requeued"
    assert acts(a.look(replace(task, after=()))) == [Act.UNBLOCK], "it was taken out of `after`"
    other = replace(task, reason="it depends on the holidays")
    assert acts(a.look(other)) == [Act.ESCALATE], "what somebody else blocked is no business of this row"


# --- none or backlog


def test_a_line_without_a_file_or_a_message_is_a_send_that_has_not_happened_yet() -> None:
    line = a.entry(a.task())

    (deliver,) = plan(TaskEvidence(entry=line))

    assert (deliver.act, deliver.agent, deliver.key) == (Act.DELIVER, PETER, "tc-47.1")


def test_a_task_in_backlog_without_a_message_is_delivered() -> None:
    assert acts(a.look(a.task(), at=START + HOUR)) == [Act.DELIVER], "also before the check time"


def test_nothing_is_delivered_before_the_backoff_is_over() -> None:
    task = a.task(attempt=2, not_before=START + MINUTE)

    assert acts(a.look(task)) == []
    assert acts(a.look(task), MINUTE) == [Act.DELIVER]


def test_no_second_attempt_starts_beside_a_live_run_of_the_task() -> None:
    task = a.task(attempt=2)
    zombie = a.run(a.task(), agent=IRIS)

    assert acts(a.look(task), live=(zombie,)) == []
    assert acts(a.look(a.task(state=State.FAILED, failures=1)), HOUR, live=(zombie,)) == []


def test_a_task_that_waits_for_money_goes_to_the_next_agent_of_its_route() -> None:
    look = a.look(a.task(type="bug"), sent=True, box=Box.NEW)
    around = {
        "more": "[budgets.agents]\npeter = 80.0\n",
        "spent": MonthSpending(month="2026-03", total=80, agents={PETER: 80}),
    }

    assert [(action.act, action.agent) for action in plan(look, **around)] == [
        (Act.ESCALATE, SAM),
        (Act.NEXT_AGENT, IRIS),
    ]
    assert acts(a.look(a.task(type=None), sent=True, box=Box.NEW), **around) == []


def test_a_message_whose_ack_is_not_yet_due_is_waited_for() -> None:
    assert acts(a.look(a.task(), sent=True, at=START), 4 * MINUTE) == []


def test_the_ack_clock_starts_at_the_wake() -> None:
    task = a.task()
    asleep = a.look(task, sent=True, box=Box.NEW)
    gone = a.run(task, started=START + HOUR, alive=False)

    assert acts(asleep, 5 * HOUR) == []
    assert acts(a.look(task, sent=True, run=gone), HOUR + 4 * MINUTE) == []
    assert acts(a.look(task, sent=True, run=gone), HOUR + ACK) == [Act.RESEND]


def test_a_run_in_the_agents_lane_is_waited_for() -> None:
    busy = a.run(a.task("TC-1"))

    assert acts(a.look(a.task(), sent=True), HOUR, live=(busy,)) == []


def test_lanes_are_sessions_so_two_agents_may_share_one() -> None:
    more = '[agents.zoe]\nsession = "agent:peter:main"\n'
    busy = a.run(a.task("TC-1", assignee=AgentId("zoe")))

    assert acts(a.look(a.task(), sent=True), HOUR, live=(busy,), more=more) == []


def test_fresh_work_of_an_agent_that_looks_for_itself_keeps_its_queue_from_being_overdue() -> None:
    busy = a.look(a.task("TC-1", State.IN_PROGRESS, assignee=IRIS, updated=START + HOUR))
    waiting = a.look(a.task(assignee=IRIS), sent=True, box=Box.NEW)
    snap = a.snapshot(busy, waiting)

    assert acts(waiting, HOUR, snap) == []
    assert acts(waiting, HOUR + SILENT, snap) == [Act.RESEND]


def test_an_overdue_message_is_sent_again_under_the_same_key() -> None:
    (again,) = plan(a.look(a.task(assignee=IRIS), sent=True, box=Box.NEW), ACK)

    assert (again.act, again.key, again.agent) == (Act.RESEND, "tc-47.1", IRIS)


def test_a_message_from_a_clock_that_was_put_back_is_overdue() -> None:
    task = a.task(assignee=IRIS)
    tomorrow = a.message(task, sent=START + 24 * HOUR, ack_by=START + 24 * HOUR + ACK)

    assert acts(a.look(task, sent=tomorrow, box=Box.NEW)) == [Act.RESEND]


def twice(**task: object) -> TaskEvidence:
    """A task of Iris's whose message was sent twice and lies unread."""
    mine = a.task(**{"assignee": IRIS, "type": "bug", **task})
    return a.look(mine, sent=a.message(mine, sends=2), box=Box.NEW)


def test_after_the_last_send_the_next_agent_of_the_route_gets_it() -> None:
    mine = a.task(type="bug", assignee=PETER)
    unread = a.look(mine, sent=a.message(mine, sends=2), box=Box.NEW, run=a.run(mine, alive=False))

    (following,) = plan(unread, HOUR)

    assert (following.act, following.agent, following.key) == (Act.NEXT_AGENT, IRIS, "tc-47.2")


def test_self_in_a_route_means_that_the_coordinator_takes_it_over() -> None:
    (following,) = plan(twice(), HOUR, tried={"TC-47": (PETER,)})

    assert (following.act, following.agent) == (Act.NEXT_AGENT, SAM)


def test_at_the_end_of_its_route_a_task_is_escalated() -> None:
    look = twice(assignee=SAM)

    (told,) = plan(look, HOUR, tried={"TC-47": (PETER, IRIS)})

    assert (told.act, told.agent) == (Act.ESCALATE, BOSS)


def test_a_message_that_was_read_is_escalated_never_handed_to_another() -> None:
    mine = a.task(assignee=IRIS, type="bug")
    for box in (Box.CUR, Box.DONE):
        for sends in (1, 2):
            look = a.look(mine, sent=a.message(mine, sends=sends), box=box)
            (asked,) = plan(look, HOUR)
            (told,) = plan(look, HOUR, told=(f"iris/{asked.key}",))

            assert (asked.act, asked.agent) == (Act.NUDGE, IRIS)
            assert (told.act, told.agent) == (Act.ESCALATE, SAM)
            assert "inbox/iris/" in told.text, "with the trace that is the evidence"


def test_a_line_without_an_agent_goes_to_the_first_of_the_route() -> None:
    look = TaskEvidence(
        entry=a.entry(a.task(assignee=None)), task=a.task(assignee=None, type="bug"), place=FilePlace.STATUS
    )

    (first,) = plan(look)

    assert (first.act, first.agent) == (Act.NEXT_AGENT, PETER)


# --- in progress


def test_an_eta_ahead_is_waited_for() -> None:
    (until,) = plan(a.look(a.task(state=State.IN_PROGRESS, eta=START + HOUR), sent=True), 30 * MINUTE)

    assert (until.act, until.at) == (Act.WAIT_UNTIL, START + HOUR)


def test_times_matter_only_when_due() -> None:
    assert acts(a.look(a.task(state=State.IN_PROGRESS), sent=True, at=START + 9 * HOUR), 8 * HOUR) == []


def test_a_task_with_progress_since_the_last_check_is_checked_after_the_interval() -> None:
    (later,) = plan(a.look(a.task(state=State.IN_PROGRESS), sent=True, last_word=START + 20 * MINUTE), HOUR)

    assert (later.act, later.at) == (Act.EXTEND, START + HOUR + CHECK)


def test_a_live_run_is_working_however_old_the_lease() -> None:
    task = a.task(state=State.IN_PROGRESS, lease=START - HOUR)

    assert acts(a.look(task, sent=True, run=a.run(task)), 9 * HOUR) == [Act.EXTEND]


def test_a_quiet_holder_is_nudged_once() -> None:
    nudge, later = plan(a.look(a.task(state=State.IN_PROGRESS), sent=True), SILENT)

    assert (nudge.act, nudge.agent, nudge.key, nudge.why) == (Act.NUDGE, PETER, "tc-47.1.nudge", "quiet")
    assert later.at == START + SILENT + CHECK


def test_a_holder_whose_lease_is_over_is_suspect_and_never_taken_over_by_the_tick() -> None:
    look = a.look(a.task(state=State.IN_PROGRESS), sent=True)

    assert [action.why for action in plan(look, 9 * HOUR)] == ["suspect", "suspect"]
    assert acts(look, 9 * HOUR, told=("peter/tc-47.1.nudge", "sam/tc-47.1.silent")) == [Act.EXTEND]


def test_a_holder_that_is_still_quiet_after_the_nudge_is_escalated() -> None:
    look = a.look(a.task(state=State.IN_PROGRESS), sent=True)

    escalation, later = plan(look, 2 * HOUR, told=("peter/tc-47.1.nudge",))

    assert (escalation.act, escalation.agent, later.act) == (Act.ESCALATE, SAM, Act.EXTEND)


def test_people_hear_of_progress_at_most_once_in_the_gap_and_of_nothing_twice() -> None:
    def told(note: str, announced: object = None, eta: object = None, told: tuple[str, ...] = ()) -> list[AgentId]:
        task = a.task(state=State.IN_PROGRESS, requested_by=BOSS, followers=(IRIS,), eta=eta)
        look = a.look(task, sent=True, at=START + HOUR, note=note, announced=announced)
        return [action.agent for action in plan(look, told=told) if action.act is Act.PROGRESS and action.agent]

    (first,) = plan(a.look(a.task(state=State.IN_PROGRESS, requested_by=BOSS), at=START + HOUR, note="half of it"))

    assert (first.agent, first.kind) == (BOSS, Kind.ANNOUNCE)
    assert "half of it" in first.text
    assert told("half of it") == [BOSS], "iris is an agent: she reads the file"
    assert told("half of it", eta=START + HOUR) == [BOSS]
    assert told("") == []
    assert told("half of it", announced=START - 4 * MINUTE) == []
    assert told("half of it", announced=START - 5 * MINUTE) == [BOSS]
    assert told("half of it", told=(f"dimitrios/{first.key}",)) == []


def test_an_eta_is_told_in_local_time_and_once_however_far_away_it_is() -> None:
    at = START + HOUR
    look = a.look(a.task(state=State.IN_PROGRESS, requested_by=BOSS, eta=at), sent=True, at=at, note="half of it")

    early, late = (
        next(it for it in plan(look, after) if it.act is Act.PROGRESS) for after in (timedelta(0), 10 * MINUTE)
    )

    assert "(in 1 h)." in early.text
    assert "(in 50 min)." in late.text
    assert early.key == late.key


def test_progress_made_in_quiet_hours_is_not_kept_for_later() -> None:
    look = a.look(a.task(state=State.IN_PROGRESS, requested_by=BOSS), at=START + HOUR, note="half of it")
    night = "[quiet_hours]\nwindows = ['09:00-12:00']\n"

    assert acts(look, snap=a.snapshot(look, more=night)) == []


# --- blocked


def needy(**task: object) -> TaskEvidence:
    given = {"state": State.BLOCKED, "reason": "which key?", "need": Need(agent=IRIS, question="which key?")}
    return a.look(a.task(**{**given, **task}), sent=True)


def test_a_need_is_asked_for_directly_and_once() -> None:
    ask, later = plan(needy())

    assert (ask.act, ask.agent, ask.kind, ask.text) == (Act.ASK, IRIS, Kind.QUESTION, "which key?")
    assert later.at == START + CHECK, "or the very next tick would find it unanswered"
    assert acts(needy(), told=(f"iris/{ask.key}",))[0] is Act.ESCALATE


def test_another_question_in_the_same_attempt_is_asked_too() -> None:
    first, _ = plan(needy())

    assert acts(needy(need=Need(agent=IRIS, question="and which door?")), told=(f"iris/{first.key}",))[0] is Act.ASK


def test_an_answer_wakes_the_agent_by_itself() -> None:
    ask, _ = plan(needy())
    told = {f"iris/{ask.key}": ToldMark(box=Box.DONE), f"peter/{ask.key}.answer": ToldMark(box=Box.NEW, sent=START)}

    assert acts(needy(), MINUTE, told=told) == [Act.EXTEND]


def test_an_agent_that_stays_blocked_with_its_answer_is_escalated() -> None:
    ask, _ = plan(needy())
    told = {f"iris/{ask.key}": ToldMark(box=Box.DONE), f"peter/{ask.key}.answer": ToldMark(box=Box.CUR, sent=START)}

    assert acts(needy(), HOUR, told=told) == [Act.ESCALATE, Act.EXTEND]


def test_an_unanswered_need_is_escalated_at_the_check() -> None:
    ask, _ = plan(needy())
    waiting = a.look(needy().task, sent=True, at=START + CHECK)

    assert acts(waiting, CHECK - MINUTE, told=(f"iris/{ask.key}",)) == []
    assert acts(waiting, CHECK, told=(f"iris/{ask.key}",)) == [Act.ESCALATE, Act.EXTEND]


def test_a_person_who_has_not_answered_is_reminded_instead_of_escalated_to() -> None:
    look = a.look(needy(need=Need(agent=BOSS, question="which region?")).task, sent=True, at=START + CHECK)
    (ask, _) = plan(look)
    told = {
        f"dimitrios/{ask.key}": ToldMark(box=Box.CUR),
        f"sam/{ask.key}.unanswered": ToldMark(box=Box.NEW, sent=START),
    }

    reminder, _ = plan(look, CHECK, told=told)

    assert (reminder.act, reminder.agent) == (Act.ESCALATE, BOSS)
    assert "peter still waits for your answer" in reminder.text
    assert "dimitrios" not in reminder.text


def test_any_other_block_is_escalated_once_with_its_note() -> None:
    look = a.look(a.task(state=State.BLOCKED, reason="the disk is full"), sent=True)
    (told,) = plan(look)

    assert (told.act, told.agent) == (Act.ESCALATE, SAM)
    assert "the disk is full" in told.text
    assert acts(look, HOUR, told=(f"sam/{told.key}",)) == []


def test_a_second_block_for_another_reason_is_news() -> None:
    (first,) = plan(a.look(a.task(state=State.BLOCKED, reason="the disk is full")))

    assert acts(a.look(a.task(state=State.BLOCKED, reason="no network")), told=(f"sam/{first.key}",)) == [Act.ESCALATE]


def test_a_need_of_a_worker_or_of_a_stranger_is_escalated_instead() -> None:
    for agent in (WORKER, AgentId("bob"), PETER):
        assert acts(needy(need=Need(agent=agent, question="?"))) == [Act.ESCALATE]


# --- review


def test_the_reviewer_is_notified_once_with_the_outputs() -> None:
    look = a.look(a.task(state=State.REVIEW, type="code-review", outputs=("PR #142",)), sent=True)
    (told,) = plan(look)

    assert (told.act, told.agent, told.key) == (Act.REVIEW, SAM, "tc-47.1.review")
    assert "PR #142" in told.text
    assert acts(look, 9 * HOUR, told=("sam/tc-47.1.review",)) == []


def test_the_reviewers_own_work_is_reviewed_by_another_agent() -> None:
    look = a.look(a.task(state=State.REVIEW, type="code-review", assignee=SAM), sent=True)

    assert [(told.act, told.agent) for told in plan(look)] == [(Act.REVIEW, BOSS)]


def test_done_becomes_review_where_the_route_wants_one() -> None:
    look = a.look(a.task(state=State.DONE, recorded=State.IN_PROGRESS, type="code-review"), sent=True)

    assert case_of(look, a.snapshot(look), START).task.state is State.REVIEW
    assert acts(look) == [Act.RECORD]


def test_a_review_without_outputs_is_reopened_once_before_the_reviewer_is_notified() -> None:
    look = a.look(a.task(state=State.REVIEW, type="code-review"), missing=("./report.md",))
    (back,) = plan(look)

    again = a.look(a.task(state=State.REVIEW, type="code-review", attempt=2), missing=("./report.md",))
    (second,) = plan(again, told=(f"sam/{back.key}",))

    assert back.act is Act.REOPEN
    assert second.act is Act.REVIEW
    assert "./report.md" in second.text


# --- failed


def fails(*agos: timedelta) -> dict[AgentId, tuple[RunOutcome, ...]]:
    """One failure each of as many tasks."""
    return {
        PETER: tuple(RunOutcome(at=START - ago, is_good=False, task=TaskId(f"TC-{n}")) for n, ago in enumerate(agos))
    }


def failed(failures: int = 1, id: str = "TC-47", **task: object) -> TaskEvidence:
    return a.look(a.task(id, State.FAILED, failures=failures, reason="boom", **task), sent=True)


@pytest.mark.parametrize(("failures", "seconds"), [(1, 2), (2, 4), (3, 8)])
def test_the_next_attempt_comes_after_a_growing_backoff(failures: int, seconds: int) -> None:
    """Also the third, of a task that failed three times in a row: its own failures do not open the breaker."""
    look, own = failed(failures, attempts=4), ending(*range(failures))

    assert acts(look, timedelta(seconds=seconds), outcomes=own) == [], "its failure may be a second younger"
    assert acts(look, timedelta(seconds=seconds * 1.25 + 1), outcomes=own) == [Act.RETRY]


def ending(*agos: int) -> dict[AgentId, tuple[RunOutcome, ...]]:
    """As many failures of one task."""
    task = TaskId("TC-47")
    return {PETER: tuple(RunOutcome(at=START - ago * MINUTE, is_good=False, task=task) for ago in reversed(agos))}


def test_a_failure_from_a_clock_that_was_put_back_holds_nothing_up() -> None:
    assert acts(failed(updated=START + 24 * HOUR)) == [Act.RETRY]


def test_an_open_breaker_sends_the_task_to_the_next_agent() -> None:
    (following,) = plan(failed(type="bug"), MINUTE, outcomes=fails(MINUTE, MINUTE, MINUTE))

    assert (following.act, following.agent) == (Act.NEXT_AGENT, IRIS)


def test_an_open_breaker_passes_over_agents_whose_own_is_open() -> None:
    both = {agent: fails(MINUTE, MINUTE, MINUTE)[PETER] for agent in (PETER, IRIS)}

    (following,) = plan(failed(type="bug"), MINUTE, outcomes=both)

    assert following.agent == SAM


def test_an_open_breaker_without_another_agent_is_waited_for_until_it_is_half_open() -> None:
    broken = fails(MINUTE, MINUTE, MINUTE)

    assert acts(failed(type="checked"), 8 * MINUTE, outcomes=broken) == []
    assert acts(failed(type="checked"), 9 * MINUTE, outcomes=broken) == [Act.RETRY]


def test_a_half_open_breaker_gives_one_attempt() -> None:
    looks = failed(id="TC-1"), failed(id="TC-2")
    snap = a.snapshot(*looks, outcomes=fails(MINUTE, MINUTE, MINUTE))
    trying = a.look(a.task("TC-1", attempt=2, failures=1)), looks[1]
    during = a.snapshot(*trying, outcomes=fails(MINUTE, MINUTE, MINUTE))

    assert [acts(look, HOUR, snap) for look in looks] == [[Act.RETRY], []]
    assert acts(looks[1], HOUR, during) == []


def test_the_last_attempt_is_a_dead_letter() -> None:
    assert acts(failed(3)) == [Act.DEAD_LETTER]
    assert acts(failed(1, attempts=1)) == [Act.DEAD_LETTER]


def test_three_failures_are_a_dead_letter_also_while_they_hold_the_breaker_open() -> None:
    assert acts(failed(3, type="bug"), outcomes=fails(MINUTE, MINUTE, MINUTE)) == [Act.DEAD_LETTER]


# --- done


def test_done_informs_the_requester_and_whoever_follows_and_removes_the_line() -> None:
    task = a.task(
        state=State.DONE, requested_by=BOSS, followers=(IRIS, BOSS, PETER), summary="Fixed", outputs=("PR #142",)
    )

    planned = plan(a.look(task, at=START + HOUR))

    assert [(action.act, action.agent) for action in planned[:2]] == [(Act.INFORM, BOSS), (Act.INFORM, IRIS)]
    assert "PR #142" in planned[0].text
    assert planned[2].act is Act.CLOSE


RUN = RunId("tc-1.1-s1")
NEAR = Asker(agent=WORKER, boss=PETER, passed=(WORKER,))


def test_a_result_for_a_running_worker_goes_into_its_run() -> None:
    look = a.look(a.worker_task(state=State.DONE), asker=replace(NEAR, run=RUN))

    told, close = plan(look)

    assert (told.act, told.agent, told.details, close.act) == (Act.INFORM, WORKER, {"run": RUN}, Act.CLOSE)
    ended = a.look(a.worker_task(state=State.DONE), asker=replace(NEAR, agent=PETER))
    assert [(it.act, it.agent) for it in plan(ended)] == [(Act.INFORM, PETER), (Act.CLOSE, WORKER)]
    assert acts(ended, told=("research/tc-60.1.done",)) == [Act.CLOSE], "told before the worker ended: told once"


def test_a_result_waits_while_its_worker_is_between_two_attempts() -> None:
    for state, place in ((State.DONE, FilePlace.STATUS), (State.DEAD, FilePlace.DEAD_LETTER)):
        look = a.look(a.worker_task(state=state), asker=replace(NEAR, waits=True), place=place)

        assert acts(look) == []
    assert acts(look, told=("research/tc-60.1.failed",)) == [Act.CLOSE]


def test_the_next_message_of_an_open_session_follows_the_answer() -> None:
    look = a.look(a.worker_task(state=State.DONE, spawner=SAM, session=Stay.OPEN), next_turn=IRIS)

    assert [(it.act, it.agent) for it in plan(look)] == [(Act.INFORM, SAM), (Act.TURN, WORKER)]
    assert acts(look, live=(a.run(look.task),)) == [Act.INFORM], "no second run beside the first"


def test_who_was_informed_before_a_crash_is_not_informed_again() -> None:
    assert acts(a.look(a.task(state=State.DONE, requested_by=BOSS)), told=("dimitrios/tc-47.1.done",)) == [Act.CLOSE]


def test_the_result_of_a_line_for_somebody_goes_to_that_agent() -> None:
    inform, _ = plan(a.look(a.task(state=State.DONE, requested_by=BOSS), spawner=IRIS))

    assert inform.agent == IRIS


def test_a_requester_that_nobody_knows_stands_for_the_coordinator() -> None:
    inform, _ = plan(a.look(a.task(state=State.DONE, requested_by=AgentId("bob"))))

    assert inform.agent == SAM


def test_done_without_the_promised_outputs_is_reopened_once_then_failed() -> None:
    look = a.look(a.task(state=State.DONE), missing=("./report.md",))
    (back,) = plan(look)
    again = a.look(a.task(state=State.DONE, attempt=2), missing=("./report.md",))

    assert (back.act, back.key) == (Act.REOPEN, "tc-47.1.redo")
    assert "./report.md" in back.why
    assert acts(look, told=(f"sam/{back.key}",)) == [Act.REOPEN]  # told, but a crash left it as it was
    assert acts(again, told=(f"sam/{back.key}",)) == [Act.ESCALATE, Act.FAIL]
    third = replace(again, task=replace(again.task, attempt=3))
    assert acts(third, told=(f"sam/{back.key}", "sam/tc-47.2.redo2")) == [Act.FAIL], "escalated once"


def test_a_verified_task_is_marked_before_anyone_is_notified() -> None:
    task = a.task(state=State.DONE, outputs=("./report.md",))
    seen = replace(task, verified=START)
    grouped = a.worker_task(state=State.DONE, outputs=("./report.md",), group="morning", group_size=2)

    assert acts(a.look(task)) == [Act.VERIFIED, Act.INFORM, Act.CLOSE]
    assert acts(a.look(seen)) == [Act.INFORM, Act.CLOSE]
    assert acts(a.look(seen, missing=("./report.md",))) == [Act.REOPEN], "whatever the file says"
    assert acts(a.look(replace(task, outputs=("PR #142",)))) == [Act.INFORM, Act.CLOSE]
    assert acts(a.look(grouped)) == [Act.VERIFIED], "the group's report closes it"


def test_each_turn_of_a_session_goes_back_once_and_a_final_failure_lets_the_next_message_follow() -> None:
    first = a.worker_task(state=State.DONE, attempt=2, session=Stay.OPEN)
    final = a.look(first, missing=("./report.md",), next_turn=IRIS)
    second = a.look(replace(first, attempt=3, turn=2), missing=("./report.md",), next_turn=IRIS)
    told = ("sam/tc-60.1.redo",)

    assert acts(final, told=told) == [Act.ESCALATE, Act.TURN]
    assert acts(final, told=(*told, "sam/tc-60.2.redo2")) == [Act.TURN], "escalated before a crash"
    assert acts(final, told=told, live=(a.run(first),)) == [Act.ESCALATE], "no second run beside the first"
    assert acts(replace(final, next_turn=None), told=told) == [Act.ESCALATE]
    (back,) = plan(second, told=told)
    assert back.act is Act.REOPEN, "what an earlier turn lacked does not count for this one"
    again = a.look(replace(first, attempt=4, turn=2), missing=("./report.md",))
    assert acts(again, told=(f"sam/{back.key}",)) == [Act.ESCALATE]


def test_the_routes_own_check_decides_as_well() -> None:
    task = a.task(state=State.DONE, type="checked")
    ended = a.run(task, ended=START, key="tc-47.1.verify")

    assert acts(a.look(task)) == [Act.VERIFY]
    assert acts(a.look(task, verify=a.run(task, key="tc-47.1.verify"))) == []
    assert acts(a.look(task, verify=ended)) == [Act.VERIFIED, Act.INFORM, Act.CLOSE]
    assert acts(a.look(replace(task, verified=START))) == [Act.VERIFY], "whatever the file says"
    assert acts(a.look(task, verify=a.run(task, ended=START, exit=1))) == [Act.REOPEN]


def test_a_finished_task_is_acted_on_before_its_check_time() -> None:
    assert acts(a.look(a.task(state=State.DONE), at=START + 9 * HOUR)) == [Act.INFORM, Act.CLOSE]


# --- escalation


def test_an_escalation_climbs_when_it_lies_unread_longer_than_an_ack_may_take() -> None:
    look = a.look(a.task(state=State.BLOCKED, reason="no key"))
    (first,) = plan(look)
    lying = {f"sam/{first.key}": ToldMark(box=Box.NEW, sent=START)}
    top = lying | {f"dimitrios/{first.key}": ToldMark(box=Box.NEW, sent=START)}

    assert acts(look, ACK - MINUTE, told=lying) == []
    assert [action.agent for action in plan(look, ACK, told=lying)] == [BOSS]
    assert acts(look, 9 * HOUR, told=top) == [], "above the top there is nobody"


def test_an_escalation_that_was_read_climbs_no_further() -> None:
    look = a.look(a.task(state=State.BLOCKED, reason="no key"))
    (first,) = plan(look)

    assert acts(look, 9 * HOUR, told={f"sam/{first.key}": ToldMark(box=Box.CUR, sent=START)}) == []


# --- the ladder, the order


def test_a_ladder_of_checks_is_climbed_by_the_time_since_the_task_was_sent() -> None:
    look = a.look(a.task(state=State.IN_PROGRESS), sent=True)
    snap = a.snapshot(look, more='[heartbeat]\ncheck = ["1m", "3m", "10m"]\n')

    steps = [case_of(look, snap, START + at).next_check() - START - at for at in (0 * MINUTE, MINUTE, 4 * MINUTE, HOUR)]

    assert steps == [MINUTE, 3 * MINUTE, 10 * MINUTE, 10 * MINUTE]


def test_every_state_has_a_row_that_decides() -> None:
    for state in State:
        look = a.look(a.task(state=state), sent=True)
        case = case_of(look, a.snapshot(look), START)

        assert any(row(case) is not None for row in ROWS), state


def test_the_page_tells_the_rows_in_their_order_and_each_names_its_test() -> None:
    page = (Path(__file__).parents[3] / "docs/explanation/heartbeat.md").read_text()
    told = re.findall(r"^\| (\w+) \| [^|]+ \| [^|]+ \| (test_\w+) \|$", page, re.MULTILINE)

    assert list(dict.fromkeys(name for name, _ in told)) == [row.__name__ for row in ROWS]
    assert {test for _, test in told} <= globals().keys()
