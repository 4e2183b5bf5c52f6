"""Planner of schedules: due times become events."""

from collections.abc import Iterator
from datetime import datetime

from claw_files.config import Schedule
from claw_files.core.keys import topic_key
from claw_files.policy import due_times
from claw_files.policy.snapshot import Act, Action, Snapshot, tell_once


def plan_schedules(snap: Snapshot, now: datetime) -> list[Action]:
    """Due times become events, each once. What is new, changed, or back in the configuration starts counting now."""
    known, found = snap.settings.schedules, list[Action]()
    for name in (name for name in snap.marks if name not in known):
        if snap.marks[name].last(now) and snap.marks[name].word(now) != due_times.GONE:
            why = "the schedule is no longer configured"
            found.append(_counting(name, due_times.GONE, snap.marks[name], now, why))
    for schedule in known.values():
        found += _plan_schedule(schedule, snap.marks.get(schedule.name, due_times.EventMarks()), snap, now)
    return found


def _plan_schedule(schedule: Schedule, marks: due_times.EventMarks, snap: Snapshot, now: datetime) -> list[Action]:
    last, word = marks.last(now), marks.word(now)
    rule = due_times.rule(schedule.cron, snap.settings.workspace.timezone)
    found = _implausible(schedule.name, marks, snap, now)
    if last is None or word not in (None, rule):
        why = "counting starts" if word in (None, due_times.GONE) else "its times were changed; counting restarts"
        return [*found, _counting(schedule.name, rule, marks, now, why)]
    for occurrence in due_times.due(schedule.cron, snap.settings.workspace.zone, last, now, schedule.catch_up):
        key = topic_key("schedule", schedule.name, occurrence)
        why = f"due at {occurrence:%Y-%m-%d %H:%M} UTC"
        details = {"schedule": schedule.name} | ({} if word else {"rule": rule})
        found.append(Action(act=Act.EVENT, key=key, at=occurrence, why=why, details=details))
    return found


def _counting(name: str, word: str, marks: due_times.EventMarks, now: datetime, why: str) -> Action:
    """Start to count now, or after the last mark: a mark ahead of a clock set back would count as newer."""
    last = marks.last(now)
    at = max(now, last + due_times.SECOND) if last else now
    key = topic_key("schedule", name, at, word)
    return Action(act=Act.EVENT, key=key, at=at, why=why, details={"arm": name})


def _implausible(name: str, marks: due_times.EventMarks, snap: Snapshot, now: datetime) -> list[Action]:
    """Report an event from a clock far ahead once; otherwise it would suppress the schedule until then."""
    ahead = marks.ahead(now)
    if ahead is None:
        return []
    text = (
        f"schedule {name} has an event for {ahead:%Y-%m-%d %H:%M} UTC in events/, made by a clock that was ahead. "
        "It is set aside: due times before it are kept, and that one is not made again."
    )
    key = topic_key("schedule", name, ahead, "ahead")
    return tell_once(snap, snap.settings.monitor, key, "an event has a future time", text)


def schedules_due(snap: Snapshot, now: datetime) -> Iterator[datetime]:
    """The next due time of each schedule; and when an event from a clock that was ahead begins to count."""
    zone = snap.settings.workspace.zone
    for schedule in snap.settings.schedules.values():
        if at := due_times.next_due(schedule.cron, zone, now):
            yield at
    for marks in snap.marks.values():  # those of a clock that was ahead count from a day before on
        yield from (at - due_times.FAR for at, _ in marks.found if at > now + due_times.FAR)
