"""What the daemon costs: a rescan beside the bare listing it cannot do without, a turn with nothing to do, a wake."""

import os
import subprocess
import sys
import time
from collections.abc import Callable

from office import office

from claw_files.app import App
from claw_files.daemon.folders import Folders, differing
from claw_files.services import standing

Median = Callable[[Callable[[], object], int], float]


def bare(folder: str) -> int:
    """The cheapest look at a folder that could find a change: every name with its stat."""
    with os.scandir(folder) as entries:
        return sum(1 for entry in entries if entry.stat(follow_symlinks=False).st_mtime_ns)


def rescans(median: Median) -> list[tuple[str, float]]:
    """A rescan of 10,000 files in which nothing has changed."""
    with office(10_000, 5) as app:
        folders = Folders(app)
        before = folders.survey()
        return [
            ("os.scandir with stat, 10,000 files", median(lambda: bare(f"{app.root}/status"), 20)),
            ("a rescan of them", median(lambda: differing(before, folders.survey()), 20)),
        ]


def reactions(times: int = 20) -> list[tuple[str, float]]:
    """From an agent's save to the written decision, in a real daemon; beside it the same tick in one process."""
    with office(100, 20) as app:
        command = [sys.executable, "-m", "claw_files", "-C", app.root, "daemon", "run", "--log-file", os.devnull]
        daemon = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            while (state := standing.load(app.root)) is None or state.last_tick is None:
                time.sleep(0.05)
            found = sorted(_reaction(app, number) for number in range(1, times + 1))
        finally:
            daemon.terminate()
            daemon.wait()
        return [("saved by an agent to acted on, median", found[times // 2]), ("  the slowest of 20", found[-1])]


def _reaction(app: App, number: int) -> float:
    """The agent says DONE over its whole file; the ledger line goes when everybody was told."""
    path, line = f"{app.root}/status/tc-{number}.md", f"TC-{number} "
    start = time.perf_counter()
    with open(path, "a", encoding="utf-8") as file:
        file.write("\nStatus: DONE - PR #1\n")
    while True:
        with open(f"{app.root}/HEARTBEAT.md", encoding="utf-8") as file:
            if line not in file.read():
                return time.perf_counter() - start
        time.sleep(0.001)
