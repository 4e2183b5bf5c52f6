"""What the program loads before it does anything: cron and shells start it often."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

HEAVY = {
    "yaml",
    "frontmatter",
    "filelock",
    "rich",
    "markdown_it",
    "psutil",
    "asyncio",
    "watchdog",
    "cronsim",
    "msgspec",
    "mcp",
    "anyio",
    "pydantic",
    "starlette",
    "uvicorn",
}
PROBE = "import sys; from claw_files.cli import run; run(sys.argv[1:]); print('LOADED', *sys.modules)"


@pytest.fixture
def probe() -> Callable[..., set[str]]:
    """The modules that are loaded once a command has run in a process of its own."""

    def run(*arguments: str) -> set[str]:
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run([sys.executable, "-c", PROBE, *arguments], env=env, capture_output=True, text=True)
        return set(done.stdout.rpartition("LOADED ")[2].split())

    return run


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], ["claim", "--help"], ["task", "new", "--help"], ["inbox", "--help"], ["mcp", "--help"]],
)
def test_help_and_version_load_nothing_heavy(probe, arguments: list[str]) -> None:
    found = probe(*arguments)

    assert "claw_files.cli.root" in found
    assert not found & HEAVY
    assert "claw_files.app.wiring" not in found


def test_a_list_loads_no_service_it_does_not_use(probe, desk) -> None:
    found = probe("-C", str(desk.root), "task", "list")

    assert "claw_files.services.tasks.board" in found
    assert not found & {
        "rich",
        "filelock",
        "psutil",
        "asyncio",
        "watchdog",
        "markdown_it",
        "claw_files.services.heartbeat.heartbeat",
    }


def test_a_command_loads_neither_the_checks_of_json_nor_an_interface_for_programs(probe, desk) -> None:
    found = probe("-C", str(desk.root), "task", "new", "one", "--to", "peter", "--agent", "sam")

    assert "claw_files.operations.task_operations" in found
    assert not found & {"claw_files.operations.dispatch", "claw_files.http", "claw_files.mcp", "mcp", "anyio"}


COMPARTMENTS = {
    "claw_files.services.compartments.compartments",
    *("claw_files.storage.view", "claw_files.policy.visibility"),
}


@pytest.mark.parametrize("command", ["claim", "beat", "done"])
def test_a_move_loads_nothing_of_compartments_where_no_agent_has_one(probe, desk, command: str) -> None:
    probe("-C", str(desk.root), "task", "new", "one", "--agent", "sam")
    if command != "claim":
        probe("-C", str(desk.root), "claim", "TC-1", "--agent", "peter")

    found = probe("-C", str(desk.root), command, "TC-1", "--agent", "peter")

    assert "claw_files.app.resolver" in found
    assert not found & COMPARTMENTS
