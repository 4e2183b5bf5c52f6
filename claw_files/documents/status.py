"""Status files: what one says about its task, in whatever form it was written, and edits that keep all else.

Front matter and body may disagree, because people and agents write either. Three keys of ours remember what stood
there at our last write, so that only what was written since counts as news: `recorded` (the state we wrote), `said`
(the state the body gave then) and `heard` (its ETA and need then).
"""

import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import msgspec

from claw_files import words
from claw_files.documents import body, fields, splice
from claw_files.documents.fields import BY_KEY, FIELDS, Reading
from claw_files.documents.frontmatter import Data, Document
from claw_files.documents.frontmatter import parse as split
from claw_files.documents.lately import lately
from claw_files.documents.lines import has_marks
from claw_files.errors import BadId, BadValue, InvalidFile
from claw_files.model import State, Task, TaskId

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

_BLANK: Final = b"\xef\xbb\xbf \t\r\n\f\v"  # a file of nothing else was emptied, or is being written
_HEARD: Final = ("eta", "need")  # what the body says of these counts if it is news; of the rest, if no key says it
_KNOWN: Final = frozenset({"id", "status", "recorded", "said", "heard", *BY_KEY})
_ALSO: Final = {"state": "status", **{other: field.key for field in FIELDS for other in field.also}}  # the first counts
_GOING: Final = (
    "assignee summary attempt failures generation lease eta not_before reason need updated completed verified"
    " asked cached_from turn"
)
_AT_WORK: Final = (State.BACKLOG, State.IN_PROGRESS, State.BLOCKED)
DEFINING: Final = tuple(key for key in BY_KEY if key not in _GOING.split())  # what a task is, not how it goes


@lately
def parse(raw: bytes, path: str, file_time: datetime, tz: "ZoneInfo") -> Task:
    """The task that the file describes; its id is the file's name.

    Args:
        file_time: aware; a bare time in the file ("ETA: 11:00") is relative to it.

    `state` is what counts now: the body's words where they are news and the front matter was not changed by hand as
    well, else the front matter. It differs from `recorded` after a move by hand.

    Raises InvalidFile: as `frontmatter.parse` does, and bad-value, wrong-id or bad-id, with key and line.
    """
    if not raw.strip(_BLANK):
        raise InvalidFile(path, "empty", "it is empty; put back what stood there, or cancel the task")
    document = split(raw, path)
    task = _id(document)
    keys = _spelled(document)
    told = body.read(document.body, task)
    reading = Reading(file_time=file_time, tz=tz)
    found = {key: _typed(document, spelled, key, reading) for key, spelled in keys.items() if key in BY_KEY}
    found = {key: value for key, value in found.items() if value is not None}
    recorded = _state(document, keys, "recorded")
    state = _effective(_state(document, keys, "status"), recorded, told, *_said(document, keys))
    values = _with_words(found, told, _heard(document, keys), state, reading)
    return Task(id=task, state=state, recorded=recorded, **values)


def has_state(raw: bytes, path: str) -> bool:
    """Whether the file gives a state at all, in front matter or body; without one it reads as backlog."""
    document = split(raw, path)
    return "status" in _spelled(document) or body.read(document.body, _id(document)).state is not None


def line_of(raw: bytes, path: str, key: str) -> int | None:
    """The line on which the front matter has the key, under any of its names, from 1; None where it has it not."""
    document = split(raw, path)
    spelled = _spelled(document).get(key)
    return document.lines[spelled] if spelled else None


def _effective(status: State | None, recorded: State | None, told: body.Words, said: State | None, times: int) -> State:
    by_hand = status is not None and recorded is not None and status is not recorded
    # The same word once more is news where the task has been given out anew since: "DONE", of the second attempt.
    again = told.times > times > 0 and recorded in _AT_WORK
    if told.state and (status is None or ((told.state is not said or again) and not by_hand)):
        return told.state
    return status or recorded or State.BACKLOG


def _said(document: Document, keys: Mapping[str, str]) -> tuple[State | None, int]:
    """What the body said at our last write, and in how many lines: "done", "done x3"; 0 where that is not known."""
    text = document.meta[keys["said"]] if "said" in keys else ""
    found = re.fullmatch(r"(?P<state>.*?)(?: x(?P<times>[0-9]{1,6}))?", text) if isinstance(text, str) else None
    if found is None or not found["times"]:
        return _state(document, keys, "said"), 1 if text else 0
    state = words.state(found["state"])
    return (state, int(found["times"])) if state else (_state(document, keys, "said"), 0)


