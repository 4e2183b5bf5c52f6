"""The lines of a Markdown text that speak: outside code fences and HTML comments. Linear, whatever the text holds."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from claw_files.core.lazy_regex import pattern
from claw_files.core.model import Value
from claw_files.formats.parse_cache import lately

LINE_LIMIT: Final = 2_000  # characters; nobody writes a state or an entry in a longer line

# The info string behind a fence is looked at, not consumed: it may hold the end of a comment.
_TOKEN = pattern(
    r"^(?P<lead>[ \t]*+(?:(?:[-*+]|[0-9]{1,9}[.)])[ \t]++)?+)"
    r"(?:(?P<fence>`{3,}+|~{3,}+)(?=(?P<info>[^\n]*))|(?P<block><!--))"
    r"|<!--|-->",
    re.MULTILINE,
)


Spans = list[tuple[int, int]]


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
    fence, comment, start, ends, open_until = "", False, 0, -1, -1
    for token in _TOKEN.finditer(text):
        if comment:
            if token[0] == "-->":
                spans.append((start, token.end()))
                comment = False
        elif fence:
            mark = token["fence"]
            if mark and mark.startswith(fence) and not token["info"].strip():
                spans.append((start, token.end()))
                fence = ""
        elif mark := token["fence"]:
            if mark[0] == "~" or "`" not in token["info"]:
                fence, start = mark, token.start()
        elif token["block"]:
            comment, start = True, token.end() - 4
        elif token[0] == "<!--" and token.start() >= open_until:
            # Inside a line a comment counts only if the line also ends it: one "<!--" in prose must not hide the rest.
            ends = ends if ends >= token.end() else line_end(text, token.end())
            if text.find("-->", token.end(), ends) >= 0:
                comment, start = True, token.start()
            else:
                open_until = ends
    if fence or comment:
        spans.append((start, len(text)))
    return spans


def has_marks(text: str) -> bool:
    """Whether the text holds what opens or closes a fence or comment; a cheap look, one letter first."""
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
    """The lines that are this one, letter for letter, outside fences and comments."""
    return (found for found in visible_at(text, _begun(text, line)) if found.text == line)


def _begun(text: str, start: str) -> Iterator[int]:
    """Where the lines begin that begin with `start`: found, not tried, so that long texts cost little."""
    at = text.find(start)
    while start and at >= 0:
        if at == 0 or text[at - 1] == "\n":
            yield at
        at = text.find(start, at + len(start))


def visible_at(text: str, starts: Iterable[int], spans: Spans | None = None) -> Iterator[TextLine]:
    """The lines that begin at `starts`, which rise, outside fences and comments; none over `LINE_LIMIT`.

    `spans` is what `hidden` says of the text, where that is known already.
    """
    at = 0
    for start in starts:
        if spans is None:
            spans = hidden(text) if has_marks(text) else []
        end = text.find("\n", start)
        end = end if end >= 0 else len(text)
        if end - start > LINE_LIMIT:
            continue
        while at < len(spans) and spans[at][1] <= start:
            at += 1
        if at < len(spans) and spans[at][0] <= start < spans[at][1]:
            continue
        whole = text[start:end].removesuffix("\r")
        is_touched = at < len(spans) and spans[at][0] < end
        shown = _without(whole, start, spans[at:]) if is_touched else whole
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
    """Where the line that holds `at` ends, in front of its "\\n"."""
    end = text.find("\n", at)
    return len(text) if end < 0 else end


def next_line(text: str, at: int) -> int:
    """Where the line behind the one that holds `at` begins; the text's end behind the last one."""
    return min(line_end(text, at) + 1, len(text))
