"""What things cost, as ratios within one run: machines differ, ratios travel.

Run it with `make bench`. Each row is a median and its ratio to the row named in the last column. Nothing here is
asserted: `docs/explanation/cost.md` says what to read from it.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import compare

from claw_files.app import App
from claw_files.documents import ledger, status
from claw_files.model import Audit, Entry, State, Task, TaskId
from claw_files.rules.tick import plan_tick

CONFIG = """
[workspace]
coordinator = "sam"
[agents.sam]
reports_to = "ann"
[agents.peter]
takes = ["bug"]
[agents.ann]
kind = "human"
"""
NOW = datetime(2026, 3, 7, 10, 0, tzinfo=UTC)
rows: list[tuple[str, float]] = []


def measure(name: str, act: Callable[[], object], times: int = 30) -> float:
    """The median time of `act` in seconds; the first call is not counted."""
    act()
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        act()
        taken.append(time.perf_counter() - start)
    rows.append((name, statistics.median(taken)))
    return rows[-1][1]


def workspace(tasks: int, entries: int) -> App:
    """A workspace with that many tasks, of which the first `entries` are delegated and acknowledged."""
    root = tempfile.mkdtemp(prefix="clawfiles-bench-")
    with open(f"{root}/clawfiles.toml", "w", encoding="utf-8") as file:
        file.write(CONFIG)
    os.mkdir(f"{root}/status")
    for number in range(1, tasks + 1):
        held = number <= entries
        task = Task(
            id=TaskId(f"TC-{number}"),
            title=f"task {number}",
            type="bug",
            state=State.IN_PROGRESS if held else State.BACKLOG,
            recorded=State.IN_PROGRESS if held else State.BACKLOG,
            assignee="peter" if held else None,
            generation=1 if held else 0,
            created=NOW,
            updated=datetime.now(UTC),
        )
        with open(f"{root}/status/tc-{number}.md", "wb") as raw:
            raw.write(status.edit(None, None, task, f"status/tc-{number}.md"))
    later = datetime.now(UTC) + timedelta(hours=1)
    text = b"# Ledger\n"
    for number in range(1, entries + 1):
        entry = Entry(task=TaskId(f"TC-{number}"), agent="peter", at=later)
        text = ledger.add(text, entry, App(root, {}, None).settings.workspace.zone)
    with open(f"{root}/HEARTBEAT.md", "wb") as raw:
        raw.write(text)
    return App(root, dict(os.environ), None)


def starts() -> None:
    """How long a command takes from nothing."""
    root = workspace(100, 5).root
    env = {**os.environ, "CLAWFILES_WORKSPACE": root, "CLAWFILES_AGENT": "peter"}
    for name, args in (
        ("an empty Python", ["-c", "pass"]),
        ("clawfiles --version", ["-m", "claw_files", "--version"]),
        ("clawfiles heartbeat, nothing to do", ["-m", "claw_files", "heartbeat"]),
        ("clawfiles beat TC-1", ["-m", "claw_files", "beat", "TC-1"]),
    ):
        command = [sys.executable, *args]
        measure(name, lambda command=command: subprocess.run(command, env=env, capture_output=True, check=False), 15)
    shutil.rmtree(root)


def raw_durable_write(folder: str) -> None:
    """The cheapest write that survives a power cut: new file, fsync, rename, fsync of the folder."""
    path = f"{folder}/raw.tmp"
    with open(path, "wb") as file:
        file.write(b"x" * 400)
        file.flush()
        os.fsync(file.fileno())
    os.replace(path, f"{folder}/raw.md")
    fd = os.open(folder, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)


def writes() -> None:
    """What safety costs beside the disk's own price."""
    app = workspace(100, 5)
    ws, files = app.workspace, app.files
    measure("raw durable write", lambda: raw_durable_write(app.root))
    numbers = iter(range(1_000_000))
    files.commit("notes.md", lambda _: b"0\n", b"{}\n")
    measure("commit: swap, keep, journal", lambda: files.commit("notes.md", lambda _: b"%d\n" % next(numbers), b"{}\n"))
    claims = iter(range(6, 101))
    measure("claim", lambda: app.claims.claim(TaskId(f"TC-{next(claims)}"), "peter"), 30)
    measure("read and parse a task", lambda: ws.load(TaskId("TC-50")), 200)
    audit = Audit(action="bench")
    measure("edit one key", lambda: ws.update(TaskId("TC-1"), lambda t: _later(t), audit))
    shutil.rmtree(app.root)


def _later(task: Task) -> Task:
    from msgspec.structs import replace

    return replace(task, eta=(task.eta or NOW) + timedelta(minutes=1))


def ticks() -> None:
    """A tick's price follows the open delegations, not the workspace."""
    for tasks, entries in ((100, 5), (10_000, 5), (100, 50)):
        app = workspace(tasks, entries)
        measure(f"tick: {entries} delegations, {tasks} tasks", lambda app=app: app.heartbeat.tick(), 10)
        snap = app.looking.snapshot(app.workspace.entries())
        measure(f"  of it deciding ({entries})", lambda snap=snap: plan_tick(snap, datetime.now(UTC)), 50)
        shutil.rmtree(app.root)


def main() -> None:
    starts()
    base = rows[0][1]
    groups = [("starting", base)]
    mark = len(rows)
    writes()
    groups.append(("writing", rows[mark][1]))
    second = len(rows)
    ticks()
    groups.append(("ticking", rows[second][1]))
    bounds = [0, mark, second, len(rows)]
    for (title, unit), first, last in zip(groups, bounds, bounds[1:], strict=False):
        print(f"\n{title:<44}{'median':>12}{'ratio':>9}")
        for name, seconds in rows[first:last]:
            print(f"{name:<44}{seconds * 1e3:>9.2f} ms{seconds / unit:>8.2f}x")
    print()
    compare.main()


if __name__ == "__main__":
    main()
