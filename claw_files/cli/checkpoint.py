"""`checkpoint save`, `show` and `resume`."""

import click

from claw_files.cli.base import TEXT, Command, group, open_app, read_text, show


@group(
    "checkpoint", example='clawfiles checkpoint save --completed "read the code" --pending "write it up" --agent peter'
)
def checkpoint() -> None:
    """What an agent needs to go on after a restart."""


@checkpoint.command(
    "save",
    cls=Command,
    example='clawfiles checkpoint save "next: the retry" --completed TC-1 --in-progress TC-2 --agent peter',
)
@click.argument("text", required=False, default="", type=TEXT)
@click.option(
    "--completed", multiple=True, type=TEXT, metavar="ITEM", help="What is done; skipped on resume. May repeat."
)
@click.option(
    "--in-progress", multiple=True, type=TEXT, metavar="ITEM", help="What is begun again on resume. May repeat."
)
@click.option("--pending", multiple=True, type=TEXT, metavar="ITEM", help="What comes then. May repeat.")
@click.option("--body", metavar="FILE", help="How to resume, from a file; - reads standard input.")
def save(
    text: str, completed: tuple[str, ...], in_progress: tuple[str, ...], pending: tuple[str, ...], body: str | None
) -> None:
    """Write your checkpoint; the one before is replaced."""
    from claw_files.presentation import views

    app = open_app()
    actor = app.actor
    saved = app.checkpoints.save(actor, completed, in_progress, pending, read_text(body) or text)
    show(views.checkpoint_json(saved), f"saved to {app.checkpoints.path(actor)}")


@checkpoint.command("show", cls=Command, example="clawfiles checkpoint show --agent peter")
def show_checkpoint() -> None:
    """Show your checkpoint."""
    from claw_files.presentation import views

    app = open_app()
    found = app.checkpoints.load(app.actor)
    show(views.checkpoint_json(found), lambda: views.checkpoint_text(found))


@checkpoint.command("resume", cls=Command, example="clawfiles checkpoint resume --agent peter")
def resume() -> None:
    """Say what to do next: what was begun, then what is pending; what is completed is skipped."""
    from claw_files.core import text as words
    from claw_files.presentation import views

    app = open_app()
    found = app.checkpoints.load(app.actor)
    todo = app.checkpoints.resume(found)
    text = "\n".join(words.safe(item) for item in todo) or "nothing is left"
    show(views.checkpoint_json(found) | {"resume": todo}, text)
