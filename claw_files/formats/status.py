"""Status files: parses them in any form, and edits them without changing other bytes.

Front matter and body may disagree, because people and agents write either. Three keys of ours remember what stood
there at our last write, so that only what was written since counts as news: `recorded` (the state we wrote), `said`
(the state the body gave then, and marks of what was not understood in it) and `heard` (its ETA and need then).
"""

import re
from collections.abc import Mapping
from datetime import datetime, tzinfo
from functools import lru_cache
from typing import Any, Final

from msgspec.structs import replace

from claw_files.core import text as words
from claw_files.core.errors import BadValue, InvalidFile
from claw_files.core.model import State, Task, TaskId, Unclear, Value
from claw_files.formats import body, frontmatter_edits, phrases, section_context, task_fields
from claw_files.formats.frontmatter import Data, Document, name_in
from claw_files.formats.frontmatter import parse as split
from claw_files.formats.parse_cache import lately
from claw_files.formats.phrase_tails import word_set
from claw_files.formats.phrases import NOTHING, StateStatement
from claw_files.formats.task_fields import BY_KEY, FIELDS, TimeContext
from claw_files.formats.text_lines import has_marks
from claw_files.formats.vocabulary import BUILT_IN, Vocabulary
from claw_files.formats.vocabulary import state as state_of

_BLANK: Final = b"\xef\xbb\xbf \t\r\n\f\v"  # a file of nothing else was emptied, or is being written
_BLANK_OR_MORE: Final = frozenset((b"", *(_BLANK[at : at + 1] for at in range(len(_BLANK)))))  # how such a file begins
_HEARD: Final = ("eta", "need")  # what the body says of these counts if it is news; of the rest, if no key says it
_KNOWN: Final = frozenset({"id", "status", "recorded", "said", "heard", *BY_KEY})
_ALSO: Final = {"state": "status", **{other: field.key for field in FIELDS for other in field.also}}  # the first counts
_GOING: Final = (
    "assignee summary attempt failures generation lease eta not_before reason need updated completed verified"
    " asked cached_from turn answer"
)
# A value of these that is none makes the key unclear; of the others, which guard or order work, the file.
_LENIENT: Final = word_set(
    "title assignee requested_by followers priority estimate outputs summary eta reason need created updated completed "
    "model group"
)
_NOT_YET: Final = word_set("tbd tba unknown open unassigned nobody offen unbekannt niemand")
_AT_WORK: Final = (State.BACKLOG, State.IN_PROGRESS, State.BLOCKED)
DEFINING: Final = tuple(key for key in BY_KEY if key not in _GOING.split())  # what a task is, not how it goes


class _Front(Value, frozen=True):
    """The meaning of the key `status`: a state with its rest, or unclear words."""

    saying: StateStatement = NOTHING
    line: int | None = None
    text: str = ""

    @property
    def state(self) -> State | None:
        return self.saying.state


WRITE_HOW: Final = "write the task's state, for example `Status: cancelled`"  # into a file that is empty or gone


