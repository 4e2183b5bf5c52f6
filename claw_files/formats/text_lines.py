"""The lines of a Markdown text outside code fences and HTML comments, found in linear time."""

import re
import sys
from collections.abc import Iterable, Iterator
from typing import Final

from claw_files.core.lazy_regex import pattern
from claw_files.core.model import Value
from claw_files.formats.parse_cache import lately

LINE_LIMIT: Final = 2_000  # characters; longer lines contain no state or entry

_MARK = pattern(r"```|~~~|<!--|-->")
_LEAD = pattern(r"[ \t]*+(?:(?:[-*+]|[0-9]{1,9}[.)])[ \t]++)?+")  # in front of a fence or comment that begins its line
_FENCE = pattern(r"(?P<run>`{3,}+|~{3,}+)(?P<info>[^\n]*)")


Spans = list[tuple[int, int]]
_NO_SPAN: Final = (sys.maxsize, sys.maxsize)


class TextLine(Value, frozen=True):
    """One line of a text: `text[start:end]`, without its line ending."""

    start: int
    end: int
    text: str  # as it stands
    shown: str  # without the comments inside it


@lately
def hidden(text: str) -> list[tuple[int, int]]:
    """The spans inside code fences and HTML comments, in order. One that is never closed runs to the end."""
    spans: list[tuple[int, int]] = []
    fence, comment, start, seen, ends, open_until = "", False, 0, 0, -1, -1
    for found in _MARK.finditer(text):
        mark, at = found[0], found.start()
        line = text.rfind("\n", seen, at) + 1  # 0: the mark before it stands in the same line, or there is none
        is_first = not comment and (line or not seen) and _LEAD.fullmatch(text, line, at)
        seen = found.end()
        if comment:
            if mark == "-->":
                spans.append((start, seen))
                comment = False
        elif mark[0] in "`~":
            if is_first and (run := _FENCE.match(text, at)):
                if fence and run["run"].startswith(fence) and not run["info"].strip():
                    spans.append((start, run.end("run")))
                    fence = ""
                elif not fence and (mark[0] == "~" or "`" not in run["info"]):
                    fence, start = run["run"], line
        elif mark == "<!--" and not fence:
            if is_first:
                comment, start = True, at
            elif at >= open_until:
                # Inside a line a comment counts only if the line also ends it: one "<!--" in prose hides no more.
                ends = ends if ends >= seen else line_end(text, seen)
                if text.find("-->", seen, ends) >= 0:
                    comment, start = True, at
                else:
                    open_until = ends
    if fence or comment:
        spans.append((start, len(text)))
    return spans


def has_marks(text: str) -> bool:
    """Whether the text has a mark of a fence or comment; a cheap check, one letter first."""
    return any(mark[-1] in text and mark in text for mark in ("<!--", "```", "~~~", "-->"))


def visible(text: str, candidates: "re.Pattern[str]") -> Iterator[TextLine]:
    """The lines on which `candidates` (multi-line, beginning with ^) matches, outside fences and comments.

    Lines longer than `LINE_LIMIT` are left out.
    """
    starts = (found.start() for found in candidates.finditer(text))
    return visible_at(text, (text.rfind("\n", 0, at + 1) + 1 if text[at : at + 1] == "\n" else at for at in starts))


def headings(text: str, spans: Spans | None = None) -> Iterator[TextLine]:
    """The lines that begin with "#", outside fences and comments; `spans` as in `visible_at`."""
    return visible_at(text, _begun(text, "#"), spans)


def exactly(text: str, line: str) -> Iterator[TextLine]:
    """The lines equal to this one, outside fences and comments."""
    return (found for found in visible_at(text, _begun(text, line)) if found.text == line)


def _begun(text: str, start: str) -> Iterator[int]:
    """The starts of lines that begin with `start`, found by search, so that long texts are cheap."""
    at = text.find(start)
    while start and at >= 0:
        if at == 0 or text[at - 1] == "\n":
            yield at
        at = text.find(start, at + len(start))


def visible_at(text: str, starts: Iterable[int], spans: Spans | None = None) -> Iterator[TextLine]:
    """The lines that begin at `starts`, which rise, outside fences and comments; none over `LINE_LIMIT`.

    `spans` is what `hidden` says of the text, where that is known already.
    """
    at, low, high = 0, -1, -1  # the span that ends next, and how many were looked at
    for start in starts:
        if spans is None:
            spans = hidden(text) if has_marks(text) else []
        end = text.find("\n", start)
        end = end if end >= 0 else len(text)
        if end - start > LINE_LIMIT:
            continue
        while high <= start:
            low, high = spans[at] if at < len(spans) else _NO_SPAN
            at += 1
        if low <= start:
            continue
        whole = text[start:end].removesuffix("\r")
        shown = _without(whole, start, spans[at - 1 :]) if low < end else whole
        yield TextLine(start=start, end=start + len(whole), text=whole, shown=shown)


def _without(line: str, start: int, spans: list[tuple[int, int]]) -> str:
    shown, at = "", 0
    for low, high in spans:
        if low >= start + len(line):
            break
        shown += line[at : low - start]
        at = high - start
    return shown + line[at:]


def line_end(text: str, at: int) -> int:
    """The end of the line at `at`, before its "\n"."""
    end = text.find("\n", at)
    return len(text) if end < 0 else end


def next_line(text: str, at: int) -> int:
    """The start of the line after the one at `at`; the end of the text after the last one."""
    return min(line_end(text, at) + 1, len(text))
