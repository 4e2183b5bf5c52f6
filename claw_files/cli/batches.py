"""`spawn --items`: many small items, several in one message."""

from typing import TYPE_CHECKING

import click

from claw_files.cli.base import read_text, show

if TYPE_CHECKING:
    from claw_files.app.wiring import App
    from claw_files.services.delegation.spawn_contract import SpawnOrder


def spawn_items(app: "App", order: "SpawnOrder", items: str | None, batch: int | None, wait: bool) -> None:
    """Queue the items of the file in batches, and say what was accepted."""
    from claw_files.operations import handing_work

    if items is None:
        raise click.UsageError("--batch goes with --items")
    if wait or order.group_size:
        option = "--wait" if wait else "--of"
        raise click.UsageError(f"{option} does not go with --items: one combined report comes to you")
    made = handing_work.spawn_items(app, order, read_text(items), batch)
    first, last = made.tasks[0], made.tasks[-1]
    tasks = first.task if first is last else f"{first.task} to {last.task}"
    told = f"accepted: {made.items} items in {len(made.tasks)} messages, {tasks}, reported together as {made.group}"
    show(handing_work.batched_json(made), told)