@lately
def parse(raw: bytes, path: str, file_time: datetime, tz: tzinfo, vocabulary: Vocabulary = BUILT_IN) -> Task:
    """The task that the file describes; its id is the file's name.

    Args:
        file_time: aware; a bare time in the file ("ETA: 11:00") is relative to it.
        vocabulary: the words that mean a state, and the names of the agents.

    `state` is what counts now: the body's words where they are news and the front matter was not changed by hand as
    well, else the front matter. It differs from `recorded` after a move by hand. `unclear` has the statements that
    were not understood and are news as well.

    Raises InvalidFile: as `frontmatter.parse` does, and conflict-markers, bad-value, wrong-id or bad-id, with key and
    line.
    """
    if raw[:1] in _BLANK_OR_MORE and not raw.strip(_BLANK):
        raise InvalidFile(path, "empty", f"it is empty; restore its text, or {WRITE_HOW}")
    if b"<<<<<<<" in raw:
        section_context.check_conflict(raw.decode("utf-8", "replace"), path)
    document = split(raw, path)
    task = _id(document)
    keys = _spelled(document)
    told = body.read(document.body, task, vocabulary)
    reading = TimeContext(file_time=file_time, tz=tz, agents=vocabulary.agents)
    found, unclear = _keys(document, keys, reading)
    recorded = _state(document, keys, "recorded")
    front, said = _front(document, keys, vocabulary), _said(document, keys)
    by_hand = front.state is not None and recorded is not None and front.state is not recorded
    # The same word once more is news where the task has been given out anew since: "DONE", of the second attempt.
    again = told.times > said.times > 0 and recorded in _AT_WORK
    is_news = told.state is not None and (told.state is not said.state or again)
    offset = document.text.count("\n", 0, document.body_start) if told.state or told.unclear or told.lines else 0
    line: int | None
    if told.state and (front.state is None or (is_news and not by_hand)):
        state, line = told.state, offset + (told.line or 0)
    else:
        state, line = front.state or recorded or State.BACKLOG, front.line if front.state else None
        if front.state:
            told = _with_front(told, front.saying)
    values, more = _with_words(found, told, _heard(document, keys), state, reading)
    if told.unclear:
        since = (told.line or 0) if is_news or said.state is None else 0
        more += [it for it in body.news(told.unclear, said.unclear) if it.line > since]
    unclear += [replace(it, line=offset + it.line) for it in more]
    if front.saying.hint and front.line:
        unclear.append(Unclear(path="", line=front.line, text=front.text, hint=front.saying.hint))
    named = tuple(replace(it, path=path) for it in sorted(unclear, key=lambda it: it.line)) if unclear else ()
    return Task(id=task, state=state, recorded=recorded, state_line=line, unclear=named, **values)


def line_of(raw: bytes, path: str, key: str) -> int | None:
    """The line of the key in the front matter, under any of its names, from 1; None without it."""
    document = split(raw, path)
    spelled = _spelled(document).get(key)
    return document.lines[spelled] if spelled else None


def _front(document: Document, keys: Mapping[str, str], vocabulary: Vocabulary) -> _Front:
    data = document.meta[keys["status"]] if "status" in keys else ""
    if task_fields.is_empty(data):
        return _Front()
    text = data if isinstance(data, str) else str(data)
    saying = phrases.read(text, vocabulary) if isinstance(data, str) else StateStatement(hint=phrases.NO_STATE)
    shown = f"{keys['status']}: {text}".replace("\n", " ")[:200]
    return _Front(saying=saying, line=document.lines[keys["status"]], text=shown)


def _with_front(told: body.BodyStatements, saying: StateStatement) -> body.BodyStatements:
    """The body's statements, completed with the rest of the state in the front matter."""
    more = body.told(saying)
    outputs = (more.pop("outputs"),) if "outputs" in more else ()
    more = {key: text for key, text in more.items() if getattr(told, key) is None}
    return replace(told, outputs=(*told.outputs, *outputs), **more) if more or outputs else told


def _said(document: Document, keys: Mapping[str, str]) -> body.SaidState:
    text = document.meta[keys["said"]] if "said" in keys else ""
    if task_fields.is_empty(text):
        return body.SaidState()
    found = body.parse(text) if isinstance(text, str) else None
    return found or body.SaidState(state=_state(document, keys, "said"))


def _id(document: Document) -> TaskId:
    named = name_in(document.path, words.task_id)
    written = next((value for key, value in document.meta.items() if key.lower() == "id"), None)
    if isinstance(written, str) and written.strip() and written.strip().upper() != named:
        reason = f"id {written.strip()[:80]!r} is not the file's name"
        raise InvalidFile(document.path, "wrong-id", reason, document.lines.get("id"))
    return named


def _spelled(document: Document) -> dict[str, str]:
    """Standard key -> the key as the file spells it, in any case and with aliases."""
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


def _keys(document: Document, keys: Mapping[str, str], reading: TimeContext) -> tuple[dict[str, Any], list[Unclear]]:
    """The values of known keys, and invalid ones that only make their key unclear."""
    found, unclear = dict[str, Any](), list[Unclear]()
    for key, spelled in keys.items():
        data = document.meta[spelled]
        if key not in BY_KEY or task_fields.is_empty(data):
            continue
        try:
            value = task_fields.read(BY_KEY[key], data, reading)
        except BadValue as error:
            line = document.lines[spelled]
            if key not in _LENIENT:
                raise InvalidFile(document.path, "bad-value", str(error), line) from None
            if key == "need" and isinstance(data, str) and "reason" not in keys:
                found["reason"] = data.strip()
                continue
            text = f"{spelled}: {data}".replace("\n", " ")[:200]
            unclear.append(Unclear(path="", line=line, text=text, hint=str(error)))
            continue
        if value is not None:
            found[key] = value
    return found, unclear


