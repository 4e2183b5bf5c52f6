"""The coordinator's ledger, HEARTBEAT.md: the delegated tasks, and when to check each.

People keep other things in the same file. Only lines that are entries are ever touched, and of these only the words
that change; bytes that are not UTF-8 are carried through unread. One form is written, all the ways in which people
write it are read.
"""

import re
from collections.abc import Callable, Container, Iterator
from datetime import UTC, datetime, tzinfo
from typing import Final

from msgspec.structs import replace as replaced

from claw_files.core import text as words
from claw_files.core.errors import Changed
from claw_files.core.lazy_regex import pattern
from claw_files.core.model import Entry, TaskId, Unclear, Verb
from claw_files.formats.ledger_line import HINT, PROMISING, Span, read
from claw_files.formats.text_lines import exactly, headings, next_line, visible, visible_at

_BOM: Final = "\ufeff"  # the byte order mark of Windows editors
HEADING: Final = "## Delegations"
_OURS = pattern(r"#{1,6}[ \t]+Delegations\b", re.IGNORECASE)
_LIST = pattern(r"(?:\r?\n)??(?=\r?\n- )")  # behind a heading
_ANY_HEADING = pattern(r"#{1,6}[ \t]")


def entries(
    raw: bytes,
    file_time: datetime,
    tz: tzinfo,
    prefix: str,
    known: Callable[[TaskId], bool],
    only: TaskId | None = None,
    agents: Container[str] = (),
    path: str = "HEARTBEAT.md",
) -> tuple[Entry, ...]:
    """The ledger's entries in order; `unclear` of each has the unclear part of its line.

    A line is an entry if it begins with a task id (behind bullet, box, bold or in a link) and says who has it or when
    to look. Lines in code fences and comments, struck lines and those whose box is "[-]" are none.

    Args:
        file_time: aware; a bare time is its first occurrence after one hour before it, and `dated` is False.
        prefix: ids that begin with it count ("TC-47", "TC-900-EXTRACT-29"); others if `known` says the task exists.
        only: the entries of this task alone; the lines of others cost nothing.
        agents: who is known; empty means that every name is taken.
    """
    if only is not None and only.lower().encode() not in raw.lower():
        return ()
    bom, text = _split_bom(raw)
    lines = visible(text, HINT) if only is None else visible_at(text, _starts_naming(raw, only, len(bom)))
    found, number, counted = list[Entry](), 1, 0
    for line in lines:
        it = read(line.text, file_time, tz, agents)
        if it is None or only not in (None, it.entry.task):
            continue
        if not _has_prefix(it.entry.task, prefix) and not known(it.entry.task):
            continue
        entry = it.entry
        if it.odd:
            number, counted = number + text.count("\n", counted, line.start), line.start
            # The unclear part, from the task's id on.
            odd = line.text[min(start for start, _ in it.odd) : max(end for _, end in it.odd)][-200:]
            unclear = Unclear(path=path, line=number, text=odd, hint=it.hint)
            entry = replaced(entry, unclear=unclear)
        found.append(entry)
    return tuple(found)


def _starts_naming(raw: bytes, task: TaskId, skipped: int) -> Iterator[int]:
    """The positions of lines that contain the id, in any case, in the text without its first `skipped`."""
    low, name = raw.lower(), task.lower().encode()
    at = low.find(name)
    while at >= 0:
        start = raw.rfind(b"\n", 0, at) + 1
        yield max(0, (start if raw.isascii() else len(_text(raw[:start]))) - skipped)
        end = low.find(b"\n", at)
        at = low.find(name, end) if end >= 0 else -1


def _has_prefix(task: TaskId, prefix: str) -> bool:
    return task.startswith(f"{prefix.upper()}-") and any(letter.isdigit() for letter in task[len(prefix) :])


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _split_bom(raw: bytes) -> tuple[str, str]:
    """The byte order mark or nothing, and the text after it."""
    text = _text(raw)
    return (_BOM, text[1:]) if text.startswith(_BOM) else ("", text)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


# --- writing ---------------------------------------------------------------------------------------------------------


def render(entry: Entry, tz: tzinfo) -> str:
    """The entry in the standard form, without line break: "- TC-89 delegated to peter, check at 2026-03-07 10:00"."""
    who = f" delegated to {entry.agent}" if entry.agent else ""
    who += f" for {entry.spawner}" if entry.agent and entry.spawner else ""
    when = f"{_verb(entry)} {words.render_local(entry.at, tz)}" if entry.at else entry.verb.value
    return f"- {'[x] ' if entry.ticked else ''}{entry.task}{who}{',' if who else ''} {when}"


def _verb(entry: Entry) -> str:
    return "wait until" if entry.verb is Verb.WAIT else "check at"


def add(raw: bytes, entry: Entry, tz: tzinfo) -> bytes:
    """The ledger with one more line at the end of `## Delegations`, which is created if missing.

    Every byte that was there stays, a missing final newline included.
    """
    bom, text = _split_bom(raw)
    return _bytes(bom + _added(text, render(entry, tz)))


def _added(text: str, line: str) -> str:
    for at, added in _places(text, line):
        new = text[:at] + added + text[at:]
        if any(exactly(new, line)):
            return new
    raise Changed("ledger")  # unreachable: the top of the file is in no fence


