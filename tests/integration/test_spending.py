"""What runs use is noted once, whatever happens in between, and stops an agent whose budget is used up."""

import json
import os
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

import pytest

from claw_files.core.model import AgentId
from claw_files.services.accounting.spend import Spending
from claw_files.services.delegation.delegation import SpawnOrder
from claw_files.system.disk_files import DiskFiles
from tests.support.office import TEAM, Office, python

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)

DONE = "import os; open(f\"status/{os.environ['CLAWFILES_TASK'].lower()}.md\", 'a').write('\\nStatus: DONE\\n')"
PRINTS = 'print(\'{"type":"result","total_cost_usd":0.5,"usage":{"input_tokens":100,"output_tokens":7}}\')'
WORKS = """
import os
env = os.environ
with open(f"checkpoints/subagent-{env['CLAWFILES_LABEL']}.md", "w") as file:
    file.write(f"---\\nrun: {env['CLAWFILES_RUN']}\\nstatus: done\\nusage: {{input: 40, output: 2}}\\n---\\nfound\\n")
"""
MEASURED = (
    "open(os.environ['CLAWFILES_RUN_DIR'] + '/usage.json', 'w').write('{\"input\": 9, \"output\": 1, \"cost\": 2}')"
)


def command(*statements: str) -> str:
    return python("\n".join(statements))


CONFIG = f"""{TEAM.partition("[routes]")[0]}
[agents.coder]
model = "anthropic/claude-sonnet-4-6"
{command(DONE, PRINTS)}
[agents.measured]
{command(DONE, PRINTS, MEASURED)}
[agents.quiet]
{command(DONE)}
[agents.waits]
{command("import os, time", "while not os.path.exists('go'): time.sleep(0.01)", DONE, PRINTS)}
[agents.research]
kind = "worker"
model = "small"
{command(WORKS)}

[routes]
bug = {{ to = ["coder", "iris", "self"] }}

[prices]
small = {{ input = 1000.0, output = 5000.0 }}
"""
BUDGET = '\n[budgets]\ncurrency = "EUR"\n[budgets.agents]\ncoder = 0.5\n'


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path / "sam", CONFIG)
    yield made
    made.write("go", "")
    made.stop()


def finished(office: Office, agent: str = "coder") -> str:
    """A task that the agent was woken with and has finished; the tick that sees it is still to come."""
    task = office.delegated(agent, type=None)
    office.tick()
    office.runs_end()
    return task


def noted(office: Office) -> list[tuple[str, str]]:
    """Key and text of all usage in the journal."""
    return [(line["key"], line["why"]) for line in office.audit(action="usage")]


def test_the_printed_usage_of_a_run_is_noted_at_its_end_with_every_key(office: Office) -> None:
    finished(office)
    assert noted(office) == []

    office.tick()

    (line,) = office.audit(action="usage")
    other = office.audit(action="wake")[0]
    assert set(line) == {*other, "usage"}
    assert line["usage"] == {"input": 100, "output": 7, "cost": 0.5}
    assert (line["key"], line["agent"], line["task"]) == ("tc-1.1-s1", "coder", "TC-1")
    assert line["model"] == "anthropic/claude-sonnet-4-6"
    assert line["why"] == "input 100, output 7, cost 0.5, from stdout.log"


def test_its_run_md_says_what_it_used_and_keeps_all_else(office: Office) -> None:
    finished(office)
    before = office.read("runs/tc-1.1-s1/run.md")

    office.tick()

    after = office.read("runs/tc-1.1-s1/run.md")
    assert after != before
    assert after.replace("usage:\n  input: 100\n  output: 7\n  cost: 0.5\n", "") == before


def test_usage_is_recorded_once_however_many_ticks_follow(office: Office) -> None:
    finished(office)

    for _ in range(3):
        office.tick(MINUTE)

    assert len(noted(office)) == 1
    assert office.names(".clawfiles/uncounted") == []


def test_a_crash_between_the_note_and_its_mark_counts_it_once(office: Office) -> None:
    finished(office)
    office.tick()
    office.write(".clawfiles/uncounted/tc-1.1-s1", "")

    office.tick(MINUTE)

    assert len(noted(office)) == 1
    assert office.names(".clawfiles/uncounted") == []


def test_without_our_private_folder_every_run_is_looked_at_and_none_counted_twice(office: Office) -> None:
    finished(office)
    office.tick()
    finished(office)
    shutil.rmtree(office.root / ".clawfiles")

    office.tick(MINUTE)
    office.tick(MINUTE)

    assert [key for key, _ in noted(office)] == ["tc-1.1-s1", "tc-2.1-s1"]


