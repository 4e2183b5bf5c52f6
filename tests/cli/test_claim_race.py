"""Several real processes claim at once: every task gets exactly one holder."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
AGENTS = ("peter", "iris", "sam", "dimitrios")
CLAIMANT = """
import sys
from claw_files.cli import run
root, agent, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
sys.stdin.readline()
for _ in range(rounds):
    if run(["-C", root, "claim", "--next", "--json", "--agent", agent]) == 3:
        break
"""


def test_each_task_is_claimed_exactly_once(desk) -> None:
    for number in range(12):
        desk.task(f"task {number}")
    claimants = [
        subprocess.Popen(
            [sys.executable, "-c", CLAIMANT, str(desk.root), agent, "20"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={"PYTHONPATH": str(ROOT)},
        )
        for agent in AGENTS
    ]

    ended = [claimant.communicate("go\n", timeout=120) for claimant in claimants]

    leases = [json.loads(line) for out, _ in ended for line in out.splitlines()]
    assert Counter(lease["task"] for lease in leases) == {f"TC-{n}": 1 for n in range(1, 13)}
    holders = {task["id"]: task["assignee"] for task in desk.ok("task", "list", "--json").json}
    assert holders == {lease["task"]: lease["agent"] for lease in leases}
    lines = [line for line in desk.read("HEARTBEAT.md").splitlines() if line.startswith("- ")]
    assert len(lines) == 12
    assert all(f"- {lease['task']} delegated to {lease['agent']}," in desk.read("HEARTBEAT.md") for lease in leases)


def test_many_processes_of_one_agent_are_as_many_claimants(desk) -> None:
    task = desk.task()
    command = [sys.executable, "-m", "claw_files", "-C", str(desk.root), "claim", task, "--agent", "peter"]
    env = {"PYTHONPATH": str(ROOT)}
    claimants = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env) for _ in range(5)]
    for claimant in claimants:
        claimant.communicate(timeout=60)

    assert sorted(claimant.returncode for claimant in claimants) == [0, 4, 4, 4, 4]
