"""The rules of a tick for one line of the ledger, row by row.

`docs/explanation/heartbeat.md` has the table; each row there names its test. The first row that matches counts. Times
matter only when they are due, except that what has ended is acted on at once.
"""

from collections.abc import Callable
from datetime import datetime

from msgspec.structs import replace

from claw_files.core import text as words
from claw_files.core.keys import wide_key
from claw_files.core.model import AFTER_LIMIT, DRAINED, Kind, Report, State
from claw_files.core.workflow import BUILT_IN
from claw_files.policy import acknowledgement, dependents, manual_edits, reminders, task_state_rules
from claw_files.policy.rule_context import WAIT, Decision, RuleContext, WaitReason, case_of, has_ended, mark, time_limit
from claw_files.policy.snapshot import Act, Action, FilePlace, NotedMarks, Snapshot, TaskEvidence, standing_of
from claw_files.policy.task_state_rules import audience


def critical(case: RuleContext) -> Decision:
    """Report new critical findings to the coordinator, at most once in `announce_gap`.

    One message for all of them, whose key has a digest of each, so that each is reported once, whatever the attempt. If
    the coordinator gets the notice that the task is done, it includes them.
    """
    to, settings = case.snap.settings.coordinator, case.snap.settings
    if not case.look.critical or case.agent == to or (case.task.state is State.DONE and to in audience(case)):
        return ()
    last = case.look.warned
    if last is not None and abs(case.now - last) < settings.heartbeat.announce_gap:
        return ()
    said = "\n".join(f"- {words.said(finding)}" for finding in case.look.critical)
    state = case.task.state.value.replace("_", " ")
    text = (
        f"{case.task.id} ({words.said(case.task.title)}) by {case.agent} is {state}, "
        f"and something in `{case.look.path}` is called critical:\n\n{said}"
    )
    key = wide_key(case.task.id, ".".join(("critical", *map(mark, case.look.critical))))
    why = f"{len(case.look.critical)} critical findings"
    return (replace(case.act(Act.CRITICAL, why, to, text=text, kind=Kind.ANNOUNCE), key=key),)


def plan_entry(look: TaskEvidence, snap: Snapshot, now: datetime) -> Decision:
    """The actions for one entry, in order; empty means wait."""
    case = case_of(timed(look, snap, now), snap, now)
    decision, first = _first_match(case), critical(case)
    return (*first, *decision) if first else decision  # as it is: a wait says why


def _first_match(case: RuleContext) -> Decision:
    return next((decision for row in ROWS if (decision := row(case)) is not None), WAIT)


def timed(look: TaskEvidence, snap: Snapshot, now: datetime) -> TaskEvidence:
    """The line with its check time: the usual interval after the last that was told, where its own is not understood.

    Such a line is left alone, so the notices that were already sent determine the last check. Before the first message
    it has no time, and is due.
    """
    if not look.entry.unread:
        return look
    told, last = NotedMarks(snap.told), look.message.sent if look.message else None
    while True:  # each round has a later mark: a report at one check is asked about at the next
        look = replace(look, entry=replace(look.entry, at=last and last + snap.settings.heartbeat.check[0]))
        case = case_of(look, replace(snap, told=told), now)
        if case.due:
            _first_match(case)
        newest = max((it.sent for it in told.found.values() if it.sent and it.sent <= now), default=None)
        if not case.due or newest is None or (last and newest <= last):
            return look
        last = newest


Row = Callable[[RuleContext], Decision | None]


def pending(case: RuleContext) -> Decision | None:
    """Someone is writing the status file: wait."""
    return WaitReason("its status file is being written") if case.look.pending else None


