"""Read-only commands: `route`, `log`, `prime`."""

import click

from claw_files.cli.base import command, open_app, show, task_ids


@command("route", example="clawfiles route --explain TC-47")
@click.option("--explain", "task_id", metavar="TASK", help="Explain which agent gets this task, and why.")
@click.option("--type", "task_type", metavar="T", help="Explain which agent gets tasks of this type, and why.")
@click.option("--urgent", is_flag=True, help="With --type: assume that the answer is needed now.")
def route(task_id: str | None, task_type: str | None, urgent: bool) -> None:
    """Explain which agent gets a task or type, and why: pool, model, cache, budget. Changes nothing."""
    from claw_files.core import text
    from claw_files.policy.route_explanation import RouteQuestion

    if bool(task_id) == bool(task_type):
        raise click.UsageError("pass either --explain TASK or --type T")
    if urgent and task_id:
        raise click.UsageError("--urgent requires --type; for a task, its priority decides")
    app = open_app()
    if task_id:
        place = app.resolver.to_see(text.task_id(task_id))
        asked = place.view.choosing.asked(text.task_id(task_id))
        found = place.view.choosing.reasons(asked)
    else:
        asked = RouteQuestion(type=task_type, urgent=urgent)
        found = app.view.choosing.reasons(asked)
    show(found.as_json(asked), text.safe("\n".join(found.why), limit=20_000, lines=True))


@command("log", example="clawfiles log --task TC-47 --limit 20")
@click.option("--follow", is_flag=True, help="Keep printing new entries (Ctrl-C to stop).")
@click.option(
    "--limit", type=click.IntRange(min=1), default=50, show_default=True, metavar="N", help="Show the last N lines."
)
@click.option("--task", "task_id", metavar="TASK", help="Show only lines about this task.")
def log(follow: bool, limit: int, task_id: str | None) -> None:
    """Show the journal: every decision and write of clawfiles. With --json, one object per line."""
    from claw_files.presentation import views

    app = open_app()
    app.check_settings()  # the journal could be shown without them, but what is wrong is told by every command
    journal, task = app.journal, task_ids([task_id])[0] if task_id else None
    for line in journal.follow(limit, task) if follow else journal.last(limit, task):
        show(line, views.journal_text(line, app.workspace.zone))


@command("prime", example="clawfiles prime --agent peter")
def prime() -> None:
    """Print the instructions for an agent's role, in at most 300 words; the last line shows the size."""
    from claw_files.services.admin import agent_briefing

    app = open_app()
    done = agent_briefing.prime(app.settings, app.agent)
    document = {"agent": done.agent, "role": done.role, "text": done.text, "words": done.words, "tokens": done.tokens}
    show(document, f"{done.text}\n\n({done.words} words, about {done.tokens} tokens: characters / 4)")
