"""`task new`, `task list`, `task show` and `board`."""

import sys

import click

from claw_files.cli.base import TEXT, Command, command, group, open_app, read_text, shared, show, task_ids, warn


@group("task", example='clawfiles task new "API security review" --type code-review --agent sam')
def task() -> None:
    """Make, list and show tasks."""


@task.command(
    "new", cls=Command, example='clawfiles task new "API security review" --to peter --estimate 30m --agent sam'
)
@click.argument("title", type=TEXT)
@click.option("--type", "task_type", type=TEXT, metavar="T", help="Its type: routes and `takes` go by it.")
@click.option("--to", metavar="AGENT", help="Who it is for: it is delegated at once.")
@click.option("--priority", metavar="P", help="critical, high, normal or low, p0 to p3.")
@click.option("--urgent", is_flag=True, help="The answer is needed now: its priority is critical.")
@click.option("--estimate", metavar="LENGTH", help="What it would take a person: 30m.")
@click.option("--after", multiple=True, metavar="TASK", help="A task that must be done before; may repeat.")
@click.option("--body", metavar="FILE", help="A file with the description; - reads standard input.")
def new(
    title: str,
    task_type: str | None,
    to: str | None,
    priority: str | None,
    urgent: bool,
    estimate: str | None,
    after: tuple[str, ...],
    body: str | None,
) -> None:
    """Make a task in the backlog; prints its id."""
    from claw_files.core import text
    from claw_files.operations import task_moves
    from claw_files.policy.snapshot import standing_of
    from claw_files.presentation import views
    from claw_files.services.tasks.lifecycle import NewTask

    if urgent and priority:
        raise click.UsageError("say either --urgent or --priority")
    app = open_app()
    order = NewTask(
        title=title,
        type=task_type,
        priority="critical" if urgent else priority,
        estimate=text.duration(estimate, "--estimate") if estimate else None,
        after=task_ids(after),
        body=read_text(body),
    )
    shown, receiver, warning, waits_for = task_moves.make(app, order, to)
    if warning:
        warn(warning)
    told = f"{shown.task.id}" + (f" delegated to {receiver}" if receiver else "")
    told += f", waits for {standing_of(waits_for)}" if waits_for else ""
    show(views.task_json(shown), told)


@task.command("list", cls=Command, example="clawfiles task list --status in_progress --agent peter")
@click.option("--status", metavar="S", help="Only tasks in this state.")
@click.option("--agent", metavar="A", help="Only tasks of this agent.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most so many.")
def list_tasks(status: str | None, agent: str | None, limit: int | None) -> None:
    """List tasks, a line each; the archive is left out."""
    from claw_files.core.errors import BadValue
    from claw_files.core.model import State
    from claw_files.presentation import views

    app = open_app()
    state = app.settings.vocabulary.state(status) if status else None
    if status and state is None:
        raise BadValue("--status", status, f"a state: {', '.join(State)}")
    listing = app.board.listing(state, app.settings.agent(agent).name if agent else None, limit)
    show([views.task_json(shown) for shown in listing.tasks], lambda: views.listing_text(listing))
    for _, sentence in listing.unreadable:
        warn(sentence)


@task.command("show", cls=Command, example="clawfiles task show TC-47 --json")
@click.argument("task_id", metavar="TASK")
def show_task(task_id: str) -> None:
    """Show one task: its facts, how its holder stands, its text. The archive is searched, too."""
    from claw_files.core import text
    from claw_files.presentation import views

    task = text.task_id(task_id)
    app = open_app()
    shown = app.place_to_see(task).board.show(task)
    show(views.task_json(shown, body=True), lambda: views.task_text(shown, app.when))


@command("board", example="clawfiles board")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most so many tasks.")
def board(limit: int | None) -> None:
    """Show all tasks by state; the archive is left out."""
    from claw_files.presentation import views

    listing = open_app().board.listing(limit=limit)
    if sys.stdout.isatty() and not shared("json"):
        from claw_files.cli.terminal import print_board

        print_board(listing)
    else:
        show([views.task_json(shown) for shown in listing.tasks], lambda: views.board_text(listing))
    for _, sentence in listing.unreadable:
        warn(sentence)
