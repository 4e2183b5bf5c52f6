"""Sections of a text: about the task, or about a plan, an older attempt, a step or another task."""

import re
from functools import lru_cache
from typing import Final

from claw_files.core.errors import InvalidFile
from claw_files.core.lazy_regex import pattern
from claw_files.formats.text_lines import TextLine, visible_at

_OTHER_ID = pattern(r"\b[A-Za-z][A-Za-z0-9]{0,15}-[0-9]{1,9}\b")
_KIND = pattern(
    r"(?P<own>(?:(?:current|task|final|overall|latest|my|aktueller)\s+)?(?:status|state|stand|log|progress|updates?|"
    r"results?|summary|report|conclusion|outcome|final|verlauf|fortschritt|ergebnis|bericht|zusammenfassung|"
    r"(?:mon|tues|wednes|thurs|fri|satur|sun)day|today|montag|dienstag|mittwoch|donnerstag|freitag|samstag|sonntag|"
    r"heute|[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{1,2}:[0-9]{2}|done|review|in progress)\b)"
    r"|(?P<plan>(?:the\s+|my\s+|implementation\s+|test\s+)?(?:plan|steps?\s*$|phases\s*$|to-?\s?do|todos?|next|tasks\s*$|sub-?tasks\s*$|checklist|"
    r"acceptance|criteria|definition of done|requirements?|workflow|legend|legende|akzeptanz[a-z]*|abnahme[a-z]*|"
    r"schritte\s*$|aufgaben|anforderung(?:en)?|nächste[rns]?|roadmap|agenda|instructions?|"
    r"prerequisites?|when done|what to|planung|checkliste|anleitung|voraussetzung(?:en)?|(?:noch )?zu tun)\b|"
    r"[^\n]{0,40}(?:plan|criteria|kriterien)$)"
    r"|(?P<aim>(?:goals?|outline|approach|strategy|remaining|open|backlog|schedule|timeline|deliverables?|milestones?|"
    r"later|upcoming|future|dependencies|ablauf|vorgehen|ziele?|fahrplan|zeitplan|ausblick|abhängigkeiten|offene[rns]?)\b)"
    r"|(?P<history>(?:history|changelog|change log|chronik|historie)\b)"
    r"|(?P<past>(?:old|older|previous|earlier|prior|past|first|last|examples?|template|format|how to|archived?|"
    r"alte?r?s?|frühere?r?s?|vorherige?r?s?|beispiele?|vorlage)\b)"
    r"|(?P<step>(?:step|phase|part|stage|milestone|sprint|iteration|sub-?task|task\s*\#?[0-9]|schritt|teil|etappe)\b)",
    re.IGNORECASE,
)
_BEHIND_ID = pattern(r"[*_` \])]*(?:[:=–—-]|->|→)?[*_` ]*")
_NUMBERED = pattern(r"\(?(?:[0-9]{1,3}|[IVX]{1,4}|[a-z])[.):][ \t]+")
_MARKERS = pattern(r"^(?:<{7}(?= |\r?$)|[=+]{7}(?= |\r?$)|>{7}(?= |\r?$))", re.MULTILINE)  # "+": as Jujutsu writes them
_SECTIONS: Final = {"own": "top", "aim": "?aim ", "history": "?history "}
_LEAD_IN = pattern(r"[ \t]*(?:[-*+][ \t]+)?[*_]{0,3}(?P<words>[^\n:]{2,60}?)[*_]{0,3}:?[*_]{0,3}[ \t]*")
_ITEM = pattern(r"[ \t]*(?:[-*+•]|[0-9]{1,3}[.)])[ \t]")
OF_ANOTHER: Final = frozenset(("plan", "past", "step", "other"))


def check_conflict(text: str, path: str) -> None:
    """Raises InvalidFile("conflict-markers") for merge conflict markers outside fences."""
    if "<<<<<<<" not in text or ">>>>>>>" not in text:
        return
    marks = [(line.text[0], line.start) for line in visible_at(text, (it.start() for it in _MARKERS.finditer(text)))]
    order = "".join(mark for mark, _ in marks).replace("+", "=")
    at = order.find("<")
    middle = order.find("=", at) if at >= 0 else -1
    if middle >= 0 and order.find(">", middle) >= 0:
        number = text.count("\n", 0, marks[at][1]) + 1
        reason = "it holds an unresolved merge: keep one side, and delete the lines <<<<<<<, ======= and >>>>>>>"
        raise InvalidFile(path, "conflict-markers", reason, number)


