"""The coordinator's ledger, HEARTBEAT.md: which tasks are delegated, and when to look at each.

People keep other things in the same file. Only lines that are entries are ever touched; bytes that are not UTF-8 are
carried through unread. One form is written, all the ways in which people write it are read.
"""

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import msgspec

from claw_files import instants, words
from claw_files.documents.lines import Line, exactly, headings, visible, visible_at
from claw_files.errors import BadId, BadValue, Changed
from claw_files.model import AgentId, Entry, TaskId, Value, Verb
from claw_files.patterns import pattern

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

_BOM: Final = "\ufeff"  # what editors on Windows put before the first line
HEADING: Final = "## Delegations"
_OURS = pattern(r"#{1,6}[ \t]+Delegations\b", re.IGNORECASE)
_ANY_HEADING = pattern(r"#{1,6}[ \t]")

_DECORATION = "[*_`\"'~✅✔☑🚧⏳🔴🟡🟢\ufe0f \t]{0,8}+"
_PREFIX = rf"^(?P<prefix>[ \t]*+(?:(?:[-*+]|[0-9]{{1,3}}[.)])[ \t]++)?+(?:\[(?P<box>[ xX])\][ \t]++)?+){_DECORATION}"
_TASK = r"(?P<task>[A-Za-z0-9][A-Za-z0-9._-]{0,63}+)"
_CANDIDATE = pattern(rf"{_PREFIX}{_TASK}(?=[^A-Za-z0-9/\\]|$)", re.MULTILINE)
_HINT = pattern(  # most lines of a long file are no entries and should cost next to nothing
    rf"{_CANDIDATE.pattern}(?=[^\n]*?(?:→|⇒|->|=>|(?i:delegated|assigned|handed|wait|until|check|due)))", re.MULTILINE
)
_NAME = r"[*_`\"' ]{0,4}@?(?P<%s>[A-Za-z0-9][A-Za-z0-9._-]{0,63}+)"
_AGENT = pattern(
    r"(?:\b(?:delegated|assigned|handed(?: over)?)[ \t]+to\b|(?P<arrow>→|⇒|->|=>))[ \t]*"
    + _NAME % "agent"
    + r"(?:[*_`\"' ]{0,4}[ \t]for[ \t]+"
    + _NAME % "spawner"
    + r")?(?(arrow)(?=[*_`\"' \t]*(?:$|[\[,;(.:–—-]|(?:check|wait|until|due)\b)))",
    re.IGNORECASE,
)
_VERB = pattern(
    r"\b(?:(?P<wait>wait(?:ing)?(?:[ \t]+until)?|until)|check(?:[ \t]+(?:at|again|back|on|by))*|due)\b", re.IGNORECASE
)
_ALONE = pattern(r"[\s,:–—-]*(?:check|wait)[\s.]*", re.IGNORECASE)
_CLOCK = r"[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?(?:[ \t]?[ap]m\b)?(?:[ \t]?(?:Z\b|UTC\b|GMT\b|[+-][0-9]{2}:?[0-9]{2}))?"
_AT = pattern(
    rf"(?P<date>[0-9]{{4}}-[0-9]{{1,2}}-[0-9]{{1,2}})(?:(?:[ \t]*T|[ \t,]+(?:at[ \t]+)?)(?P<clock>{_CLOCK}))?"
    rf"|(?P<bare>{_CLOCK})"
    r"|(?:\+|\bin[ \t]+)(?P<later>[0-9]{1,5}[ \t]?(?:h(?:ours?)?|m(?:in(?:ute)?s?)?|s|d(?:ays?)?)\b)",
    re.IGNORECASE,
)


class _Read(Value, frozen=True):
    """An entry with what of its line was understood: `line[:prefix]` stays, and so does `tail`."""

    entry: Entry
    prefix: str
    tail: str


def entries(
    raw: bytes,
    file_time: datetime,
    tz: "ZoneInfo",
    prefix: str,
    known: Callable[[TaskId], bool],
    only: TaskId | None = None,
) -> tuple[Entry, ...]:
    """The ledger's entries in their order; lines in code fences and comments, and what is no entry, are left out.

    A line is an entry if it begins with a task id (behind bullet, box or bold) and says who has it or when to look.
    A time that cannot be read counts as none: the task is looked at now, and its line written anew.

    Args:
        file_time: aware; a bare time is its first occurrence after one hour before it, and `dated` is False.
        prefix: ids that begin with it count ("TC"); others if `known` says that the task exists.
        only: the entries of this task alone; the lines of others cost nothing.
    """
    if only is not None and only.lower().encode() not in raw.lower():
        return ()
    bom, text = _split_bom(raw)
    lines = visible(text, _HINT) if only is None else visible_at(text, _starts_naming(raw, only, len(bom)))
    read = (_read(line, file_time, tz) for line in lines)
    if only is not None:
        read = (it for it in read if it and it.entry.task == only)
    return tuple(it.entry for it in read if it and (_has_prefix(it.entry.task, prefix) or known(it.entry.task)))


