"""The operations that change a task's state."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

from claw_files.core.errors import Busy, ClawError, MoveRefused
from claw_files.operations.fields import (
    JSON_ONLY,
    UNLISTED,
    Agent,
    Flag,
    Generation,
    Length,
    Name,
    Shell,
    Task,
    Text,
    Texts,
    When,
)
from claw_files.operations.reply import Reply

if TYPE_CHECKING:
    from claw_files.app.wiring import App
    from claw_files.core.model import Task as TaskValue
    from claw_files.core.model import TaskId


def _moved(app: "App", task: "TaskId", make_move: "Callable[[App], TaskValue]") -> Reply:
    """The task after `make_move` in its workspace; raises the same errors.

    From a compartment of somebody else's nothing is raised that tells of what lies there.
    """
    place = app.resolver.to_act(task)
    return _stands(app, place, _blindly(task, place, make_move) if place.is_blind else make_move(place))


def _stands(app: "App", place: "App", task: "TaskValue") -> Reply:
    """The task as its move left it; of one in a compartment of somebody else's only its id and state."""
    from claw_files.presentation import views

    if place.is_blind:
        return Reply(lambda: {"id": task.id, "status": task.state}, lambda: f"{task.id} is {task.state}")
    return Reply(lambda: views.task_json(place.board.show(task.id)), lambda: views.move_text(task, app.when))


def _blindly(task: "TaskId", place: "App", make_move: "Callable[[App], TaskValue]") -> "TaskValue":
    try:
        return make_move(place)
    except Busy:
        raise Busy(str(task), "somebody") from None
    except ClawError:
        right = "ask its agent about the state"
        raise MoveRefused("compartments", f"{task} cannot make this move in its current state", right) from None


def progress(
    app: "App",
    task: Task,
    note: Text = "",
    *,
    eta: When | None = None,
    generation: Generation = None,
) -> Reply:
    """Report progress: adds the note, renews the lease, resumes a blocked task.

    Args:
        eta: Expected completion: 11:00, +30m, 2026-03-07T10:00:00Z.
        generation: The generation you hold, as printed by `claim`.

    Example:
        clawfiles progress TC-47 "half of the endpoints read" --eta 11:00 --agent peter
    """
    held = app.generation(task, generation)

    def move(place: "App") -> "TaskValue":
        if note:  # so that the note is added once, however often it is tried
            place.begin("progress", task, note)
        return place.tasks.progress(task, place.actor, note, eta, held)

    return _moved(app, task, move)


def beat(app: "App", task: Task, *, generation: Generation = None) -> Reply:
    """Renew the lease of a task you hold and change nothing else.

    Args:
        generation: The generation you hold, as printed by `claim`.

    Example:
        clawfiles beat TC-47 --agent peter
    """
    held = app.generation(task, generation)
    return _moved(app, task, lambda place: place.tasks.beat(task, app.actor, held))


Outputs = Annotated[Texts, Shell("--output")]


def done(
    app: "App",
    task: Task,
    summary: Text = "",
    *,
    outputs: Outputs = (),
    review: Annotated[Flag, JSON_ONLY] = False,
    answer: Annotated[Name | None, UNLISTED] = None,
    generation: Generation = None,
) -> Reply:
    """Finish a task you hold. If its route requires a review, the state becomes review.

    Args:
        outputs: A result: a file, or text such as "PR #142"; repeatable.
        answer: The word of its choices, for a step of a workflow.
        generation: The generation you hold, as printed by `claim`.

    Example:
        clawfiles done TC-47 "2 findings fixed" --output "PR #142" --agent peter
    """
    held = app.generation(task, generation)
    return _moved(app, task, lambda place: place.tasks.done(task, app.actor, summary, outputs, held, review, answer))


def review(
    app: "App", task: Task, summary: Text = "", *, outputs: Outputs = (), generation: Generation = None
) -> Reply:
    """Finish a task you hold and request a review, even if its route does not require one.

    Args:
        outputs: A result: a file, or text such as "PR #142"; repeatable.
        generation: The generation you hold, as printed by `claim`.

    Example:
        clawfiles review TC-47 "please look at the retry" --output "PR #142" --agent peter
    """
    return done(app, task, summary, outputs=outputs, review=True, generation=generation)


def fail(app: "App", task: Task, reason: Text = "", *, generation: Generation = None) -> Reply:
    """Give up this attempt; the next heartbeat decides what follows.

    Args:
        generation: The generation you hold, as printed by `claim`.

    Example:
        clawfiles fail TC-47 "the staging host is gone" --agent peter
    """
    held = app.generation(task, generation)
    return _moved(app, task, lambda place: place.tasks.fail(task, app.actor, reason, held))


