"""The doctor's own reading of a status file: which state is in force, and every value that is not of its form."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from typing import Final

from claw_files import words
from claw_files.doctor.paper import Key, Paper, Said, pairs, read, state_of
from claw_files.doctor.reading import Unread
from claw_files.errors import BadId, BadValue
from claw_files.model import State, Value

_S = State
_WORKING: Final = (_S.BACKLOG, _S.IN_PROGRESS, _S.BLOCKED)
OPEN: Final = (*_WORKING, _S.REVIEW, _S.FAILED)
# What an assignee, or anybody for "blocked", may do by writing into the file; cancelling is believed.
BY_HAND: Final = {
    _S.BACKLOG: {_S.IN_PROGRESS, _S.REVIEW, _S.DONE, _S.FAILED, _S.BLOCKED, _S.CANCELLED},
    _S.IN_PROGRESS: {_S.REVIEW, _S.DONE, _S.FAILED, _S.BACKLOG, _S.BLOCKED, _S.CANCELLED},
    _S.BLOCKED: {_S.IN_PROGRESS, _S.BACKLOG, _S.REVIEW, _S.DONE, _S.FAILED, _S.CANCELLED},
    _S.REVIEW: {_S.BLOCKED, _S.CANCELLED},
    _S.FAILED: {_S.BLOCKED, _S.CANCELLED},
    _S.DONE: set[State](),
    _S.DEAD: set[State](),
    _S.CANCELLED: set[State](),
}
_NAMES: Final = {
    "assignee": ("assignee", "owner", "assigned_to", "agent"),
    "requested_by": ("requested_by", "requester"),
    "outputs": ("outputs", "output"),
    "eta": ("eta", "estimated"),
}


class Task(Value, frozen=True):
    """What a status file says, as far as the checks want to know."""

    id: str
    state: State  # as the file has it now
    recorded: State | None
    state_line: int
    assignee: str | None
    assignee_line: int
    after: tuple[str, ...]
    after_line: int
    parent: str | None
    parent_line: int
    outputs: tuple[str, ...]
    outputs_line: int
    attempt: int
    generation: int
    generation_line: int
    lease: datetime | None
    lease_line: int

    @property
    def is_refused(self) -> bool:
        """Whether the file's state came by a move that nobody may make by hand."""
        if self.recorded is None or self.state is self.recorded:
            return False
        return self.state not in BY_HAND[self.recorded]

    @property
    def in_force(self) -> State:
        return self.recorded if self.recorded and self.is_refused else self.state


def parse(raw: bytes, name: str, mtime: float, zone: tzinfo) -> Task:
    """The task of the file with that name. Raises Unread with a finding's code, and the line."""
    paper = read(raw)
    if not paper.has_front and not paper.body.strip():
        raise Unread("empty-file")
    task = words.task_id(name.removesuffix(".md"))
    _check_id(paper, task)
    _check_values(paper, datetime.fromtimestamp(min(max(mtime, 0), 4e9), UTC), zone)
    spoken = list(pairs(paper.body, f"{_SPOKEN}|{re.escape(task) if task.endswith('_') else _ANY_ID}"))
    state, line = _effective(paper, task, spoken)
    assignee = paper.get(*_NAMES["assignee"])
    by_body = next((s for s in reversed(spoken) if s.name.lower() in ("assignee", "owner") and s.rest), None)
    return Task(
        id=task,
        state=state,
        recorded=_state(paper.get("recorded")),
        state_line=line,
        assignee=_agent(assignee.text if assignee else by_body.rest if by_body else ""),
        assignee_line=_line(assignee) if assignee else paper.body_line + by_body.line - 1 if by_body else 1,
        after=tuple(words.task_id(item) for item in _listed(paper.get("after"))),
        after_line=_line(paper.get("after")),
        parent=next((words.task_id(item) for item in _listed(paper.get("parent"))), None),
        parent_line=_line(paper.get("parent")),
        outputs=tuple(_outputs(paper)) or tuple(s.rest for s in spoken if s.name.lower() in ("output", "outputs")),
        outputs_line=_line(paper.get(*_NAMES["outputs"])),
        attempt=_number(paper.get("attempt"), 1),
        generation=_number(paper.get("generation"), 0),
        generation_line=_line(paper.get("generation")),
        lease=_instant(paper.get("lease"), zone),
        lease_line=_line(paper.get("lease")),
    )


