"""Maps a wanted status to the operation that moves the task there."""

from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import msgspec

from claw_files.core.errors import BadValue, UsageError
from claw_files.core.model import AgentId, State, Task
from claw_files.core.operation_table import OPERATIONS
from claw_files.formats import vocabulary
from claw_files.operations.dispatch import arguments_of
from claw_files.operations.fields import ArgumentType, Generation, Name, Text, Texts

if TYPE_CHECKING:
    from claw_files.app.wiring import App

S = State
REACHED = tuple(state for state in State if state is not S.DEAD)


class Needed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The agent whose answer a task needs."""

    agent: Annotated[str, msgspec.Meta(max_length=512)]
    question: Annotated[str, msgspec.Meta(max_length=1 << 20)]


def patch(
    app: "App",
    *,
    status: Name | None = None,
    note: Text | None = None,
    outputs: Texts | None = None,
    eta: Name | None = None,
    answer: Name | None = None,
    generation: Generation = None,
    need: Annotated[Needed | None, ArgumentType(Needed)] = None,
) -> None:
    """Declares the fields of a task change; `WAYS` assigns them to statuses."""


class StatusWay(NamedTuple):
    """An operation, and the names of its fields."""

    operation: str
    fields: dict[str, str]


_COMMANDS = ("claim", "progress", "done", "review", "approve", "block", "unblock", "need", "fail", "release", "reopen")
_FIELDS = (  # a field of the patch, and what operations call it
    *(("note", name) for name in ("note", "summary", "reason", "why")),
    *((name, name) for name in ("outputs", "eta", "answer", "generation")),
)


def _way(command: str) -> StatusWay:
    row = next(row for row in OPERATIONS.values() if command in (it.name for it in row.commands))
    taken = [argument.name for argument in arguments_of(row)]
    fields = {field: name for field, name in _FIELDS if name in taken}
    return StatusWay(row.name, fields | ({"need": ""} if command == "need" else {}))


WAYS = {command: _way(command) for command in (*_COMMANDS, "cancel")}


def plan(task: Task, actor: AgentId, patch: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The name of the operation that gives the task the status, and its arguments.

    Args:
        task: as it stands, in the state that is in force.
        actor: who asks.

    Raises BadValue for a status that no operation leads to, Usage for a field that does not go with the move.
    """
    name = pick(task, actor, patch)
    way = WAYS[name]
    arguments: dict[str, Any] = {"task": task.id} | ({"review": True} if name == "review" else {})
    for field, value in patch.items():
        if field == "status" or value is None:
            continue
        if field not in way.fields:
            raise UsageError(f"`{field}` cannot be used with `{name}`, which this status means for {task.id} now")
        if field == "need":
            arguments |= {"agent": value.agent, "question": value.question}
        else:
            arguments[way.fields[field]] = list(value) if isinstance(value, tuple) else value
    return way.operation, arguments


def pick(task: Task, actor: AgentId, patch: dict[str, Any]) -> str:
    """The move that is meant. Whoever names a generation means its own attempt, and never approves with the same."""
    status = patch.get("status")
    target = vocabulary.state(status) if status is not None else None
    if status is not None and target not in REACHED:
        raise BadValue("status", status, f"one of {', '.join(REACHED)}")
    is_holder = task.assignee == actor and task.state in (S.IN_PROGRESS, S.BLOCKED)
    if target is S.IN_PROGRESS:
        return "progress" if is_holder else "unblock" if task.state is S.BLOCKED else "claim"
    if target is S.DONE:
        return "approve" if task.state is S.REVIEW and patch.get("generation") is None else "done"
    if target is S.BLOCKED:
        return "need" if patch.get("need") else "block"
    if target is S.BACKLOG:
        return "reopen" if task.state in (S.REVIEW, S.DONE) else "release"
    return {None: "progress", S.REVIEW: "review", S.FAILED: "fail", S.CANCELLED: "cancel"}[target]