def _places(text: str, line: str) -> list[tuple[int, str]]:
    """The positions for a new line, best first: (index, text). An open fence rules out the first ones.

    It follows at once below a heading that is made, and behind a blank line below an empty one that was there: so
    `_removed` tells them apart.
    """
    end, start = len(text), _newline(text, 0)
    top = (0, f"{HEADING}{start}{line}{start}" + (start if text else ""))
    heading = next((it for it in headings(text) if _OURS.match(it.text)), None)
    if heading is None:
        new, is_ended = _newline(text, end), not text or text.endswith("\n")
        ahead = (new if text.strip() else "") if is_ended else new * 2
        return [(end, f"{ahead}{HEADING}{new}{line}{new if is_ended else ''}"), top]
    below = next((it for it in headings(text[heading.end :]) if _ANY_HEADING.match(it.text)), None)
    used = len(text[: heading.end + below.start if below else end].rstrip())
    listed = _LIST.match(text, heading.end)
    first = _below(text, listed.end() if listed else heading.end, line, bool(listed))
    return [_below(text, used, line, used > heading.end), first, top]


def _below(text: str, used: int, line: str, is_next: bool) -> tuple[int, str]:
    """The position below the line that ends at `used`, with a blank line between unless it `is_next`."""
    at = next_line(text, used)
    new = _newline(text, at)
    blank = "" if is_next else new
    return (at, blank + line + new) if text[:at].endswith("\n") else (at, blank + new + line)


def _newline(text: str, at: int) -> str:
    """The line break of the last line before `at`; without one, of the first line."""
    end = text.rfind("\n", 0, at)
    end = end if end >= 0 else text.find("\n")
    return "\r\n" if end > 0 and text[end - 1] == "\r" else "\n"


def replace(
    raw: bytes,
    entry: Entry,
    new: Entry | None,
    tz: tzinfo,
    path: str = "HEARTBEAT.md",
    agents: Container[str] = (),
) -> bytes:
    """The ledger with `entry.line` edited to `new`, or removed (None). Every other byte is kept.

    The line is found by its text, never by a number; of several equal ones the first counts. Only what differs between
    the two entries is edited: the time (None: taken out), the agent's name, the verb, the box. Words that were not
    understood stay. What `add` had added for the line goes with it.

    Raises Changed where the line is gone: the person who changed it wins, and the entry is planned anew.
    """
    bom, text = _split_bom(raw)
    line = next(exactly(text, entry.line), None)
    if line is None:
        raise Changed(path)
    if new is None:
        return _bytes(bom + _removed(text, line.start, line.end))
    return _bytes(bom + text[: line.start] + _edited(entry, new, tz, agents) + text[line.end :])


def _removed(text: str, start: int, end: int) -> str:
    """The text from before `add` added the line; else the text without the line."""
    line, ahead, rest = text[start:end], text[:start], text[next_line(text, end) :]
    if rest.startswith("- "):  # not the last one in its place: it came alone
        return ahead + rest
    befores = [f"{it}{rest}" for it in _shorter(ahead)]
    made = ahead.rstrip("\r\n")
    if made.endswith(HEADING) and len(ahead) - len(made) <= 2:
        befores += [made[: -len(HEADING)].removesuffix(it) for it in ("", "\n", "\r\n", "\n\n", "\r\n\r\n") if not rest]
        befores += [rest[rest.find("\n") + 1 :]] if made == HEADING else []
    # An empty file would look like an unfinished save, so the heading is kept.
    return next((it for it in befores if it.strip() and _added(it, line) == text), ahead + rest)


def _shorter(text: str) -> Iterator[str]:
    """The text without its last one to four line breaks."""
    for cut in range(1, 5):
        if text[-cut : len(text) - cut + 1] not in ("\r", "\n"):
            return
        yield text[:-cut]


def _edited(old: Entry, new: Entry, tz: tzinfo, agents: Container[str]) -> str:
    """The old entry's line with each part that differs put in its place."""
    line = old.line
    it = read(line, old.at or datetime(2000, 1, 1, tzinfo=UTC), tz, agents)
    if it is None:
        raise Changed("ledger")
    if old.ticked and not new.ticked and line == render(old, tz):  # a command's tick: without it there was no box
        return render(new, tz)
    places, edits = it.places, list[tuple[int, int, str]]()
    behind = places.get("behind") or places.get("spawner") or places.get("agent") or places["task"]
    here = (behind[1], behind[1])
    if new.ticked != old.ticked:
        mark, at = "x" if new.ticked else " ", places.get("lead", (0, 2))[1]
        edits.append((*places["box"], mark) if "box" in places else (at, at, f"[{mark}] "))
    whose = f" for {new.spawner}" if new.spawner and new.spawner != old.spawner else ""
    if new.agent and "agent" not in places:
        edits.append((*here, f" delegated to {new.agent}{whose},"))
    elif new.agent and new.agent != old.agent:
        edits.append((*places["agent"], new.agent))
    if whose and "agent" in places:
        edits.append((*places["spawner"], str(new.spawner)) if "spawner" in places else (*here, whose))
    if new.at and not old.unread:
        edits += _timed(line, places, old, new, words.render_local(new.at, tz), here)
    if old.at and new.at is None:  # the words that name the time go with it
        start = places["verb"][0] if "verb" in places else places["at"][0]
        edits.append((len(line[:start].rstrip(" ,")), places["at"][1], ""))
    for start, end, text in sorted(edits, reverse=True):
        line = line[:start] + text + line[end:]
    return line


def _timed(
    line: str, places: dict[str, Span], old: Entry, new: Entry, when: str, here: Span
) -> Iterator[tuple[int, int, str]]:
    """The edits that make a line say when to look, and whether to wait until then."""
    is_later = new.at != old.at or (new.dated and not old.dated)
    verb, at = places.get("verb"), places.get("at")
    said = line[slice(*verb)].lower() if verb else ""
    if verb and new.verb is not old.verb:
        said = _verb(new)
        yield (*verb, said)
    if is_later and at:
        yield (*at, when)
    elif is_later and verb:
        yield (verb[1], verb[1], f" {when}" if said.endswith(PROMISING) else f" at {when}")
    elif is_later:
        yield (*here, f", {_verb(new)} {when}")