def _state(document: Document, keys: Mapping[str, str], key: str) -> State | None:
    data = document.meta[keys[key]] if key in keys else ""
    if task_fields.is_empty(data):
        return None
    state = state_of(data) if isinstance(data, str) else None
    if state is None:
        reason = str(BadValue(keys[key], str(data), f"a state: {', '.join(State)}"))
        raise InvalidFile(document.path, "bad-value", reason, document.lines[keys[key]])
    return state


def _heard(document: Document, keys: Mapping[str, str]) -> Mapping[str, Data]:
    heard = document.meta[keys["heard"]] if "heard" in keys else {}
    return heard if isinstance(heard, dict) else {}


def _with_words(
    found: dict[str, Any], told: body.BodyStatements, heard: Mapping[str, Data], state: State, reading: TimeContext
) -> tuple[dict[str, Any], list[Unclear]]:
    """The front matter's values, completed by the body's words, and which of these are unclear, with their lines."""
    values, unclear = dict(found), list[Unclear]()
    for key in ("eta", "need", "completed", "reason", "assignee", "title"):
        text = getattr(told, key)
        if text is None or (text == heard.get(key) if key in _HEARD else key in found):
            continue
        if task_fields.is_empty(text) or text.strip(" .?").lower() in _NOT_YET:
            continue
        try:
            values[key] = task_fields.read(BY_KEY[key], text, reading)
        except BadValue as error:
            if key == "need" and told.reason is None and "reason" not in found:
                values["reason"] = text
            elif key in ("eta", "assignee") and key in told.lines and not state.is_closed:
                unclear.append(Unclear(path="", line=told.lines[key], text=f"{key}: {text}"[:200], hint=str(error)))
    if not state.is_closed and "completed" not in found:
        values.pop("completed", None)  # an old "Completed:" line below a task that was opened again
    promised = values.get("outputs", ())
    more = tuple(dict.fromkeys(output for output in told.outputs if output not in promised))
    return ({**values, "outputs": (*promised, *more)} if promised or more else values), unclear


# --- writing ---------------------------------------------------------------------------------------------------------


