"""A possible label line, split into prefix, name, separator and value."""

import re
from typing import Final

from claw_files.core.lazy_regex import pattern
from claw_files.formats.phrase_tails import word_set
from claw_files.formats.text_lines import TextLine

_DECOR: Final = r"(?:[*_`\"'~(\[ \t]|[^\w\x00-\x7f]|</?[a-zA-Z]{1,6}>){0,12}+"
_CLOCK: Final = r"[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?(?:[.,][0-9]{1,6})?(?:[ ]?(?:Z|UTC|CET|CEST|Uhr|[AaPp][Mm]))?"
_TIME: Final = (
    rf"(?P<time>(?=[0-9\[(])[\[(]?(?:[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}(?:(?:T|[ ,]{{1,2}}){_CLOCK})?|{_CLOCK})[\])]?"
    r"[*_`]{0,3}[ \t]*+(?:[-–—:|][ \t]++)?)?+"
)
_LEAD: Final = (
    r"^(?!\n)(?P<indent>[ \t]*+)(?P<row>\|[ \t]*+)?+(?:(?:[-*+•]|[0-9]{1,3}[.)])[ \t]++)?+"
    rf"(?:\[(?P<box>[^\]\n])\][ \t]++)?+(?P<head>\#{{1,6}}[ \t]++)?+{_DECOR}{_TIME}{_DECOR}"
)
_ID: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}+"
# In front of an id.
_NOUN: Final = r"(?:(?:[Tt]ask|[Tt]icket|[Ii]ssue|[Jj]ob|Aufgabe)[ \t]++[*_`(\[]{0,3}+(?=[A-Za-z]{1,16}-[0-9]))?+"
CANDIDATE = pattern(rf"{_LEAD}{_NOUN}(?P<name>{_ID})", re.MULTILINE)
LABEL = pattern(
    r"(?P<before>(?:(?:current|task|final|overall|latest|new|job|work|my|the|aktueller?|der)[ _-]+){0,2})"
    r"(?P<name>(?:end|gesamt|bearbeitungs)?status|state|(?:bearbeitungs)?stand|zustand|"
    r"staus|statsu|sttus|satus|stauts|tsatus)"
    r"(?:[ _-]update)?(?!_*[A-Za-z0-9])",
    re.IGNORECASE,
)
KNOWN_LABELS: Final = word_set("status state stand zustand endstatus gesamtstatus bearbeitungsstand bearbeitungsstatus")
TRIGGERS: Final = KNOWN_LABELS | word_set(
    "staus statsu sttus satus stauts tsatus "
    "current task final overall latest new job work my the aktueller aktuelle der "
    "status-update current-status task-status final-status status_update current_status task_status final_status"
)
_SEPARATOR = pattern(r"[*_`\"'~ \t]{0,6}+(?::(?!//)|=+>?|->|→|–|—|\||-(?=[ \t]))")
STRUCK = pattern(r"~~[^~\n]+~~|<(del|s|strike)>[^<\n]{0,400}</\1>", re.IGNORECASE)
_CITED = pattern(r"^[^\"“”]*[\"“”][ \t,]*\w")
_CLOSED = pattern(r"[\])](?:\([^()\n]{0,200}\))?")  # behind an id or a label in brackets, or in a link
OF = pattern(  # "Status of TC-47: done", "Status (10:00): done"
    r"[ \t]+(?:(?:of|for|von|für|task|ticket)[ \t]+)*(?P<id>[A-Za-z0-9._]{1,16}-[A-Za-z0-9._-]{1,47})"
    r"[*_`\"']{0,3}[ \t]*(?::(?!//)|=|→|–|—|-(?=[ \t]))(?P<value>.*)"
    r"|[ \t]*[(\[]?[ \t]*(?:(?:as of|at|on|vom|am|um)[ \t]+)?[0-9][0-9TZ:./, -]{1,24}(?:UTC|Uhr|h)?[)\]]?"
    r"[ \t]*:(?=[ \t])(?P<dated>.*)"
    r"|[ \t]*\((?:final|update|now|current|latest|overall|aktuell)\)[ \t]*:(?P<whole>.*)",
    re.IGNORECASE,
)


class LabelParts:
    """A line "name: value" taken apart."""

    def __init__(self, line: TextLine, shown: str, found: "re.Match[str]", offset: int = 0) -> None:
        """`found` is the line as a candidate; the line begins at `offset` of the text."""
        self.line, self.shown = line, shown
        indent, row, self.box, head, time, name = found.group("indent", "row", "box", "head", "time", "name")
        self.time, self.row, self.head = time or "", row is not None, head or ""
        self.at = found.start("name") - offset
        name = name.rstrip("._")
        self.label = LABEL.match(shown, self.at) if name.lower() in TRIGGERS else None
        self.name = self.label[0] if self.label else name
        end = self.at + len(self.name)
        if shown[end : end + 1] in ("]", ")") and (closed := _CLOSED.match(shown, end)):
            end = closed.end()
        self.after = shown[end:]
        separator = _SEPARATOR.match(shown, end)
        self.value: str | None = shown[separator.end() :].strip() if separator else None
        upto = separator.end() if separator else end
        self.is_quoted = "`" in shown and _is_in_code(shown[:upto])
        self.width = len(indent.expandtabs(4)) if indent else 0
        self.cells = 0
        if self.row and self.value is not None:
            cells = self.value.rstrip().removesuffix("|").split("|")
            self.value, self.cells = cells[0].strip(), len(cells)

    @classmethod
    def of(cls, line: TextLine, known: "re.Match[str] | None" = None) -> "LabelParts | None":
        """The parts of the line; `known` is its match in the whole text."""
        has_tags = "~~" in line.shown or "</" in line.shown
        if known and known.start() == line.start and line.shown == line.text and not has_tags:
            return cls(line, line.text, known, line.start)
        shown = STRUCK.sub("", line.shown) if has_tags else line.shown
        found = CANDIDATE.match(shown)
        return cls(line, shown, found) if found else None

    @property
    def is_open(self) -> bool:
        return self.box == " "

    @property
    def is_code(self) -> bool:
        return self.is_quoted or self.width >= 4

    @property
    def is_cited(self) -> bool:
        """Whether label and value are in quotes in a longer sentence."""
        if not self.at or self.shown[: self.at].rstrip("*_ ")[-1:] not in ('"', "“", "„"):
            return False
        return self.after[:1] not in ('"', "”", "“") and _CITED.search(self.value or "") is not None

    @property
    def is_alone(self) -> bool:
        """Whether the name is alone in its line: its value may follow in the next one."""
        return not (self.value if self.value is not None else self.after).strip("*_`\"' \t")


def _is_in_code(text: str) -> bool:
    """Whether a code span is open at the end of the text; the same number of backticks closes it."""
    opened = ""
    for run in re.findall("`+", text):
        opened = run if not opened else "" if run == opened else opened
    return bool(opened)
