"""Planner of the ledger lines: the actions for each line, and when a line needs the next decision."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from claw_files.core import text as words
from claw_files.core.keys import wide_key
from claw_files.core.model import AFTER_LIMIT, Message, State, Task, TaskId
from claw_files.policy import liveness, quiet_hours, resilience
from claw_files.policy.ledger_line_rules import plan_entry
from claw_files.policy.probes import is_probe
from claw_files.policy.snapshot import Act, Action, Snapshot, TaskEvidence, tell_once

HALF_SAVED = timedelta(seconds=2)  # so long a file that does not parse is taken for one that is being written
_REWRITES = {Act.EXTEND, Act.WAIT_UNTIL, Act.CLOSE, Act.UNWATCH, Act.NEXT_AGENT}


def first_lines(snap: Snapshot) -> tuple[TaskEvidence, ...]:
    """The first line of each task: a further line of the same task is reported and not acted on."""
    first = dict[TaskId, TaskEvidence]()
    for look in snap.looks:
        first.setdefault(look.entry.task, look)
    return tuple(first.values())


def plan_lines(snap: Snapshot, now: datetime) -> list[Action]:
    """The actions for the first line of each task, in the order of the ledger."""
    return [action for look in first_lines(snap) for action in plan_line(look, snap, now)]


def plan_repeats(snap: Snapshot, now: datetime) -> list[Action]:
    """One message to the coordinator for each task that has a second line; none where the first goes in this tick."""
    first = {id(look) for look in first_lines(snap)}
    going = {action.task for action in snap.planned if action.act in (Act.CLOSE, Act.UNWATCH)}
    found = list[Action]()
    for entry in (look.entry for look in snap.looks if id(look) not in first and look.entry.task not in going):
        text = f"the ledger has a second line for {entry.task}; the first one counts: {words.said(entry.line)}"
        key = wide_key(entry.task, "two-lines")
        found += tell_once(snap, snap.settings.coordinator, key, text, text, entry.task)
    return found


def plan_line(look: TaskEvidence, snap: Snapshot, now: datetime) -> tuple[Action, ...]:
    """The actions for one ledger line; a bare time gets its date, unless the line is rewritten anyway."""
    entry = look.entry
    if is_probe(entry.task):  # whoever probes follows it; its line, left by a claim, goes when nobody does any more
        is_left = entry.at is None or entry.at <= now
        return (Action(act=Act.UNWATCH, task=entry.task, key=entry.task.lower(), why="a probe"),) if is_left else ()
    planned = plan_entry(look, snap, now)
    if entry.unread:  # words that were not understood are somebody's: they are told of, and stay
        planned = tuple(action for action in planned if action.act not in (Act.EXTEND, Act.WAIT_UNTIL))
    if entry.dated or entry.at is None or look.pending or any(action.act in _REWRITES for action in planned):
        return planned
    key = wide_key(entry.task, "date")
    return (
        Action(act=Act.DATE, task=entry.task, key=key, at=entry.at, why="its time had no date", entry=entry),
        *planned,
    )


# --- when a line needs the next decision


def lines_due(snap: Snapshot, now: datetime) -> Iterator[datetime]:
    """The instants at which the decision for a line may change, apart from waits for an answer."""
    for look in snap.looks:
        yield from _of_line(look, snap, now)
    yield from breakers_due(snap, now)
    yield from _quiet_ends(snap, now)


def _of_line(look: TaskEvidence, snap: Snapshot, now: datetime) -> Iterator[datetime]:
    if look.pending:
        yield now + HALF_SAVED
    if look.entry.at:
        yield look.entry.at
    if look.task:
        yield from _of_task(look.task, snap)
        yield from _of_silence(look, snap, now)
        yield from _of_words(look, look.task, snap, now)
    if look.announced:
        yield look.announced + snap.settings.heartbeat.announce_gap
    if look.message:
        yield from _of_message(look.message, snap)
    if look.run and look.run.started:
        yield look.run.started + snap.settings.heartbeat.ack
        yield from _of_limit(look)


def _of_task(task: Task, snap: Snapshot) -> Iterator[datetime]:
    yield from (at for at in (task.not_before, task.eta, task.lease) if at)
    if task.state is State.FAILED and task.updated:
        yield task.updated + resilience.retry_pause(snap.settings.heartbeat.backoff, task)


def _of_message(message: Message, snap: Snapshot) -> Iterator[datetime]:
    if message.ack_by:
        yield message.ack_by
    if message.sent:
        yield message.sent  # from a clock ahead, it is not taken for sent until then
        yield message.sent + snap.settings.heartbeat.ack


def _of_silence(look: TaskEvidence, snap: Snapshot, now: datetime) -> Iterator[datetime]:
    """When the holder becomes quiet, and when suspect."""
    if word := liveness.last_word(look, now):
        yield word + snap.settings.heartbeat.silent
        yield word + snap.settings.heartbeat.lease


def _of_words(look: TaskEvidence, task: Task, snap: Snapshot, now: datetime) -> Iterator[datetime]:
    """When its agent, heard of but not understood, is asked how it stands."""
    is_asked = task.unclear or State.BACKLOG in (task.state, task.recorded)
    signs = (look.last_word, liveness.last_word(look, now)) if is_asked else ()
    yield from (sign + snap.settings.heartbeat.ack for sign in signs if sign)


def _of_limit(look: TaskEvidence) -> Iterator[datetime]:
    """When a worker's time is over. Its line, written at the start, may say less."""
    run, task = look.run, look.task
    if run is None or run.started is None or task is None or task.label is None:
        return
    limits = (task.timeout, run.timeout, task.size.limit if task.size else None)
    yield from (run.started + limit + AFTER_LIMIT for limit in limits if limit)


def breakers_due(snap: Snapshot, now: datetime) -> Iterator[datetime]:
    """When a breaker becomes half-open; and when a failure that was dated ahead of a clock set back opens one."""
    pause = snap.settings.limits.breaker_pause
    yield from (at for ends in snap.outcomes.values() if ends for at in (ends[-1].at - pause, ends[-1].at + pause))


def _quiet_ends(snap: Snapshot, now: datetime) -> Iterator[datetime]:
    """When the quiet hours of a person end who has a task, or follows one of which there is news."""
    has_news = any(
        look.task and look.task.state is State.IN_PROGRESS and (look.note or look.task.eta) for look in snap.looks
    )
    with_work = {name for look in snap.looks for name in (look.entry.agent, look.task and look.task.assignee) if name}
    people = (agent for agent in snap.settings.agents if snap.settings.is_human(agent))
    ends = (quiet_hours.held_until(snap.settings, it, now) for it in people if has_news or it in with_work)
    yield from (end for end in ends if end)
