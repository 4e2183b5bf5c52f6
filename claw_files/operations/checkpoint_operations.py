"""The operations on checkpoints."""

from typing import TYPE_CHECKING, Literal

from claw_files.operations.fields import File, Text, Texts
from claw_files.operations.reply import Reply

if TYPE_CHECKING:
    from claw_files.app.wiring import App


def checkpoint(
    app: "App",
    action: Literal["show", "save"] = "show",
    completed: Texts = (),
    in_progress: Texts = (),
    pending: Texts = (),
    text: Text = "",
) -> Reply:
    """Show your checkpoint with what to resume, or replace it."""
    if action == "save":
        return save(app, text, completed=completed, in_progress=in_progress, pending=pending)
    return resume(app)


def save(
    app: "App",
    text: Text = "",
    *,
    completed: Texts = (),
    in_progress: Texts = (),
    pending: Texts = (),
    body: File = "",
) -> Reply:
    """Write your checkpoint, replacing the previous one.

    Args:
        completed: A finished item, skipped on resume; repeatable.
        in_progress: An item to restart on resume; repeatable.
        pending: An item to do after that; repeatable.
        body: Read resume notes from a file; - reads standard input.

    Example:
        clawfiles checkpoint save "next: the retry" --completed TC-1 --in-progress TC-2 --agent peter
    """
    from claw_files.presentation import views

    saved = app.checkpoints.save(app.actor, completed, in_progress, pending, body or text)
    return Reply(lambda: views.checkpoint_json(saved), lambda: f"saved to {app.checkpoints.path(app.actor)}")


def show(app: "App") -> Reply:
    """Show your checkpoint.

    Example:
        clawfiles checkpoint show --agent peter
    """
    from claw_files.presentation import views

    found = app.checkpoints.load(app.actor)
    return Reply(lambda: views.checkpoint_json(found), lambda: views.checkpoint_text(found))


def resume(app: "App") -> Reply:
    """Print what to do next: items in progress, then pending items. Completed items are skipped.

    Example:
        clawfiles checkpoint resume --agent peter
    """
    from claw_files.core import text as words
    from claw_files.presentation import views

    found = app.checkpoints.load(app.actor)
    todo = app.checkpoints.resume(found)
    told = "\n".join(words.safe(item) for item in todo) or "nothing is left"
    return Reply(lambda: views.checkpoint_json(found) | {"resume": todo}, lambda: told)
