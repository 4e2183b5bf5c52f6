"""The bill: what counts once, what is not known, and which month it belongs to."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from claw_files.config import Budgets
from claw_files.core.journal_events import JournalEvent
from claw_files.core.model import AgentId, TaskId, Usage
from claw_files.formats.journal import Line
from claw_files.policy import costs
from claw_files.policy.costs import BillRow

BERLIN = ZoneInfo("Europe/Berlin")
BUDGETS = Budgets(month=450.0, currency="EUR", agents={AgentId("peter"): 80.0, AgentId("iris"): 5.0})
NOON = datetime(2026, 3, 7, 12, tzinfo=UTC)


def charge(key: str, cost: float | None = None, at: datetime = NOON, agent: str = "peter", **more: object) -> Line:
    usage = Usage(input=100, output=10, cost=cost)
    fields = {"task": TaskId("TC-1"), "model": "m", **more}
    return Line(at=at, action=JournalEvent.USAGE, key=key, usage=usage, agent=AgentId(agent), **fields)


def woken(run: str, at: datetime = NOON, agent: str = "peter") -> Line:
    return Line(at=at, action=JournalEvent.WAKE, key=run, agent=AgentId(agent), task=TaskId("TC-1"), model="m")


def rows(found: costs.Bill) -> dict[str, BillRow]:
    return {row.name: row for row in found.rows}


def bill(
    charges: list[Line], runs: tuple[Line, ...] = (), by: costs.By = "agent", month: str | None = "2026-03"
) -> costs.Bill:
    return costs.bill([*charges, *runs], by, month, BERLIN, BUDGETS)


def test_the_same_usage_noted_twice_counts_once() -> None:
    found = bill([charge("a", 2.0), charge("a", 2.0), charge("b", 3.0)])

    assert (found.total.cost, found.total.runs, found.total.input) == (5.0, 2, 200)


def test_without_money_a_row_says_tokens_and_no_amount() -> None:
    row = rows(bill([charge("a")]))["peter"]

    assert (row.cost, row.unreported, row.input, row.share) == (None, 1, 100, None)


def test_a_run_that_reported_nothing_is_counted_as_such() -> None:
    found = bill([charge("a", 2.0)], (woken("a"), woken("b"), woken("c", agent="iris")))

    assert (rows(found)["peter"].runs, rows(found)["peter"].unreported) == (2, 1)
    assert (rows(found)["iris"].runs, rows(found)["iris"].cost) == (1, None)


def test_spent_is_shown_against_the_budget_also_of_agents_that_did_nothing() -> None:
    found = bill([charge("a", 20.0)])

    assert rows(found)["peter"].share == 0.25
    assert (rows(found)["iris"].budget, rows(found)["iris"].runs) == (5.0, 0)
    assert found.total.budget == 450.0


def test_a_month_is_that_of_the_workspaces_clock() -> None:
    evening = datetime(2026, 3, 31, 22, 30, tzinfo=UTC)  # 00:30 in Berlin, on the first of April

    assert bill([charge("a", 2.0, at=evening)]).total.cost is None
    assert bill([charge("a", 2.0, at=evening)], month="2026-04").total.cost == 2.0


def test_by_task_model_and_month_the_sums_are_the_same() -> None:
    charges = [charge("a", 2.0), charge("b", 3.0, task=TaskId("TC-2"), model=None)]

    for by, names in (("task", {"TC-1", "TC-2"}), ("model", {"m", "-"}), ("month", {"2026-03"})):
        found = bill(charges, by=by, month=None)
        assert set(rows(found)) == names
        assert found.total.cost == 5.0


def test_what_a_month_has_cost_so_far_is_added_up_for_all_and_each() -> None:
    before = datetime(2026, 2, 7, tzinfo=UTC)

    found = costs.spent(
        [charge("a", 2.0), charge("a", 2.0), charge("b"), charge("c", 9.0, at=before)], "2026-03", BERLIN
    )

    assert (found.total, found.agents) == (2.0, {"peter": 2.0})
