"""Reports about a task's work: where the report begins, and its critical findings.

It is data of its author: shortened here, and quoted or marked wherever it is shown.
"""

import re
from collections.abc import Container, Iterator
from typing import Final

from claw_files.core.lazy_regex import pattern
from claw_files.formats.text_lines import visible_at

LINES, LETTERS = 15, 1_500  # of a report, in the news of an ending
MOST = 5  # critical findings of one text
FINDING_LETTERS: Final = 300
_LEAD = r"[-*+>#\s]{0,12}(?:[0-9]{1,3}[.)]\s+)?[^\w\s\[(|]{0,6}\s{0,3}[*_\[(]{0,3}"
_NOUN = (
    r"(?:issues?|findings?|bugs?|problems?|errors?|vulnerabilit(?:y|ies)|alerts?|risks?|blockers?"
    r"|befunde?|fehler|probleme?|lücken?|sicherheitslücken?|risiken|punkte?)"
)
_WORD = rf"(?:critical|kritische?[rsn]?)(?:[ -]{_NOUN})?"
_LABEL = pattern(
    rf"{_LEAD}{_WORD}[*_\])]{{0,3}}\s{{0,3}}(?:\([^)]{{0,20}}\))?[*_]{{0,3}}\s{{0,3}}(?:[:–—]|-\s|\]\s?)(?P<rest>.*)",
    re.IGNORECASE,
)
_MARK = pattern(r"[-*+#\s]{0,12}[^\w\s\[]{0,4}\s{0,3}[*_]{0,3}\[(?:critical|kritisch)\](?P<rest>.*)", re.IGNORECASE)
_HEADING = pattern(
    rf"#{{1,6}}\s+[^\w\s]{{0,6}}\s*[*_]{{0,3}}{_WORD}[*_:\s]{{0,6}}(?:\([^)]{{0,20}}\))?[*_:\s]{{0,6}}", re.I
)
_SEVERITY = pattern(
    r"[-*+\s]{0,12}[*_]{0,3}(?:severity|schweregrad)[*_]{0,3}\s*[:=][*_\s]{0,6}[^\w\s]{0,4}\s*(?:critical|kritisch)\b.*",
    re.IGNORECASE,
)
_CELL = pattern(r"[*_\s]*[^\w\s|]{0,4}\s*(?:critical|kritisch)[*_\s]*", re.IGNORECASE)
_NONE = pattern(
    r"[\W_]*(?:none|no|nothing|0|zero|n/?a|keine?r?s?|nichts|not? found)?\b"
    r"(?:\s+(?:found|gefunden|issues?|known))?[\W_]*",
    re.IGNORECASE,
)
_TOP = pattern(r"[-*\s]{0,6}[*_]{0,3}(?:status|state|eta|completed|assignee|outputs?)[*_]{0,3}\s*[:=].*", re.IGNORECASE)


def beginning(text: str, task: str, asked: Container[str] = ()) -> tuple[str, bool]:
    """The first lines of the report in the text of a status file or result, and whether there is more.

    Left out are the heading with the task's id, statements above the report, and lines that were `asked` for.
    """
    kept: list[str] = []
    size = 0
    for line in text.splitlines():
        plain = line.strip()
        is_named = plain.lstrip("#-* ").lower().startswith(task.lower())  # the task's heading or state
        is_top = not kept and (not plain or is_named or _TOP.fullmatch(plain[:200]))
        if is_top or (plain and plain in asked) or (not plain and kept and not kept[-1]):
            continue
        size += len(line) + 1
        if len(kept) >= LINES or size > LETTERS:
            return ("\n".join(kept) or line[:LETTERS]).strip(), True
        kept.append(line.rstrip())
    return "\n".join(kept).strip(), False


def critical(text: str, asked: Container[str] = ()) -> tuple[str, ...]:
    """The critical findings of the text, each as one line of at most 300 letters; the first five, without repeats.

    That is a label ("CRITICAL: ...", "[critical] ..."), what stands below a heading ("## Critical issues"), a line
    "Severity: critical" with what stands above it, a row of a table with a cell "critical"; in German, too. Lines in
    fences and comments and those that were `asked` for do not count, nor does "Critical: none".
    """
    if "critical" not in (low := text.lower()) and "kritisch" not in low:
        return ()
    lines = [line for line in _lines(text) if line not in asked]
    found = (
        " ".join(words.replace("**", "").split())[:FINDING_LETTERS]
        for at in range(len(lines))
        for words in _finding(lines, at)
    )
    return tuple(dict.fromkeys(filter(None, found)))[:MOST]


def _lines(text: str) -> Iterator[str]:
    starts = [0, *(found.end() for found in re.finditer("\n", text))]
    return (line.shown.strip()[:400] for line in visible_at(text, starts))


def _finding(lines: list[str], at: int) -> Iterator[str]:
    line = lines[at]
    if _HEADING.fullmatch(line):
        below = _below(lines, at)
        if below and not _NONE.fullmatch(below):
            yield f"{line.lstrip('#* ')}: {below}"
    elif label := _LABEL.match(line) or _MARK.match(line):
        rest = label["rest"].strip("*_ ")
        if not rest:
            line, rest = f"{line} {_below(lines, at)}", _below(lines, at)
        if not _NONE.fullmatch(rest):
            yield line.lstrip("#-*+> ")
    elif _SEVERITY.fullmatch(line):
        above = next((it for it in reversed(lines[max(0, at - 3) : at]) if it), "")
        yield f"{above.lstrip('#-*+ ')} ({line.lstrip('-*+ ')})" if above else line
    elif line.startswith("|") and any(_CELL.fullmatch(cell) for cell in line.strip("|").split("|")[:12]):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not all(_CELL.fullmatch(cell) or _NONE.fullmatch(cell) for cell in cells):
            yield " | ".join(cells)


def _below(lines: list[str], at: int) -> str:
    """The lines below a heading or label, up to the next heading: at most three."""
    below: list[str] = []
    for line in lines[at + 1 : at + 12]:
        if line.startswith("#") or (not line and below):
            break
        below += [line] if line else []
    return "; ".join(below[:3])
