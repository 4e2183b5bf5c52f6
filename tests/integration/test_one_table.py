"""An operation on all interfaces takes a function and a row: a copy of the package with both has it everywhere."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

FUNCTION = '''
"""A made-up operation."""
from claw_files.operations.fields import Count, Task
from claw_files.operations.reply import Reply


def wave(app, task: Task, *, times: Count = 1) -> Reply:
    """Wave at a task.

    Args:
        times: How often.

    Example:
        clawfiles wave TC-1 --times 2
    """
    return Reply(lambda: {"task": task, "waved": times}, lambda: f"waved {times} times at {task}")
'''
ROW = """_ROWS = (
    Operation("task_wave", "wave_operations:wave", "Wave at a task.", (CommandRow("wave", BOARD, TASKS),),
              (HttpRoute("POST", "/api/tasks/{task}/wave", "waveTask", "Description"),)),
"""
ASK = """
import json
from claw_files.http.openapi import describe
from claw_files.mcp.tools import listed
from docs.generate.calls import calls_page
operation = describe()["paths"]["/api/tasks/{task}/wave"]["post"]
tool = next(tool for tool in listed() if tool["name"] == "task_wave")
print(json.dumps([operation["operationId"], sorted(tool["inputSchema"]["properties"]), "## task_wave" in calls_page()]))
"""


@pytest.fixture
def run(tmp_path: Path):
    shutil.copytree(ROOT / "claw_files", tmp_path / "claw_files", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "templates", tmp_path / "templates")
    shutil.copytree(ROOT / "docs/generate", tmp_path / "docs/generate", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "claw_files/operations/wave_operations.py").write_text(FUNCTION)
    table = tmp_path / "claw_files/operations/table.py"
    table.write_text(table.read_text().replace("_ROWS = (\n", ROW, 1))
    (tmp_path / "team").mkdir()
    config = '[workspace]\ncoordinator = "sam"\n[agents.sam]\n[agents.r]\nkind = "worker"\ncommand = ["true"]\n'
    (tmp_path / "team/clawfiles.toml").write_text(config)
    env = {name: text for name, text in os.environ.items() if not name.startswith("CLAWFILES_")}

    def call(*words: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, *words]
        env["PYTHONPATH"] = str(tmp_path)
        return subprocess.run(command, cwd=tmp_path / "team", env=env, capture_output=True, text=True, check=False)

    return call


def test_a_function_and_a_row_are_a_command_a_request_and_a_tool(run) -> None:
    wave = ("-m", "claw_files", "wave")

    assert run(*wave, "tc-1", "--times", "2", "--agent", "sam").stdout == "waved 2 times at TC-1\n"
    assert json.loads(run(*wave, "TC-1", "--json", "--agent", "sam").stdout) == {"task": "TC-1", "waved": 1}
    assert "--times N     How often." in run(*wave, "--help").stdout
    assert run(*wave, "TC-1", "--times", "0").returncode == 2
    assert run(*wave, "TC-1", "--agent", "r").returncode == 5, "a worker moves no task"
    assert json.loads(run("-c", ASK).stdout) == ["waveTask", ["task", "times"], True]