def _id(document: Document) -> TaskId:
    stem = document.path.rpartition("/")[2].removesuffix(".md")
    written = next((value for key, value in document.meta.items() if key.lower() == "id"), None)
    try:
        named = words.task_id(stem)
    except BadId as error:
        raise InvalidFile(document.path, "bad-id", str(error)) from None
    if isinstance(written, str) and written.strip() and written.strip().upper() != named:
        reason = f"id {written.strip()[:80]!r} is not the file's name"
        raise InvalidFile(document.path, "wrong-id", reason, document.lines.get("id"))
    return named


def _spelled(document: Document) -> dict[str, str]:
    """Our key -> the key as the file spells it: case does not matter, and some have other names."""
    exact: dict[str, str] = {}
    for key in document.meta:
        plain = _plain(key)
        if plain in exact:
            reason = f"the keys {exact[plain]!r} and {key[:40]!r} mean the same"
            raise InvalidFile(document.path, "duplicate-key", reason, document.lines[key])
        exact[plain] = key
    found = {key: spelled for key, spelled in exact.items() if key in _KNOWN}
    for other in filter(exact.__contains__, _ALSO):
        found.setdefault(_ALSO[other], exact[other])
    return found


@lru_cache(512)  # the same few dozen keys in every file
def _plain(key: str) -> str:
    return key.strip().lower().replace("-", "_").replace(" ", "_")


def _typed(document: Document, spelled: str, key: str, reading: Reading) -> Any:
    data = document.meta[spelled]
    if fields.is_empty(data):
        return None
    try:
        return fields.read(BY_KEY[key], data, reading)
    except BadValue as error:
        raise InvalidFile(document.path, "bad-value", str(error), document.lines[spelled]) from None


def _state(document: Document, keys: Mapping[str, str], key: str) -> State | None:
    data = document.meta[keys[key]] if key in keys else ""
    if fields.is_empty(data):
        return None
    state = words.state(data) if isinstance(data, str) else None
    if state is None:
        reason = str(BadValue(keys[key], str(data), f"a state: {', '.join(State)}"))
        raise InvalidFile(document.path, "bad-value", reason, document.lines[keys[key]])
    return state


def _heard(document: Document, keys: Mapping[str, str]) -> Mapping[str, Data]:
    heard = document.meta[keys["heard"]] if "heard" in keys else {}
    return heard if isinstance(heard, dict) else {}


def _with_words(
    found: dict[str, Any], told: body.Words, heard: Mapping[str, Data], state: State, reading: Reading
) -> dict[str, Any]:
    """The front matter's values, completed by the body's words; what cannot be read there is left alone."""
    values = dict(found)
    for key in ("eta", "need", "completed", "reason", "assignee", "title"):
        text = getattr(told, key)
        if text is None or (text == heard.get(key) if key in _HEARD else key in found):
            continue
        try:
            values[key] = fields.read(BY_KEY[key], text, reading)
        except BadValue:
            continue
    if not state.is_closed and "completed" not in found:
        values.pop("completed", None)  # an old "Completed:" line below a task that was opened again
    promised = values.get("outputs", ())
    more = tuple(dict.fromkeys(output for output in told.outputs if output not in promised))
    return {**values, "outputs": (*promised, *more)} if promised or more else values


# --- writing ---------------------------------------------------------------------------------------------------------


