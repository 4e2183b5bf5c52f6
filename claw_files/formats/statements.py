"""Places of statements in a text: label lines, headings, sections, tables, boxes, log lines, one-line forms.

What surrounds a line decides whether it speaks for the task: a fence, indented or inline code, a quotation, an open
box, struck text, a plan, an older attempt, a step's or another task's section do not. What a phrase itself says is in
`phrases`.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Container, Iterator
from typing import Final

from msgspec.structs import replace

from claw_files.core.lazy_regex import pattern
from claw_files.core.model import State, Value
from claw_files.formats import phrases, tables
from claw_files.formats.label_lines import CANDIDATE, KNOWN_LABELS, LABEL, OF, STRUCK, TRIGGERS, LabelParts
from claw_files.formats.phrases import NOTHING, PhrasePlace, StateStatement
from claw_files.formats.section_context import OF_ANOTHER, after_id, is_item_of_another, kinds_of, struck_or_code
from claw_files.formats.text_lines import TextLine, has_marks, headings, hidden, line_end, visible_at
from claw_files.formats.vocabulary import MARKS, Vocabulary

_WEAK_LABELS: Final = frozenset(("state", "stand", "zustand"))  # they mean other things as well
_BOX = pattern(r"[ \t]*+(?:[-*+•]|[0-9]{1,3}[.)])[ \t]++(?:\[(?P<box>[^\]\n])\][ \t]++)?+")
_ITEM_BEGINS: Final = frozenset("-*+•0123456789 \t")
_BRACKET = pattern(r"\([^()]{1,100}\)[*_`]*[ \t]*(?::|=|→|–|—|-(?=[ \t]))[ \t]*")
_VERB = pattern(
    r"(?:is|was|has|will|can|should|ist|wurde|wird|hat|kann|isn't|wasn't|hasn't|won't|can't|cannot|(?-i:failed|crashed))(?!\w)",
    re.IGNORECASE,
)
_UNDERLINE = pattern(r"[ \t]*[=-]{2,}[ \t]*")
_LEADING_IN: Final = (":\n", "*\n", "_\n", "\n---", "\n===", "\r")  # without one, no line leads a list in
_LOOKS: Final = 60  # at lines below others, in one text
MOST: Final = 20  # unclear statements of one text that are named


class Statement(Value, frozen=True):
    """One statement, understood (`saying.state`) or unclear (`saying.hint`)."""

    start: int  # of its line in the text
    name: str  # as written: the label, or the id
    saying: StateStatement
    text: str  # the line as it stands
    kind: str = "top"  # of the section that it stands in


class LabelPair(Value, frozen=True):
    """A line "name: value" that speaks."""

    start: int
    name: str
    value: str


class Statements(Value, frozen=True):
    """The statements of a text, in the order of its lines."""

    states: tuple[Statement, ...] = ()
    pairs: tuple[LabelPair, ...] = ()
    title: str | None = None


def read(text: str, task: str, keys: Container[str], vocabulary: Vocabulary) -> Statements:
    """The text's statements about `task` (any case), and its lines with a name (lower case) in `keys`."""
    return _Reader(text, task.lower(), keys, vocabulary).read()


def named(text: str, vocabulary: Vocabulary) -> Iterator[Statement]:
    """Every line "TC-47: IN PROGRESS" of any task, for reports; `name` is the id as written."""
    for line in visible_at(text, (found.start() for found in CANDIDATE.finditer(text))):
        parts = LabelParts.of(line)
        if parts and parts.value is not None and not parts.is_open and not parts.is_code:
            saying = phrases.read(parts.value, vocabulary, PhrasePlace.LINE)
            if saying != NOTHING:
                yield Statement(start=line.start, name=parts.name, saying=saying, text=line.text)


