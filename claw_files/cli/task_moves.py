"""The commands that move a task."""

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from claw_files.cli.base import TEXT, Command, command, open_app, shared, show

if TYPE_CHECKING:
    from claw_files.app.wiring import App
    from claw_files.core.model import Task, TaskId

_GENERATION = click.option(
    "--generation", type=click.IntRange(min=0), metavar="N", help="The generation you hold, as `claim` printed it."
)


def _move(name: str, example: str, *, holder: bool = False) -> Callable[[Callable[..., "Task"]], Command]:
    """A command on one task: the function makes the move, given the app, who acts, and the task; this shows it."""

    def decorate(function: Callable[..., "Task"]) -> Command:
        @wraps(function)  # its help and its own parameters
        def callback(task_id: str, generation: int | None = None, **options: Any) -> None:
            from claw_files.core import text as words
            from claw_files.operations import task_moves
            from claw_files.presentation import views

            app = open_app()
            task = words.task_id(task_id)
            if holder:
                options["generation"] = app.generation(task, generation)
            moved = task_moves.move(app, task, lambda place: function(place, app.actor, task, **options))
            blind = f"{moved.task.id} is {moved.task.state}" if moved.place.is_blind else None
            show(moved.json() if shared("json") else None, lambda: blind or views.move_text(moved.task, app.when))

        with_options = _GENERATION(callback) if holder else callback
        return command(name, example=example)(click.argument("task_id", metavar="TASK")(with_options))

    return decorate


@command(
    "claim", example="clawfiles claim TC-47 --agent peter\nclawfiles claim --next --type code-review --agent peter"
)
@click.argument("task_id", metavar="[TASK]", required=False)
@click.option("--next", "take_next", is_flag=True, help="The oldest of the highest priority that you may take.")
@click.option("--type", "task_type", type=TEXT, metavar="T", help="With --next: only tasks of this type.")
@_GENERATION
def claim(task_id: str | None, take_next: bool, task_type: str | None, generation: int | None) -> None:
    """Take a task: exactly one agent gets it, the others are told who did.

    Prints the generation; who names it again has its lease renewed. With --next and nothing ready it exits 3.
    """
    from claw_files.core import text as words
    from claw_files.operations import task_moves
    from claw_files.presentation import views

    if take_next == bool(task_id):
        raise click.UsageError("say either a task or --next")
    if task_type and not take_next:
        raise click.UsageError("--type goes with --next")
    app = open_app()
    lease = (
        task_moves.claim(app, words.task_id(task_id), generation) if task_id else task_moves.claim_next(app, task_type)
    )
    show(views.lease_json(lease), lambda: views.lease_text(lease, app.when))


@_move("progress", 'clawfiles progress TC-47 "half of the endpoints read" --eta 11:00 --agent peter', holder=True)
@click.argument("note", required=False, default="", type=TEXT)
@click.option("--eta", metavar="WHEN", help="When it will be done: 11:00, +30m, 2026-03-07T10:00:00Z.")
def progress(app: "App", by: Any, task: "TaskId", note: str, eta: str | None, generation: int | None) -> "Task":
    """Say how it goes: adds the note, renews the lease, takes a blocked task up again."""
    from claw_files.core import instants
    from claw_files.operations import task_moves

    at = instants.instant(eta, app.workspace.clock.now(), app.workspace.zone, "--eta") if eta else None
    return task_moves.progress(app, task, note, at, generation)


@_move("beat", "clawfiles beat TC-47 --agent peter", holder=True)
def beat(app: "App", by: Any, task: "TaskId", generation: int | None) -> "Task":
    """Renew the lease of a task you hold, nothing else."""
    return app.tasks.beat(task, by, generation)


_SUMMARY = click.argument("summary", required=False, default="", type=TEXT)
_OUTPUT = click.option(
    "--output",
    "outputs",
    multiple=True,
    type=TEXT,
    metavar="TEXT",
    help='What came of it: a file, "PR #142"; may repeat.',
)


@_move("done", 'clawfiles done TC-47 "2 findings fixed" --output "PR #142" --agent peter', holder=True)
@_SUMMARY
@_OUTPUT
def done(app: "App", by: Any, task: "TaskId", summary: str, outputs: tuple[str, ...], generation: int | None) -> "Task":
    """Finish a task you hold; where its route wants a review it becomes review."""
    return app.tasks.done(task, by, summary, outputs, generation)


@_move("review", 'clawfiles review TC-47 "please look at the retry" --output "PR #142" --agent peter', holder=True)
@_SUMMARY
@_OUTPUT
def review(
    app: "App", by: Any, task: "TaskId", summary: str, outputs: tuple[str, ...], generation: int | None
) -> "Task":
    """Finish a task you hold and have it reviewed, also where its route wants no review."""
    return app.tasks.done(task, by, summary, outputs, generation, review=True)


