"""What the daemon costs: a rescan beside the bare listing it cannot do without, a turn with nothing to do, a wake."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from office import office

from claw_files.app.wiring import App
from claw_files.daemon.watched_folders import Folders, differing
from claw_files.services.admin import daemon_state

Median = Callable[[Callable[[], object], int], float]
BARE_LOOP = Path(__file__).with_name("bare_loop.py")
PATIENCE_SECONDS = 30.0
SETTLE_SECONDS = 0.15  # so that what follows a reaction is over before the next one, of the other loop, begins
NOTES = 'date +%s%N > "$CLAWFILES_RUN_DIR/.noted" && mv "$CLAWFILES_RUN_DIR/.noted" "$CLAWFILES_RUN_DIR/noted"\n'
MESSAGE = """---
id: {name}
key: {name}
kind: announce
from: sam
to: noter
---
The staging host is back.
"""


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
        with daemon_of(app):
            found = sorted(_reaction(app, number) for number in range(1, times + 1))
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


@contextmanager
def daemon_of(app: App) -> Iterator[None]:
    """A daemon that watches the app's workspace."""
    command = [sys.executable, "-m", "claw_files", "-C", app.root, "daemon", "run"]
    with process(command):
        while (state := daemon_state.load(app.root)) is None or state.last_tick is None:
            time.sleep(0.05)
        yield


@contextmanager
def process(command: list[str]) -> Iterator[None]:
    """A process that is ended at the end."""
    here = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        here.terminate()
        here.wait()


# --- from a saved message to the agent's process


def starts_of_agents(times: int = 200) -> tuple[list[tuple[str, float]], list[tuple[str, float]]]:
    """From a message saved by hand to the agent's process, with a real daemon and with a bare loop in turn.

    Returns the medians and the 99th percentiles, each that of the bare loop first.
    """
    with office(100, 20) as app, office(1) as other:
        notes, bare = f"{app.root}/notes.sh", f"{other.root}/bare"
        Path(notes).write_text(NOTES)
        with open(f"{app.root}/clawfiles.toml", "a", encoding="utf-8") as file:
            file.write(f'[agents.noter]\ncommand = ["/bin/sh", "{notes}"]\n')
        for box in ("tmp", "new"):
            os.makedirs(f"{app.root}/inbox/noter/{box}")
        with daemon_of(app), process([sys.executable, str(BARE_LOOP), bare, "noter", notes]):
            _wait_for(f"{bare}/ready")
            pairs = [(_start(bare, number), _start(app.root, number)) for number in range(times + 5)][5:]
    loops = [sorted(found) for found in zip(*pairs, strict=True)]
    names = ("a bare loop: the same writes and supervisor", "the daemon")
    return tuple(
        [(name, found[int(len(found) * part)]) for name, found in zip(names, loops, strict=True)]
        for part in (0.5, 0.99)
    )


def _start(root: str, number: int) -> float:
    """Save a message; the time until the agent it wakes has noted what time it is."""
    name, inbox, message = f"m-{number}", f"{root}/inbox/noter", MESSAGE
    os.makedirs(f"{inbox}/tmp", exist_ok=True)
    with open(f"{inbox}/tmp/{name}", "w", encoding="utf-8") as file:
        file.write(message.format(name=name))
    start = time.time_ns()
    os.rename(f"{inbox}/tmp/{name}", f"{inbox}/new/{name}.md")
    noted = f"{root}/runs/{name}-s1/noted"
    _wait_for(noted)
    time.sleep(SETTLE_SECONDS)
    return (int(Path(noted).read_text()) - start) / 1e9


def _wait_for(path: str) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not os.path.exists(path):
        if time.monotonic() > end:
            raise TimeoutError(path)
        time.sleep(0.002)
