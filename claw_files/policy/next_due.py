"""When the next tick has something to decide although no file changes: `next_due(snapshot, now)`.

Every rule that compares a time with the present has its time listed here. An instant too many costs a tick that finds
nothing; one too few would cost a wait until the next rescan.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from msgspec.structs import replace

from claw_files.core.model import AFTER_LIMIT, Message, State, Task
from claw_files.policy import delivery, due_times, liveness, quiet_hours, resilience
from claw_files.policy.dispatch_queue import MINUTE, plan_waits
from claw_files.policy.heartbeat_plan import plan_groups, plan_line
from claw_files.policy.snapshot import Snapshot, TaskEvidence, ToldMark

HALF_SAVED = timedelta(seconds=2)  # so long a file that does not parse is taken for one that is being written


def next_due(snap: Snapshot, now: datetime) -> datetime | None:
    """The earliest instant after `now` at which `plan_tick` may decide something that it does not decide now.

    None: nothing happens until a file changes. Never later than the first change, often earlier.
    """
    return min((at for at in _instants(snap, now) if at > now), default=None)


def _instants(snap: Snapshot, now: datetime) -> Iterator[datetime]:
    for look in snap.looks:
        yield from _of_line(look, snap, now)
    yield from _of_told(snap, now)
    yield from _of_agents(snap)
    yield from (edge for at in snap.spawned for edge in (at - MINUTE, at + MINUTE))
    yield from (message.sent for message in snap.waiting if message.sent)  # one from a clock ahead gives way until then
    yield from (wait.until for wait in plan_waits(snap, now) if wait.until)
    yield from _of_schedules(snap, now)
    yield from _of_people(snap, now)
    yield from delivery.instants(snap.settings, snap.outbox, now)


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


# --- what somebody was told


class _Asked(Mapping[str, ToldMark]):
    """What was told, remembering what the rules asked about and found."""

    def __init__(self, told: Mapping[str, ToldMark]) -> None:
        self._told = told
        self.found: dict[str, ToldMark] = {}

    def __getitem__(self, name: str) -> ToldMark:
        told = self._told[name]
        self.found[name] = told
        return told

    def __iter__(self) -> Iterator[str]:
        return iter(self._told)

    def __len__(self) -> int:
        return len(self._told)


def _of_told(snap: Snapshot, now: datetime) -> Iterator[datetime]:
    """When what was told has lain unread, or been of no use, for long enough.

    Which of the messages matter, only the rules know: they are asked once more, and what they look up is noted.
    """
    asked = _Asked(snap.told)
    noting = replace(snap, told=asked)
    for look in snap.looks:
        plan_line(look, noting, now)
    plan_groups(snap.looks, noting, now)
    delivery.plan_posts(noting, now)
    heartbeat = snap.settings.heartbeat
    for told in asked.found.values():
        if told.sent:
            yield told.sent + heartbeat.silent
            yield told.sent + heartbeat.ack


# --- around the lines


def _of_agents(snap: Snapshot) -> Iterator[datetime]:
    """When a breaker becomes half-open; and when one opens by a failure that was dated ahead of a clock set back."""
    pause = snap.settings.limits.breaker_pause
    for ends in snap.outcomes.values():
        if ends:
            yield ends[-1].at - pause
            yield ends[-1].at + pause


def _of_schedules(snap: Snapshot, now: datetime) -> Iterator[datetime]:
    zone = snap.settings.workspace.zone
    for schedule in snap.settings.schedules.values():
        if at := due_times.next_due(schedule.cron, zone, now):
            yield at
    for marks in snap.marks.values():  # those of a clock that was ahead count from a day before on
        yield from (at - due_times.FAR for at, _ in marks.found if at > now + due_times.FAR)


def _of_people(snap: Snapshot, now: datetime) -> Iterator[datetime]:
    """When the quiet hours end for somebody who is to hear something then: what is held back, or how a task goes."""
    has_news = any(
        look.task and look.task.state is State.IN_PROGRESS and (look.note or look.task.eta) for look in snap.looks
    )
    people = (agent for agent in snap.settings.agents if snap.settings.is_human(agent))
    with_work = {name for look in snap.looks for name in (look.entry.agent, look.task and look.task.assignee) if name}
    for person in (person for person in people if has_news or snap.held.get(person) or person in with_work):
        if end := quiet_hours.end_for(snap.settings, person, now):
            yield end
