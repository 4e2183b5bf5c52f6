"""Probes with real agent processes: one that obeys, by hand or by command; one that talks, one that dies, one hangs."""

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from claw_files.app.wiring import App
from claw_files.core.errors import NotFound, Refused
from claw_files.policy.snapshot import Act
from claw_files.services.heartbeat.probe import ProbeResult
from tests.support.office import python

OBEYS = """
import os
path = f"status/{os.environ['CLAWFILES_TASK'].lower()}.md"
for word in ("IN PROGRESS", "DONE"):
    with open(path, "a") as file: file.write(f"\\nStatus: {word}\\n")
print('{"type": "result", "total_cost_usd": 0.01}')
"""
BEGINS = OBEYS.replace(', "DONE"', ",")
REPORTS = """
import os
with open("status/reports.md", "a") as file: file.write(f"{os.environ['CLAWFILES_TASK']}: DONE\\n")
"""
WORKS = """
import os
env = os.environ
with open(f"checkpoints/subagent-{env['CLAWFILES_LABEL']}.md", "w") as file:
    file.write(f"---\\nrun: {env['CLAWFILES_RUN']}\\nstatus: done\\n---\\nfound\\n")
"""
TALKS = "import sys; sys.stdin.read(); print('Sure!\\nI cannot use tools \\x1b[2Jhere.')"
HANGS = "import time; print('Trust this folder? [y/n]', flush=True); time.sleep(600)"
PATIENCE = timedelta(seconds=20)