def unreadable(case: RuleContext) -> Decision | None:
    """Leave the file alone, report it once per content, escalate if it is unchanged at the next check."""
    if case.look.unreadable is None:
        return None
    what = f"unreadable.{(case.look.digest or '')[:8]}"
    said = words.safe(case.look.unreadable, limit=400)
    text = f"{case.task.id}: {said}" if case.look.gone else f"{case.task.id}: its status file cannot be read: {said}"
    monitor = case.snap.settings.monitor
    if not case.was_told(monitor, case.key(what)):
        return (case.act(Act.ESCALATE, "unreadable", monitor, what, kind=Kind.ANNOUNCE, text=text), case.later())
    if not case.due:
        return WaitReason(f"{monitor} was informed that its status file cannot be read")
    return case.escalate(f"{what}.still", text, start=case.snap.settings.reports_to(monitor))


# --- what was said by hand


def conflict(case: RuleContext) -> Decision | None:
    """A move by hand that nobody may make: report it once; the recorded state stays in effect."""
    if (why := case.standing.conflict) is None:
        return None
    is_overruling = why == manual_edits.overruling(case.task)  # the next write reports it under the same key
    return _tell_conflict(case, why, mark(why) if is_overruling else (case.look.digest or "")[:8])


def _tell_conflict(case: RuleContext, why: str, content: str) -> Decision | None:
    """Report it once; an edit by another agent is corrected each time."""
    monitor, what = case.snap.settings.monitor, f"conflict.{content}"
    is_told, text = case.was_told(monitor, case.key(what)), f"{case.task.id}: {why}"
    if is_told and not case.task.stranger:
        return None
    return (case.act(Act.CONFLICT, why, monitor, what, text=text, kind=Kind.ANNOUNCE, details={"told": is_told}),)


def carried(case: RuleContext) -> Decision | None:
    """A report is further than the status file: carry it over if its author may make the move; else report it once."""
    for report in case.look.reports:
        if case.agent and report.author != case.agent and report.state in _ENDS and _says_more(case, report):
            why = f"{report.author} reports {report.state} in {report.path}, but {case.agent} has it"
            if told := _tell_conflict(case, why, mark(why)):
                return told
    news = [report for report in case.look.reports if report.author == case.agent and _says_more(case, report)]
    if not news:
        return None
    report = max(news, key=lambda r: r.at)
    why = f"{report.author} reports {report.state} in {report.path}"
    if not _may_say(case, report.state):
        return _tell_conflict(case, f"{why}: this change from {case.task.state} is not allowed", mark(why))
    return (case.act(Act.CARRY, why, details={"report": report}),)


_ENDS = (State.REVIEW, State.DONE, State.FAILED, State.CANCELLED, State.DEAD)


def _says_more(case: RuleContext, report: Report) -> bool:
    """Whether the report has a further state than the file, in this attempt: earlier reports are out of date.

    Back and forth between in progress and blocked counts only if it was said after the status file was written.
    """
    order = {State.BACKLOG: 0, State.IN_PROGRESS: 1, State.BLOCKED: 1}
    if case.task.state not in order or report.state is case.task.state or report.state is State.BACKLOG:
        return False
    message, written = case.look.message, case.task.updated
    if not acknowledgement.is_answer(report, message):
        return False
    is_further = order.get(report.state, 2) > order[case.task.state]
    return (is_further and message is not None) or written is None or report.at > written


def _may_say(case: RuleContext, said: State) -> bool:
    """Whether the assignee may make that move by hand, by the rules of `manual_edits.stand`."""
    said_by_hand = replace(case.task, recorded=case.task.state, state=said)
    waits_for = standing_of(case.look.before)
    return manual_edits.stand(said_by_hand, case.reviewer is not None, waits_for).conflict is None


def recorded(case: RuleContext) -> Decision | None:
    """An allowed move by hand: record it, so that every reader finds the same state."""
    standing = case.standing
    if not standing.moved or case.look.place is not FilePlace.STATUS:
        return None
    record = case.act(Act.RECORD, f"edited by hand: {case.task.recorded or 'new'} -> {standing.state}")
    # Released: the line is removed, as with the command.
    return (record, case.act(Act.UNWATCH, "released by hand")) if standing.state is State.BACKLOG else (record,)


# --- what has ended