@_move("fail", 'clawfiles fail TC-47 "the staging host is gone" --agent peter', holder=True)
@click.argument("reason", required=False, default="", type=TEXT)
def fail(app: "App", by: Any, task: "TaskId", reason: str, generation: int | None) -> "Task":
    """Give up this attempt; the next heartbeat decides what follows."""
    return app.tasks.fail(task, by, reason, generation)


@_move("block", 'clawfiles block TC-47 "no access to the staging host" --agent peter', holder=True)
@click.argument("note", type=TEXT)
def block(app: "App", by: Any, task: "TaskId", note: str, generation: int | None) -> "Task":
    """Say what a task waits for; any agent may. The next heartbeat passes it on."""
    return app.tasks.block(task, by, note, generation)


@command("unblock", example='clawfiles unblock TC-47 "the key is in the vault" --agent sam')
@click.argument("task_id", metavar="TASK")
@click.argument("note", required=False, default="", type=TEXT)
@_GENERATION
def unblock(task_id: str, note: str, generation: int | None) -> None:
    """Let a blocked task go on. Its holder stays the holder and is told; without one it is in backlog again."""
    from claw_files.core import text as words
    from claw_files.operations import task_moves
    from claw_files.presentation import views

    app, task = open_app(), words.task_id(task_id)
    moved = task_moves.unblock(app, task, note, app.generation(task, generation))
    show(moved.json() if shared("json") else None, lambda: views.move_text(moved.task, app.when))


@_move("comment", 'clawfiles comment TC-47 "the staging host has moved" --agent iris')
@click.argument("text", type=TEXT)
def comment(app: "App", by: Any, task: "TaskId", text: str) -> "Task":
    """Add a dated note to the file of anybody's task. It says nothing about how the task stands."""
    from claw_files.services.tasks import comments

    app.begin("comment", task, text)
    return comments.add(app.workspace, task, by, text)


@_move("need", 'clawfiles need TC-47 --from iris "Which region is live?" --agent peter', holder=True)
@click.option("--from", "other", required=True, metavar="AGENT", help="Who can answer.")
@click.argument("question", type=TEXT)
def need(app: "App", by: Any, task: "TaskId", other: str, question: str, generation: int | None) -> "Task":
    """Block a task until another agent has answered; the next heartbeat asks, the answer comes straight to you."""
    return app.tasks.need(task, by, app.settings.agent(other).name, question, generation)


@_move("approve", "clawfiles approve TC-47 --agent dimitrios")
def approve(app: "App", by: Any, task: "TaskId") -> "Task":
    """Accept what is in review: it is done."""
    return app.tasks.approve(task, by)


_WHY = click.argument("why", required=False, default="", type=TEXT)


@_move("reopen", 'clawfiles reopen TC-47 "the test for empty input is missing" --agent dimitrios')
@_WHY
def reopen(app: "App", by: Any, task: "TaskId", why: str) -> "Task":
    """Send a finished task back to the same agent, with the reason; the next heartbeat wakes it."""
    return app.tasks.reopen(task, by, why)


@_move("release", 'clawfiles release TC-47 "this one is for iris" --agent peter', holder=True)
@_WHY
def release(app: "App", by: Any, task: "TaskId", why: str, generation: int | None) -> "Task":
    """Give a task back to the backlog; your generation is over."""
    return app.tasks.release(task, by, why, generation)


@_move("cancel", 'clawfiles cancel TC-47 "not needed any more" --agent sam')
@_WHY
def cancel(app: "App", by: Any, task: "TaskId", why: str) -> "Task":
    """Cancel a task; what runs for it is ended first."""
    return app.tasks.cancel(task, by, why)


@_move("requeue", "clawfiles requeue TC-12 --agent dimitrios")
def requeue(app: "App", by: Any, task: "TaskId") -> "Task":
    """Bring a task back out of dead-letter/; its failures are counted anew."""
    return app.tasks.requeue(task, by)


@command("archive", example="clawfiles archive --older-than 7d --agent sam")
@click.option("--older-than", metavar="LENGTH", help="Closed for this long; not given: `archive` under [heartbeat].")
def archive(older_than: str | None) -> None:
    """Move tasks that have long been done or cancelled to status/archive/; every command still finds them."""
    from claw_files.core import text as words

    app = open_app()
    age = words.duration(older_than, "--older-than") if older_than else None
    swept = app.tasks.archive(app.coordinator_or_actor, age)
    for inner in app.compartments() if app is app.outer else ():
        inner.tasks.archive(app.coordinator_or_actor, age)
    moved = ", ".join(swept.moved) or "none"
    told = f"archived: {moved}" + (f"\nstill in the ledger: {', '.join(swept.watched)}" if swept.watched else "")
    show({"archived": swept.moved, "watched": swept.watched}, told)
