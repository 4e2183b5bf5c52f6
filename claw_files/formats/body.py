"""The free text of a status file: statements that agents and people write by hand."""

import re
from collections.abc import Iterator
from itertools import islice
from typing import Final

import msgspec

from claw_files.core import instants
from claw_files.core.digest import digest
from claw_files.core.lazy_regex import pattern
from claw_files.core.model import State, Unclear, Value
from claw_files.formats import statements
from claw_files.formats.parse_cache import lately
from claw_files.formats.phrases import StateStatement
from claw_files.formats.text_lines import hidden
from claw_files.formats.vocabulary import BUILT_IN, Vocabulary
from claw_files.formats.vocabulary import state as state_of

_KEYS: Final = {
    "eta": "eta estimated",
    "completed": "completed finished",
    "need": "needs need",
    "outputs": "output outputs",
    "reason": "reason",
    "assignee": "assignee owner",
}
_KEY_OF: Final = {word: key for key, names in _KEYS.items() for word in names.split()}
_ETA = pattern(
    r"\b(?:eta|est(?:imated)?\.?(?: (?:done|finish(?:ed)?|completion))?|done by|ready (?:by|at)|until|by)\b"
    r"[ \t:=~]*(?:at |by )?",
    re.IGNORECASE,
)
_CLOCK = pattern(r"[0-9]{1,2}:[0-9]{2}(?=[ \t]*(?:$|[;.)]))")  # what most people write, and nothing that belongs to it
_FEW, _FAR = 3, 64  # words like "by" that are tried, and how far behind one a time is looked for
_OUTPUT = pattern(r"(?i:\b(?:pr|mr|pull request|merge request|commit|see)\b)|#[0-9]|/|\w\.[a-z]{1,4}\b")
_NO_OUTPUT = pattern(r"(?:at|on|by|since|in [0-9]|within|am|um|seit)\b(?!.*#)", re.IGNORECASE)
_BECAUSE = pattern(r"(?:on|by|because of|because|due to|durch|wegen)[ \t]+", re.IGNORECASE)


class BodyStatements(Value, frozen=True):
    """The body's statements, each from its last line; None without one."""

    state: State | None = None
    line: int | None = None  # where that stands in the body, from 1
    times: int = 0  # how many lines give a state
    unclear: tuple[Unclear, ...] = ()  # statements that were not understood, with lines of the body; path is ""
    eta: str | None = None
    completed: str | None = None
    need: str | None = None
    reason: str | None = None
    assignee: str | None = None
    outputs: tuple[str, ...] = ()
    title: str | None = None
    lines: dict[str, int] = msgspec.field(default_factory=dict)  # where eta, need and assignee stand in the body


def eta_in(rest: str) -> str | None:
    """The time in the text after a state, if it gives an ETA."""
    for word in islice(_ETA.finditer(rest), _FEW):
        if plain := _CLOCK.match(rest, word.end()):
            return plain[0]
        found = next(instants.find(rest, word.end(), word.end() + _FAR), None)
        if found and not rest[word.end() : found.start].strip():
            return rest[found.start : found.end]
    return None


def told(saying: StateStatement) -> dict[str, str]:
    """The other facts in the words after a state: an ETA, a reason, an output."""
    rest = saying.rest
    if not rest or saying.state is None:
        return {}
    eta = eta_in(rest)
    found = {"eta": eta} if eta else {}
    if saying.state in (State.BLOCKED, State.FAILED, State.CANCELLED):
        found["reason"] = _BECAUSE.sub("", rest.strip("()"), count=1)
    elif saying.state in (State.DONE, State.REVIEW) and not eta and _OUTPUT.search(rest) and not _NO_OUTPUT.match(rest):
        found["outputs"] = rest.strip("()")
    return found


@lately
def read(text: str, task: str, vocabulary: Vocabulary = BUILT_IN) -> BodyStatements:
    """The body's statements about `task` (any case), from task lines and plain "Status:", "ETA:", ... lines."""
    reading = statements.read(text, task, _KEY_OF, vocabulary)
    found: dict[str, str] = {}
    outputs: list[str] = []
    starts: dict[str, int] = {}
    for pair in reading.pairs:
        key = _KEY_OF[pair.name.lower()]
        if key == "outputs":
            outputs.append(pair.value)
        elif pair.value:
            found[key] = pair.value
            starts[key] = pair.start
    clear = [it for it in reading.states if it.saying.state]
    last = clear[-1] if clear else None
    more = told(last.saying) if last else {}
    outputs += [more.pop("outputs")] if "outputs" in more else []
    unclear = [it for it in reading.states if not it.saying.state][-statements.MOST :]
    return BodyStatements(
        state=last.saying.state if last else None,
        line=_line(text, last.start) if last else None,
        times=len(clear),
        unclear=tuple(
            Unclear(path="", line=_line(text, it.start), text=it.text.strip()[:200], hint=it.saying.hint)
            for it in unclear
        ),
        outputs=tuple(filter(None, outputs)),
        title=reading.title,
        lines={key: _line(text, at) for key, at in starts.items()},  # few: each is counted from the top
        **{**more, **found},
    )


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


_NOTE = pattern(r"^- [0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z [a-z0-9][a-z0-9._-]{0,63}: ([^\n]{1,2000})", re.MULTILINE)


def last_note(text: str) -> str:
    """The last note that `clawfiles progress` added to the text; "" without one."""
    notes: list[str] = _NOTE.findall(text)
    return notes[-1].strip() if notes else ""


def is_open(text: str) -> bool:
    """Whether a fence or comment in the text is never closed, so that it would hide added text."""
    spans = hidden(f"{text}\n")
    return bool(spans) and spans[-1][1] > len(text)


MOST: Final = 20  # marks that are kept


class SaidState(Value, frozen=True):
    """The body's statements at the last write: state, number of lines, and unclear parts."""

    state: State | None = None
    times: int = 0  # 0 where that is not known
    unclear: tuple[str, ...] = ()


def news(unclear: tuple[Unclear, ...], before: tuple[str, ...]) -> Iterator[Unclear]:
    """The statements since the last write; for repeated ones, the last."""
    left = list(before)
    for it in unclear:
        if (mark := _mark(it)) in left:
            left.remove(mark)
        else:
            yield it


def _mark(unclear: Unclear) -> str:
    return digest(" ".join(unclear.text.lower().split()).encode("utf-8", "surrogatepass"), 3)


_SAID = pattern(
    r"(?P<state>.*?)(?: ?x(?P<times>[0-9]{1,6}))?(?: ?unclear(?P<marks>(?: [0-9a-f]{6}){1,20}))?", re.DOTALL
)


def parse(text: str) -> SaidState | None:
    """The key's text as it was written; None where it is none of ours."""
    found = _SAID.fullmatch(text.strip())
    assert found, "every part of it may be missing"
    marks = tuple((found["marks"] or "").split())
    word, state = found["state"].strip(), state_of(found["state"])
    if state is None:
        return SaidState(unclear=marks) if marks and not word else None
    return SaidState(state=state, times=int(found["times"] or 1), unclear=marks)


def remembered(told: BodyStatements, before: SaidState, is_overtaken: bool) -> str | None:
    """The new content of `said`; unclear words are included once a command overtakes them."""
    now = [_mark(it) for it in told.unclear]
    marks = now if is_overtaken else [mark for mark in before.unclear if mark in now]
    parts = [told.state.value] if told.state else []
    parts += [f"x{told.times}"] if told.state and told.times > 1 else []
    return " ".join([*parts, *(["unclear", *marks[-MOST:]] if marks else [])]) or None
