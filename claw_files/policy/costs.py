"""Sums of cost by task, agent, model or month, compared with the budgets."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, tzinfo
from typing import Literal

from claw_files.config import Budgets
from claw_files.core.journal_events import JournalEvent
from claw_files.core.model import AgentId, TaskId, Value
from claw_files.formats.journal import Line
from claw_files.policy.snapshot import MonthSpending

By = Literal["task", "agent", "model", "month", "workflow"]
NOBODY = "-"


class BillRow(Value, frozen=True):
    """One line of the bill. `cost` is None if no cost was reported, never 0."""

    name: str
    runs: int = 0  # started, or reported without having been started by us
    unreported: int = 0  # of these, without money
    input: int = 0
    cached: int = 0
    output: int = 0
    cost: float | None = None
    budget: float | None = None

    @property
    def share(self) -> float | None:
        """The share of the budget, 1.0 for all of it; None without a budget or a known cost."""
        return self.cost / self.budget if self.budget and self.cost is not None else None


class Bill(Value, frozen=True):
    """The cost of a month, or of several with `by` month."""

    by: By
    rows: tuple[BillRow, ...]
    total: BillRow
    month: str | None = None


def bill(
    lines: Iterable[Line],
    by: By,
    month: str | None,
    zone: tzinfo,
    budgets: Budgets,
    workflow_of: Callable[[TaskId], str | None] = lambda _: None,
) -> Bill:
    """The bill of a month of `zone`, or of all months when `month` is None. What was noted twice counts once.

    Of `lines`, those about usage and about runs that were started count.
    """
    mine = [one for one in lines if month in (None, month_of(one.at, zone))]
    once = {one.key: one for one in mine if one.usage}
    runs = {one.key: one for one in mine if one.action == JournalEvent.WAKE}
    groups: dict[str, list[Line]] = {}
    for key in dict.fromkeys([*runs, *once]):
        one = once.get(key) or runs[key]
        name = _name(one, runs.get(key), "task" if by == "workflow" else by, zone)
        name = (workflow_of(TaskId(name)) if name != NOBODY else None) or NOBODY if by == "workflow" else name
        groups.setdefault(name, []).append(one)
    rows = [_row(name, found, _budget(name, by, budgets)) for name, found in groups.items()]
    unused = [it for it in budgets.agents.items() if by == "agent" and it[0] not in groups]
    rows += [BillRow(name=name, budget=limit) for name, limit in unused]  # to show the remaining budget
    rows.sort(key=lambda row: (0.0 if by == "month" else -(row.cost or 0.0), row.name))
    total = _row("total", [one for found in groups.values() for one in found], budgets.month if month else None)
    return Bill(by=by, rows=tuple(rows), total=total, month=month)


def spent(lines: Iterable[Line], month: str, zone: tzinfo) -> MonthSpending:
    """The cost of the month so far, in total and per agent."""
    once = {it.key: (it.agent, it.usage.cost or 0.0) for it in lines if it.usage and month_of(it.at, zone) == month}
    agents = dict[AgentId, float]()
    for agent, cost in once.values():
        if agent:
            agents[agent] = round(agents.get(agent, 0.0) + cost, 6)
    return MonthSpending(month=month, total=round(sum(cost for _, cost in once.values()), 6), agents=agents)


def of_tasks(lines: Iterable[Line]) -> dict[TaskId, float]:
    """The reported cost of each task. A repeated record counts once."""
    once = {it.key: (it.task, it.usage.cost) for it in lines if it.usage}
    found = dict[TaskId, float]()
    for task, cost in once.values():
        if task and cost is not None:
            found[task] = round(found.get(task, 0.0) + cost, 6)
    return found


def month_of(at: datetime, zone: tzinfo) -> str:
    """The month that an instant falls into on the calendar of `zone`: "2026-03"."""
    return f"{at.astimezone(zone):%Y-%m}"


def _name(one: Line, run: Line | None, by: By, zone: tzinfo) -> str:
    if by == "month":
        return month_of(one.at, zone)
    own = getattr(one, by)
    return str(own or (getattr(run, by) if run else None) or NOBODY)


def _budget(name: str, by: By, budgets: Budgets) -> float | None:
    if by == "month":
        return budgets.month
    return budgets.agents.get(AgentId(name)) if by == "agent" else None


def _row(name: str, found: Sequence[Line], budget: float | None) -> BillRow:
    usages = [one.usage for one in found if one.usage]
    costs = [usage.cost for usage in usages if usage.cost is not None]
    return BillRow(
        name=name,
        runs=len(found),
        unreported=len(found) - len(costs),
        input=sum(usage.input for usage in usages),
        cached=sum(usage.cached for usage in usages),
        output=sum(usage.output for usage in usages),
        cost=round(sum(costs), 6) if costs else None,
        budget=budget,
    )
