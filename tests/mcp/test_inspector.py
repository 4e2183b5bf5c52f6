"""The MCP Inspector's command line, which is not ours and not Python, against the real server."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from claw_files.mcp.tools import listed

from .conftest import ENV, ROOT, Team


@pytest.fixture(scope="module")
def inspector() -> str:
    """Its program, installed once."""
    env = {"CLAWFILES_MCP_INSPECTOR": f"{sys.prefix}/mcp-inspector", **os.environ}  # which outlives this run
    made = (
        subprocess.run([str(ROOT / "tests/mcp/install.sh")], capture_output=True, text=True, env=env)
        if shutil.which("npm")
        else None
    )
    if made is None or made.returncode:
        pytest.skip(f"the MCP Inspector cannot be installed: {made.stderr[-500:] if made else 'there is no npm'}")
    return made.stdout.strip()


def inspected(program: str, team: Team, *options: str) -> Any:
    words = [program, "--cli", *team.words("mcp", "--agent", "peter"), *options]
    done = subprocess.run(words, env=ENV, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_inspector_lists_the_tools_as_the_server_has_them(inspector: str, team: Team) -> None:
    assert inspected(inspector, team, "--method", "tools/list")["tools"] == listed()


def test_the_inspector_makes_a_task_reads_it_and_is_refused_another(inspector: str, team: Team) -> None:
    new = ("--method", "tools/call", "--tool-name", "task_new", "--tool-arg")

    made = inspected(inspector, team, *new, "title=API review")
    read = inspected(inspector, team, "--method", "resources/read", "--uri", "clawfiles://tasks/TC-1")
    wrong = inspected(inspector, team, *new, "title=x", "--tool-arg", "to=mallory")

    assert made["structuredContent"]["requested_by"] == "peter"
    assert json.loads(read["contents"][0]["text"])["title"] == "API review"
    assert (wrong["isError"], wrong["structuredContent"]["error"]["code"]) == (True, "not-found")
    assert Path(team.root / "status/tc-1.md").exists()