CONFIG = f"""
[workspace]
coordinator = "sam"
[agents.sam]
[agents.dimitrios]
kind = "human"
[agents.obeys]
model = "m"
{python(OBEYS)}
[agents.types]
command = ["sh", "-c", "clawfiles claim $CLAWFILES_TASK && clawfiles done $CLAWFILES_TASK"]
[agents.reports]
{python(REPORTS)}
[agents.begins]
{python(BEGINS)}
[agents.talks]
{python(TALKS)}
[agents.crashes]
{python("import sys; sys.exit('Invalid API key')")}
[agents.hangs]
{python(HANGS)}
[agents.absent]
command = ["no-such-program"]
[agents.worker]
kind = "worker"
{python(WORKS)}
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "team"
    made.mkdir()
    (made / "clawfiles.toml").write_text(CONFIG)
    return made


def app(root: Path) -> App:
    import os

    return App(str(root), {name: value for name, value in os.environ.items() if not name.startswith("CLAWFILES")}, None)


def probe(root: Path, agent: str, patience: timedelta = PATIENCE) -> ProbeResult:
    return app(root).probing.probe(agent, patience)


def journal(root: Path, **wanted: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for path in sorted((root / "audit").iterdir()) for line in path.read_text().splitlines()]
    return [line for line in lines if all(line[key] == value for key, value in wanted.items())]


def assert_nothing_is_left(root: Path) -> None:
    """No open task, no line, no unread message, nothing alive: as if nobody had asked, but for the archive."""
    found = app(root)
    assert list((root / "status").glob("probe*.md")) == []
    assert len(list((root / "status/archive").glob("*/probe.*.md"))) == 1
    assert found.workspace.entries() == ()
    assert [path for box in ("new", "cur") for path in root.glob(f"inbox/*/{box}/*.md")] == []
    assert not any(run.alive for run in found.runtime.live())
    assert found.snapshots.outcomes() == {}
    assert found.heartbeat.preview().actions == ()


@pytest.mark.parametrize("agent", ["obeys", "types", "reports", "worker"])
def test_an_agent_that_does_what_it_was_asked_acts(root: Path, agent: str) -> None:
    found = probe(root, agent)

    assert found.acts, found
    assert (found.said, found.advice) == ("", ())
    assert found.acknowledged is not None
    assert found.done is not None
    assert [line["why"].partition(":")[0] for line in journal(root, action="probe", agent=agent)] == ["acts"]
    assert_nothing_is_left(root)


def test_an_agent_that_only_talks_does_not_act_and_its_output_is_shown(root: Path) -> None:
    found = probe(root, "talks")

    assert (found.acts, found.exit, found.acknowledged) == (False, 0, None)
    assert found.said == "Sure!\nI cannot use tools \\x1b[2Jhere."
    assert "without a state in its status file" in found.steps[-1].what
    assert "it replied but did nothing" in found.advice[0]
    assert_nothing_is_left(root)


def test_an_agent_that_dies_is_told_with_its_exit_code_and_last_words(root: Path) -> None:
    found = probe(root, "crashes")

    assert (found.acts, found.exit, found.said) == (False, 1, "Invalid API key")
    assert "exit code 1" in found.advice[0]
    assert_nothing_is_left(root)


def test_an_agent_that_hangs_is_ended_when_the_patience_is_over(root: Path) -> None:
    found = probe(root, "hangs", timedelta(seconds=2))

    assert (found.acts, found.said) == (False, "Trust this folder? [y/n]")
    assert "still running" in found.steps[-1].what
    assert "it may be waiting for an answer" in found.advice[0]
    assert_nothing_is_left(root)


def test_an_agent_that_begins_and_does_not_finish_does_not_act(root: Path) -> None:
    found = probe(root, "begins")

    assert not found.acts
    assert found.acknowledged is not None
    assert "it never said done" in found.steps[-1].what
    assert "it started but did not finish" in found.advice[0]


def test_a_program_that_is_not_there_is_named(root: Path) -> None:
    found = probe(root, "absent")

    assert "no program 'no-such-program'" in found.steps[-1].what
    assert "install it, or name its program by its path" in found.advice[0]
    assert found.task is None, "nothing was sent"
    assert not (root / "runs").exists() or not list((root / "runs").iterdir())


def test_an_agent_that_looks_for_itself_gets_no_probe_and_is_told_what_to_look_at(root: Path) -> None:
    found = probe(root, "sam")

    assert (found.acts, found.task) == (True, None)
    assert "clawfiles does not wake sam" in found.steps[0].what
    assert "clawfiles inbox --agent sam" in found.advice[0]
    assert not (root / "status").exists()


def test_an_agent_that_looks_for_itself_and_leaves_its_messages_unread_does_not_act(root: Path) -> None:
    with (root / "clawfiles.toml").open("a") as file:
        file.write('[heartbeat]\nack = "1s"\n')
    message = "---\nid: x\nkey: x\nkind: announce\nfrom: dimitrios\nto: sam\nsent: 2026-03-07T08:45:00Z\n---\nhello\n"
    (root / "inbox/sam/new").mkdir(parents=True)
    (root / "inbox/sam/new/x.md").write_text(message)

    found = probe(root, "sam")

    assert not found.acts
    assert "1 unread" in found.steps[0].what


def test_people_and_strangers_are_not_probed(root: Path) -> None:
    with pytest.raises(Refused, match="person"):
        probe(root, "dimitrios")
    with pytest.raises(NotFound):
        probe(root, "nobody")


def test_an_agent_whose_budget_is_used_up_is_not_woken_and_that_is_said(root: Path) -> None:
    with (root / "clawfiles.toml").open("a") as file:
        file.write("[budgets.agents]\nobeys = 0\n")

    found = probe(root, "obeys", timedelta(seconds=1))

    assert not found.acts
    assert "the budget of obeys" in found.advice[0]
    assert_nothing_is_left(root)


def test_an_agent_whose_lane_is_busy_is_not_woken_and_what_is_ahead_is_named(root: Path) -> None:
    first = app(root)
    first.messages.send(first.settings.coordinator, first.settings.agent("hangs").name, "hello")
    first.heartbeat.tick()

    found = probe(root, "hangs", timedelta(seconds=1))

    for run in first.runtime.live():
        first.runtime.stop(run.id)
    assert not found.acts
    assert "was not woken" in found.steps[-1].what
    assert re.search(r"waits for lane since .+, behind 1 run \(", found.advice[0])


def test_the_next_probe_closes_the_task_of_a_killed_probe(root: Path) -> None:
    first = app(root)
    task = first.probing.send(first.settings.agent("talks"), PATIENCE)
    assert (root / f"status/{task.lower()}.md").exists()

    probe(root, "talks")

    assert list((root / "status").glob("*.md")) == []
    assert list(root.glob("inbox/talks/new/*.md")) == []


def test_ticks_beside_a_probe_leave_it_alone(root: Path) -> None:
    first = app(root)
    agent = first.settings.agent("begins")
    task = first.probing.send(agent, PATIENCE)
    first.claims.claim(task, agent.name)

    planned = app(root).heartbeat.preview().actions

    assert [action.act for action in planned] == [Act.WAKE]
    assert len(app(root).workspace.entries()) == 1


def test_the_line_that_a_killed_probe_left_goes_when_it_is_due(root: Path) -> None:
    first = app(root)
    task = first.probing.send(first.settings.agent("obeys"), PATIENCE)
    (root / "HEARTBEAT.md").write_text(f"- {task} delegated to obeys, check at 2026-03-07 10:00\n")

    found = app(root).heartbeat.preview().actions

    assert Act.UNWATCH in [action.act for action in found]


def test_the_next_tick_counts_the_usage_of_a_probe(root: Path) -> None:
    task = probe(root, "obeys").task

    app(root).heartbeat.tick()

    (line,) = journal(root, action="usage")
    assert (line["task"], line["why"]) == (task, "cost 0.01, from stdout.log")
