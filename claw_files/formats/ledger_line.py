"""One line of the ledger: its entry, the positions of its parts, and the unclear parts."""

import re
from collections.abc import Container, Iterable
from datetime import datetime, tzinfo
from functools import lru_cache
from typing import Final

from claw_files.core import instants
from claw_files.core import text as words
from claw_files.core.errors import BadId, BadValue
from claw_files.core.lazy_regex import pattern
from claw_files.core.model import Entry, Value, Verb
from claw_files.core.workflow import BUILT_IN
from claw_files.formats.vocabulary import state as state_of

# What Obsidian Tasks, GitHub and other tools mean by a box. "[~]" is in use for "not wanted" and for "half done".
TICKED: Final = frozenset(("x", "X", "✓", "✔", "✅"))
OPEN: Final = frozenset(("", "/", ">", "<", "!", "?", "*", "@"))
NOT_WANTED: Final = "-"
_HIDING: Final = (("<!--", "-->"), ("~~", "~~"), ("<del>", "</del>"), ("<s>", "</s>"))

_DECORATION = "[*_`\"'~✅✔☑🚧⏳🔴🟡🟢\ufe0f \t]{0,8}+"
_ID = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}+"
_CANDIDATE = pattern(
    r"^(?P<lead>[ \t]*+(?:(?:[-*+]|[0-9]{1,3}[.)])[ \t]++)?+)(?:\[(?P<box>[^\[\]\n]{0,2})\](?!\()[ \t]++)?+"
    rf"{_DECORATION}(?P<link>\[\[(?:[^\[\]|\n]{{0,150}}/)?|\[)?(?P<task>{_ID})(?=[^A-Za-z0-9/\\]|$)",
    re.MULTILINE,
)
_KEYWORDS = "delegated|assigned|handed|wait|until|check|due|delegiert|zugewiesen|warten|bis|prüfen|nachsehen|fällig"
HINT = pattern(  # most lines of a long file are no entries and should cost next to nothing
    rf"{_CANDIDATE.pattern}(?=[^\n]*?(?:→|⇒|->|=>|(?i:{_KEYWORDS})))", re.MULTILINE
)
_LINK_END: Final = {
    "[": pattern(r"[^\[\]\n]{0,200}\](?:\([^()\n]{0,300}\))?"),
    "[[": pattern(r"[^\[\]\n]{0,200}\]\]"),
}
_NAME = rf"[*_`\"' \[]{{0,4}}@?(?P<%s>{_ID})"
_CLOSING = pattern(r"[*_`\"'\]]{0,4}:?")  # behind an id
_BEHIND = r"[*_`\"'\]]{0,4}(?:\([^()\n]{0,200}\))?"  # what closes the emphasis or the link around a name
_CLOSED = pattern(_BEHIND)
_NEXT = r"(?=[*_`\"'\] \t]*(?:$|[\[\],;(.:–—-]|(?:check|wait|until|due|for|prüfen|warten|bis)\b))"
_AGENT = pattern(
    r"(?:\b(?:(?:delegated|assigned|handed(?: over)?)[ \t]+to|(?:delegiert|zugewiesen)[ \t]+an"
    rf"|an(?=[ \t]+@?{_ID}[ \t]+(?:delegiert|zugewiesen|übergeben)))\b|(?P<arrow>→|⇒|->|=>))"
    rf"[ \t]*{_NAME % 'agent'}(?:[*_`\"' ]{{0,4}}[ \t]for[ \t]+{_NAME % 'spawner'})?(?(arrow){_NEXT})",
    re.IGNORECASE,
)
_NAMED = pattern(rf"[ \t:,;(–—-]*{_NAME % 'agent'}(?![A-Za-z0-9])")
_SECOND = pattern(
    rf"{_BEHIND}[ \t]*(?:(?P<comma>,)|[/&+]|\b(?:and|und|or|oder)\b)[ \t]*{_NAME % 'agent'}{_NEXT}", re.IGNORECASE
)
_VERB = pattern(
    r"\b(?:(?P<wait>wait(?:ing)?(?:[ \t]+until)?|until|warten(?:[ \t]+bis)?|bis)"
    r"|check(?:[ \t]+(?:at|again|back|on|by))*"
    r"|due|fällig|(?:prüfen|nachsehen)(?:[ \t]+(?:um|am))?)\b",
    re.IGNORECASE,
)
PROMISING: Final = ("at", "until", "bis", "um")  # words with this ending are a time
_ALONE = pattern(r"[\s,:–—-]*(?:check|wait|prüfen)[\s.]*", re.IGNORECASE)
_SAID = pattern(r"[ \t]*([^,;(<\n]{0,80})")
_BARE_NUMBER = pattern(r"[ \t]*([0-9]{1,4})[ \t]*(?:$|[,;.)])")
_GAP: Final = " \t:=~`*_\"'(,@"
_BREAK = pattern(r"[();,.–—]|[ \t]-[ \t]")
_PLAIN = pattern(  # at once behind the verb, with nothing behind it that could belong to it
    r"[ \t]*((?:[0-9]{4}-[0-9]{2}-[0-9]{2} )?[0-9]{2}:[0-9]{2})(?=[ \t]*(?:$|[);–—]))"
)
_FAR: Final = 200  # characters behind the verb, where a time is looked for
# As `render` writes it: most lines, and the cheapest to read.
_OURS = pattern(
    rf"- (?:\[(?P<box>[ xX])\] )?(?P<task>{_ID})(?: delegated to (?P<agent>{_ID})(?: for (?P<spawner>{_ID}))?,)? "
    r"(?P<verb>check at|(?P<wait>wait until)) "
    r"(?P<at>[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}(?::[0-9]{2})?(?: [+-][0-9]{2}:[0-9]{2})?)"
)