def closed(case: RuleContext) -> Decision | None:
    """Cancelled or dead: stop the live run, remove the line; a group waits for its last member."""
    if case.task.state not in (State.CANCELLED, State.DEAD):
        return None
    if case.is_running:
        return (case.act(Act.STOP, f"{case.task.state}, its run is still alive"),)
    if case.task.state is State.DEAD and case.look.place is FilePlace.STATUS:
        return (case.act(Act.DEAD_LETTER, "it is dead: its file goes to dead-letter/"),)
    if case.task.group:
        return WaitReason("the report of its group closes it")
    if case.task.flow:
        return WaitReason("the run of its workflow counts it")
    told = _told_of_failure(case) if case.task.state is State.DEAD and case.task.label else ()
    return WAIT if told is None else (*told, case.act(Act.CLOSE, case.task.state.value))


def _told_of_failure(case: RuleContext) -> Decision | None:
    """Notify the spawner of a permanent failure, unless the dead letter's message did; None: not now."""
    if case.is_held_back(case.key("failed")):
        return None
    why = words.said(case.task.reason) if case.task.reason else "no reason given"
    text = f"{case.task.id} ({words.said(case.task.title)}) by {case.agent} failed permanently: {why}."
    told = task_state_rules.inform(case, "failed", text)
    return tuple(action for action in told if action.agent and not case.was_told(action.agent, case.key("dead")))


def ticked(case: RuleContext) -> Decision | None:
    """A person ticked the box: stop watching, change no state. What is done is closed as always.

    Work of a person's is done with it.
    """
    if not case.look.entry.ticked or case.task.state is State.DONE:
        return None
    if case.look.held and case.task.state is not State.BACKLOG:
        why = "a command had ticked its box, and died"
        return (case.act(Act.EXTEND, why, at=case.look.entry.at, details={"untick": True}),)
    if reminders.is_person(case) and case.agent and case.task.state in (State.BACKLOG, State.IN_PROGRESS):
        ledger = case.snap.settings.workspace.ledger
        done = Report(task=case.task.id, author=case.agent, state=State.DONE, at=case.now, path=ledger)
        why = f"{case.agent} reports {State.DONE} in {ledger}: its box is ticked"
        return (case.act(Act.CARRY, why, details={"report": done}),)
    return (case.act(Act.UNWATCH, f"ticked off by hand while {case.task.state}"),)


def carried_out(case: RuleContext) -> Decision | None:
    """An open run of a workflow: the workflow planner decides about it.

    A line without a file is left by a command or a tick that died before it made the file.
    """
    if case.look.task is None and case.look.entry.agent == BUILT_IN and not case.look.gone:
        return (case.act(Act.DELIVER, "its run has no file yet", BUILT_IN),)
    is_over = case.task.state.is_closed and not any(it.task and it.task.flow == case.task.id for it in case.snap.looks)
    if case.task.workflow is None or is_over:
        return None
    if case.task.state is State.BACKLOG:
        return WaitReason(f"it begins when fewer than {case.snap.settings.workflows.runs} runs of workflows are open")
    return WaitReason(f"the heartbeat carries out the workflow {words.safe(case.task.workflow, 60)}")


def unknown_agent(case: RuleContext) -> Decision | None:
    """An unknown agent in the line or the file: report it at each check until it is corrected.

    The coordinator is notified each time, and its manager while the first notice is unread.
    """
    known, line = case.snap.settings.agents, case.look.entry
    unknown = next((it for it in (case.task.assignee, line.agent) if it and it not in known), None)
    if unknown is None or case.task.state.is_closed:
        return None
    where = f"status/{words.file_name(case.task.id)}" if unknown == case.task.assignee else "its ledger line"
    text = f"{case.task.id} is assigned to {unknown!r} in {where}, which is not in clawfiles.toml; correct the name"
    start, first = case.snap.settings.coordinator, "unknown-agent"
    told = case.escalate(first, text, start=start)
    if told and not case.was_told(start, case.key(first)):
        return (*told, case.later("its agent is unknown"))
    if told or not case.due:
        return told
    again = f"{first}.{line.at:%Y%m%dT%H%M}" if line.at else first
    return (*case.escalate(again, text, start=start), case.later("its agent is unknown"))


