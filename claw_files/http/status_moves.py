"""From the status that somebody wants a task to have to the call that moves it there."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from claw_files.core.errors import BadValue, UsageError
from claw_files.core.model import AgentId, State, Task
from claw_files.formats import vocabulary
from claw_files.operations.arguments import Arguments, Generation, Name, Text, Texts

S = State
REACHED = tuple(state for state in State if state is not S.DEAD)


class Needed(Arguments, frozen=True, kw_only=True):
    agent: Name
    question: Text


class Patch(Arguments, frozen=True, kw_only=True):
    """What a change of a task takes; which of it goes with which status, `WAYS` says."""

    status: Name | None = None
    note: Text | None = None
    outputs: Texts | None = None
    eta: Name | None = None
    generation: Generation | None = None
    need: Needed | None = None


class StatusWay(NamedTuple):
    """A call, and under which name it gets the fields that go with it."""

    call: str
    fields: dict[str, str]
    more: Mapping[str, Any] = MappingProxyType({})


_HELD = {"generation": "generation"}
WAYS = {
    "claim": StatusWay("task_claim", _HELD),
    "progress": StatusWay("task_progress", {"note": "note", "eta": "eta", **_HELD}),
    "done": StatusWay("task_done", {"note": "summary", "outputs": "outputs", **_HELD}),
    "review": StatusWay("task_done", {"note": "summary", "outputs": "outputs", **_HELD}, {"review": True}),
    "approve": StatusWay("task_approve", {}),
    "block": StatusWay("task_block", {"note": "note", **_HELD}),
    "unblock": StatusWay("task_unblock", {"note": "note", **_HELD}),
    "need": StatusWay("task_need", {"need": "", **_HELD}),
    "fail": StatusWay("task_fail", {"note": "reason", **_HELD}),
    "release": StatusWay("task_release", {"note": "why", **_HELD}),
    "reopen": StatusWay("task_reopen", {"note": "why"}),
    "cancel": StatusWay("task_cancel", {"note": "why"}),
}


def plan(task: Task, actor: AgentId, patch: Patch) -> tuple[str, dict[str, Any]]:
    """The name of the call that gives the task the status, and its arguments.

    Args:
        task: as it stands, in the state that is in force.
        actor: who asks.

    Raises BadValue for a status that no call leads to, Usage for a field that does not go with the move.
    """
    name = pick(task, actor, patch)
    way = WAYS[name]
    arguments: dict[str, Any] = {"task": task.id, **way.more}
    for field in Patch.__struct_fields__[1:]:
        value = getattr(patch, field)
        if value is None:
            continue
        if field not in way.fields:
            raise UsageError(f"`{field}` does not go with `{name}`, which is what this status means for {task.id} now")
        if field == "need":
            arguments |= {"agent": value.agent, "question": value.question}
        else:
            arguments[way.fields[field]] = list(value) if isinstance(value, tuple) else value
    return way.call, arguments


def pick(task: Task, actor: AgentId, patch: Patch) -> str:
    """The move that is meant. Whoever names a generation means its own attempt, and never approves with the same."""
    target = vocabulary.state(patch.status) if patch.status is not None else None
    if patch.status is not None and target not in REACHED:
        raise BadValue("status", patch.status, f"one of {', '.join(REACHED)}")
    is_holder = task.assignee == actor and task.state in (S.IN_PROGRESS, S.BLOCKED)
    if target is S.IN_PROGRESS:
        return "progress" if is_holder else "unblock" if task.state is S.BLOCKED else "claim"
    if target is S.DONE:
        return "approve" if task.state is S.REVIEW and patch.generation is None else "done"
    if target is S.BLOCKED:
        return "need" if patch.need else "block"
    if target is S.BACKLOG:
        return "reopen" if task.state in (S.REVIEW, S.DONE) else "release"
    return {None: "progress", S.REVIEW: "review", S.FAILED: "fail", S.CANCELLED: "cancel"}[target]
