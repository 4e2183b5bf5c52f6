"""`cost` and `stats`: cost and statistics of the work."""

import re
from typing import TYPE_CHECKING

import click

from claw_files.cli.base import command, open_app, show

if TYPE_CHECKING:
    from claw_files.policy.costs import By


@command("cost", example="clawfiles cost --month 2026-03 --by task")
@click.option("--month", metavar="M", help="A month such as 2026-03 (default: this month; with --by month: all).")
@click.option(
    "--by",
    type=click.Choice(["task", "agent", "model", "month", "workflow"]),
    default="agent",
    show_default=True,
    help="What to group by.",
)
def cost(month: str | None, by: "By") -> None:
    """Show what work has cost, as agents reported it, against the budgets. Months follow the workspace's time zone."""
    from claw_files.policy import costs
    from claw_files.presentation import figures
    from claw_files.services.accounting.run_history import RunHistory
    from claw_files.services.accounting.spend import Spending

    app = open_app()
    if month is not None and not re.fullmatch(r"(19[7-9][0-9]|2[01][0-9]{2})-(0[1-9]|1[0-2])", month, re.ASCII):
        raise click.BadParameter(f"{month[:40]!r} is not a month such as 2026-03", param_hint="'--month'")
    if month is None and by != "month":
        month = costs.month_of(app.clock.now(), app.workspace.zone)
    billed = Spending(app.workspace).billed(by, month, RunHistory(app.workspace).workflow_of)
    show(figures.bill_json(billed, app.settings), lambda: figures.bill_text(billed, app.settings))


@command("stats", example="clawfiles stats --since 7d")
@click.option("--since", metavar="L", default="7d", show_default=True, help="How far to look back, such as 24h or 30d.")
@click.option("--by", type=click.Choice(["workflow"]), help="How the runs of each workflow went, instead of all tasks.")
def stats(since: str, by: str | None) -> None:
    """Show how long tasks take, how they end, which agents act when woken, and where tasks wait."""
    from claw_files.core import text

    app, length = open_app(), text.duration(since, "--since")
    if by:
        import msgspec

        from claw_files.policy.workflow_figures import by_workflow
        from claw_files.presentation import workflow_tables
        from claw_files.services.accounting.run_history import RunHistory

        flows = by_workflow(RunHistory(app.workspace).runs(), app.clock.now() - length)
        currency = app.settings.budgets.currency
        document = {"workflows": msgspec.to_builtins(flows), "currency": currency}
        show(document, lambda: workflow_tables.workflows_text(flows, currency))
        return
    from claw_files.presentation import figures
    from claw_files.services.accounting.statistics import Statistics

    told = Statistics(app.workspace, app.runtime).told(length)
    show(figures.stats_json(told), lambda: figures.stats_text(told, app.when))
