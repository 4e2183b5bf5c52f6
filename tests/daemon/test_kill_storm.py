"""The daemon killed at random moments under load, again and again: no task is run twice, none is lost."""

import random
import time

import pytest

from claw_files.core.model import State
from tests.daemon.conftest import TEAM, Home
from tests.proofs import often
from tests.support.office import python

AGENTS, TASKS_EACH = 4, 3

# Leaves a line for each time it is started, works a moment, and says so in the status file.
WORKS = """
import os, time
task, generation = os.environ["CLAWFILES_TASK"], os.environ["CLAWFILES_GENERATION"]
with open("starts.txt", "a") as file:
    file.write(f"{task} {os.environ['CLAWFILES_RUN']}\\n")
time.sleep(0.05 + int(task.split("-")[1]) % 5 / 20)
with open(f"status/{task.lower()}.md", "a") as file:
    file.write("\\nStatus: DONE - PR #1\\n")
"""


def storm(home: Home, kills: int, seed: int) -> None:
    """Kill and start the daemon `kills` times while there is work; then let it finish."""
    chance = random.Random(seed)
    names = [f"worker-{number}" for number in range(AGENTS)]
    agents = "".join(f"[agents.{name}]\n{python(WORKS)}\n" for name in names)
    home.write("clawfiles.toml", TEAM + agents + "[limits]\nruns = 3\n[heartbeat]\nack = '1h'\n")
    given: list[str] = []
    for _ in range(kills):
        home.start(wait=False)
        if len(given) - sum(home.task(task) is State.DONE for task in given) < AGENTS:
            given += [home.new(name) for name in names[: max(1, AGENTS * TASKS_EACH // max(1, min(kills, 12)))]]
        time.sleep(chance.uniform(0.1, 1.2))
        home.kill()
    home.start()
    home.until(lambda: home.lines() == 0, "everything that was given is done", 60.0)

    assert {task: home.task(task) for task in given} == dict.fromkeys(given, State.DONE)
    starts = home.read("starts.txt").split("\n")[:-1]
    assert len(starts) == len(set(starts)), "a run was started twice"
    assert sorted(line.split()[0] for line in starts) == sorted(given), "a task was run twice for one attempt, or never"
    assert home.audit(action="fail") == []
    epochs = [int(line["epoch"]) for line in home.audit(action="daemon start")]
    assert epochs == sorted(set(epochs))


def test_five_kills_under_load_run_no_task_twice_and_lose_none(home: Home) -> None:
    storm(home, kills=5, seed=5)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_hundred_kills_under_load_run_no_task_twice_and_lose_none(home: Home, tried) -> None:
    kills = often(100)
    storm(home, kills=kills, seed=100)
    tried("no task runs twice or is lost when the daemon is killed", "SIGKILL of a busy daemon", kills, 0)
