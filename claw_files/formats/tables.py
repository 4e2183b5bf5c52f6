"""Tables with a task's state: a row "Status | Done", or a column named Status."""

from collections.abc import Callable, Iterator

from claw_files.formats import phrases
from claw_files.formats.label_lines import LABEL
from claw_files.formats.phrases import NOTHING, StateStatement
from claw_files.formats.text_lines import TextLine, line_end
from claw_files.formats.vocabulary import Vocabulary

Below = Callable[[int], Iterator[TextLine]]  # the visible lines below the place in the text where a line ends


def is_head(line: TextLine, text: str) -> bool:
    """Whether the line is a table's header: the next one has only dashes in its cells."""
    start = text.find("\n", line.end) + 1
    following = text[start : line_end(text, start)] if start else ""
    return bool(following.strip()) and not following.strip("|:- \t\r")


def read(line: TextLine, text: str, below: Below, vocabulary: Vocabulary) -> StateStatement:
    """The value in the column named Status: in the row of the task's id, or in the only row."""
    if is_head(line, text):
        rows = [it.shown for it in below(line.end)][1:3]
        if _cells(line.shown)[1:2]:
            said = phrases.read(_cells(line.shown)[1], vocabulary)
            if said.state or phrases.MORE_OR_LESS in said.hint:
                return said if len(_cells(line.shown)) == 2 else NOTHING
        if not rows or not rows[0].strip().startswith("|") or (len(rows) > 1 and rows[1].strip().startswith("|")):
            return NOTHING
        head, row = _cells(line.shown), _cells(rows[0])
    else:
        head, row = _header_of(line, text), _cells(line.shown)
    for name, cell in zip(head, row, strict=False):
        if LABEL.fullmatch(name.strip("*_` ")) and cell:
            return phrases.read(cell, vocabulary)
    return NOTHING


def _header_of(line: TextLine, text: str) -> list[str]:
    """The cells of the first row of the table that the line is in; of a table of more than 40 rows none."""
    at = line.start
    for _ in range(40):
        before = text.rfind("\n", 0, max(0, at - 1)) + 1
        if at == 0 or not text[before : at - 1].lstrip().startswith("|"):
            return _cells(text[at : text.find("\n", at)])
        at = before
    return []


def _cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip().strip("|").split("|")][:40]