def kinds_of(found: list[TextLine], task: str) -> list[tuple[int, str]]:
    kinds = list[tuple[int, str]]()
    open_: list[tuple[int, str]] = []
    for number, line in enumerate(found):
        words = line.text.lstrip("#")
        level = len(line.text) - len(words)
        while open_ and open_[-1][0] >= level:
            open_.pop()
        kind = kind_of(words.strip(), task, level if number else 1)
        if open_ and open_[-1][1] in OF_ANOTHER and (kind == "top" or kind[0] == "?"):
            kind = open_[-1][1]  # a part of a plan is plan
        elif kind[0] == "?":
            kind += str(number)
        open_.append((level, kind))
        kinds.append((line.start, kind))
    return kinds


@lru_cache(256)
def kind_of(heading: str, task: str, level: int) -> str:
    """The kind of the lines below a heading: "top" is about the task, "?" may be, others are not."""
    plain = heading.lstrip("*_`\"'✅✔☑❌🚧⏳\ufe0f ")
    others = [found[0].lower() for found in _OTHER_ID.finditer(plain)]
    if task in others or after_id(plain, task) is not None:
        return "top"
    number = _NUMBERED.match(plain)
    found = _KIND.match(plain[number.end() :] if number else plain)
    if found:
        return _SECTIONS.get(str(found.lastgroup), str(found.lastgroup))
    if others and plain.lower().startswith(others[0]):
        return "other"
    return "step" if number else "top" if level == 1 else "?"


def is_item_of_another(text: str, start: int, task: str) -> bool:
    """Whether the line is in a list after a line like "Next steps:", which makes it a plan or an example."""
    if not _ITEM.match(text, start):
        return False
    for _ in range(40):
        end, start = start - 1, text.rfind("\n", 0, max(0, start - 1)) + 1
        line = text[start:end] if end > 0 else ""
        if end <= 0 or (line.strip("-= \t\r") and not _ITEM.match(line) and line[:1] not in " \t"):
            if not line.rstrip().endswith((":", "*", "_")) and text[end + 1 : end + 4] not in ("---", "==="):
                return False
            found = _LEAD_IN.fullmatch(line.rstrip("\r"))
            return found is not None and kind_of(found["words"].strip(), task, 2) in OF_ANOTHER
    return False


_TAG = pattern(r"<(?P<end>/?)(?P<tag>pre|code|del|s|strike)>|~~|\n[ \t]*\n", re.IGNORECASE)


def struck_or_code(text: str) -> list[int]:
    """The starts and ends of text that HTML tags or `~~` make code or struck; `~~` ends with its paragraph."""
    spans, open_ = list[tuple[int, int]](), dict[str, int]()
    for found in _TAG.finditer(text) if "~~" in text or "</" in text else ():
        tag = (found["tag"] or found[0]).lower().strip(" \t\n")
        if not tag:
            open_.pop("~~", None)
        elif tag in open_ and found["end"] != "":
            spans.append((open_.pop(tag), found.end()))
        elif not found["end"]:
            open_.setdefault(tag, found.start())
    bounds = [-1]
    for start, end in sorted(spans):
        if start > bounds[-1]:
            bounds += (start, end)
        else:
            bounds[-1] = max(end, bounds[-1])
    return bounds[1:]


def after_id(heading: str, task: str) -> str | None:
    """The text after the task's id at the beginning of a heading; None without the id."""
    plain = heading.lstrip("*_`\"'[(✅✔☑❌🚧⏳\ufe0f ")
    if plain[: len(task)].lower() != task or (
        len(plain) > len(task)
        and (
            plain[len(task)].isalnum() or (plain[len(task)] in "._" and plain[len(task) + 1 : len(task) + 2].isalnum())
        )
    ):
        return None
    behind = _BEHIND_ID.match(plain, len(task))
    return plain[behind.end() if behind else len(task) :]