_SPOKEN: Final = "status|state|assignee|owner|outputs?"
# Every id, not the task's own: a pattern for each task cost three quarters of a visit to 10,000 of them. An underscore
# at the end of a name is emphasis, but for the rare id that ends with one.
_ANY_ID: Final = r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9.-])?"


def _effective(paper: Paper, task: str, spoken: list[Said]) -> tuple[State, int]:
    """The state that counts, and its line: what was written since our last write is news (file format)."""
    key = paper.get("status", "state")
    status, recorded = _state(key), _state(paper.get("recorded"))
    told = [(state, said.line) for said in spoken if _is_state(said, task) and (state := state_of(said.rest))]
    before = paper.get("said")
    counted = re.fullmatch(r"(.*?)\s*x([0-9]{1,9})", before.text.strip()) if before else None
    said = words.state(counted[1]) if counted else _state(before)
    times = int(counted[2]) if counted else 1 if before else 0
    by_hand = status is not None and recorded is not None and status is not recorded
    if told:
        again = len(told) > times > 0 and recorded in _WORKING
        if status is None or ((told[-1][0] is not said or again) and not by_hand):
            return told[-1][0], paper.body_line + told[-1][1] - 1
    return status or recorded or State.BACKLOG, _line(key)


def _is_state(said: Said, task: str) -> bool:
    return said.name.lower() in ("status", "state") or said.name.upper() == task


# --- values ----------------------------------------------------------------------------------------------------------


def _check_id(paper: Paper, task: str) -> None:
    key = paper.get("id")
    if key and not key.is_map and key.items is None and key.text.strip().upper() != task:
        raise Unread("wrong-id", f"{key.text.strip()[:80]!r} in the file of {task}", key.line)


def _check_values(paper: Paper, file_time: datetime, zone: tzinfo) -> None:
    def when(text: str) -> object:
        return words.instant(text, file_time, zone)

    for names, check in (
        (("status", "state"), _known_state),
        (("recorded",), _known_state),
        *(((name,), when) for name in ("lease", "not_before", "created", "updated", "completed")),
        (_NAMES["eta"], when),
        *(((name,), words.duration) for name in ("estimate", "timeout")),
        *(((name,), _whole) for name in ("attempt", "attempts", "failures", "generation", "group_size")),
        *(((_NAMES.get(name) or (name,)), _agent) for name in ("assignee", "requested_by", "spawner")),
        (("priority",), words.priority),
        (("size",), _size),
    ):
        _check(paper.get(*names), names[0], check)
    for name in ("after", "parent", "followers"):
        for item in _listed(paper.get(name)):
            _check(Key(line=_line(paper.get(name)), text=item), name, _agent if name == "followers" else words.task_id)


def _check(key: Key | None, name: str, check: Callable[[str], object]) -> None:
    if key is None:
        return
    code = "unknown-state" if check is _known_state else "bad-value"
    if key.items is not None or key.is_map:
        raise Unread(code, f"{name}: not one line of text", key.line)
    try:
        check(key.text.strip())
    except (BadId, BadValue, ValueError):
        raise Unread(code, f"{name}: {key.text.strip()[:80]!r}", key.line) from None


def _known_state(text: str) -> State:
    if state := words.state(text):
        return state
    raise ValueError


def _whole(text: str) -> int:
    if re.fullmatch(r"[0-9]{1,9}", text, re.ASCII):
        return int(text)
    raise ValueError


def _size(text: str) -> None:
    if text.upper() not in ("S", "M", "L"):
        raise ValueError


def _agent(text: str) -> str | None:
    try:
        return words.agent_id(text.strip().removeprefix("@")) if text.strip() else None
    except BadId:
        raise ValueError from None


def _state(key: Key | None) -> State | None:
    return words.state(key.text) if key else None


def _number(key: Key | None, default: int) -> int:
    return int(key.text) if key else default


def _line(key: Key | None) -> int:
    return key.line if key else 1


def _listed(key: Key | None) -> list[str]:
    if key is None:
        return []
    return [item for item in (key.items if key.items is not None else re.split(r"[,\s]+", key.text)) if item]


def _outputs(paper: Paper) -> list[str]:
    key = paper.get(*_NAMES["outputs"])
    return [] if key is None else list(key.items) if key.items is not None else key.text.split("\n")


def _instant(key: Key | None, zone: tzinfo) -> datetime | None:
    return words.instant(key.text, datetime.now(UTC), zone) if key else None