class _Reader:
    def __init__(self, text: str, task: str, keys: Container[str], vocabulary: Vocabulary) -> None:
        self._text, self._task, self._keys, self._words = text, task, keys, vocabulary
        self._states: list[Statement] = []
        self._pairs: list[LabelPair] = []
        self._spans = hidden(text) if has_marks(text) else []
        self._headings = list(headings(text, self._spans)) if "#" in text else []
        self._looks = self._climbs = 0
        self._has_tags = "~~" in text or "</" in text
        self._has_lists = any(map(text.__contains__, _LEADING_IN))
        self._struck: list[int] | None = None  # where struck text and code begin and end
        self._found: re.Match[str] | None = None  # the candidate that is looked at
        self._last = (-1, "")  # the line whose section was asked for last, and what that is
        self._kinds: list[tuple[int, str]] | None = None  # where each section begins, and what it is

    def read(self) -> Statements:
        for line in visible_at(self._text, self._starts(), self._spans):
            if parts := LabelParts.of(line, self._found):
                self._line(parts)
        title = self._titles()
        self._bare_lines()
        self._states.sort(key=lambda it: it.start)
        return Statements(states=tuple(self._of_the_task()), pairs=tuple(self._pairs), title=title)

    def _starts(self) -> Iterator[int]:
        """The starts of candidate lines; lines in plans are skipped without parsing."""
        keys, task, first = self._keys, self._task, self._words.first
        for found in CANDIDATE.finditer(self._text):
            name, head, time = found.group("name", "head", "time")
            name = name.lower()
            if name[-1] in "._":
                name = name.rstrip("._")
            # What headings say of the task is in `_titles`.
            if (
                name in TRIGGERS
                or (not head and (name in keys or name == task))
                or (time and name in first)
                or (self._has_tags and ("~~" in found[0] or "<" in found[0]))  # what is struck out comes first
            ) and self._kind(found.start()) not in OF_ANOTHER:
                self._found = found
                yield found.start()

    # --- one line

    def _line(self, parts: LabelParts) -> None:
        if parts.is_open or parts.is_quoted:
            return
        if parts.width >= 4 and self._is_code(parts.line.start):
            return
        name = parts.name.lower()
        if parts.label:
            self._labelled(parts)
        elif parts.head:  # what headings say of the task is in `_titles`
            return
        elif name == self._task:
            self._of_id(parts)
        elif name in self._keys:
            if parts.value is not None:
                line, value = parts.line, phrases.cleaned(parts.value)
                self._pairs.append(LabelPair(start=line.start, name=parts.name, value=value))
        elif parts.time:
            self._put(parts.line, parts.name, phrases.read(parts.shown[parts.at :], self._words, PhrasePlace.TITLE))

    def _labelled(self, parts: LabelParts) -> None:
        assert parts.label is not None
        name = parts.label["name"].lower()
        is_weak = name in _WEAK_LABELS or parts.label[0].lower().startswith(("the ", "der ", "my "))
        if parts.is_alone:
            if not parts.row and (not parts.label["before"] or not is_weak):
                self._below(parts, strict=bool(parts.head or parts.value is not None) and not is_weak)
            return
        of = OF.match(parts.after) if parts.value is None or parts.after[:2] in (" (", " [") else None
        if of:  # "Status of TC-47: done", "Status (10:00): done"
            is_own = of["id"] is None or of["id"].lower() == self._task
            value = (of["value"] or of["dated"] or of["whole"] or "").strip()
            saying = phrases.read(value, self._words) if is_own else NOTHING
            saying = saying if saying.state or not is_weak else NOTHING
        elif parts.value is None:  # "Status DONE", "Status is done"
            saying = phrases.read(parts.after.strip(), self._words, PhrasePlace.TITLE)
            saying = saying if saying.state else NOTHING
        elif parts.row and (parts.cells != 1 or tables.is_head(parts.line, self._text)):
            saying = tables.read(parts.line, self._text, self._lines_after, self._words)
        else:
            saying = phrases.read(parts.value, self._words)
            if saying.hint and is_weak and "did you mean" not in saying.hint and not self._has_state(parts.value):
                return
            if parts.value[:5].lower() in ("this ", "dies ") or parts.is_cited:  # a sentence about statuses
                return
            if name not in KNOWN_LABELS:  # "Staus: done"
                saying = StateStatement(hint='did you mean "Status"?') if saying.state else NOTHING
        self._put(parts.line, parts.name, saying)

    def _has_state(self, value: str) -> bool:
        return any(word in self._words.states for word in re.findall(r"\w+", value.lower()))

    def _of_id(self, parts: LabelParts) -> None:
        if parts.is_cited:
            return
        if parts.row:
            self._put(parts.line, parts.name, tables.read(parts.line, self._text, self._lines_after, self._words))
            return
        value = parts.after.strip() if parts.value is None else parts.value
        behind = _BRACKET.match(value) if parts.value is None else None  # "TC-47 (Fix login): DONE"
        verb = _VERB.match(value) if parts.value is None else None  # "TC-47 was completed"
        saying = NOTHING
        if parts.value is not None or behind or verb:
            saying = phrases.read(value[behind.end() :] if behind else value, self._words, PhrasePlace.LINE)
        if verb and saying.state is State.BACKLOG:
            saying = NOTHING
        if saying == NOTHING:
            saying = phrases.read(value, self._words, PhrasePlace.TITLE)
        if parts.box and (said := phrases.of_box(parts.box)) and parts.box != " ":
            if saying == NOTHING:
                saying = said
            elif parts.box in "/-" and saying.state not in (None, said.state):
                saying = StateStatement(hint=phrases.hint("box and words do not say the same"))
        if saying == NOTHING and (mark := _mark_in(parts.shown[: parts.at])):
            saying = phrases.of_mark(mark)
        self._put(parts.line, parts.name, saying)

    def _put(self, line: TextLine, name: str, saying: StateStatement) -> None:
        if saying == NOTHING:
            return
        kind = self._kind(line.start)
        is_out = (self._has_lists and self._is_led_in(line)) or (self._has_tags and self._is_struck(line, name))
        if kind not in OF_ANOTHER and not is_out:
            self._states.append(Statement(start=line.start, name=name, saying=saying, text=line.text, kind=kind))

    # --- a label whose value stands below it

    def _below(self, parts: LabelParts, strict: bool) -> None:
        for line in self._lines_after(parts.line.end):
            shown = line.shown.strip()
            if not shown or _UNDERLINE.fullmatch(shown):
                continue
            if shown[0] in "#>|<" or len(line.shown) - len(line.shown.lstrip(" ")) >= 4:
                return
            item = _BOX.match(line.shown)
            if item and item["box"] == " ":
                continue
            inner = LabelParts.of(line)
            if inner and (
                inner.label or inner.name.lower() == self._task or inner.name.lower() in self._keys or inner.time
            ):
                return
            value = line.shown[item.end() :] if item else shown
            if value[:1] == ":":
                value, strict = value[1:], True
            if "~~" in value and not phrases.cleaned(value):
                continue
            saying = phrases.read(value.strip(), self._words, PhrasePlace.LABEL if strict else PhrasePlace.TITLE)
            self._put(line, parts.name, saying)
            return

    def _lines_after(self, end: int) -> Iterator[TextLine]:
        self._looks += 1
        if self._looks > _LOOKS:  # each may go through the whole text once
            return iter(())

        def starts() -> Iterator[int]:
            at = end
            for _ in range(12):
                at = self._text.find("\n", at) + 1
                if not at or at >= len(self._text):
                    return
                yield at

        return visible_at(self._text, starts(), self._spans)

    # --- headings

    def _titles(self) -> str | None:
        """The first heading that is a title; and the states in headings before it."""
        title = None
        for number, line in enumerate(self._headings):
            shown = line.shown.lstrip("#").strip().strip("#").strip()
            ticked = State.DONE if shown[:4].lower() == "[x] " else None
            shown = shown[4:] if ticked else shown
            named = after_id(shown, self._task)
            if named is None and (title is not None or number > 50):
                continue
            rest = shown.lstrip("*_`\"'✅✔☑❌🚧\ufe0f ") if named is None else named
            if named is None and LABEL.match(rest):
                continue
            is_first = not number and line.text.startswith("# ")
            saying = NOTHING
            if named is not None or is_first or len(rest) < 30:
                saying = phrases.read(rest, self._words, PhrasePlace.TITLE)
            if saying == NOTHING and named is not None:
                mark = ticked or _mark_in(shown[: shown.lower().find(self._task)])
                saying = phrases.of_mark(mark) if mark else NOTHING
            if named is not None or (is_first and _is_plain(saying, rest)):
                self._put(line, self._task, saying)
            words = saying.title or rest
            if saying.state and not saying.title:
                words = ""
            words = words.strip("#*_` \t")
            if title is None and words and words.split(":")[0].strip().lower() not in self._keys:
                title = words
        return title

    # --- the only line, the first, the last

    def _bare_lines(self) -> None:
        """A state alone on the first or last line of the text: "DONE"."""
        text = self._text
        first = text.rfind("\n", 0, len(text) - len(text.lstrip())) + 1
        last = text.rfind("\n", 0, len(text.rstrip())) + 1
        for start in dict.fromkeys((first, last)):
            raw = text[start : line_end(text, start)]
            if (
                len(raw) > 200
                or raw[:1] in "#>|<"
                or raw[:4] == "    "
                or "[ ]" in raw[:12]
                or raw[:2] == "~~"
                or start in {it.start for it in self._states} | {it.start for it in self._pairs}
            ):
                continue
            bare = phrases.bare(raw)
            misspelt = self._words.near(bare.lower()) if first == last and bare.isalpha() else None
            if not bare or not (misspelt or phrases.may_stand_alone(bare, self._words)):
                continue
            for line in visible_at(text, (start,), self._spans):
                saying = phrases.read(phrases.bare(line.shown), self._words, PhrasePlace.TITLE)
                if misspelt:
                    self._put(line, "", StateStatement(hint=self._words.suggestion(misspelt)))
                elif saying.state and phrases.is_loud(line.shown, bare, first == last):
                    self._put(line, "", saying)

    # --- what surrounds a line

    def _is_code(self, start: int) -> bool:
        """Whether the line, indented by four or more, is code: no line above makes it part of a list."""
        at = start
        for _ in range(40):
            before = self._text.rfind("\n", 0, max(0, at - 1)) + 1
            if at == 0:
                return True
            line, at = self._text[before : at - 1], before
            if line.strip():
                if _BOX.match(line):
                    return False
                if len(line) - len(line.lstrip(" \t")) == 0:
                    return True
        return True

    def _is_led_in(self, line: TextLine) -> bool:
        """Whether the line is in a list below a line like "Next steps:"."""
        if line.text[:1] not in _ITEM_BEGINS:
            return False
        self._climbs += 1
        return self._climbs <= _LOOKS and is_item_of_another(self._text, line.start, self._task)

    def _is_struck(self, line: TextLine, name: str) -> bool:
        """Whether tags around the name, or around several lines, make it code or struck text."""
        if self._struck is None:
            self._struck = struck_or_code(self._text)
        is_shortened = line.text != line.shown or STRUCK.search(line.text)  # then what is left is not struck in it
        at = line.start + (-1 if is_shortened else max(0, line.text.find(name)))
        return bisect_right(self._struck, at) % 2 == 1

    def _kind(self, start: int) -> str:
        """The kind of the section at this position; a heading is in its own section."""
        if not self._headings:
            return "top"
        if self._last[0] == start:
            return self._last[1]
        if self._kinds is None:
            self._kinds = kinds_of(self._headings, self._task)
        at = bisect_left(self._kinds, (start + 1, ""))
        self._last = (start, self._kinds[at - 1][1] if at else "top")
        return self._last[1]

    def _of_the_task(self) -> Iterator[Statement]:
        """The statements without those about one section, if the text has one about the whole task."""
        whole = [it for it in self._states if not it.kind.startswith("?")]
        parts = [it for it in self._states if it.kind.startswith("?") and it.name.lower() != self._task]
        said = next((it.saying.state for it in reversed(whole) if it.saying.state), None)
        differ = len({it.kind for it in parts}) > 1 and len({it.saying.state for it in parts}) > 1
        for it in self._states:
            state, is_aim = it.saying.state, it.kind.startswith("?aim")
            if it.kind.startswith("?history") and said not in (None, state):
                continue
            is_part = is_aim or (it.kind.startswith("?") and it.name.lower() != self._task)
            if is_part and state and (differ or (state is not said and (said or is_aim))):
                hint = 'it may speak for its section only; say it for the task below "## Status"'
                it = replace(it, saying=StateStatement(hint=hint))
            yield it


def _mark_in(text: str) -> State | None:
    return next((MARKS[letter] for letter in text if letter in MARKS), None)


def _is_plain(saying: StateStatement, rest: str) -> bool:
    """Whether a first heading without the id may speak: "# Fix login - DONE", not "# Kanban - open"."""
    return bool(saying.state) and (
        not saying.title or rest.rstrip(" )]").split()[-1].isupper() or rest.endswith(("]", ")"))
    )
