"""What is done with tasks, whatever door it is asked for through: where a task lies is looked up here, once for all."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime

    from claw_files.app.wiring import App
    from claw_files.core.model import AgentId, Lease, Task, TaskId
    from claw_files.policy.snapshot import Predecessor
    from claw_files.services.delegation.delegation import DelegationResult
    from claw_files.services.tasks.board import Shown
    from claw_files.services.tasks.lifecycle import NewTask


class CreatedTask(NamedTuple):
    """A new task, whom it was delegated to, what is odd about it, in one sentence, and what it has to wait for."""

    shown: "Shown"
    receiver: "AgentId | None"
    warning: str | None
    waits_for: "tuple[Predecessor, ...]" = ()


class MovedTask(NamedTuple):
    """A task as its move left it, and where it lies."""

    task: "Task"
    place: "App"

    def json(self) -> dict[str, Any]:
        """The task as `task show` has it; of one in a compartment of somebody else's only its id and state."""
        from claw_files.presentation import views

        if self.place.is_blind:
            return {"id": self.task.id, "status": self.task.state}
        return views.task_json(self.place.board.show(self.task.id, own=True))


def make(app: "App", order: "NewTask", to: str | None) -> CreatedTask:
    """Make the task, in the place of whom it is for, and delegate it to them; raises what either raises."""
    from claw_files.core.errors import AlreadyClaimed, Conflict, MoveRefused
    from claw_files.core.model import State
    from claw_files.policy.routing import estimate_warning
    from claw_files.services.delegation.spawn_contract import is_sent

    actor = app.actor
    receiver = app.settings.agent(to).name if to else None
    if receiver:
        app.check_takes_work()
        app.delegations.check(actor, receiver, app.inside)
    place = app.place_of(receiver)
    for earlier in order.after:
        app.place_to_act(earlier)
    note = place.begin("task new", order, to)
    made = place.tasks.new(order, actor, app.inside if place is app or place.home else None, receiver)
    waits_for: tuple[Predecessor, ...] = ()
    is_left = not note.again or (made.state is State.BACKLOG and not is_sent(place.workspace, made))
    if receiver and is_left:
        try:
            done = place.delegations.delegate(made.id, actor, receiver, inside=app.inside, sender=app.delegations)
            waits_for = done.waits_for
        except (AlreadyClaimed, Conflict, MoveRefused):  # its line was there: a heartbeat may have been faster
            if place.workspace.load(made.id).task.assignee != receiver:
                raise
    if receiver:
        app.wake()
    return CreatedTask(place.board.show(made.id, own=True), receiver, estimate_warning(made.estimate), waits_for)


def delegate(
    app: "App", task: "TaskId", to: str | None, check: "datetime | None", urgent: bool = False
) -> "DelegationResult":
    """Give the task to an agent, or to whom its route names, and wake them; raises what `Delegations.delegate` does."""
    from claw_files.core.errors import NotFound

    app.check_takes_work()
    by, receiver = app.actor, app.settings.agent(to).name if to else None
    place = app.place_to_act(task)
    if place.is_blind and receiver != place.home:
        raise NotFound("task", task, "`clawfiles task list` shows what there is")
    done = place.delegations.delegate(task, by, receiver, check, app.inside, sender=app.delegations, urgent=urgent)
    app.wake()
    return done


def move(app: "App", task: "TaskId", make_move: "Callable[[App], Task]") -> MovedTask:
    """What `make_move` makes of the task, given the place where it lies; raises what it raises.

    From a compartment of somebody else's nothing is raised that tells of what lies there.
    """
    place = app.place_to_act(task)
    return MovedTask(_blindly(task, place, make_move) if place.is_blind else make_move(place), place)


def unblock(app: "App", task: "TaskId", note: str, generation: int | None) -> MovedTask:
    """What was blocked may go on; a holder who did not say so itself is told. Raises what the move raises."""
    from claw_files.core.model import State

    by = app.actor

    def unblocked(place: "App") -> "Task":
        is_again = place.begin("unblock", task, note).again
        found = place.workspace.in_force(place.workspace.load(task).task)
        is_made = is_again and found.state is not State.BLOCKED
        return found if is_made else place.tasks.unblock(task, by, note, generation)

    moved = move(app, task, unblocked)
    holder, place = moved.task.assignee, moved.place
    if moved.task.state is State.IN_PROGRESS and holder and holder != by and not place.is_blind:
        place.messages.send(by, holder, f"{task} can go on. {note}".strip(), task)
        place.wake()
    return moved


def progress(place: "App", task: "TaskId", note: str, eta: "datetime | None", generation: int | None) -> "Task":
    """The task with its lease renewed, and the note added once, however often it was tried."""
    if note:
        place.begin("progress", task, note)
    return place.tasks.progress(task, place.actor, note, eta, generation)


def comment(app: "App", task: "TaskId", text: str) -> MovedTask:
    """The task with a note of whoever acts at the end of its file."""
    from claw_files.services.tasks import comments

    def commented(place: "App") -> "Task":
        place.begin("comment", task, text)
        return comments.add(place.workspace, task, app.actor, text)

    return move(app, task, commented)


def _blindly(task: "TaskId", place: "App", make_move: "Callable[[App], Task]") -> "Task":
    from claw_files.core.errors import Busy, ClawError, MoveRefused

    try:
        return make_move(place)
    except Busy:
        raise Busy(str(task), "somebody") from None
    except ClawError:
        right = "its agent knows how it stands"
        raise MoveRefused("compartments", f"{task} cannot be moved so, from where it stands", right) from None


def claim(app: "App", task: "TaskId", generation: int | None) -> "Lease":
    """The lease on the task, which is moved in first where the agent has a compartment."""
    from claw_files.core.errors import NotFound

    place, generation = app.place_to_act(task), app.generation(task, generation)
    if place.is_blind:
        raise NotFound("task", task, "`clawfiles task list` shows what there is")
    if place is not app:
        app.outer.moving.bring(task, app.actor, lambda found: place.claims.check(found, app.actor))
    return app.claims.claim(task, app.actor, generation)


def claim_next(app: "App", task_type: str | None) -> "Lease":
    """The lease on the best task that is ready for whoever acts, here or outside. Raises NothingReady."""
    from claw_files.core.errors import NothingReady

    if lease := app.claims.claim_next(app.actor, task_type) or _claim_next_outside(app, task_type):
        return lease
    raise NothingReady(app.actor, task_type)


def _claim_next_outside(app: "App", task_type: str | None) -> "Lease | None":
    """From a compartment, the best task that is ready outside."""
    from claw_files.core.errors import Busy, Conflict, NotFound, Refused

    for task in app.outer.claims.ready(app.actor, task_type) if app.home == app.agent else ():
        try:
            return claim(app, task.id, None)
        except (Conflict, Refused, NotFound, Busy):
            continue
    return None