def _starts_naming(raw: bytes, task: TaskId, skipped: int) -> Iterator[int]:
    """Where the lines begin that the id stands in, in any case, as places in the text without its first `skipped`."""
    low, name = raw.lower(), task.lower().encode()
    at = low.find(name)
    while at >= 0:
        start = raw.rfind(b"\n", 0, at) + 1
        yield max(0, (start if raw.isascii() else len(_text(raw[:start]))) - skipped)
        end = low.find(b"\n", at)
        at = low.find(name, end) if end >= 0 else -1


def duplicates(found: tuple[Entry, ...]) -> tuple[Entry, ...]:
    """The entries that are not the first of their task: the first acts, these are to be reported."""
    first: dict[TaskId, Entry] = {}
    return tuple(entry for entry in found if first.setdefault(entry.task, entry) is not entry)


def _has_prefix(task: TaskId, prefix: str) -> bool:
    return re.fullmatch(rf"{re.escape(prefix)}-[0-9]+", task, re.IGNORECASE | re.ASCII) is not None


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _split_bom(raw: bytes) -> tuple[str, str]:
    """The byte order mark or nothing, and the text behind it."""
    text = _text(raw)
    return (_BOM, text[1:]) if text.startswith(_BOM) else ("", text)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _read(line: Line, file_time: datetime, tz: "ZoneInfo") -> _Read | None:
    found = _CANDIDATE.match(line.shown)
    if not found:
        return None
    rest = line.shown[found.end() :]
    agent = _AGENT.search(rest)
    if agent and words.state(agent["agent"]):  # "TC-89 -> done" says where it stands, not who has it
        agent = None
    verb = _VERB.search(rest, agent.end() if agent else 0)
    at = _AT.search(rest, verb.end()) if verb else None
    moment, dated = _moment(at, file_time, tz)
    promised = verb and (moment or verb[0].lower().endswith(("at", "until")) or _ALONE.fullmatch(rest))
    last = at if at and moment else verb or agent
    if not last or not (agent or promised):
        return None
    try:
        entry = _entry(found, agent, verb, line.text)
    except BadId:
        return None
    tail = _remark(rest[last.end() :], line.text)
    return _Read(entry=msgspec.structs.replace(entry, at=moment, dated=dated), prefix=found["prefix"], tail=tail)


def _remark(rest: str, line: str) -> str:
    """What a person wrote behind the part we understand, and the comments in the line."""
    tail = rest.strip().lstrip(")]*_`.,;\"' ")
    if tail.count(")") > tail.count("("):
        tail = tail.removesuffix(")")
    return " ".join([tail.strip(), *re.findall(r"<!--.*?-->", line)]).strip()


def _entry(found: re.Match[str], agent: re.Match[str] | None, verb: re.Match[str] | None, line: str) -> Entry:
    return Entry(
        task=words.task_id(found["task"].rstrip("._")),
        agent=_agent(agent["agent"]) if agent else None,
        spawner=_agent(agent["spawner"]) if agent and agent["spawner"] else None,
        verb=Verb.WAIT if verb and verb["wait"] else Verb.CHECK,
        ticked=(found["box"] or " ") in "xX",
        line=line,
    )


def _agent(name: str) -> AgentId:
    return words.agent_id(name.rstrip("._-"))


def _moment(at: re.Match[str] | None, file_time: datetime, tz: "ZoneInfo") -> tuple[datetime | None, bool]:
    """When to look, and whether the line says so with its date."""
    if not at:
        return None, True
    if at["date"]:
        text = f"{at['date']} {at['clock']}" if at["clock"] else at["date"]
    else:
        text = at["bare"] or f"in {at['later']}"
    moment = _instant(text, file_time, tz)
    return moment, bool(at["date"] or not moment)


@lru_cache(256)  # many lines, few times
def _instant(text: str, file_time: datetime, tz: "ZoneInfo") -> datetime | None:
    try:
        return instants.instant(text, file_time, tz)
    except BadValue:
        return None


# --- writing ---------------------------------------------------------------------------------------------------------