Span = tuple[int, int]


class LedgerLine(Value, frozen=True):
    """A line that is an entry: the positions of its parts, and its unclear parts."""

    entry: Entry
    places: dict[str, Span]  # lead, box, task, agent, spawner, verb, at; `behind` is the end of what tells who has it
    odd: tuple[Span, ...] = ()
    hint: str = ""  # the suggested wording


def read(line: str, file_time: datetime, tz: tzinfo, agents: Container[str] = ()) -> LedgerLine | None:
    """The entry in a line without its line break; None if it is not an entry, struck out, or its box is `[-]`.

    Args:
        file_time: aware; a bare time is its first occurrence after one hour before it.
        agents: the names of those who are known; empty means that every name is taken.
    """
    ours = _OURS.fullmatch(line)
    if ours and not (ours["agent"] and _is_state(ours["agent"])):
        moment, _, _ = _moment(ours["at"], file_time, tz)
        if moment:
            places = {name: ours.span(name) for name in ("box", "task", "agent", "spawner", "verb", "at") if ours[name]}
            return _built(line, places, bool(ours["wait"]), (moment, True), agents)
    shown = _shown(line)
    found = _CANDIDATE.match(shown)
    if not found or found["box"] == NOT_WANTED:
        return None
    places = {"lead": found.span("lead"), "task": found.span("task")}
    if found["box"] is not None:
        places["box"] = found.span("box")
    end = found.end()
    link = _LINK_END[found["link"][:2]].match(shown, end) if found["link"] else None
    return _rest(line, shown, places, link.end() if link else end, file_time, tz, agents)


def _rest(
    line: str,
    shown: str,
    places: dict[str, Span],
    end: int,
    file_time: datetime,
    tz: tzinfo,
    agents: Container[str],
) -> LedgerLine | None:
    """The text after the task's id: the agent and the check time."""
    agent = _AGENT.search(shown, end)
    if agent and _is_state(agent["agent"]):  # "TC-89 -> done" says where it stands, not who has it
        agent = None
    named = None if agent else _NAMED.match(shown, end)
    if named and named["agent"].lower() not in agents:
        named = None
    if who := agent or named:
        places |= {name: who.span(name) for name in ("agent", "spawner") if who.groupdict().get(name)}
    closing = _CLOSED.match(shown, who.end()) if who else _CLOSING.match(shown, end)
    places["behind"] = closing.span() if closing else (end, end)
    verb = _VERB.search(shown, who.end() if who else end)
    time = _time(shown, verb, agent is not None) if verb else None
    is_alone = bool(verb and _ALONE.fullmatch(shown, end))
    if not agent and not time and not is_alone and not (verb and verb[0].lower().endswith(PROMISING)):
        return None
    if verb and (time or is_alone or verb[0].lower().endswith(PROMISING)):
        places["verb"] = verb.span()
    if time is None:
        hint = ""
        if who and not verb and (bare := _bare_time(shown, who.end())):
            places["at"], hint = bare, f'"check at {shown[slice(*bare)]}", if that is meant'
        return _built(line, places, bool(verb and verb["wait"]), (None, True), agents, hint)
    places["at"] = time[:2]
    moment, dated, hint = _moment(shown[time[0] : time[1]], file_time, tz) if time[2] else (None, True, "one time")
    return _built(line, places, bool(verb and verb["wait"]), (moment, dated), agents, hint)


