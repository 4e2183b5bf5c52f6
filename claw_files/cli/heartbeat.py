"""`heartbeat`, `simulate`, `brief` and `explain`."""

import click

from claw_files.cli.base import command, open_app, show, warn
from claw_files.core.errors import InvalidFile


@command("heartbeat", example="clawfiles heartbeat --dry-run")
@click.option("--dry-run", is_flag=True, help="Print the actions without performing them.")
@click.option("--check", is_flag=True, help="Like --dry-run; exits 1 if anything is to do or unclear.")
def heartbeat(dry_run: bool, check: bool) -> int:
    """Run one tick, for cron: read the tasks in the ledger, decide, act, exit. Does not wait for agents."""
    from claw_files.presentation import views

    app = open_app()
    _ = app.agent  # a wrong name is told; who acts is the coordinator
    if not app.heartbeat.starts:
        warn("the daemon is stopping: no runs are started")
    ticked = app.view.heartbeat.preview() if dry_run or check else app.heartbeat.tick()
    if ticked.busy:
        warn(f"another heartbeat is running: {ticked.busy}")
    for problem in (*ticked.problems, *ticked.faults):
        warn(problem)
    show(views.tick_json(ticked), lambda: views.tick_text(ticked))
    if not (dry_run or check) and app is app.outer and app.heartbeat.starts:
        from claw_files.services.admin import cron_rounds

        cron_rounds.begin(app.root, app.settings, app.clock.now())
    if check:
        found = ticked.actions or ticked.hidden or ticked.problems or ticked.faults or ticked.unclear
        return 1 if found else 0
    return InvalidFile.exit_status if ticked.problems else 0


@command("simulate", example="clawfiles simulate --until 18:00")
@click.option("--until", metavar="T", default="8h", show_default=True, help="How far: 18:00, a date, 2d.")
def simulate(until: str) -> None:
    """Show what the heartbeat does by itself in the coming hours if nobody acts. Writes nothing and starts nothing."""
    from claw_files.app import simulation
    from claw_files.core import instants
    from claw_files.core import text as words
    from claw_files.core.errors import BadValue
    from claw_files.presentation import figures

    app = open_app()
    _ = app.agent
    now = app.clock.now()
    try:
        end = now + words.duration(until)
    except BadValue:
        end = instants.instant(until, now, app.workspace.zone, "--until")
    if end <= now:
        raise BadValue("--until", until, "a time to come, such as 18:00 or 8h")
    found = simulation.simulate(app, end)
    show(figures.simulation_json(found), lambda: figures.simulation_text(found, app.when))


@command("brief", example="clawfiles brief --date 2026-03-07 --agent dimitrios")
@click.option("--date", metavar="D", help="The day (default: today).")
def brief(date: str | None) -> None:
    """Show what quiet hours held back for a person: --agent, or the first person in clawfiles.toml."""
    from claw_files.core import instants
    from claw_files.core import text as words

    app = open_app()
    person = app.agent or next((a.name for a in app.settings.agents.values() if app.settings.is_human(a.name)), None)
    if person is None:
        raise click.UsageError("clawfiles.toml has no agent of kind human")
    day = instants.instant(date, app.clock.now(), app.workspace.zone, "--date") if date else app.clock.now()
    text = app.people.read(person, day)
    show(
        {"agent": person, "date": f"{day.astimezone(app.workspace.zone):%Y-%m-%d}", "text": text},
        words.safe(text, 100_000, lines=True),
    )


@command("explain", example="clawfiles explain TC-47")
@click.argument("task_id", metavar="TASK")
def explain(task_id: str) -> None:
    """Explain a task's state and what happens next, on one screen, by the rules that the heartbeat uses."""
    from claw_files.core import text as words
    from claw_files.presentation import figures

    task = words.task_id(task_id)
    app = open_app()
    found = app.resolver.to_see(task, by_line=True).explaining.explain(task)
    show(figures.explain_json(found), lambda: figures.explain_text(found, app.when))
