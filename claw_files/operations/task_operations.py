"""The operations on tasks. They locate the task's workspace once, for all interfaces."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

from claw_files.core.errors import (
    AlreadyClaimed,
    BadValue,
    Busy,
    Conflict,
    MoveRefused,
    NotFound,
    NothingReady,
    Refused,
    UsageError,
)
from claw_files.operations.fields import (
    FREE,
    SHELL_ONLY,
    Agent,
    Count,
    File,
    Flag,
    Generation,
    Json,
    Length,
    Name,
    Shell,
    Task,
    Tasks,
    When,
)
from claw_files.operations.reply import Reply

if TYPE_CHECKING:
    from claw_files.app.wiring import App
    from claw_files.core.model import Lease, TaskId
    from claw_files.policy.snapshot import Predecessor
    from claw_files.services.delegation.delegation import DelegationResult
    from claw_files.services.tasks.board import TaskListing


# --- making and looking


def new(
    app: "App",
    title: Name,
    *,
    type: Name | None = None,
    to: Agent | None = None,
    priority: Name | None = None,
    urgent: Annotated[Flag, SHELL_ONLY] = False,
    estimate: Length | None = None,
    after: Annotated[Tasks, Shell(is_split=True)] = (),
    body: File = "",
) -> Reply:
    """Create a task in the backlog and print its id.

    Args:
        type: Task type, which selects the route.
        to: Delegate the task to this agent immediately.
        priority: critical, high, normal or low, p0 to p3.
        urgent: The answer is needed now: sets the priority to critical.
        estimate: How long a person would need, for example 30m.
        after: A task that must be done first; repeatable.
        body: Read the description from a file; - reads standard input.

    Example:
        clawfiles task new "API security review" --to peter --estimate 30m --agent sam
    """
    from claw_files.core.model import State
    from claw_files.policy.routing import estimate_warning
    from claw_files.policy.snapshot import standing_of
    from claw_files.presentation import views
    from claw_files.services.delegation.spawn_contract import is_sent
    from claw_files.services.tasks.lifecycle import NewTask

    if urgent and priority:
        raise UsageError("say either `urgent` or `priority`")
    order = NewTask(
        title=title,
        type=type,
        priority="critical" if urgent else priority,
        estimate=estimate,
        after=after,
        body=body,
    )
    if to:
        app.check_takes_work()
        app.delegations.check(app.actor, to, app.inside)
    place = app.resolver.of(to)
    for earlier in after:
        app.resolver.to_act(earlier)
    note = place.begin("task new", order, to)
    made = place.tasks.new(order, app.actor, app.inside if place is app or place.home else None, to)
    waits_for: tuple[Predecessor, ...] = ()
    is_left = not note.again or (made.state is State.BACKLOG and not is_sent(place.workspace, made))
    if to and is_left:
        try:
            done = place.delegations.delegate(made.id, app.actor, to, inside=app.inside, sender=app.delegations)
            waits_for = done.waits_for
        except (AlreadyClaimed, Conflict, MoveRefused):  # its line was there: a heartbeat may have been faster
            if place.workspace.load(made.id).task.assignee != to:
                raise
    if to:
        app.wake()
    shown = place.board.show(made.id)
    told = made.id + (f" delegated to {to}" if to else "")
    told += f", waits for {standing_of(waits_for)}" if waits_for else ""
    return Reply(lambda: views.task_json(shown), lambda: told, estimate_warning(made.estimate))


def list_tasks(
    app: "App",
    *,
    status: Name | None = None,
    agent: Agent | None = None,
    limit: Annotated[Count | None, FREE, Json(default=100)] = None,
) -> Reply:
    """List tasks, one per line, without the archive.

    Args:
        status: Show only tasks in this state.
        agent: Show only tasks of this agent.
        limit: Show at most N.

    Example:
        clawfiles task list --status in_progress --agent peter
    """
    from claw_files.core.model import State
    from claw_files.presentation import views

    state = app.settings.vocabulary.state(status) if status else None
    if status and state is None:
        raise BadValue("status", status, f"a state: {', '.join(State)}")
    found = app.board.listing(state, agent, limit)
    return _listed(found, lambda: {"tasks": _rows(found)}, lambda: views.listing_text(found))


def board(app: "App", *, limit: Annotated[Count | None, FREE, Json(default=100)] = None) -> Reply:
    """Show all tasks by state, without the archive.

    Args:
        limit: Show at most N tasks.

    Example:
        clawfiles board
    """
    from claw_files.core.model import State

    def by_state() -> dict[str, Any]:
        rows = _rows(found)
        states = {state: [row for row in rows if row["status"] == state] for state in State}
        return {"board": {state: tasks for state, tasks in states.items() if tasks}}

    found = app.board.listing(limit=limit)
    return _listed(found, by_state, lambda: _board_text(found))


def _board_text(found: "TaskListing") -> str:
    """Columns on a terminal; else a line each."""
    import sys

    from claw_files.presentation import views

    if not sys.stdout.isatty():
        return views.board_text(found)
    from claw_files.operations.terminal_board import drawn

    return drawn(found)


def _listed(found: "TaskListing", document: Callable[[], dict[str, Any]], text: Callable[[], str]) -> Reply:
    """A list of tasks; files that cannot be read are named in the answer, and to people beside it."""
    unreadable = [{"path": path, "why": why} for path, why in found.unreadable]
    remarks = tuple(sentence for _, sentence in found.unreadable)
    return Reply(lambda: document() | {"unreadable": unreadable}, text, None, remarks, lambda: _rows(found))


def _rows(found: "TaskListing") -> list[dict[str, Any]]:
    from claw_files.presentation import views

    return [views.task_json(shown) for shown in found.tasks]


def show(app: "App", task: Task) -> Reply:
    """Show one task: its fields, its holder's liveness and its text. Also searches the archive.

    Example:
        clawfiles task show TC-47 --json
    """
    from claw_files.presentation import views

    shown = app.resolver.to_see(task).board.show(task)
    return Reply(lambda: views.task_json(shown, body=True), lambda: views.task_text(shown, app.when))


# --- claiming and delegating


def claim(
    app: "App",
    task: Task | None = None,
    *,
    take_next: Annotated[Flag, Shell("--next"), Json("next")] = False,
    type: Name | None = None,
    generation: Generation = None,
) -> Reply:
    """Claim a task: exactly one agent gets it; the others are told who holds it.

    Prints the generation. Claiming with that generation renews the lease. With --next, exits 3 if nothing is ready.

    Args:
        take_next: Claim the most urgent task that you may take.
        type: With --next: consider only tasks of this type.
        generation: The generation you hold, as printed by `claim`.

    Example:
        clawfiles claim TC-47 --agent peter
        clawfiles claim --next --type code-review --agent peter
    """
    from claw_files.presentation import views

    if take_next == bool(task):
        raise UsageError("pass either `task` or `next`")
    if type and not take_next:
        raise UsageError("`type` requires `next`")
    lease = _claim(app, task, generation) if task else _claim_next(app, type)
    return Reply(lambda: views.lease_json(lease), lambda: views.lease_text(lease, app.when))


def _claim(app: "App", task: "TaskId", generation: int | None) -> "Lease":
    """The lease on the task, which is moved in first where the agent has a compartment."""
    place, generation = app.resolver.to_take(task), app.generation(task, generation)
    if place is not app and (moving := app.resolver.moving):
        moving.bring(task, app.actor, lambda found: place.claims.check(found, app.actor))
    return app.claims.claim(task, app.actor, generation)


def _claim_next(app: "App", task_type: str | None) -> "Lease":
    """The lease on the best task that is ready for whoever acts: here, or from a compartment outside of it."""
    if lease := app.claims.claim_next(app.actor, task_type):
        return lease
    for task in app.outer.claims.ready(app.actor, task_type) if app.home == app.agent else ():
        try:
            return _claim(app, task.id, None)
        except (Conflict, Refused, NotFound, Busy):
            continue
    raise NothingReady(app.actor, task_type)


def delegate(
    app: "App", task: Task, *, to: Agent | None = None, check: When | None = None, urgent: Flag = False
) -> Reply:
    """Assign a task to an agent: adds the ledger line, sends the message, wakes the agent. Does not wait.

    Args:
        to: The agent (default: chosen by the route of the task's type).
        check: When to check on it: 10:00, +30m (default: `check` under [heartbeat]).
        urgent: The answer is needed now: sets the priority to critical.

    Example:
        clawfiles delegate TC-47 --to peter --check 10:00 --agent sam
    """
    app.check_takes_work()
    place = app.resolver.to_take(task, to)
    done = place.delegations.delegate(task, app.actor, to, check, app.inside, sender=app.delegations, urgent=urgent)
    app.wake()
    return delegated(app, done)


def delegated(app: "App", done: "DelegationResult") -> Reply:
    """A task that was delegated, or that a worker was spawned for."""
    from claw_files.policy.snapshot import standing_of

    told = f"accepted: {done.task} delegated to {done.agent}, check at {app.when(done.check)}"
    if done.waits_for:
        told = f"accepted: {done.task} goes to {done.agent} after {standing_of(done.waits_for)}"
    if done.cached:
        told = f"from cache: {done.task} has the result of {done.cached}, in checkpoints/subagent-{done.label}.md"
    return Reply(lambda: delegated_json(done), lambda: told, done.warning)


def delegated_json(done: "DelegationResult") -> dict[str, Any]:
    found = {"status": "accepted", "task": done.task, "agent": done.agent, "id": done.message, "check": done.check}
    found |= {"label": done.label, "run": done.run, "cached": done.cached}
    return found | {"waits_for": [it.task for it in done.waits_for]}
