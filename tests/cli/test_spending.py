"""`cost`, `stats` and `doctor --agent` as people type them."""

import json
import sys

import pytest

LINES = [
    {"timestamp": "2026-03-07T08:45:00Z", "action": "wake", "task": "TC-1", "agent": "peter", "model": "m", "key": "a"},
    {
        "action": "usage",
        "key": "a",
        "task": "TC-1",
        "agent": "peter",
        "model": "m",
        "why": "input 1200, cost 41.2, from x",
    },
    {"action": "usage", "key": "b", "task": "TC-2", "agent": "iris", "model": None, "why": "output 300, from x"},
]
BUDGETS = '\n[budgets]\nmonth = 450.0\ncurrency = "EUR"\n[budgets.agents]\npeter = 80.0\n'


@pytest.fixture
def spent(desk):
    """A desk with budgets, in whose workspace something was spent in March 2026."""
    desk.write("clawfiles.toml", desk.read("clawfiles.toml") + BUDGETS)
    lines = [{"timestamp": "2026-03-07T08:45:00Z", **line} for line in LINES]
    text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
    desk.write("audit/2026-03-07.jsonl", text + '{"torn\n')
    return desk


def test_cost_shows_spent_budget_and_share_and_never_nothing_where_nothing_was_reported(spent) -> None:
    assert spent.ok("cost", "--month", "2026-03").out == (
        "2026-03 (Europe/Berlin), by agent\n\n"
        "agent  runs  tokens in  tokens out  spent                       budget      share\n"
        "peter  1     1,200      -           41.20 EUR                   80.00 EUR   52%\n"
        "iris   1     -          300         not reported                -           -\n"
        "total  2     1,200      300         41.20 EUR + 1 not reported  450.00 EUR  9%\n\n"
        "1 of 2 runs reported no money: it is not in the sums\n"
        "1 line of the journal cannot be read\n"
    )


def test_cost_as_json_has_null_where_nothing_was_reported(spent) -> None:
    found = spent.ok("cost", "--month", "2026-03", "--json").json

    assert {key: found[key] for key in ("month", "timezone", "currency", "by", "broken_lines", "unread_days")} == {
        "month": "2026-03",
        "timezone": "Europe/Berlin",
        "currency": "EUR",
        "by": "agent",
        "broken_lines": 1,
        "unread_days": [],
    }
    assert [(row["agent"], row["cost"], row["share"]) for row in found["rows"]] == [
        ("peter", 41.2, 0.515),
        ("iris", None, None),
    ]
    assert (found["total"]["cost"], found["total"]["unreported"]) == (41.2, 1)


@pytest.mark.parametrize(("by", "names"), [("task", ["TC-1", "TC-2"]), ("model", ["m", "-"]), ("month", ["2026-03"])])
def test_cost_is_told_by_what_was_asked_for(spent, by: str, names: list[str]) -> None:
    options = [] if by == "month" else ["--month", "2026-03"]

    found = spent.ok("cost", "--by", by, *options, "--json").json

    assert [row[by] for row in found["rows"]] == names


def test_without_a_month_this_one_is_meant(spent) -> None:
    found = spent.ok("cost", "--json").json

    assert found["month"] is not None
    assert found["total"]["runs"] == 0


@pytest.mark.parametrize("month", ["march", "2026-13", "2026-3", "2026-03-07", "\x1b[2J", "../x"])
def test_a_month_that_is_none_is_wrong_use(spent, month: str) -> None:
    answer = spent("cost", "--month", month)

    assert answer.status == 2
    assert "\x1b" not in answer.err


def test_what_agents_are_called_in_a_forged_journal_moves_no_cursor(spent) -> None:
    line = {
        "timestamp": "2026-03-08T08:45:00Z",
        "action": "usage",
        "key": "c",
        "model": "\x1b[2J",
        "why": "cost 1, from x",
    }
    spent.write("audit/2026-03-08.jsonl", json.dumps(line, separators=(",", ":")) + "\n")

    assert "\x1b" not in spent.ok("cost", "--month", "2026-03", "--by", "model").out


def test_a_cent_is_not_shown_as_nothing(spent) -> None:
    line = {
        "timestamp": "2026-04-08T08:45:00Z",
        "action": "usage",
        "key": "c",
        "agent": "iris",
        "why": "cost 0.0004, from x",
    }
    spent.write("audit/2026-04-08.jsonl", json.dumps(line, separators=(",", ":")) + "\n")

    out = spent.ok("cost", "--month", "2026-04").out

    assert "0.0004 EUR" in out
    assert " 0.00 EUR" not in out


def test_stats_tell_how_work_went(desk) -> None:
    task = desk.task("A bug", "--type", "bug", "--to", "peter")
    desk.ok("claim", task, by="peter")
    desk.ok("done", task, by="peter")
    other = desk.task("Another", "--to", "peter")
    desk.ok("claim", other, by="peter")
    desk.ok("block", other, "no access", by="peter")

    found = desk.ok("stats", "--json").json

    assert [(row["name"], row["count"]) for row in found["completion"]["by_type"]] == [("bug", 1)]
    assert [(row["agent"], row["done"], row["success"]) for row in found["agents"]] == [("peter", 1, 1.0)]
    assert [(row["name"], row["open"]) for row in found["waits"]][-1] == ("blocked", 1)
    out = desk.ok("stats", "--since", "1h").out
    assert "time to done, by type\n       count  median  p90  longest\n  bug" in out
    assert "where work waits" in out


def test_stats_of_an_empty_workspace_say_so(desk) -> None:
    assert desk.ok("stats").out.endswith("\n\nnothing happened\n")
    assert desk("stats", "--since", "soon").status == 2


def test_broken_lines_of_the_journal_are_counted_and_the_rest_is_told(spent) -> None:
    found = spent.ok("stats", "--since", "3000d", "--json").json

    assert found["broken_lines"] == 1


def probed(desk, script: str) -> None:
    agent = f"\n[agents.coder]\ncommand = [{sys.executable!r}, '-c', '''{script}''']\n"
    desk.write("clawfiles.toml", desk.read("clawfiles.toml") + agent)


def test_doctor_with_an_agent_exits_0_when_it_acts(desk) -> None:
    probed(
        desk, "import os; open(f\"status/{os.environ['CLAWFILES_TASK'].lower()}.md\", 'a').write('\\nStatus: DONE\\n')"
    )

    answer = desk("doctor", "--agent", "coder", "--patience", "30s", "--json")

    assert answer.status == 0, answer
    assert (answer.json["agent"], answer.json["acts"]) == ("coder", True)
    assert desk.ok("stats", "--json").json["probes"] == [
        {"agent": "coder", "model": "-", "woken": 1, "acted": 1, "share": 1.0}
    ]
    assert desk.ok("stats", "--json").json["completion"] == {"by_type": [], "by_agent": []}


def test_doctor_with_an_agent_exits_1_when_it_does_not_act_and_says_what_to_change(desk) -> None:
    probed(desk, "print('Certainly!')")

    answer = desk("doctor", "--agent", "coder", "--patience", "30s")

    assert answer.status == 1
    assert "it said:\n  Certainly!\n" in answer.out
    assert "- it replied but did nothing" in answer.out


def test_doctor_with_an_agent_that_nobody_knows_or_that_is_a_person_is_refused(desk) -> None:
    assert desk("doctor", "--agent", "nobody").status == 3
    assert desk("doctor", "--agent", "dimitrios").status == 5


def test_doctor_that_repairs_takes_the_agent_for_who_acts(desk) -> None:
    assert desk("doctor", "--repair", "--agent", "sam").status == 0