def _time(shown: str, verb: "re.Match[str]", has_agent: bool) -> tuple[int, int, bool] | None:
    """The check time in the line, and whether it is one expression; None without one."""
    if plain := _PLAIN.match(shown, verb.end()):
        return (*plain.span(1), True)
    promises = verb[0].lower().endswith(PROMISING)
    found = instants.find(shown, verb.end(), verb.end() + _FAR)
    runs = [it for it in found if not shown.startswith(("'s", "’s"), it.end)]
    first = runs[0] if runs else None
    is_next = first is not None and not shown[verb.end() : first.start].strip(_GAP)
    if first and (is_next or first.is_plain or has_agent or promises):
        end, is_one = first.end, True
        while shown[end : end + 1].isalnum():
            end += 1
        for other in runs[1:2]:
            if not _BREAK.search(shown, end, other.start) or (other.has_clock and not first.has_clock):
                end, is_one = other.end, False
        return first.start, end, is_one
    said = _SAID.match(shown, verb.end()) if promises else _BARE_NUMBER.match(shown, verb.end())
    if said and said[1].strip(_GAP):
        return said.start(1), said.start(1) + len(said[1].rstrip()), True
    return None


def _bare_time(shown: str, start: int) -> Span | None:
    """A time that ends the line and stands alone behind who has the task: when to look, or since when?"""
    found = next(instants.find(shown, start, start + _FAR), None)
    if found and not shown[start : found.start].strip(_GAP) and not shown[found.end :].strip(_GAP + ".)"):
        return found.start, found.end
    return None


def _built(
    line: str,
    places: dict[str, Span],
    waits: bool,
    when: tuple[datetime | None, bool],
    agents: Container[str],
    hint: str = "",
) -> LedgerLine | None:
    box = line[slice(*places["box"])].strip() if "box" in places else ""
    names = {name: line[slice(*places[name])].rstrip("._-") for name in ("agent", "spawner") if name in places}
    places |= {name: (places[name][0], places[name][0] + len(text)) for name, text in names.items()}
    is_unread = "at" in places and when[0] is None
    try:
        entry = Entry(
            task=words.task_id(line[slice(*places["task"])].removesuffix(".md").rstrip("._")),
            agent=words.agent_id(names["agent"]) if "agent" in names else None,
            spawner=words.agent_id(names["spawner"]) if "spawner" in names else None,
            verb=Verb.WAIT if waits else Verb.CHECK,
            at=when[0],
            dated=when[1] or when[0] is None,
            ticked=box in TICKED,
            unread=is_unread,
            line=line,
        )
    except BadId:
        return None
    odd, hints = list[Span](), list[str]()
    if box not in TICKED | OPEN or (box == ">" and "at" not in places):
        odd.append((places["box"][0] - 1, places["task"][1]))
        hints.append('write "[ ]", "[x]" or "[-]" (not wanted)' if box != ">" else "write until when it is put off")
    if wrong := _agents(line, places, entry, agents):
        odd.append(wrong)
        known = ", ".join(sorted(agents)[:8]) if isinstance(agents, Iterable) else ""
        hints.append(f"write one agent that clawfiles.toml names: {known}" if known else "write one agent")
    if is_unread:
        odd.append((places["task"][0], places["at"][1]))
        hints.append(f"write {hint}" if hint else "write one time")
    return LedgerLine(entry=entry, places=places, odd=tuple(odd), hint="; ".join(hints))


def _agents(line: str, places: dict[str, Span], entry: Entry, agents: Container[str]) -> Span | None:
    """The position of an unknown name, or of a second one."""
    if entry.agent is None:
        return None
    start, end = places["task"][0], places["agent"][1]
    second = _SECOND.match(_shown(line), end)
    if second and not (second["comma"] and second["agent"].lower() not in agents):
        return start, second.end()
    return (start, end) if agents and entry.agent not in agents and entry.agent != BUILT_IN else None


@lru_cache(256)
def _is_state(name: str) -> bool:
    return state_of(name) is not None


@lru_cache(256)  # many lines, few times
def _moment(text: str, file_time: datetime, tz: tzinfo) -> tuple[datetime | None, bool, str]:
    """The check time, whether the text has its date, and otherwise what to write."""
    try:
        return (*instants.read(text, file_time, tz), "")
    except BadValue as error:
        return None, True, error.wanted


def _shown(line: str) -> str:
    """The line with comments and struck text blanked, so that positions are those of the line."""
    for opening, closing in _HIDING:
        at = line.find(opening)
        while at >= 0 and (end := line.find(closing, at + len(opening))) >= 0:
            end += len(closing)
            line = line[:at] + " " * (end - at) + line[end:]
            at = line.find(opening, end)
    return line
