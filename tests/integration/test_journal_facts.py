"""Ticks write the journal, and statistics, breakers, rates, budgets and recalled states read its facts.

Nothing here types a line of the journal. Each statement holds for the journal as it was written, and for one in which
every sentence is another: `why` is for people.
"""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from claw_files.core.journal_events import JournalEvent
from claw_files.core.model import AgentId, State, TaskId
from claw_files.policy.work_statistics import Stats
from claw_files.services.accounting.spend import Spending
from claw_files.services.accounting.statistics import Statistics
from claw_files.services.delegation.delegation import SpawnOrder
from claw_files.storage import task_recall
from tests.support.office import TEAM, Office, python

MINUTE = timedelta(minutes=1)
DONE = "open(f\"status/{os.environ['CLAWFILES_TASK'].lower()}.md\", 'a').write('\\nStatus: DONE\\n')"
PRINTS = 'print(\'{"type":"result","total_cost_usd":0.5,"usage":{"input_tokens":100,"output_tokens":7}}\')'
WORKS = """
import os
with open(f"checkpoints/subagent-{os.environ['CLAWFILES_LABEL']}.md", "w") as file:
    said = open("result").read() if os.path.exists("result") else "done"
    file.write(f"---\\nrun: {os.environ['CLAWFILES_RUN']}\\nstatus: {said}\\n---\\nfound\\n")
"""
CONFIG = f"""{TEAM.partition("[routes]")[0]}
[agents.coder]
model = "sonnet"
{python(chr(10).join(("import os", DONE, PRINTS)))}
[agents.research]
kind = "worker"
model = "small"
{python(WORKS)}
[routes]
bug = {{ to = ["peter", "coder"] }}
reviewed = {{ to = ["peter"], review = "coordinator" }}
[heartbeat]
attempts = 1
[limits]
breaker = 2
[budgets]
currency = "EUR"
[budgets.agents]
coder = 0.5
"""


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path / "sam", CONFIG)
    yield made
    made.stop()


