"""Claude Code with `clawfiles mcp` in place of a shell; only the model behind it is a script."""

import json

import pytest

from .conftest import Hire
from .fake_model import Tool

pytestmark = pytest.mark.realagents
SERVER = json.dumps({"mcpServers": {"clawfiles": {"command": "clawfiles", "args": ["mcp"]}}})
SHELL = '"--permission-mode", "acceptEdits", "--allowedTools", "Bash(clawfiles:*)"'


def test_a_task_is_claimed_and_done_by_tools_alone(hire: Hire) -> None:
    team, model = hire("claude")
    options = ["--mcp-config", SERVER, "--strict-mcp-config", "--allowedTools", "mcp__clawfiles"]
    team.change(SHELL, ", ".join(f"'{option}'" for option in options))
    model.steps += [
        Tool("WaitForMcpServers", "{}"),  # it asks its model before its servers have come up
        Tool("mcp__clawfiles__task_claim", '{"task": "{task}"}'),
        Tool("mcp__clawfiles__task_claim", '{"task": "TC-99"}'),
        Tool("mcp__clawfiles__task_done", '{"task": "{task}", "summary": "looked at it", "outputs": ["PR #1"]}'),
    ]

    task = team.task()

    assert "mcp__clawfiles__sessions_spawn" in {name for seen in model.seen for name in seen.tools}
    assert "no task 'TC-99'" in model.results[2]
    assert (task["status"], task["assignee"], task["outputs"]) == ("done", "claude", ["PR #1"]), model.results
