"""Lines of the version before facts were fields: what that version read out of a journal is what is read today.

`journal-before-facts.jsonl` was written by its commands and ticks, `journal-before-facts.json` is what its readers made
of these lines. Neither is edited.
"""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from claw_files.config import Budgets
from claw_files.formats import journal
from claw_files.policy import costs, work_statistics
from claw_files.services.accounting.spend import read_day
from claw_files.services.evidence import run_outcomes

HERE = Path(__file__).parent
RAW = (HERE / "journal-before-facts.jsonl").read_bytes()
THEN: dict[str, Any] = json.loads((HERE / "journal-before-facts.json").read_text(encoding="utf-8"))
LINES = [line for text in RAW.splitlines() if (line := journal.parse(text))]
UTC, DAY = ZoneInfo("UTC"), timedelta(days=1)


def plain(found: object) -> Any:
    return json.loads(msgspec.json.encode(found))


def test_each_line_leaves_its_task_in_the_state_as_then() -> None:
    assert [line.after for line in LINES] == THEN["states"]
    assert len(LINES) == len(RAW.splitlines())


def test_statistics_are_as_then() -> None:
    start, end = LINES[0].at - DAY, LINES[-1].at + DAY
    found = work_statistics.fold(LINES, start, end, THEN["types"], {"reviewed"}, {"checked"})

    assert plain(found) == THEN["statistics"]


def test_breakers_and_rates_are_as_then() -> None:
    outcomes = plain(run_outcomes.outcomes(LINES))
    # Then, a reviewer that was asked for a review counted as one whose work had gone well.
    assert outcomes == {agent: ends for agent, ends in THEN["outcomes"].items() if agent != "sam"}
    assert plain(run_outcomes.started(LINES)) == THEN["started"]


def test_bill_and_budgets_are_as_then() -> None:
    lines = read_day(RAW, (0, 0, 0)).lines
    bill = costs.bill(lines, "agent", None, UTC, Budgets(month=450.0, currency="EUR", agents={}))

    assert plain(bill) == THEN["bill"]
    assert plain(costs.spent(lines, f"{LINES[0].at:%Y-%m}", UTC)) == THEN["spent"]
