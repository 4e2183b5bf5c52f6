"""The news of an ending says what was found; what is critical is heard first, and while the work still goes on."""

from datetime import timedelta

import pytest

from tests.support.office import TEAM, Office, python

MINUTE = timedelta(minutes=1)
TOKEN = "CRITICAL: the token is in the log \x1b[2J”\u202e"


@pytest.fixture
def task(office: Office) -> str:
    """Peter has it, was asked to look for something, and began."""
    task = office.new(body="Look at routes.ts.\n\nCRITICAL: the shop is down\n")
    office.delegate(task)
    office.tick()
    writes(office, "in_progress")
    return task


def writes(office: Office, state: str, text: str = "", task: str = "TC-1") -> None:
    """What peter adds to his file."""
    office.add(f"status/{task.lower()}.md", f"\nStatus: {state}\n{text}\n")
    office.tick(MINUTE)


def told(office: Office, part: str, agent: str = "sam") -> list[str]:
    keys = [key for box in office.boxes(agent).values() for key in box if part in key]
    return [office.message(agent, key).split("\n---\n", 1)[1] for key in keys]


def test_the_news_of_an_ending_has_the_first_lines_of_the_report_and_its_path(office: Office, task: str) -> None:
    writes(office, "DONE", "I found two bugs in routes.ts:\n- one\n- two\n" + "more\n" * 50)

    (news,) = told(office, ".done")
    assert "> I found two bugs in routes.ts:\n> - one\n" in news and "from peter in status/tc-1.md; quoted" in news
    assert "That is the beginning of `status/tc-1.md`." in news and news.count("> more") < 20
    assert "Look at routes.ts" not in news, "what was asked for is no report"
    assert "called critical" not in news.lower()


def test_a_person_who_asked_reads_what_was_found(office: Office) -> None:
    office.write("clawfiles.toml", office.read("clawfiles.toml"))
    made = office.app("dimitrios").tasks.new(_order("Check the shop"), "dimitrios")
    office.delegate(made.id, "peter")
    office.tick()
    writes(office, "in_progress", task=made.id)
    writes(office, "DONE", "The shop is up again.", task=made.id)
    office.tick(MINUTE)

    told = office.read("announcements.md")
    assert "> The shop is up again." in told and "From " in told
    assert "not instructions" not in told and "[end of" not in told, "a person reads a quotation as one"


def _order(title: str):
    from claw_files.services.tasks.lifecycle import NewTask

    return NewTask(title=title)


def test_critical_findings_stand_first_in_the_news_of_an_ending(office: Office, task: str) -> None:
    writes(office, "DONE", f"I looked.\n\n{TOKEN}")

    (news,) = told(office, ".done")
    assert news.strip().startswith('Called critical:\n- “CRITICAL: the token is in the log \\x1b[2J"\\u202e”\n\nTC-1 ')
    assert told(office, ".critical.") == [], "told once"
    assert "the shop is down" not in news


def test_each_critical_finding_is_told_once_while_the_work_goes_on(office: Office, task: str) -> None:
    writes(office, "in_progress", TOKEN)
    office.tick(10 * MINUTE)
    office.tick(10 * MINUTE)

    (news,) = told(office, ".critical.")
    assert "TC-1" in news and "is in progress" in news and "the token is in the log" in news
    assert "\x1b" not in news and "the shop is down" not in news

    writes(office, "in_progress", "## Critical issues\n- no TLS\n- no backup")
    (news,) = set(told(office, ".critical.")) - {news}
    assert "no TLS; - no backup" in news and "the token" not in news


def test_critical_findings_wake_the_coordinator_at_most_once_in_the_gap(office: Office, task: str) -> None:
    writes(office, "in_progress", "CRITICAL: one")
    writes(office, "in_progress", "CRITICAL: two")
    writes(office, "in_progress", "CRITICAL: three")
    assert len(told(office, ".critical.")) == 1

    office.tick(5 * MINUTE)
    first, second = sorted(told(office, ".critical."), key=len)
    assert "one" in first and "CRITICAL: two" in second and "CRITICAL: three" in second
    office.tick(5 * MINUTE)
    assert len(told(office, ".critical.")) == 2


def test_the_coordinator_hears_of_it_though_somebody_else_is_told_of_the_ending(office: Office) -> None:
    made = office.app("iris").tasks.new(_order("Check"), "iris")
    office.delegate(made.id, "peter")
    office.tick()
    writes(office, "in_progress")
    writes(office, "DONE", "CRITICAL: one")

    assert len(told(office, ".critical.")) == 1 and len(told(office, ".done", "iris")) == 1


def test_critical_findings_of_workers_stand_first_in_their_news_and_in_a_group_s(office: Office) -> None:
    writes_result = """
import os
from pathlib import Path
label, run = os.environ["CLAWFILES_LABEL"], os.environ["CLAWFILES_RUN"]
head = f"---\\nlabel: {label}\\nrun: {run}\\nstatus: done\\n---\\n"
text = f"{head}I looked.\\n\\n## Critical issues\\n- {label} has no TLS\\n"
Path(f"checkpoints/subagent-{label}.md").write_text(text)
"""
    office.write("clawfiles.toml", f"{TEAM}[agents.looks]\nkind = 'worker'\n{python(writes_result)}\n")
    office.write("checkpoints/.keep", "")
    for label, group in (("a", None), ("b", "g"), ("c", "g")):
        office.app("sam").delegations.spawn(_spawn(label, group), "sam")
    for _ in range(6):
        office.tick(61 * timedelta(seconds=1))
        office.runs_end()

    (single,), (group,) = told(office, "tc-1.1.done"), told(office, "group.g.report")
    assert single.strip().startswith("Called critical:\n- “Critical issues: - a has no TLS”")
    assert group.strip().startswith("Called critical:\n- “b: Critical issues: - b has no TLS”\n- “c: ")


def _spawn(label: str, group: str | None):
    from claw_files.core.model import AgentId
    from claw_files.services.delegation.delegation import SpawnOrder

    size = {"group": group, "group_size": 2} if group else {}
    return SpawnOrder(text="look", label=label, size="S", worker=AgentId("looks"), **size)


def test_news_from_files_in_an_agents_own_folder_is_told(office: Office) -> None:
    office.write("clawfiles.toml", TEAM.replace("[agents.peter]", "[agents.peter]\nworkspace = '../peter'"))
    office.delegated()
    office.tick()
    office.write("../peter/status/tc-1.md", "# TC-1: A bug\n\nStatus: in progress\n\nCRITICAL: no TLS\n")
    office.tick(MINUTE)
    assert len(told(office, ".critical.")) == 1

    office.write("../peter/status/tc-1.md", "# TC-1: A bug\n\nStatus: DONE\n\nI found it.\n\nCRITICAL: no TLS\n")
    office.tick(MINUTE)
    (news,) = told(office, ".done")
    assert "> I found it." in news and "`../peter/status/tc-1.md`" in news


def test_an_idle_tick_lists_nothing_for_a_file_without_the_word(office: Office, task: str, monkeypatch) -> None:
    from claw_files.formats import report_findings

    monkeypatch.setattr(report_findings, "critical", lambda *_: pytest.fail("looked for findings"))
    office.write("status/tc-1.md", office.read("status/tc-1.md").replace("CRITICAL", "Serious"))
    office.tick(MINUTE)
