"""A second reading of a status file: what it says in front matter and in its plain lines."""

import re
from datetime import UTC, datetime, tzinfo
from typing import Final

from claw_files.core import instants
from claw_files.core import text as words
from claw_files.core.model import State, Value

from .paper import STATES, Key, Paper, Said, Unread, pairs, read, state_of

_WORKING: Final = (State.BACKLOG, State.IN_PROGRESS, State.BLOCKED)
_NAMES: Final = {
    "assignee": ("assignee", "owner", "assigned_to", "agent"),
    "outputs": ("outputs", "output"),
}
_SPOKEN: Final = "status|state|assignee|owner"
# An underscore at the end of a name is emphasis, but for the rare id that ends with one.
_ANY_ID: Final = r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9.-])?"


class Task(Value, frozen=True):
    """What a status file says."""

    state: State  # as the file has it now
    state_line: int
    recorded: State | None
    assignee: str | None
    after: tuple[str, ...]
    parent: str | None
    outputs: tuple[str, ...]
    attempt: int
    generation: int
    lease: datetime | None


def parse(raw: bytes, name: str, zone: tzinfo) -> Task:
    """The task of the file with that name. Raises Unread."""
    paper = read(raw)
    task = words.task_id(name.removesuffix(".md"))
    key = paper.get("id")
    if key and not key.is_map and key.items is None and key.text.strip().upper() != task:
        raise Unread("wrong-id", key.text, key.line)
    spoken = list(pairs(paper.body, f"{_SPOKEN}|{re.escape(task) if task.endswith('_') else _ANY_ID}"))
    state, line = _effective(paper, task, spoken)
    assignee = paper.get(*_NAMES["assignee"])
    by_body = next((s for s in reversed(spoken) if s.name.lower() in ("assignee", "owner") and s.rest), None)
    return Task(
        state=state,
        state_line=line,
        recorded=_state(paper.get("recorded")),
        assignee=_agent(_one(assignee) if assignee else by_body.rest if by_body else ""),
        after=tuple(words.task_id(item) for item in _listed(paper.get("after"))),
        parent=next((words.task_id(item) for item in _listed(paper.get("parent"))), None),
        outputs=tuple(_outputs(paper)),
        attempt=_number(paper.get("attempt"), 1),
        generation=_number(paper.get("generation"), 0),
        lease=_instant(paper.get("lease"), zone),
    )


def _effective(paper: Paper, task: str, spoken: list[Said]) -> tuple[State, int]:
    """The state that counts, and its line: what was written since our last write is news (file format)."""
    key = paper.get("status", "state")
    status, recorded = _state(key), _state(paper.get("recorded"))
    told = [(state, said.line) for said in spoken if _is_state(said, task) and (state := state_of(said.rest))]
    before = paper.get("said")
    counted = re.fullmatch(r"(.*?)\s*x([0-9]{1,9})", before.text.strip()) if before else None
    said = STATES.get(counted[1].lower()) if counted else _state(before)
    times = int(counted[2]) if counted else 1 if before else 0
    by_hand = status is not None and recorded is not None and status is not recorded
    if told:
        again = len(told) > times > 0 and recorded in _WORKING
        if status is None or ((told[-1][0] is not said or again) and not by_hand):
            return told[-1][0], paper.body_line + told[-1][1] - 1
    return status or recorded or State.BACKLOG, key.line if key else 1


def _is_state(said: Said, task: str) -> bool:
    return said.name.lower() in ("status", "state") or said.name.upper() == task


def _one(key: Key) -> str:
    return key.items[0] if key.items is not None and len(key.items) == 1 else key.text


def _agent(text: str) -> str | None:
    return words.agent_id(text.strip().removeprefix("@")) if text.strip() else None


def _state(key: Key | None) -> State | None:
    return STATES.get(key.text.strip().lower()) if key else None


def _number(key: Key | None, default: int) -> int:
    return int(key.text) if key else default


def _listed(key: Key | None) -> list[str]:
    if key is None:
        return []
    return [item for item in (key.items if key.items is not None else re.split(r"[,\s]+", key.text)) if item]


def _outputs(paper: Paper) -> list[str]:
    key = paper.get(*_NAMES["outputs"])
    return [] if key is None else list(key.items) if key.items is not None else key.text.split("\n")


def _instant(key: Key | None, zone: tzinfo) -> datetime | None:
    return instants.instant(key.text, datetime.now(UTC), zone) if key else None