def edit(raw: bytes | None, before: Task | None, after: Task, path: str, vocabulary: Vocabulary = BUILT_IN) -> bytes:
    """The file's bytes with the differences between `before` and `after`; with `raw` None, a new file.

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
    told, keys = body.read(document.body, after.id, vocabulary), _spelled(document)
    # A move by command overtakes what stands there and was not understood; writing down the file's own word does not.
    is_move = after.state != before.state or (after.recorded == before.recorded and after.lease != before.lease)
    if after.state != before.state or after.recorded != before.recorded:
        front = _front(document, keys, vocabulary)
        if after.state != before.state or not front.saying.hint:  # else it is an unclear word, which is kept
            changes |= _kept(front.saying, after) | {"status": after.state.value}
        changes["recorded"] = after.state.value
        changes["said"] = body.remembered(told, _said(document, keys), is_move)
    elif is_move and (told.unclear or "said" in keys):
        changes["said"] = body.remembered(told, _said(document, keys), is_overtaken=True)
    if not changes:
        return raw
    if not document.meta:
        changes = _ordered(after, changes)
    changes |= _pinned(after, told, _heard(document, keys))
    return frontmatter_edits.edit(raw, {keys.get(key, key): value for key, value in changes.items()}, path)


def _kept(saying: StateStatement, after: Task) -> dict[str, Data | None]:
    """The rest after the state in the key `status`, in separate keys, because the key is about to be rewritten."""
    more = body.told(saying)
    return {key: BY_KEY[key].show(getattr(after, key)) for key in more if getattr(after, key)}


def _ordered(after: Task, changes: Mapping[str, Data | None]) -> dict[str, Data | None]:
    """For a file that gets its first front matter: with its id, in the order of a new file."""
    first = ("id", "title", "status")
    rest = sorted(changes, key=lambda key: list(BY_KEY).index(key) if key in BY_KEY else len(BY_KEY))
    return {"id": after.id} | {key: changes[key] for key in dict.fromkeys((*first[1:], *rest)) if key in changes}


def _pinned(after: Task, told: body.BodyStatements, heard: Mapping[str, Data]) -> dict[str, Data | None]:
    now: dict[str, Data] = {key: getattr(told, key) for key in _HEARD if getattr(told, key) is not None}
    if now == heard:
        return {}
    # A need that names no agent was read as the reason; once it is heard, only the key tells it.
    note = {"reason": after.reason} if "need" in now and after.need is None and after.reason == now["need"] else {}
    return {"heard": now or None} | {key: BY_KEY[key].show(getattr(after, key)) for key in now} | note


def _new(task: Task) -> bytes:
    values: dict[str, Data | None] = {"id": task.id, "title": task.title or None, "status": task.state.value}
    blank = Task(id=task.id)
    for field in FIELDS:
        value = getattr(task, field.key)
        if field.key == "attempt" or value != getattr(blank, field.key):
            values[field.key] = field.show(value)
    # A title is one line, and one that is itself a state ("Done") must not read as the task's.
    heading = re.sub(r"\s+", " ", f"# {task.id}: {task.title}").strip(" :")
    if body.read(heading, task.id) != body.BodyStatements(title=task.title or None):
        heading = f"# {task.id}"
    values["recorded"] = task.state.value
    return (frontmatter_edits.block(values) + heading + "\n").encode("utf-8", "backslashreplace")


def append(raw: bytes, text: str, path: str = "status file", vocabulary: Vocabulary = BUILT_IN) -> bytes:
    """The file with `text` as a separate paragraph at its end; every byte before it is kept.

    A note never counts as the task's word: if it reads like one ("Status: DONE"), all its lines are quoted with ">".
    So are those of a note that could close what the text before it left open: what its fences hide would be seen.
    """
    document = split(raw, path)
    note = re.sub(r"\r\n?|[\x85\u2028\u2029]", "\n", text.replace("\0", "\\x00")).strip("\n")
    is_mark = body.is_open(note) or "<<<<<<<" in note or (has_marks(note) and body.is_open(document.body))
    if is_mark or _speaks(document, note, vocabulary):
        note = "\n".join(f"> {line}" for line in note.split("\n"))
    ended = document.text.endswith("\n") or not document.text
    gap = ("" if ended else "\n") + ("\n" if document.body.strip() else "")
    added = f"{gap}{note}\n".replace("\n", document.newline)
    return raw + added.encode("utf-8", "backslashreplace")


def _speaks(document: Document, note: str, vocabulary: Vocabulary) -> bool:
    """Whether the note would change the text's statements, or those of a line below it."""
    stem = document.path.rpartition("/")[2].removesuffix(".md")
    for below in ("", "\n\nStatus: done\n"):
        texts = (f"{document.body}{below}", f"{document.body}\n\n{note}\n{below}")
        before, after = (body.read(text, stem, vocabulary) for text in texts)
        same: dict[str, Any] = {"title": None, "line": None, "lines": {}, "unclear": ()}
        if replace(before, **same) != replace(after, **same) or len(before.unclear) != len(after.unclear):
            return True
    return False


# --- the definition, carried by the task's message -------------------------------------------------------------------


def definition(task: Task) -> dict[str, str]:
    """The defining keys of the task, which its message contains. Lists are one item a line."""
    shown = {key: BY_KEY[key].show(getattr(task, key)) for key in DEFINING}
    return {key: "\n".join(data) if isinstance(data, list) else data for key, data in shown.items() if data}


def restore(task: Task, definition: Mapping[str, str]) -> Task:
    """The task with lost keys restored after an agent overwrote its file; existing values are kept."""
    blank, lost = Task(id=task.id), {}
    for key in DEFINING:
        if definition.get(key) and getattr(task, key) == getattr(blank, key):
            try:
                lost[key] = task_fields.read(BY_KEY[key], definition[key], task_fields.ALONE)
            except BadValue:
                continue  # someone edited the message; what still can be read is restored
    return replace(task, **lost)
