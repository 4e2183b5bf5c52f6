"""Processes of clawfiles and of a client in another language claim the same tasks: each gets exactly one holder."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.test_conformance import CLIENT, Ours, lay

ROOT = Path(__file__).parents[2]
AGENTS = ("peter", "iris", "sam", "me")  # each is claimed for by one process of either program
TASKS = [f"TC-{number}" for number in range(1, 61)]
CLAIMANT = """
import sys
from claw_files.cli import run
root, agent = sys.argv[1:]
print("ready", flush=True)
sys.stdin.readline()
while run(["-C", root, "claim", "--next", "--json", "--agent", agent]) != 3:
    pass
"""


def start(command: list[str], env: dict[str, str]) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=env)


def raced(root: Path, env: dict[str, str]) -> dict[str, Any]:
    """Who won each task, counted from the answers, after eight processes have claimed until nothing was free.

    The value is a pair: the agent, and whether the client won it.
    """
    ours = [start([sys.executable, "-c", CLAIMANT, str(root), agent], {"PYTHONPATH": str(ROOT)}) for agent in AGENTS]
    # Two of the clients begin at the other end: whichever program is faster today, each wins something.
    orders = [{"CLAWFILES_LAST_FIRST": str(number % 2)} for number, _ in enumerate(AGENTS)]
    theirs = [start(["node", str(CLIENT), "-"], dict(os.environ) | env | order) for order in orders]
    for process in ours:
        assert process.stdout and process.stdout.readline() == "ready\n"
    for process in theirs:  # one that has answered is as ready
        assert process.stdin and process.stdout
        process.stdin.write(json.dumps([str(root), "ledger"]) + "\n")
        process.stdin.flush()
        assert process.stdout.readline() == "[]\n"
    for process in ours:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    deadline = time.monotonic() + 60
    while not list(
        root.glob(".clawfiles/claims/*.log")
    ):  # the client is faster: without a start, clawfiles may win nothing
        assert time.monotonic() < deadline
        time.sleep(0.002)
    for process, agent in zip(theirs, AGENTS, strict=True):
        assert process.stdin
        process.stdin.write(json.dumps([str(root), "race", agent]) + "\n")
        process.stdin.flush()
    won = []
    for process in ours + theirs:
        out, err = process.communicate(timeout=120)
        assert "Traceback" not in err and "Error:" not in err, err
        won += [(json.loads(line), process in theirs) for line in out.splitlines() if line != "null"]
    leases = [(lease["task"], (lease["agent"], by_client)) for lease, by_client in won if "error" not in lease]
    assert Counter(task for task, _ in leases) == Counter(TASKS)
    return dict(leases)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    if shutil.which("node") is None:
        pytest.skip("the client in another language needs Node 20: install `node`")
    lay(
        tmp_path,
        {f"status/{task.lower()}.md": f"---\nid: {task}\nstatus: backlog\n---\n# {task}: t\n" for task in TASKS},
    )
    return tmp_path


def watched(root: Path) -> list[tuple[str, str]]:
    """The task and the agent of each line in the ledger."""
    return [(entry["task"], entry["agent"]) for entry in Ours(root).ledger()]


def test_clawfiles_and_the_client_claim_each_task_exactly_once(root: Path) -> None:
    won = raced(root, {})

    assert {by_client for _, by_client in won.values()} == {True, False}
    winners = {task: agent for task, (agent, _) in won.items()}
    found = {task: Ours(root).task(task) for task in TASKS}
    assert {task: (facts["status"], facts["assignee"]) for task, facts in found.items()} == {
        task: ("in_progress", agent) for task, agent in winners.items()
    }
    assert sorted(watched(root)) == sorted(winners.items())


def test_claims_without_flock_have_one_winner_and_get_their_lines_by_repair(root: Path) -> None:
    won = raced(root, {"CLAWFILES_NO_FLOCK": "1"})

    assert {by_client for _, by_client in won.values()} == {True, False}
    winners = {task: agent for task, (agent, _) in won.items()}
    found = {task: Ours(root).task(task) for task in TASKS}
    assert {task: (facts["status"], facts["assignee"]) for task, facts in found.items()} == {
        task: ("in_progress", agent) for task, agent in winners.items()
    }
    by_ours = {(task, agent) for task, (agent, by_client) in won.items() if not by_client}
    lines = watched(root)
    assert len(set(lines)) == len(lines)
    assert by_ours <= set(lines) <= set(winners.items())
    command = [sys.executable, "-m", "claw_files", "-C", str(root), "doctor", "--repair"]
    subprocess.run(command, env={"PYTHONPATH": str(ROOT)}, capture_output=True, check=True)
    assert sorted(watched(root)) == sorted(winners.items())


@pytest.mark.parametrize("first", ["iris", "peter"])
def test_a_claim_whose_line_is_second_in_the_log_is_lost(root: Path, first: str) -> None:
    before = (root / "status/tc-1.md").read_bytes()
    folder = os.open(root, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)  # the lock of the ledger: the client has chosen its number and waits for step 4
    late = start(["node", str(CLIENT), str(root), "do", '{"claim": "TC-1", "agent": "peter"}'], dict(os.environ))
    deadline = time.monotonic() + 30
    while not list(root.glob(".HEARTBEAT.md.*.tmp")):
        assert time.monotonic() < deadline and late.poll() is None
        time.sleep(0.01)
    (root / ".clawfiles/claims").mkdir(parents=True)
    (root / ".clawfiles/claims/tc-1.log").write_text(f"1 taken {first} 9f3c\n")
    os.close(folder)

    out, _ = late.communicate(timeout=30)

    assert json.loads(out)["error"] == "already-claimed"
    assert (root / "status/tc-1.md").read_bytes() == before
    # another process of the same agent may have found this line and counts on it
    assert watched(root) == ([] if first == "iris" else [("TC-1", "peter")])
