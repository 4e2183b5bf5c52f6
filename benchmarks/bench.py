"""What things cost, as ratios within one run: machines differ, ratios travel.

Run it with `make bench`. Nothing here is asserted; `docs/explanation/cost.md` says what each row is for.
"""

import os
import stat
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch
from zoneinfo import ZoneInfo

import compare
import daemon
import http_requests
import workflows
from msgspec.structs import replace
from office import PETER, SAM, office
from timing import Act, median, table, taken

from claw_files.app.wiring import App
from claw_files.core.journal_events import JournalEvent
from claw_files.core.model import Audit, Task, TaskId
from claw_files.formats import frontmatter, status
from claw_files.policy.heartbeat_plan import plan_tick
from claw_files.testing import FakeClock
from tests.support.office import Office

# --- commands, from nothing


def run(args: Sequence[str], root: str) -> Act:
    env = {**os.environ, "CLAWFILES_WORKSPACE": root, "CLAWFILES_AGENT": "peter"}
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # what is installed is compiled
    return lambda: subprocess.run([sys.executable, *args], env=env, capture_output=True, check=True)


def starts() -> None:
    rows: list[tuple[str, float]] = []
    for tasks in (100, 10_000, 100_000):
        with office(tasks, 20) as app:
            if not rows:
                rows.append(("an empty Python", median(run(["-c", "pass"], app.root))))
                rows.append(("clawfiles --version", median(run(["-m", "claw_files", "--version"], app.root))))
            tick = run(["-m", "claw_files", "heartbeat"], app.root)
            rows.append((f"clawfiles heartbeat, 20 delegations, {tasks:,} tasks", median(tick)))
            ids = iter(range(1, 21))
            done = [
                *taken(lambda ids=ids, app=app: run(["-m", "claw_files", "done", f"TC-{next(ids)}"], app.root)(), 12)
            ]
            rows.append((f"clawfiles done, {tasks:,} tasks", statistics.median(done)))
    table("commands", "empty Python", rows)


# --- writes, in one process


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


