"""The workday of the example workspace once more: sam, peter and the importer have MCP clients, and nothing else."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from claw_files.demo import day, stage
from claw_files.demo.day import DemoDay

AGENTS = Path(__file__).parent / "agents"


def test_a_day_of_agents_that_have_nothing_but_mcp_ends_as_the_demo_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(day, "LIMIT_SECONDS", 150)  # each agent starts a client and a server, in place of a command
    told = list[str]()
    root = tmp_path / "day"

    with stage.workspace(str(root)) as folder, stage.commands() as path, stage.everything_ended(folder):
        shutil.rmtree(root / "agents")
        shutil.copytree(AGENTS, root / "agents", ignore=shutil.ignore_patterns("__pycache__"))
        lived = DemoDay(folder, stage.environment(folder, path), lambda *line: told.append(" ".join(line)))
        lived.live()  # until nothing is missing; raises with what is

    said = (root / "announcements.md").read_text()
    assert all(said.count(part) == 1 for part in (*day.REPORT, day.NIGHT_NEWS, "PR #142")), said
    steps = _steps(root)
    order = [
        steps.index(step) for step in (("delegate", "sam"), ("claim", "peter"), ("done", "peter"), ("approve", "sam"))
    ]
    assert order == sorted(order)


def _steps(root: Path) -> list[Any]:
    lines = [json.loads(line) for path in sorted((root / "audit").iterdir()) for line in path.read_bytes().splitlines()]
    return [(line["action"], line["actor"]) for line in lines if line["task"] == "TC-89"]


def test_these_agents_type_no_command_and_open_no_file() -> None:
    for script in AGENTS.glob("*.py"):
        text = script.read_text()
        assert not any(word in text for word in ("claw_files", "subprocess", "open(", "from claw import")), script