def test_the_usage_of_a_run_that_outlives_its_ledger_line_is_noted(office: Office) -> None:
    task = office.delegated("waits", type=None)
    office.tick()
    office.write("HEARTBEAT.md", "# HEARTBEAT\n")
    for _ in range(3):  # until nothing is left to do
        office.tick(timedelta(hours=1))
    assert noted(office) == []

    office.write("go", "")
    office.runs_end()
    office.tick()

    assert [key for key, _ in noted(office)] == [f"{task.lower()}.1-s1"]


def test_measured_usage_overrides_printed_usage(office: Office) -> None:
    finished(office, "measured")
    office.tick()

    assert noted(office) == [("tc-1.1-s1", "input 9, output 1, cost 2, from usage.json")]


def test_the_reported_usage_of_a_worker_is_priced_by_its_model(office: Office) -> None:
    office.app().delegations.spawn(SpawnOrder(text="look", label="look", size="S"), AgentId("sam"))
    office.settle()
    office.tick()
    office.runs_end()
    office.tick()

    (line,) = office.audit(action="usage")
    assert line["why"] == "input 40, output 2, cost 0.05 by price, from checkpoints/subagent-look.md"
    assert line["model"] == "small"


def test_a_run_that_reported_nothing_makes_no_line_and_is_not_looked_at_again(office: Office) -> None:
    finished(office, "quiet")
    office.tick()

    assert noted(office) == []
    assert office.names(".clawfiles/uncounted") == []


def test_usage_in_the_status_file_of_an_agent_without_runs_is_noted_once(office: Office) -> None:
    office.delegated("iris", type=None)
    office.tick()
    text = "---\nid: TC-1\nusage: {input: 12, output: 3, cost: 0.25}\n---\nStatus: DONE\n"
    office.write("status/tc-1.md", text)
    office.tick(MINUTE)
    office.tick(MINUTE)

    ((key, why),) = noted(office)
    assert (key.startswith("tc-1.usage."), why) == (True, "input 12, output 3, cost 0.25, from status/tc-1.md")


def test_the_same_figures_that_still_stand_in_a_checkpoint_are_the_same_usage(office: Office) -> None:
    office.write("checkpoints/iris.md", "---\nagent: iris\nusage: {input: 12, output: 3}\n---\n")
    for task in ("TC-1", "TC-2"):
        office.delegated("iris", type=None)
        office.tick()
        office.write(f"status/{task.lower()}.md", f"{task}: DONE\n")
        office.tick(MINUTE)

    assert [why for _, why in noted(office)] == ["input 12, output 3, from checkpoints/iris.md"]


@pytest.mark.parametrize("garbage", ["", "{", "[" * 60_000, '{"type":"result","total_cost_usd":1e999}', "\0\xff"])
def test_output_that_is_no_report_disturbs_no_tick(office: Office, garbage: str) -> None:
    finished(office, "quiet")
    office.write("runs/tc-1.1-s1/stdout.log", garbage)
    office.write("runs/tc-1.1-s1/usage.json", garbage)

    office.tick()

    assert noted(office) == []


def test_a_link_in_the_place_of_a_report_is_not_followed(office: Office, tmp_path: Path) -> None:
    finished(office, "quiet")
    secret = tmp_path / "secret.json"
    secret.write_text('{"input": 9, "output": 1}')
    (office.root / "runs/tc-1.1-s1/usage.json").symlink_to(secret)

    office.tick()

    assert noted(office) == []


# --- budgets


def spend_all(office: Office) -> None:
    """Coder has used its budget."""
    office.write("clawfiles.toml", CONFIG + BUDGET)
    finished(office)
    office.acts()


def test_an_agent_with_a_used_up_budget_is_not_woken_and_its_manager_is_notified_once(office: Office) -> None:
    spend_all(office)
    office.delegated("coder", type=None)

    told = office.acts(MINUTE)

    assert told == ["escalate sam"]
    assert office.acts(MINUTE) == []
    assert "used up: 0.50 of 0.50 EUR" in office.message("sam", "budget.2026-03.coder")
    assert office.boxes("coder")["new"] == ["tc-2.1"]


def test_explain_says_that_money_is_what_it_waits_for(office: Office) -> None:
    spend_all(office)
    office.delegated("coder", type=None)

    found = office.app().explaining.explain(office.task("TC-2").id)

    assert found.budget is not None
    assert "used up" in found.waiting


def test_a_raised_budget_lets_it_go_on_by_itself(office: Office) -> None:
    spend_all(office)
    office.delegated("coder", type=None)
    office.acts(MINUTE)

    office.write("clawfiles.toml", CONFIG + BUDGET.replace("0.5", "5"))

    assert office.acts(MINUTE) == ["wake TC-2"]