def block(app: "App", task: Task, note: Text, *, generation: Generation = None) -> Reply:
    """Block a task and note what is missing; any agent may do this. The next heartbeat reports it.

    Args:
        generation: The generation you hold, as printed by `claim`.

    Example:
        clawfiles block TC-47 "no access to the staging host" --agent peter
    """
    held = app.generation(task, generation)
    return _moved(app, task, lambda place: place.tasks.block(task, app.actor, note, held))


def unblock(
    app: "App",
    task: Task,
    note: Annotated[Text, UNLISTED] = "",
    *,
    generation: Generation = None,
) -> Reply:
    """Unblock a task. Its holder is told and continues; a task without a holder returns to the backlog.

    Args:
        generation: The generation you hold, as printed by `claim`.

    Example:
        clawfiles unblock TC-47 "the key is in the vault" --agent sam
    """
    from claw_files.core.model import State

    by, held = app.actor, app.generation(task, generation)

    def move(place: "App") -> "TaskValue":
        is_again = place.begin("unblock", task, note).again
        found = place.workspace.in_force(place.workspace.load(task).task)
        is_made = is_again and found.state is not State.BLOCKED
        found = found if is_made else place.tasks.unblock(task, by, note, held)
        holder = found.assignee
        if found.state is State.IN_PROGRESS and holder and holder != by and not place.is_blind:
            place.messages.send(by, holder, f"{task} can go on. {note}".strip(), task)
            place.wake()
        return found

    return _moved(app, task, move)


def comment(app: "App", task: Task, text: Text) -> Reply:
    """Add a dated note to any task's file without changing the task's state.

    Example:
        clawfiles comment TC-47 "the staging host has moved" --agent iris
    """
    from claw_files.services.tasks import comments

    def move(place: "App") -> "TaskValue":
        place.begin("comment", task, text)
        return comments.add(place.workspace, task, app.actor, text)

    return _moved(app, task, move)


def need(
    app: "App",
    task: Task,
    question: Text,
    *,
    agent: Annotated[Agent, Shell("--from")],
    generation: Generation = None,
) -> Reply:
    """Block a task until another agent answers. The next heartbeat asks; the answer arrives in your inbox.

    Args:
        agent: The agent that can answer.
        generation: The generation you hold, as printed by `claim`.

    Example:
        clawfiles need TC-47 --from iris "Which region is live?" --agent peter
    """
    held = app.generation(task, generation)
    return _moved(app, task, lambda place: place.tasks.need(task, app.actor, agent, question, held))


def release(app: "App", task: Task, why: Text = "", *, generation: Generation = None) -> Reply:
    """Return a task to the backlog; your generation ends.

    Args:
        generation: The generation you hold, as printed by `claim`.

    Example:
        clawfiles release TC-47 "this one is for iris" --agent peter
    """
    held = app.generation(task, generation)
    return _moved(app, task, lambda place: place.tasks.release(task, app.actor, why, held))


def approve(app: "App", task: Task) -> Reply:
    """Accept a task in review; it becomes done.

    Example:
        clawfiles approve TC-47 --agent dimitrios
    """
    return _moved(app, task, lambda place: place.tasks.approve(task, app.actor))


def reopen(app: "App", task: Task, why: Text = "") -> Reply:
    """Send a finished task back to the same agent, with the reason; the next heartbeat wakes it.

    Example:
        clawfiles reopen TC-47 "the test for empty input is missing" --agent dimitrios
    """
    return _moved(app, task, lambda place: place.tasks.reopen(task, app.actor, why))


def cancel(app: "App", task: Task, why: Text = "") -> Reply:
    """Cancel a task; what runs for it is ended first.

    Example:
        clawfiles cancel TC-47 "not needed any more" --agent sam
    """
    return _moved(app, task, lambda place: place.tasks.cancel(task, app.actor, why))


def requeue(app: "App", task: Task) -> Reply:
    """Move a task from dead-letter/ back to the backlog; its failure count starts again at zero.

    Example:
        clawfiles requeue TC-12 --agent dimitrios
    """

    def move(place: "App") -> "TaskValue":
        from claw_files.services.workflows.resume import resume

        is_run = place.workspace.load(task).task.workflow
        return resume(place.workspace, task, app.actor) if is_run else place.tasks.requeue(task, app.actor)

    return _moved(app, task, move)


def archive(
    app: "App",
    *,
    older_than: Length | None = None,
) -> Reply:
    """Move tasks that were closed long ago to status/archive/; every command still finds them.

    Args:
        older_than: Minimum age (default: `archive` under [heartbeat]).

    Example:
        clawfiles archive --older-than 7d --agent sam
    """
    swept = app.tasks.archive(app.coordinator_or_actor, older_than)
    for inner in app.resolver.inner():
        inner.tasks.archive(app.coordinator_or_actor, older_than)
    told = f"archived: {', '.join(swept.moved) or 'none'}"
    told += f"\nstill in the ledger: {', '.join(swept.watched)}" if swept.watched else ""
    return Reply(lambda: {"archived": swept.moved, "watched": swept.watched}, lambda: told)