def raw_syncs(folder: str, kinds: Sequence[str]) -> None:
    """The same fsyncs with nothing around them: of a file just made, of one that grew, of a folder that changed."""
    above = os.open(folder, os.O_RDONLY)
    log = os.open(f"{folder}/raw.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number, kind in enumerate(kinds):
        fd = above
        if kind == "new file":
            fd = os.open(f"{folder}/raw.{number}.{os.urandom(4).hex()}", os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        elif kind == "grown file":
            fd = log
        else:
            os.rename(f"{folder}/raw.log", f"{folder}/raw.gol")
            os.rename(f"{folder}/raw.gol", f"{folder}/raw.log")
        if kind != "folder":
            os.write(fd, os.urandom(400))
        os.fsync(fd)
        if kind == "new file":
            os.close(fd)
    os.close(above)
    os.close(log)


def syncs_of(act: Act) -> list[str]:
    """What one call asks the disk to keep, in order: "folder", "new file", "grown file" (an earlier call kept it)."""
    kinds, known, real = list[str](), set[int](), os.fsync

    def noting(fd: int) -> None:
        found = os.fstat(fd)
        is_folder = stat.S_ISDIR(found.st_mode)
        kinds.append("folder" if is_folder else "grown file" if found.st_ino in known else "new file")
        known.add(found.st_ino)
        real(fd)

    with patch.object(os, "fsync", noting):
        act()
        kinds.clear()
        act()
    return kinds


def writes() -> None:
    with office(1_000, 20) as app:
        ws, ids, notes = app.workspace, iter(range(21, 1_000)), iter(range(1_000_000))

        def claim() -> None:
            app.claims.claim(TaskId(f"TC-{next(ids)}"), PETER)

        def note() -> None:
            app.files.commit("notes.md", lambda _: b"%d\n" % next(notes), b"{}\n")

        claim()
        syncs = syncs_of(claim)
        rows = [
            ("raw durable write: file, rename, folder", median(lambda: raw_durable_write(app.root))),
            ("commit: exchange, compare, keep, journal", median(note)),
            (
                "edit one key of a task, durably",
                median(lambda: ws.update(TaskId("TC-1"), _later, Audit(JournalEvent.PROGRESS))),
            ),
            (f"the {len(syncs)} fsyncs of a claim alone", median(lambda: raw_syncs(app.root, syncs))),
            ("claim: ledger line, claim file, status", median(claim)),
        ]
        table("durable writes, one process", "raw write", rows)
        alone = rows[-1][1]
    with office(2_000, 20) as app:
        everybody = sorted(_claimed_by_many(app.root, 16, 40))
        p99 = everybody[int(len(everybody) * 0.99)]
        print(f"  claims of 16 processes: p99 {p99 * 1e3:.1f} ms, {p99 / alone:.1f} times the median of one alone")


def _later(task: Task) -> Task:
    return replace(task, eta=(task.eta or datetime.now(UTC)) + timedelta(minutes=1))


def _claimed_by_many(root: str, processes: int, each: int) -> Iterator[float]:
    with ProcessPoolExecutor(processes) as pool:
        for found in pool.map(_claim_some, [(root, 100 + n * (each + 1), each) for n in range(processes)]):
            yield from found


def _claim_some(work: tuple[str, int, int]) -> list[float]:
    root, first, count = work
    app, ids = App(root, {}, None), iter(range(first, first + count + 1))
    app.claims.claim(TaskId(f"TC-{next(ids)}"), PETER)
    return taken(lambda: app.claims.claim(TaskId(f"TC-{next(ids)}"), PETER), count)


# --- rates, in one process, without waiting for the disk


def rates() -> None:
    print(f"\n{'a second, one process, in memory':<58}{'1,000 tasks':>14}{'10,000 tasks':>16}")
    found = [_rates(tasks) for tasks in (1_000, 10_000)]
    for name in found[0]:
        print(f"  {name:<56}{found[0][name]:>13,.0f}{found[1][name]:>16,.0f}")


def _rates(tasks: int) -> dict[str, float]:
    with office(tasks, 20, in_memory=True) as app:
        first, last = 100, 400
        found = {
            "claims": _rate([lambda n=n: app.claims.claim(TaskId(f"TC-{n}"), PETER) for n in range(first, last)]),
            "completions": _rate([lambda n=n: app.tasks.done(TaskId(f"TC-{n}"), PETER) for n in range(first, last)]),
            "deliveries": _rate([lambda: app.messages.send(SAM, PETER, "look at it")] * 1_000),
        }
        start = time.perf_counter()
        messages = app.messages.inbox(PETER)
        for message in messages:
            app.messages.finish(PETER, message.id)
        found["messages drained (read and finished)"] = len(messages) / (time.perf_counter() - start)
        return found


def _rate(acts: Sequence[Act]) -> float:
    start = time.perf_counter()
    for act in acts:
        act()
    return len(acts) / (time.perf_counter() - start)


# --- events


def events() -> None:
    """1,000 files dropped into events/ at once, in memory: what one of them costs until it is accepted."""
    with office(100, 5, in_memory=True) as app:
        os.makedirs(f"{app.root}/events/new")
        with open(f"{app.root}/clawfiles.toml", "a", encoding="utf-8") as config:
            config.write('[events.order]\ndo = { task = "Pack it" }\n')
        quiet = median(app.heartbeat.tick)
        app = App(app.root, dict(os.environ), None)
        for number in range(1_000):
            with open(f"{app.root}/events/new/{number}.json", "w", encoding="utf-8") as file:
                file.write(f'{{"type": "order", "key": "{number}"}}')
        start, each = time.perf_counter(), list[float]()
        while os.listdir(f"{app.root}/events/new"):
            each += taken(app.heartbeat.tick, 1)
        longest, all_of_them = max(each), time.perf_counter() - start
        raw = median(lambda: raw_durable_write(app.root), 200)
        rows = [("raw write", raw), ("one of 1,000 events, dropped to accepted", all_of_them / 1_000)]
        rows += [("a tick in which nothing happens", quiet), ("the longest tick while they are accepted", longest)]
    table("1,000 events at once, in memory", "raw write", rows)
    print(f"  {1_000 / all_of_them:,.0f} accepted a second")


# --- ticks, in one process


def ticks() -> None:
    rows = []
    for tasks, delegations in ((100, 5), (10_000, 5), (100, 50)):
        with office(tasks, delegations) as app:
            rows.append(
                (f"tick: {delegations} delegations, {tasks:,} tasks", median(lambda app=app: app.heartbeat.tick()))
            )
            snap = app.snapshots.snapshot(app.workspace.entries())
            rows.append(("  of it deciding", median(lambda snap=snap: plan_tick(snap, datetime.now(UTC)), 50)))
    table("ticks, one process", "first", rows)


# --- reading, in one process


_OURS = b"""---
id: TC-47
title: API security review @
status: in_progress
assignee: peter
requested_by: sam
type: code-review
attempt: 1
generation: 3
lease: 2026-03-07T05:15:00Z
eta: 2026-03-07T11:00:00Z
updated: 2026-03-07T03:45:00Z
recorded: in_progress
---
# TC-47: API security review @
"""
_RICHEST = b"""# TC-47: API security review @

| Field | Value |
|---|---|
| Status | In progress |
| Owner | Peter |

## Plan

1. TC-47: done - write to board
- [ ] Status: done
- [x] read the code

## Log

- 10:00 Status: IN PROGRESS
- 10:30 still going
> Status: FAILED

```
Status: DONE
```

## Step 2

Status: failed, will retry

## Status

Complete & tested in PR 142 @
Completed: 2026-03-07 03:45 UTC
"""


def reading() -> None:
    """What a status file costs, each time with another text: results are remembered by it."""
    numbers = iter(range(10_000_000))
    path, now, zone = "status/tc-47.md", datetime.now(UTC), ZoneInfo("UTC")

    def fresh(text: bytes) -> bytes:
        return text.replace(b"@", b"%d" % next(numbers))

    rows = [
        ("front matter of our own form alone", median(lambda: frontmatter.parse(fresh(_OURS), path), 2_000)),
        ("a status file in our own form", median(lambda: status.parse(fresh(_OURS), path, now, zone), 2_000)),
        ("the richest form by hand", median(lambda: status.parse(fresh(_RICHEST), path, now, zone), 2_000)),
    ]
    table("reading a status file", "front matter", rows)


# --- a year


def year() -> None:
    """A tick in which nothing happens, and a command, in an office's third month and in its twelfth."""
    rows: list[tuple[str, float]] = []
    with tempfile.TemporaryDirectory(prefix="clawfiles-bench-") as root:
        place = Office(Path(root) / "sam", clock=FakeClock(datetime(2025, 1, 1, 9, tzinfo=UTC)))
        for month in range(1, 13):
            for day in range(2, 28, 4):
                place.clock.set(datetime(2025, month, day, 9, tzinfo=UTC))
                for task in [place.delegated("peter") for _ in range(4)]:
                    place.app("peter").claims.claim(TaskId(task), PETER)
                    place.app("peter").tasks.done(TaskId(task), PETER, "seen to")
                    place.app("peter").messages.finish(PETER, f"{task.lower()}.1")
                place.tick()
            if month in (3, 12):
                live = sum(1 for path in place.root.rglob("*") if path.is_file())
                where = f"month {month}, {live:,} files"
                rows.append((f"a tick in which nothing happens, {where}", median(place.app().heartbeat.tick)))
                rows.append((f"the list of tasks, {where}", median(lambda: place.app().board.listing())))
    table("a year of 28 tasks a month", "month 3", rows)


# --- the daemon


def awake() -> None:
    table("rescans of the daemon", "listing", daemon.rescans(median))
    table("reactions of the daemon", "median", daemon.reactions())
    medians, latest = daemon.starts_of_agents()
    table("message saved to agent started, median", "bare", medians)
    table("message saved to agent started, 99th of 100", "bare", latest)


def main() -> None:
    print(
        f"clawfiles, measured {datetime.now(UTC):%Y-%m-%d} on {os.cpu_count()} cores, Python {sys.version.split()[0]}"
    )
    print(f"in {tempfile.gettempdir()}; ratios to the first row of each table")
    starts()
    writes()
    rates()
    events()
    ticks()
    reading()
    year()
    awake()
    table("requests over HTTP, one after the other", "bare", http_requests.requests(median))
    table("workflows, one process", "first", workflows.rows())
    table("an item of a map, CPU time of the heartbeat", "first", workflows.items())
    print()
    compare.main()


if __name__ == "__main__":
    main()