def render(entry: Entry, tz: "ZoneInfo") -> str:
    """The entry in our one form, without line ending: "- TC-89 delegated to peter, check at 2026-03-07 10:00"."""
    return f"- {'[x] ' if entry.ticked else ''}{_core(entry, tz)}"


def _core(entry: Entry, tz: "ZoneInfo") -> str:
    who = f" delegated to {entry.agent}" if entry.agent else ""
    who += f" for {entry.spawner}" if entry.agent and entry.spawner else ""
    verb = ("wait until" if entry.verb is Verb.WAIT else "check at") if entry.at else entry.verb.value
    when = f" {words.render_local(entry.at, tz)}" if entry.at else ""
    return f"{entry.task}{who}{',' if who else ''} {verb}{when}"


def add(raw: bytes, entry: Entry, tz: "ZoneInfo") -> bytes:
    """The ledger with one more line at the end of `## Delegations`, which is made where it is missing.

    Every byte that was there stays, a missing final newline included.
    """
    bom, text = _split_bom(raw)
    newline = "\r\n" if "\r\n" in text[: text.find("\n") + 1] else "\n"
    line = render(entry, tz)
    for at, added in _places(text, line, newline):
        new = text[:at] + added + text[at:]
        if any(exactly(new, line)):
            return _bytes(bom + new)
    raise Changed("ledger")  # unreachable: the top of the file is in no fence


def _places(text: str, line: str, newline: str) -> list[tuple[int, str]]:
    """Where the line could go, best first: (index, what to put there). A fence left open spoils the first ones."""
    top = (0, f"{HEADING}{newline}{newline}{line}{newline}" + (newline if text else ""))
    heading = next((it for it in headings(text) if _OURS.match(it.text)), None)
    if heading is None:
        return [_at_end(text, f"{HEADING}{newline}{newline}{line}", newline, paragraph=True), top]
    below = next((it for it in headings(text[heading.end :]) if _ANY_HEADING.match(it.text)), None)
    stop = heading.end + below.start if below else len(text)
    used = len(text[:stop].rstrip())
    under = _line_end(text, heading.end)
    first = (under, line + newline) if text[:under].endswith("\n") else (under, newline + line)
    if used <= heading.end:
        blank = "" if not below and not text[under:].strip("\r\n") and text[under:] else newline
        empty = (
            _line_end(text, under) if not blank else under,
            line + newline if not blank else newline + line + newline,
        )
        return [empty if text[:under].endswith("\n") else _at_end(text, line, newline, paragraph=True), first, top]
    at = _line_end(text, used)
    last = (at, line + newline) if text[:at].endswith("\n") else (at, newline + line)
    return [last, first, top]


def _at_end(text: str, added: str, newline: str, paragraph: bool) -> tuple[int, str]:
    if not text or text.endswith("\n"):
        return len(text), (newline if paragraph and text.strip() else "") + added + newline
    return len(text), newline * (2 if paragraph else 1) + added


def _line_end(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end + 1


def replace(raw: bytes, entry: Entry, new: Entry | None, tz: "ZoneInfo", path: str = "HEARTBEAT.md") -> bytes:
    """The ledger with `entry.line` rewritten for `new`, or without it (None). Every other byte stays.

    The line is found by its text, never by a number; of several equal ones the first counts. Its indent, bullet and
    check box stay as they are (the box follows `new.ticked`), and so does a remark behind the time; the rest becomes
    our one form.

    Raises Changed where the line is gone: the person who changed it wins, and the entry is planned anew.
    """
    bom, text = _split_bom(raw)
    line = next(exactly(text, entry.line), None)
    if line is None:
        raise Changed(path)
    if new is None:
        return _bytes(bom + text[: line.start] + text[_line_end(text, line.end) :])
    return _bytes(bom + text[: line.start] + _rewritten(line, new, tz) + text[line.end :])


def _rewritten(line: Line, new: Entry, tz: "ZoneInfo") -> str:
    reference = new.at or datetime.fromisoformat("2000-01-01T00:00:00+00:00")
    old = _read(line, reference, tz)
    if old is None:
        return render(new, tz)
    box = re.sub(r"\[[ xX]\]", "[x]" if new.ticked else "[ ]", old.prefix)
    box += "[x] " if new.ticked and "[" not in box else ""
    plain = box + _core(new, tz)
    for text in (f"{plain} {old.tail}" if old.tail else plain, plain):
        again = _read(Line(start=0, end=len(text), text=text, shown=text), reference, tz)
        if again and (again.entry.agent, again.entry.at, again.entry.verb) == (new.agent, new.at, new.verb):
            return text
    return plain