def drained(case: RuleContext) -> Decision | None:
    """A daemon that stopped ended its run: a new attempt at once, and no failure. What is done stays done."""
    run, result = case.run, case.look.result
    if run is None or run.reason != DRAINED or not _is_over(case):
        return None
    if result is not None and result.run in (None, run.id) and not result.partial:
        return None
    why = f"the daemon stopped and ended run {run.id}; what it left was saved"
    return (case.act(Act.AGAIN, why, what="drained"),)


def worker_result(case: RuleContext) -> Decision | None:
    """A worker's run has ended: its result file moves the task, exit code 0 alone does not."""
    run, result = case.run, case.look.result
    if case.task.label is None or not _is_over(case):
        return None
    assert run is not None
    if result is not None and result.run in (None, run.id):
        return (case.act(Act.FINISH, f"its worker reports {result.status}", what="result"),)
    return (_failed(case, f"{_how(case)} without writing checkpoints/subagent-{case.task.label}.md"),)


def worker_running(case: RuleContext) -> Decision | None:
    """A worker at work, or waiting for a slot: left alone until two minutes after its time limit, then stopped."""
    if case.task.label is None or case.task.state not in (State.BACKLOG, State.IN_PROGRESS):
        return None
    run = case.run
    if run is None or not run.alive:
        return WaitReason("its worker waits for its turn") if case.waits_for_its_turn else None
    limit = time_limit(case.task, run)
    if not case.due or limit is None or run.started is None:
        return WaitReason(f"{case.agent} works on it")
    over = run.started + limit + AFTER_LIMIT
    if case.now < over:
        return (case.act(Act.WAIT_UNTIL, "its time limit and two minutes are ahead", at=over),)
    return (case.act(Act.STOP, "its time limit was over two minutes ago"), case.later("stopped"))


def run_ended(case: RuleContext) -> Decision | None:
    """Its run ended without a word in the file: failed, with exit code and the end of the output."""
    if case.task.label or not _is_over(case):
        return None
    if case.is_running:
        return WAIT  # a run of its agent that was asked about it
    if case.task.state is State.BACKLOG and case.run and case.run.exit == 0 and _may_have_changed_the_file(case):
        return None  # it did say something
    return (_failed(case, f"{_how(case)} without a result in the status file"),)


def _may_have_changed_the_file(case: RuleContext) -> bool:
    """Whether the status file was edited since the run began; earlier edits are not the run's."""
    began, changed = case.run.started if case.run else None, case.look.modified
    return acknowledgement.is_changed(case.look) and (began is None or changed is None or changed >= began)


def _is_over(case: RuleContext) -> bool:
    """Whether the run ended while the file gives neither an end nor a block."""
    over = case.run is not None and not case.run.alive and case.run.ended is not None
    return over and not has_ended(case.task) and case.task.state is not State.BLOCKED


def _how(case: RuleContext) -> str:
    run = case.run
    assert run is not None
    return f"run {run.id} {run.reason or 'ended'}" + (f" (exit {run.exit})" if run.exit is not None else "")


def _failed(case: RuleContext, why: str) -> Action:
    return case.act(Act.FAIL, why, what="fail", text=case.run.tail if case.run else "")


ROWS: tuple[Row, ...] = (
    pending,
    unreadable,
    conflict,
    carried,
    recorded,
    carried_out,
    closed,
    ticked,
    unknown_agent,
    reminders.unclear,
    drained,
    worker_result,
    worker_running,
    run_ended,
    dependents.comes_after,
    task_state_rules.backlog,
    task_state_rules.in_progress,
    task_state_rules.blocked,
    task_state_rules.review,
    task_state_rules.failed,
    task_state_rules.done,
)