def edit(raw: bytes | None, before: Task | None, after: Task, path: str) -> bytes:
    """The file's bytes with what differs between `before` and `after`; None for `raw` makes a new file.

    Writes only keys that differ. A state that differs, or a `recorded` that does (that is how a move by hand is
    accepted: `replace(task, recorded=task.state)`), is written with `recorded` and `said`: from then on it is no news.
    Whenever something is written, an ETA or need that only the body gave is pinned into the front matter: our write
    changes the file's time, and a bare time would wander with it.

    Raises InvalidFile (cannot-edit and whatever `parse` refuses).
    """
    if raw is None:
        return _new(after)
    document = split(raw, path)
    before = before or Task(id=after.id)
    changes: dict[str, Data | None] = {
        field.key: field.show(getattr(after, field.key))
        for field in FIELDS
        if getattr(after, field.key) != getattr(before, field.key)
    }
    told = body.read(document.body, after.id)
    if after.state != before.state or after.recorded != before.recorded:
        changes |= {"status": after.state.value, "recorded": after.state.value}
        changes["said"] = told.state.value + (f" x{told.times}" if told.times > 1 else "") if told.state else None
    if not changes:
        return raw
    keys = _spelled(document)
    if not document.meta:
        changes = _ordered(after, changes)
    changes |= _pinned(after, told, _heard(document, keys))
    return splice.edit(raw, {keys.get(key, key): value for key, value in changes.items()}, path)


def _ordered(after: Task, changes: Mapping[str, Data | None]) -> dict[str, Data | None]:
    """For a file that gets its first front matter: with its id, and in the order of a file that we made."""
    first = ("id", "title", "status")
    rest = sorted(changes, key=lambda key: list(BY_KEY).index(key) if key in BY_KEY else len(BY_KEY))
    return {"id": after.id} | {key: changes[key] for key in dict.fromkeys((*first[1:], *rest)) if key in changes}


def _pinned(after: Task, told: body.Words, heard: Mapping[str, Data]) -> dict[str, Data | None]:
    now: dict[str, Data] = {key: getattr(told, key) for key in _HEARD if getattr(told, key) is not None}
    if now == heard:
        return {}
    return {"heard": now or None} | {key: BY_KEY[key].show(getattr(after, key)) for key in now}


def _new(task: Task) -> bytes:
    values: dict[str, Data | None] = {"id": task.id, "title": task.title or None, "status": task.state.value}
    blank = Task(id=task.id)
    for field in FIELDS:
        value = getattr(task, field.key)
        if field.key == "attempt" or value != getattr(blank, field.key):
            values[field.key] = field.show(value)
    # A title is one line, and one that is itself a state ("Done") must not read as the task's.
    heading = re.sub(r"\s+", " ", f"# {task.id}: {task.title}").strip(" :")
    heading = f"# {task.id}" if body.read(heading, task.id) != body.Words(title=task.title or None) else heading
    values["recorded"] = task.state.value
    return (splice.block(values) + heading + "\n").encode("utf-8", "backslashreplace")


def append(raw: bytes, text: str, path: str = "status file") -> bytes:
    """The file with `text` at its end, as a paragraph of its own; every byte before it stays.

    A note never counts as the task's word: if it reads like one ("Status: DONE"), all its lines are quoted with ">".
    So are those of a note that could close what the text before it left open: what its fences hide would be seen.
    """
    document = split(raw, path)
    note = re.sub(r"\r\n?|[\x85\u2028\u2029]", "\n", text.replace("\0", "\\x00")).strip("\n")
    if body.speaks(note) or (has_marks(note) and body.is_open(document.body)):
        note = "\n".join(f"> {line}" for line in note.split("\n"))
    ended = document.text.endswith("\n") or not document.text
    gap = ("" if ended else "\n") + ("\n" if document.body.strip() else "")
    added = f"{gap}{note}\n".replace("\n", document.newline)
    return raw + added.encode("utf-8", "backslashreplace")


# --- the definition, carried by the task's message -------------------------------------------------------------------


def definition(task: Task) -> dict[str, str]:
    """What the task is, as opposed to how it goes: the keys that its message carries. Lists are one item a line."""
    shown = {key: BY_KEY[key].show(getattr(task, key)) for key in DEFINING}
    return {key: "\n".join(data) if isinstance(data, list) else data for key, data in shown.items() if data}


def restore(task: Task, definition: Mapping[str, str]) -> Task:
    """The task with the keys filled in that vanished when an agent overwrote its file; what is there stays."""
    blank, lost = Task(id=task.id), {}
    reading = Reading(file_time=datetime.fromisoformat("2000-01-01T00:00:00+00:00"), tz=None)
    for key in DEFINING:
        if definition.get(key) and getattr(task, key) == getattr(blank, key):
            try:
                lost[key] = fields.read(BY_KEY[key], definition[key], reading)
            except BadValue:
                continue  # someone edited the message; what still can be read is restored
    return msgspec.structs.replace(task, **lost)
