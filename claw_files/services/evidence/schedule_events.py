"""Event files of schedules: what their names say about the due times that have happened."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime

from claw_files.core.errors import ClawError
from claw_files.core.event import EventName, EventQueue
from claw_files.core.keys import Key
from claw_files.policy.due_times import FAR, EventMarks
from claw_files.storage.workspace import Workspace

BOXES = ("new", "done", "failed")


def marks(ws: Workspace, names: Callable[[str], list[str]]) -> dict[str, EventMarks]:
    """The facts in event file names of each schedule, including removed schedules."""
    marks: dict[str, list[tuple[datetime, str | None]]] = {}
    for found in filter(None, map(parse, _names(ws, names))):
        marks.setdefault(found.name, []).append((found.at, found.what or None))
    return {name: EventMarks(found=tuple(found)) for name, found in marks.items()}


def _names(ws: Workspace, names: Callable[[str], list[str]]) -> list[str]:
    """The event files of all boxes. Without a schedule only marks of removed ones count."""
    if ws.settings.schedules:
        return [name for box in BOXES for name in names(f"events/{box}")]
    with suppress(ClawError):  # a folder that cannot be read is no business of who has no schedule
        return names("events/done")
    return []


def has_begun(ws: Workspace) -> bool:
    """Whether an event of a schedule was written and not yet acted on."""
    schedules = ws.settings.schedules
    names = ws.files.names("events/new") if schedules else []
    found = [schedules.get(parsed.name) for name in names if (parsed := parse(name)) and not parsed.what]
    return any(schedule is not None and not schedule.event for schedule in found)


def faults(ws: Workspace, names: Callable[[str], list[str]], events: EventQueue) -> list[str]:
    """Paths of failed events, one per type, of unhandled events, and of quarantined messages."""
    there = set(names("events"))
    found = {f"events/{name}" for name in there if "." in name}
    for name in names("events/failed") if "failed" in there else ():
        event = EventName.parse(name)
        if event or not name.endswith(".reason"):
            found.add(f"events/failed/*.{event.type}.*" if event else f"events/failed/{name}")
    for name in names("events/new") if "new" in there else ():
        parsed = parse(name)
        if not EventName.parse(name) and (parsed is None or parsed.name not in ws.settings.schedules):
            found.add(f"events/new/{name}")
    aside = (name for name in names("quarantine") if name.startswith("inbox-") and not name.endswith(".reason"))
    return sorted([*(found - events.arriving.keys()), *(f"quarantine/{name}" for name in aside)])


def newest(names: Iterable[str], now: datetime) -> list[str]:
    """The event files that record since when and by which rule each schedule counts: they must be kept."""
    last = dict[tuple[str, bool], tuple[datetime, str]]()
    for name in names:
        if (found := parse(name)) and found.at <= now + FAR:
            kind = (found.name, not found.what)
            last[kind] = max(last.get(kind, (found.at, name)), (found.at, name))
    return [name for _, name in last.values()]


def parse(name: str) -> Key | None:
    """The key in an event file's name: "schedule.NAME.20260307T074500Z.md"; for a mark, `what` is its rule."""
    if not name.startswith("schedule."):
        return None
    key = Key.parse(name.removesuffix(".md"))
    return key if key.topic == "schedule" and "." not in key.name + key.what else None
