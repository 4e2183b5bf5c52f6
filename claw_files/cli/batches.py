"""`spawn --items`: many small items, several in one message."""

from typing import TYPE_CHECKING

import click

from claw_files.cli.base import read_text, show

if TYPE_CHECKING:
    from claw_files.app import App
    from claw_files.services.contracts import SpawnOrder


def spawn_items(app: "App", order: "SpawnOrder", items: str | None, batch: int | None, wait: bool) -> None:
    """Queue the items of the file in batches, and say what was accepted."""
    if items is None:
        raise click.UsageError("--batch goes with --items")
    if wait or order.group_size:
        raise click.UsageError(
            f"{'--wait' if wait else '--of'} does not go with --items: one combined report comes to you"
        )
    made = app.batching.spawn(order, read_text(items), app.actor, app.inside, batch)
    app.wake()
    first, last = made.tasks[0], made.tasks[-1]
    document = {"status": "accepted", "group": made.group, "items": made.items, "batch": made.batch}
    tasks = first.task if first is last else f"{first.task} to {last.task}"
    told = f"accepted: {made.items} items in {len(made.tasks)} messages, {tasks}, reported together as {made.group}"
    show(document | {"tasks": [it.as_json() for it in made.tasks]}, told)
