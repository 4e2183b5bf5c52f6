"""A long map whose heartbeat is killed at random moments: every item is made once, and none is lost.

The agent of the items is this process: it takes its messages and writes into status files, as a person with an editor.
"""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from claw_files.app.wiring import App
from claw_files.core.model import AgentId, State, TaskId
from claw_files.services.workflows.run_files import RunFiles
from claw_files.services.workflows.runs import begin
from tests.proofs import often

CONFIG = """
[workspace]
coordinator = "sam"
[limits]
unread = 1000
[heartbeat]
ack = "2h"
silent = "2h"
[agents.sam]
[agents.worker]
"""
MAP = "---\nat once: 100\n---\n## read\n- to: worker; for each: lines of pages.txt\n\nRead {item}\n"
# One process that forks heartbeats, each of which ticks until it is killed.
BEATS = """
import os, random, sys, time
from claw_files.app.wiring import App

root, chance, kills, parent = sys.argv[1], random.Random(1), 0, os.getppid()

def beat():
    app = App(root, {}, None)
    while True:
        if not app.heartbeat.tick().actions:
            time.sleep(0.01)

App(root, {}, None).heartbeat.tick()  # all modules are loaded once
while os.getppid() == parent:
    child = os.fork()
    if not child:
        try:
            beat()
        finally:
            os._exit(1)
    time.sleep(chance.uniform(0.01, float(sys.argv[2])))
    os.kill(child, 9)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == 9, status
    kills += 1
    with open(f"{root}/kills.txt", "w") as file:
        file.write(str(kills))
"""


def map_of(root: Path, items: int) -> App:
    """A workspace with a run over so many items."""
    (root / "workflows").mkdir(parents=True)
    (root / "clawfiles.toml").write_text(CONFIG)
    (root / "workflows/map.md").write_text(MAP)
    (root / "pages.txt").write_text("".join(f"page-{number}.html\n" for number in range(1, items + 1)))
    app = App(str(root), {}, "sam")
    workflow = app.workflows.sound("map")
    begin(app.workspace, workflow, app.workflows.copies(workflow, "map"), {}, AgentId("sam"))
    return app


def work(root: Path) -> list[str]:
    """Take what is new and do it, as an agent without our commands; the tasks that were asked for."""
    made, new = [], root / "inbox/worker/new"
    for name in os.listdir(new) if new.exists() else ():
        task = name.partition("Z-")[2].partition(".")[0]
        os.rename(new / name, root / f"inbox/worker/cur/{name}")
        with open(root / f"status/{task}.md", "a") as file:
            file.write("\nStatus: DONE\n")
        made.append(task)
    return made


def killed(root: Path, items: int, longest_seconds: float) -> tuple[Counter[str], int]:
    """How often each item was asked for, and how often the heartbeat was killed."""
    app, made = map_of(root, items), Counter[str]()
    command = [sys.executable, "-c", BEATS, str(root), str(longest_seconds)]
    beats = subprocess.Popen(command, start_new_session=True)
    try:
        until = time.monotonic() + items * 0.5 + 60
        while not app.workspace.in_force(app.workspace.load(TaskId("TC-1")).task).state.is_closed:
            assert beats.poll() is None, "the heartbeats ended by themselves"
            assert time.monotonic() < until, f"{len(made)} of {items} in time"
            made.update(work(root))
            time.sleep(0.02)
    finally:
        os.killpg(beats.pid, signal.SIGKILL)
        beats.wait()
    return made, int((root / "kills.txt").read_text())


@pytest.mark.proof
@pytest.mark.parametrize("items", [200, pytest.param(often(10_000), marks=pytest.mark.slow)])
@pytest.mark.timeout(3_600)
def test_no_item_of_a_map_is_made_twice_or_lost_when_the_heartbeat_is_killed(
    tmp_path: Path, items: int, tried: Callable[[str, str, int, int], None]
) -> None:
    root = tmp_path / "sam"
    made, kills = killed(root, items, longest_seconds=3.0 if items > 500 else 0.3)

    app = App(str(root), {}, None)
    for _ in range(3):  # what the last kill left
        app.heartbeat.tick()
    record = RunFiles(app.workspace, TaskId("TC-1")).record().steps["read"]
    assert app.workspace.in_force(app.workspace.load(TaskId("TC-1")).task).state is State.DONE
    assert (record.word, record.done, record.failed) == ("done", items, 0)
    assert [entry.task for entry in app.workspace.entries()] == []
    assert kills >= 3, "it was hardly tried"
    wanted = {f"tc-1-read-{number}" for number in range(1, items + 1)}
    wrong = len(wanted ^ made.keys()) + sum(count > 1 for count in made.values())
    tried("no item of a map is made twice or lost", "SIGKILL of the heartbeat at random moments", items, wrong)
