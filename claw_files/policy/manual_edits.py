"""Edits by hand: the effective state after an edit of a status file, and how it is recorded."""

from datetime import datetime, timedelta

from msgspec.structs import replace

from claw_files.config import Agent
from claw_files.core.model import AgentKind, Report, State, Task, Value
from claw_files.policy import transitions
from claw_files.policy.transitions import OPEN, Role, moves_between


class ManualEdit(Value, frozen=True):
    """The result of an edit by hand: the effective state, and what to do about the file."""

    state: State
    moved: bool = False  # an allowed move by hand that clawfiles has not recorded yet
    conflict: str | None = None  # why the file's word does not count


_WORKED = (State.IN_PROGRESS, State.REVIEW, State.DONE)
BY_HAND = (Role.ASSIGNEE, Role.HOLDER, Role.AGENT)


def is_begun(task: Task) -> bool:
    """Whether only its file says that work has begun, which is not a move while a predecessor is open."""
    return bool(task.after) and task.state in _WORKED and task.recorded in (None, State.BACKLOG)


def stand(task: Task, reviewed: bool, waits_for: str = "") -> ManualEdit:
    """The effective state after edits by hand.

    The file's author is taken to be its holder, unless `stranger` says what shows otherwise: nothing in a file proves
    more. `done` where the route wants
    a review counts as `review`. Cancelling by hand is open to a person, so it is believed. What nobody may do by hand
    (approving oneself, bringing back the dead) leaves the recorded state in force. Terms that
    were overruled are a conflict beside a state that counts. `waits_for` names the tasks that it comes after and that
    are not done.
    """
    before = task.recorded or State.BACKLOG
    if task.stranger:
        return ManualEdit(state=before, conflict=overruling(task))
    if task.overruled and task.superseded is None:
        plain = stand(replace(task, overruled=()), reviewed, waits_for)
        return plain if plain.conflict else replace(plain, conflict=overruling(task))
    now = task.state
    if task.superseded is not None:
        over = f"it was written by a former holder, of generation {task.superseded}"
        why = f"{over}; {task.assignee} has {task.generation}"
        if task.superseded == task.generation or before not in (State.BACKLOG, State.IN_PROGRESS):
            why = f"it is an older copy of the file: {before} was recorded since and still applies"
        return ManualEdit(state=before, conflict=why)
    if waits_for and is_begun(task):
        why = f"it cannot change by hand from {before} to {now} while it waits for {waits_for}; {before} still applies"
        return ManualEdit(state=before, conflict=why)
    if now is before:
        return ManualEdit(state=now, moved=task.recorded is None and now is not State.BACKLOG)
    if task.recorded is None and now is State.DEAD:
        return ManualEdit(state=now)
    # From blocked to an end by hand: two moves of the holder in one, unblocking and finishing.
    start = State.IN_PROGRESS if before is State.BLOCKED and now in (State.REVIEW, State.DONE, State.FAILED) else before
    target = State.REVIEW if now is State.DONE and reviewed and start in (State.BACKLOG, State.IN_PROGRESS) else now
    if now is State.CANCELLED and before in OPEN:
        return ManualEdit(state=now, moved=True)
    rows = moves_between(start, target)
    if not any(role in BY_HAND for row in rows for role in row.who):
        return ManualEdit(
            state=before, conflict=f"it cannot change by hand from {before} to {now}; {before} still applies"
        )
    return ManualEdit(state=target, moved=True)


def overruling(task: Task) -> str:
    """One sentence about invalid parts of a status file: another holder, or other terms."""
    if task.stranger:
        whose = f"generation {task.generation} of {task.id} is {task.assignee}'s"
        return f"its file {task.stranger}, but {whose}; no other agent can move it by an edit"
    where = f"definitions/{task.id.lower()}.md"
    return f"the terms of {task.id} are in {where}; its status file cannot change them: {'; '.join(task.overruled)}"


def record(task: Task, standing: ManualEdit, generation: int, now: datetime, lasting: timedelta) -> Task:
    """`task` as clawfiles writes down an allowed move by hand: state, lease and counters as the command would set."""
    released = standing.state is State.BACKLOG and task.recorded is not None
    failed = standing.state is State.FAILED and task.recorded is not State.FAILED
    return replace(
        task,
        state=standing.state,
        recorded=standing.state,
        assignee=None if released else task.assignee,
        generation=max(task.generation, generation),
        lease=(task.lease or now + lasting) if standing.state is State.IN_PROGRESS else None,
        failures=task.failures + 1 if failed else task.failures,
        eta=None if standing.state.is_closed or standing.state is State.REVIEW else task.eta,
        completed=(task.completed or now) if standing.state is State.DONE else None,
        verified=None,
        updated=now,
    )


def carry(
    task: Task, report: Report, known: Agent | None, generation: int, now: datetime, lasting: timedelta, reviewed: bool
) -> Task:
    """`task` after the move that its report gives, as the command would make it.

    Args:
        known: the author in the configuration; None for a stranger, who is taken for a named agent.
        generation: what the task's message reserved; 0 for none.
    """
    author = transitions.Actor(id=report.author, kind=known.kind if known else AgentKind.NAMED)
    task = replace(task, assignee=task.assignee or report.author, generation=max(task.generation, generation))
    if report.state is State.IN_PROGRESS:
        if task.state is State.BACKLOG:
            task = transitions.claim(task, author, task.generation, now, lasting)
            return replace(task, eta=report.eta or task.eta)
        return transitions.progress(task, author, now, lasting, report.eta)
    if task.state is State.BLOCKED:  # unblocked and ended in one
        task = transitions.progress(task, author, now, lasting)
    if report.state is State.BLOCKED:
        return transitions.block(task, author, now, report.note or "reported as blocked")
    if report.state is State.FAILED:
        return transitions.fail(task, author, now, report.note or "reported as failed")
    return transitions.finish(task, author, now, report.state is State.REVIEW or reviewed, report.note or None)
