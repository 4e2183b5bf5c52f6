"""What of the folders of events a tick looks at: what arrived, and what was accepted and waits."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cache

from claw_files.core.event import AcceptedEvent, EventName, EventQueue
from claw_files.policy.event_planner import MOST_ACCEPTED, YOUNG
from claw_files.services.events.event_store import CUR, NEW
from claw_files.services.evidence import schedule_events
from claw_files.storage.workspace import Workspace

Names = Callable[[str], list[str]]
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


def queue(ws: Workspace, names: Names, types: Callable[[], frozenset[str]]) -> EventQueue:
    """The events that are not over.

    Args:
        names: lists a folder; asked again for the same one it may remember.
        types: what is handled here; asked only where something arrived. Where nothing is, files that people or other
            programs keep there stay where they are.
    """
    arriving = dict[str, datetime]()
    for path in _arriving(ws, names, cache(types)):
        arriving[path] = _readable_at(ws, path)
        if len(arriving) > MOST_ACCEPTED:
            break
    return EventQueue(arriving=arriving, accepted=tuple(_accepted(ws)) if "cur" in names("events") else ())


def _arriving(ws: Workspace, names: Names, types: Callable[[], frozenset[str]]) -> Iterator[str]:
    for folder in ("events", NEW):
        for name in names(folder) if folder == "events" or "new" in names("events") else ():
            if not name.endswith((".json", ".md")):
                continue
            scheduled = schedule_events.parse(name)
            schedule = ws.settings.schedules.get(scheduled.name) if scheduled else None
            is_ours = folder == NEW and EventName.parse(name) is not None
            if is_ours or (schedule.event in types() if schedule else scheduled is None and types()):
                yield f"{folder}/{name}"


def _readable_at(ws: Workspace, path: str) -> datetime:
    """When it may be read. Text has no end that could be missing: while it grows, a part looks like the whole."""
    if path.endswith(".md") and (stamp := ws.files.stamp(path)) and abs(ws.clock.now() - stamp.mtime) < YOUNG:
        return stamp.mtime + YOUNG
    return _LONG_AGO


def _accepted(ws: Workspace) -> Iterator[AcceptedEvent]:
    for name, mtime_ns, _, _ in ws.files.survey(CUR):
        if found := EventName.parse(name):
            yield AcceptedEvent(name=name, type=found.type, since=datetime.fromtimestamp(mtime_ns / 10**9, UTC))
