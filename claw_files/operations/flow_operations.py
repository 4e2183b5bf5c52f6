"""The operations on flows: trees of spawned work."""

from typing import TYPE_CHECKING, Annotated

from claw_files.operations.fields import Count, Flag, Name, Shell
from claw_files.operations.reply import Reply

if TYPE_CHECKING:
    from claw_files.app.wiring import App
    from claw_files.presentation.views import When
    from claw_files.services.sessions.flows import FlowNode, FlowTree


def list_flows(app: "App", *, ended: Annotated[Flag, Shell("--all")] = False, limit: Count = 100) -> Reply:
    """List the trees; each task is shown below the task that spawned it.

    Args:
        ended: Include trees in which everything has ended.
        limit: The last N.

    Example:
        clawfiles flow list --all --json
    """
    import msgspec

    from claw_files.presentation.views import rows_text

    found = app.flows.listing(app.agent, ended, limit)
    trees = ((msgspec.structs.asdict(tree), tree.tasks) for tree in found.flows)
    shown = [facts | {"tasks": [msgspec.structs.asdict(node) for node in nodes]} for facts, nodes in trees]
    rows = [row for tree in found.flows for row in _flow_rows(tree, app.when)]
    more = f"\n({found.more} more; use a larger --limit)" if found.more else ""
    return Reply(
        lambda: {"count": len(shown), "flows": shown, "has_more": found.more > 0},
        lambda: (rows_text(rows) or "no flows") + more,
    )


def _flow_rows(tree: "FlowTree", when: "When") -> list[tuple[str, ...]]:
    """A line for each task, indented; a group has one above them."""
    head = [(f"group {tree.group}", tree.spawner or "-", "", "", "", "")] if tree.group else []
    return head + [_flow_row(node, node.depth + len(head), when) for node in tree.tasks]


def _flow_row(node: "FlowNode", indent: int, when: "When") -> tuple[str, ...]:
    state = node.state + (f" (session {node.session})" if node.session else "")
    run = f"{node.run}{' at work' if node.alive else ''}" if node.run else "-"
    since = when(node.since) if node.since else "-"
    title = f"{node.label}: {node.title}" if node.label else node.title
    return ("  " * indent + node.task, node.agent or "-", state, run, since, title)


def cancel_flow(app: "App", name: Annotated[Name, Shell("TASK|GROUP|LABEL|SESSION")]) -> Reply:
    """Cancel a task and everything spawned below it, leaves first, after stopping the runs. Done tasks stay done.

    For a session, cancels every open flow that it requested. If interrupted, run the command again.

    Example:
        clawfiles flow cancel TC-7 --agent sam
    """
    import msgspec

    from claw_files.core.text import safe

    done = app.flows.cancel(app.actor, name, (run.id for run in app.runs_around()))
    app.wake()
    document = msgspec.structs.asdict(done)
    lines = [f"{what} {', '.join(names)}" for what, names in document.items() if names and what != "flows"]
    told = safe("\n".join(lines) or "nothing was open", limit=20_000, lines=True)
    return Reply(lambda: document, lambda: told)
