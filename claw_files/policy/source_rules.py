"""Rules of sources: when each is polled, what a record is, and from where the next poll reads on."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from claw_files.config import Source
from claw_files.core.event import FILE_BYTES, KEY_LETTERS, Event, SourceMark, value_at
from claw_files.core.keys import Key, topic_key
from claw_files.core.model import Run
from claw_files.core.text import render_duration, render_instant
from claw_files.policy.resilience import backoff
from claw_files.policy.snapshot import Act, Action, Snapshot, tell_once

TOPIC = "source"
TOLD = 3  # failures in a row, of which the monitor hears
_LONGEST = timedelta(hours=1)
RECORD_BYTES = FILE_BYTES // 4  # an event may spell out what a record has as single bytes
_CURSOR_BYTES = 4096


def is_poll(run: Run) -> bool:
    """Whether the run reads a source: it takes no place from agents."""
    return Key.parse(run.key).topic == TOPIC


def plan_sources(snap: Snapshot, now: datetime) -> list[Action]:
    """Polls to start, none while too many events wait; and what the monitor hears of sources that fail."""
    found, running = list[Action](), {Key.parse(run.key).name for run in snap.live if is_poll(run)}
    for name, source in snap.settings.sources.items():
        mark = snap.sources.get(name, SourceMark())
        if name in running:
            continue
        if mark.failures >= TOLD and mark.since:
            key, since = topic_key(TOPIC, name, mark.since, "failing"), render_instant(mark.since)
            often = f"{mark.failures} times since {since}, and is polled every {render_duration(_pause(source, mark))}"
            text = f"source {name} has failed {often}: {mark.problem}"
            found += tell_once(snap, snap.settings.monitor, key, f"the source {name} fails", text)
        if not snap.events_full and _next(source, mark, now) <= now:
            found.append(Action(act=Act.POLL, key=topic_key(TOPIC, name, now), why="due", details={"source": name}))
    return found


def sources_due(snap: Snapshot, now: datetime) -> Iterator[datetime]:
    """When each source is polled next; the end of a poll is a change of files."""
    marks = ((source, snap.sources.get(name, SourceMark())) for name, source in snap.settings.sources.items())
    yield from (_next(source, mark, now) for source, mark in marks)


def _next(source: Source, mark: SourceMark, now: datetime) -> datetime:
    pause = _pause(source, mark)
    is_known = mark.polled and mark.polled <= now + pause  # one further ahead was begun by a clock that was wrong
    return mark.polled + pause if mark.polled and is_known else now


def _pause(source: Source, mark: SourceMark) -> timedelta:
    return max(source.every, min(_LONGEST, backoff(source.every, mark.failures + 1)))


# --- records


class SourceRecord(NamedTuple):
    """One record; `fields` is None for one that is none, and `raw` is kept of it."""

    raw: bytes
    fields: dict[str, Any] | None = None
    key: str | None = None  # where its fields do not say it


class SourceCursor(NamedTuple):
    """How far the source was read, once the records before it are events; a value of JSON."""

    value: Any


def parse_line(raw: bytes) -> SourceRecord | SourceCursor:
    """What a command has printed: an object with nothing but a cursor, of at most 4 KiB, is its cursor."""
    try:
        found = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        found = None
    if isinstance(found, dict) and found.keys() == {"cursor"} and len(raw) <= _CURSOR_BYTES:
        return SourceCursor(found["cursor"])
    return SourceRecord(raw, found if isinstance(found, dict) else None)


def event_of(source: Source, record: SourceRecord) -> Event:
    """The event. Raises ValueError with what is wrong with the record."""
    if record.fields is None or len(record.raw) > RECORD_BYTES:
        raise ValueError(f"it is no JSON object of at most {RECORD_BYTES:,} bytes, and no file with a printable name")
    values = [record.key] if record.key else [value_at(record.fields, path) for path in source.key]
    key = str(values[0]) if len(values) == 1 else msgspec.json.encode(values).decode()
    is_whole = all(isinstance(it, str | int) and not isinstance(it, bool) and it != "" for it in values)
    if not is_whole or len(key) > KEY_LETTERS:
        name = " and ".join(source.key)
        raise ValueError(f"it has no text of up to {KEY_LETTERS} letters, and no number, in {name}: its key")
    return Event(type=source.type or source.name, key=key, fields=record.fields, source=f"source {source.name}")


def earlier(value: Any, overlap: timedelta) -> Any:
    """The first value of a cursor as the next poll asks for it: a time, some time before; anything else as it is."""
    try:
        is_time = overlap and isinstance(value, str) and value[4:5] == "-"
        return (datetime.fromisoformat(value) - overlap).isoformat(sep=value[10:11] or "T") if is_time else value
    except (ValueError, OverflowError):
        return value