def test_a_new_month_lets_it_go_on_by_itself(office: Office) -> None:
    spend_all(office)
    office.delegated("coder", type=None)
    office.acts(MINUTE)

    assert "wake TC-2" in office.acts(31 * DAY)


def test_a_task_with_a_route_goes_to_the_next_agent_of_it(office: Office) -> None:
    spend_all(office)
    office.delegated("coder", type="bug")
    office.delegated("coder", type="bug")

    assert office.acts(MINUTE) == ["escalate sam", "next-agent TC-2", "next-agent TC-3"]

    assert office.task("TC-2").assignee == office.task("TC-3").assignee == "iris"
    assert office.acts(MINUTE) == []


def test_the_command_that_delegates_takes_one_that_has_money(office: Office) -> None:
    spend_all(office)

    task = office.new(type="bug")
    office.delegate(task)

    assert office.task(task).assignee == "iris"


def test_a_live_run_goes_on_when_its_budget_is_used_up(office: Office) -> None:
    office.delegated("waits", type=None)
    office.tick()
    office.write("clawfiles.toml", CONFIG + "\n[budgets.agents]\nwaits = 0\n")

    assert office.acts(MINUTE) == []
    assert [run.alive for run in office.app().runtime.live()] == [True]


class Counting(DiskFiles):
    """Files that know what was read."""

    seen: ClassVar[list[str]] = []

    def read(self, path: str, cap_bytes: int = 1 << 20):
        self.seen.append(path)
        return super().read(path, cap_bytes)


def test_a_tick_without_anything_that_waits_does_not_read_the_journal(office: Office) -> None:
    spend_all(office)
    office.acts(MINUTE)
    office.delegated("iris", type=None)
    office.acts(MINUTE)
    office.make_files = lambda path: Counting(path, clock=office.clock, durable=False)
    Counting.seen.clear()

    office.tick()

    assert [path for path in Counting.seen if path.startswith("audit/")] == []
    office.delegated("coder", type=None)
    office.tick()
    assert [path for path in Counting.seen if path.startswith("audit/")] != []


def test_days_that_did_not_change_are_read_once(office: Office) -> None:
    spend_all(office)
    office.tick(DAY)
    office.delegated("coder", type=None)
    app = office.app()
    app.workspace.cache = app.cache
    assert Spending(app.workspace).without_money() == ("coder",)

    app.workspace.files = Counting(str(office.root), clock=office.clock)
    Counting.seen.clear()

    assert Spending(app.workspace).without_money() == ("coder",)
    assert Counting.seen == []


def test_spoiled_memories_of_days_change_no_bill(office: Office) -> None:
    spend_all(office)
    app = office.app()
    app.workspace.cache = app.cache
    for spoiled in (b"", b"0.1.0 1\n\xff", b"x" * 9):
        app.cache.save("spending", spoiled)
        assert Spending(app.workspace).without_money() == ("coder",)


def test_a_bill_reads_past_days_skips_what_is_broken_and_names_what_it_cannot_read(office: Office) -> None:
    spend_all(office)
    line = {
        "timestamp": "2026-03-02T08:00:00Z",
        "action": "usage",
        "key": "k",
        "agent": "coder",
        "why": "cost 7, from x",
    }
    office.write("audit/2026-03-02.jsonl", json.dumps(line, separators=(",", ":")) + '\n{"torn\nnot json\n')
    os.mkfifo(office.root / "audit/2026-03-03.jsonl")
    office.write("audit/notes.txt", "mine")

    found = Spending(office.app().workspace).billed("agent", "2026-03")

    assert (found.bill.total.cost, found.broken, found.unread) == (7.5, 2, ("2026-03-03",))


def test_a_folder_that_leads_elsewhere_gets_no_marks(office: Office, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (office.root / ".clawfiles").mkdir(exist_ok=True)
    (office.root / ".clawfiles/uncounted").symlink_to(elsewhere)

    finished(office)

    assert list(elsewhere.iterdir()) == []


def test_no_money_is_no_error(office: Office) -> None:
    assert Spending(office.app().workspace).now() is None


def test_without_our_private_folder_a_run_at_work_is_noted_when_it_has_ended(office: Office) -> None:
    office.delegated("waits", type=None)
    office.tick()
    shutil.rmtree(office.root / ".clawfiles")
    office.tick(MINUTE)
    assert noted(office) == []

    office.write("go", "")
    office.runs_end()
    office.tick()

    assert [key for key, _ in noted(office)] == ["tc-1.1-s1"]


def test_something_else_in_the_place_of_the_runs_stops_no_tick(office: Office, tmp_path: Path) -> None:
    (office.root / "runs").symlink_to(tmp_path)
    office.write("HEARTBEAT.md", "# HEARTBEAT\n")

    assert office.acts() == []