def rewrite(office: Office, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Change each line of the journal."""
    for name in office.names("audit"):
        lines = map(json.loads, office.read(f"audit/{name}").splitlines())
        text = "".join(json.dumps(change(line), separators=(",", ":")) + "\n" for line in lines)
        office.write(f"audit/{name}", text)


def reworded(office: Office) -> None:
    rewrite(office, lambda line: line | {"why": f"{line['action']}: done -> failed, acts, reports blocked"})


def statistics(office: Office) -> Stats:
    app = office.app()
    return Statistics(app.workspace, app.runtime).told(timedelta(days=2)).stats


def by_hand(office: Office, task: str, words: str) -> None:
    office.write(f"status/{task.lower()}.md", f"Status: {words}\n")
    office.settle()
    office.tick(MINUTE)


def spawned(office: Office, label: str, says: str = "done") -> str:
    """A worker's task whose run has ended with this status, and was looked at."""
    office.write("result", says)
    office.app("sam").delegations.spawn(SpawnOrder(text="look", label=label, size="S"), AgentId("sam"))
    for _ in range(2):
        office.tick(MINUTE)
        office.runs_end()
    office.tick(MINUTE)
    return office.audit(action="spawn")[-1]["task"]


def test_a_move_by_hand_counts_in_statistics_by_its_facts(office: Office) -> None:
    task = office.delegated("peter")
    by_hand(office, task, "IN PROGRESS")
    by_hand(office, task, "BLOCKED - no key")
    by_hand(office, task, "IN PROGRESS")
    by_hand(office, task, "DONE")

    for change in (lambda _: None, reworded):
        change(office)
        found = statistics(office)
        assert [(row.agent, row.done, row.failed) for row in found.ends] == [("peter", 1, 0)]
        assert [row.name for row in found.by_type] == ["bug"]
        assert {row.name: row.count for row in found.waits}["blocked"] == 1

    rewrite(office, lambda line: line | {"to": "in_progress" if line["action"] == "record" else line["to"]})
    assert statistics(office).by_type == ()


def test_a_report_that_was_carried_counts_by_its_facts(office: Office) -> None:
    task = office.delegated("peter", type="reviewed")
    office.write("status/peter.md", f"{task}: IN PROGRESS\n")
    office.settle()
    office.tick(MINUTE)
    office.write("status/peter.md", f"{task}: DONE\n")
    office.settle()
    office.tick(MINUTE)
    reworded(office)

    assert [line["to"] for line in office.audit(action="carry")] == ["in_progress", "review"]
    assert {row.name: row.open for row in statistics(office).waits}["in review"] == 1


def test_a_worker_that_finishes_closes_the_breaker(office: Office) -> None:
    worker, spread = AgentId("research"), []
    for label, says in (("a", "failed"), ("b", "done"), ("c", "failed")):
        spawned(office, label, says)
        spread.append(says == "done")
    reworded(office)

    assert [it.is_good for it in office.app().snapshots.outcomes()[worker]] == spread

    rewrite(office, lambda line: line | {"action": "comment" if line["action"] == "finish" else line["action"]})
    assert [it.is_good for it in office.app().snapshots.outcomes()[worker]] == [False, False]


def test_a_claim_made_for_a_worker_is_no_word_of_the_worker(office: Office) -> None:
    task = spawned(office, "a")
    reworded(office)

    (claim,) = office.audit(action="claim", task=task)
    assert (claim["reason"], claim["from"], claim["to"]) == ("worker-starts", "backlog", "in_progress")
    woken = office.audit(action="wake", task=task)[0]["timestamp"]
    assert {row.name: row.longest for row in statistics(office).waits}["from wake to acknowledgement"] > timedelta(0)
    assert woken == claim["timestamp"]


def test_usage_and_budget_are_read_from_facts(office: Office) -> None:
    office.delegated("coder", type=None)
    office.tick()
    office.runs_end()
    office.tick(MINUTE)
    reworded(office)

    spent = Spending(office.app().workspace).now()
    assert spent is not None and spent.agents == {"coder": 0.5}
    bill = Spending(office.app().workspace).billed("agent", None).bill
    assert [(row.name, row.input, row.output, row.cost) for row in bill.rows] == [("coder", 100, 7, 0.5)]
    assert Spending(office.app().workspace).without_money() == ("coder",)

    rewrite(office, lambda line: line | ({"usage": {"cost": 0.25}} if "usage" in line else {}))
    assert Spending(office.app().workspace).without_money() == ()


def test_the_rate_of_a_model_counts_the_runs_that_were_started(office: Office) -> None:
    office.delegated("coder", type=None)
    office.tick()
    office.runs_end()
    reworded(office)
    task = office.delegated("coder", type=None)

    (started,) = office.app().snapshots.snapshot(office.app().workspace.entries()).started["sonnet"]
    assert task and started == office.clock.now().replace(microsecond=0) + timedelta(seconds=1)


@pytest.mark.parametrize("words", ["IN PROGRESS", "DONE", "BLOCKED - no key", "FAILED - no"])
def test_the_state_of_a_task_is_recalled_from_facts(office: Office, words: str) -> None:
    task = office.delegated("peter", type="reviewed")
    by_hand(office, task, "IN PROGRESS")
    by_hand(office, task, words)
    state = office.task(task).recorded
    reworded(office)

    known = task_recall.last_recorded(office.app().workspace.files, TaskId(task))

    assert known is not None and known.after is state is not State.BACKLOG


def test_a_line_about_a_move_has_the_state_before_and_after(office: Office) -> None:
    task = TaskId(office.delegated("peter", type="reviewed"))
    peter, sam = office.app("peter"), office.app("sam")
    peter.claims.claim(task, AgentId("peter"))
    office.clock.advance(MINUTE)
    peter.tasks.beat(task, AgentId("peter"))
    peter.tasks.done(task, AgentId("peter"))
    sam.tasks.reopen(task, AgentId("sam"), "more")
    sam.tasks.cancel(task, AgentId("sam"))

    moves = [line for line in office.audit(task=task) if line["to"] and line["action"] not in ("task new", "deliver")]
    assert [(line["action"], line["from"], line["to"]) for line in moves] == [
        ("claim", "backlog", "in_progress"),
        ("beat", "in_progress", "in_progress"),
        ("done", "in_progress", "review"),
        ("reopen", "review", "backlog"),
        ("cancel", "backlog", "cancelled"),
    ]


def test_each_line_has_an_event_of_the_list_and_only_moves_have_states(office: Office) -> None:
    by_hand(office, office.delegated("peter"), "DONE")
    spawned(office, "a")
    office.tick(MINUTE)

    lines = office.audit()
    assert {line["action"] for line in lines} <= set(JournalEvent)
    assert all(
        JournalEvent(line["action"]).is_move or line["action"] == "close"
        for line in lines
        if line["to"] or line.get("from")
    )
    assert {"record", "close", "finish", "wake"} <= {line["action"] for line in lines}
