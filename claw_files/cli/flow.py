"""`flow list` and `flow cancel`: trees of spawned work."""

from typing import TYPE_CHECKING

import click

from claw_files.cli.base import TEXT, Command, group, open_app, show

if TYPE_CHECKING:
    from claw_files.presentation.views import When
    from claw_files.services.sessions.flows import Cancelled, FlowListing, FlowNode, FlowTree


@group("flow", example="clawfiles flow list\nclawfiles flow cancel TC-7 --agent sam")
def flow() -> None:
    """Trees of spawned work: a task or a group, and all that was spawned below it."""


@flow.command("list", cls=Command, example="clawfiles flow list --all --json")
@click.option("--all", "ended", is_flag=True, help="Also those of which everything has ended.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, metavar="N", help="The last N.")
def list_flows(ended: bool, limit: int) -> None:
    """List the trees, each task below the one in whose run it was spawned."""
    import msgspec

    app = open_app()
    found = app.flows.listing(app.agent, ended, limit)
    trees = ((msgspec.structs.asdict(tree), tree.tasks) for tree in found.flows)
    rows = [facts | {"tasks": [msgspec.structs.asdict(node) for node in nodes]} for facts, nodes in trees]
    show({"count": len(rows), "flows": rows, "has_more": found.more > 0}, lambda: _text(found, app.when))


def _text(found: "FlowListing", when: "When") -> str:
    from claw_files.presentation.views import rows_text

    rows = [row for tree in found.flows for row in _rows(tree, when)]
    more = f"\n({found.more} more; say a larger --limit)" if found.more else ""
    return (rows_text(rows) or "no flows") + more


def _rows(tree: "FlowTree", when: "When") -> list[tuple[str, ...]]:
    """A line for each task, indented; a group has one above them."""
    head = [(f"group {tree.group}", tree.spawner or "-", "", "", "", "")] if tree.group else []
    return head + [_row(node, node.depth + len(head), when) for node in tree.tasks]


def _row(node: "FlowNode", indent: int, when: "When") -> tuple[str, ...]:
    state = node.state + (f" (session {node.session})" if node.session else "")
    run = f"{node.run}{' at work' if node.alive else ''}" if node.run else "-"
    since = when(node.since) if node.since else "-"
    title = f"{node.label}: {node.title}" if node.label else node.title
    return ("  " * indent + node.task, node.agent or "-", state, run, since, title)


@flow.command("cancel", cls=Command, example="clawfiles flow cancel TC-7 --agent sam")
@click.argument("name", metavar="TASK|GROUP|LABEL|SESSION", type=TEXT)
def cancel(name: str) -> None:
    """End a task and all that was spawned below it, leaves first: runs end, then their tasks. What is done stays done.

    Of a session, every open flow that was asked for from it. Cut off and typed again, it goes on where it was.
    """
    import msgspec

    app = open_app()
    done = app.flows.cancel(app.actor, name, (run.id for run in app.runs_around()))
    app.wake()
    show(msgspec.structs.asdict(done), lambda: _told(done))


def _told(done: "Cancelled") -> str:
    from claw_files.core.text import safe

    parts = (("stopped", done.stopped), ("cancelled", done.cancelled), ("closed", done.closed))
    more = (("finished", done.finished), ("withdrawn", done.withdrawn))
    lines = [f"{what} {', '.join(names)}" for what, names in (*parts, *more) if names]
    return safe("\n".join(lines) or "nothing of it was open", limit=20_000, lines=True)
