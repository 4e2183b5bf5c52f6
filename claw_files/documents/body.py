"""What the free text of a status file says about its task: the lines that agents and people write by hand."""

import re
from collections.abc import Container, Iterator
from functools import lru_cache
from typing import Final

from claw_files import words
from claw_files.documents.lately import lately
from claw_files.documents.lines import hidden, visible
from claw_files.model import State, Value
from claw_files.patterns import pattern

_LEAD = (
    r"^[ \t]*+(?:(?:[-*+]|[0-9]{1,3}[.)])[ \t]++)?+(?:\[[ xX]\][ \t]++)?+(?:#{1,6}[ \t]++)?+"
    "[*_`\"'✅✔☑❌🚧\ufe0f \t]{0,8}+"
)
_KEYS: Final = {
    "state": "status state",
    "eta": "eta estimated",
    "completed": "completed finished",
    "need": "needs need",
    "outputs": "output outputs",
    "reason": "reason",
    "assignee": "assignee owner",
}
_KEY_OF: Final = {word: key for key, names in _KEYS.items() for word in names.split()}
_SEPARATOR = r"[*_`\"' \t]{0,6}+(?::|=|->|→|–|—)[*_`\"' \t]{0,6}+"
_ID = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}+"
_LINE = pattern(rf"{_LEAD}(?P<name>{_ID}){_SEPARATOR}(?P<rest>[^\n]*)", re.MULTILINE)
# A candidate is cheap to find; what it says is read once it is known to stand outside fences and comments.
_ANY = pattern(rf"{_LEAD}(?P<name>{_ID}){_SEPARATOR}", re.MULTILINE)
_HEADING = pattern(r"^#{1,6}[ \t]++[^\n]", re.MULTILINE)
_AFTER_ID = pattern(r"\b[*_` ]*(?:[:=–—-]|->|→)?[*_` ]*")
_PHRASE = pattern(r"[^,;(|–—.:\n]{1,48}")
_ETA = pattern(
    r"\b(?:eta|est(?:imated)?\.?(?: (?:done|finish(?:ed)?|completion))?|done by|ready (?:by|at)|until|by)\b"
    r"[ \t:=~]*(?:at |by )?"
    r"(?P<at>(?:[0-9]{4}-[0-9]{2}-[0-9]{2}[ T])?[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?(?: ?[ap]m)?(?: ?(?:Z|UTC))?"
    r"|in [0-9][0-9a-z ]{0,12})",
    re.IGNORECASE,
)


class Words(Value, frozen=True):
    """What the body says, each as its last line has it; None where it does not say."""

    state: State | None = None
    times: int = 0  # how many lines give a state
    eta: str | None = None
    completed: str | None = None
    need: str | None = None
    reason: str | None = None
    assignee: str | None = None
    outputs: tuple[str, ...] = ()
    title: str | None = None


class Said(Value, frozen=True):
    """One line that gives a task's state: "TC-89 = IN PROGRESS, estimated done 11:00"."""

    name: str  # the id as written, or "status"
    state: State
    rest: str  # what follows the state: "estimated done 11:00"

    @property
    def eta(self) -> str | None:
        """The time in the rest that says when it will be done."""
        found = _ETA.search(self.rest)
        return found["at"].strip() if found else None


def pairs(text: str, names: Container[str] | None = None) -> Iterator[tuple[str, str]]:
    """Every visible line of the form "name: rest" (or "=", an arrow, a dash), as (name, rest) without decoration.

    With `names`, in lower case, only the lines of those: the others cost next to nothing.
    """
    for line in visible(text, _ANY, names):
        if found := _LINE.match(line.shown):
            yield found["name"], found["rest"].strip().rstrip("*_`\"'").strip()


def said(name: str, rest: str) -> Said | None:
    """The state that a line gives, or None: "IN PROGRESS, estimated done 11:00", "✅ Done - see PR #142"."""
    state, tail = _state_in(rest)
    return Said(name=name, state=state, rest=tail) if state else None


@lru_cache(256)  # a file of 90,000 equal lines must not cost 90,000 readings
def _state_in(rest: str) -> tuple[State | None, str]:
    for phrase in (_PHRASE.match(rest), re.match(r"[^\n]{1,48}?(?=\s-\s)", rest)):
        if phrase and (state := words.state(phrase[0])):
            return state, rest[phrase.end() :].strip(" \t,;.|–—-:")
    return None, ""


@lately
def read(text: str, task: str) -> Words:
    """What the body says about `task` (any case), in its own lines and plain "Status:", "ETA:", ... ones."""
    found: dict[str, str] = {}
    state: Said | None = None
    outputs: list[str] = []
    times = 0
    key_of = {**_KEY_OF, task.lower(): "state"}
    for name, rest in pairs(text, key_of):
        key = key_of.get(name.lower())
        if key == "state":
            line = said(name, rest)
            state, times = line or state, times + bool(line)
        elif key == "outputs":
            outputs.append(rest)
        elif key and rest:
            found[key] = rest
    told = _from_state(state) if state else {}
    if state and state.state in (State.DONE, State.REVIEW) and state.rest and not state.eta:
        outputs.append(state.rest.strip("()"))
    given = state.state if state else None
    return Words(
        state=given, times=times, outputs=tuple(filter(None, outputs)), title=_title(text, task), **{**told, **found}
    )


_NOTE = pattern(r"^- [0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z [a-z0-9][a-z0-9._-]{0,63}: ([^\n]{1,2000})", re.MULTILINE)


def last_note(text: str) -> str:
    """The last note that `clawfiles progress` added to the text; "" where there is none."""
    found = ""
    for line in _NOTE.finditer(text):
        found = line[1]
    return found.strip()


def is_open(text: str) -> bool:
    """Whether a fence or comment in the text is never closed, so that it would hide what is added."""
    spans = hidden(f"{text}\n")
    return bool(spans) and spans[-1][1] > len(text)


def speaks(text: str) -> bool:
    """Whether a line of the text would count as somebody's word on a task, or a fence in it is never closed."""
    return is_open(text) or any(name.lower() in _KEY_OF or said(name, rest) for name, rest in pairs(text))


def _from_state(state: Said) -> dict[str, str]:
    told = {"eta": state.eta} if state.eta else {}
    if state.state in (State.BLOCKED, State.FAILED, State.CANCELLED) and state.rest:
        told["reason"] = state.rest.strip("()")
    return told


def _title(text: str, task: str) -> str | None:
    """The first heading, without the task's id in front; a heading that only gives a state is no title."""
    for line in visible(text, _HEADING):
        heading = line.shown.lstrip("#").strip().strip("#*_` ").strip()
        named = heading[: len(task)].lower() == task.lower() and _AFTER_ID.match(heading, len(task))
        title = heading[named.end() :] if named else heading
        if not title or said("", title) or _KEY_OF.get(title.split(":")[0].lower()):
            continue
        return title
    return None
