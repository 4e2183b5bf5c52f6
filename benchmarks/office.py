"""Workspaces to measure in, made fast: files are written as clawfiles would write them."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from claw_files.app.wiring import App
from claw_files.core.model import AgentId, Entry, State, Task, TaskId
from claw_files.formats import ledger, status

CONFIG = """
[limits]
unread = 10000
[workspace]
coordinator = "sam"
[agents.sam]
reports_to = "ann"
[agents.peter]
takes = ["bug"]
[agents.ann]
kind = "human"
"""
_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
PETER, SAM = AgentId("peter"), AgentId("sam")


@contextmanager
def office(tasks: int, delegations: int = 0, in_memory: bool = False) -> Iterator[App]:
    """A workspace with that many tasks, of which the first `delegations` are in progress and in the ledger.

    Args:
        in_memory: on a file system without a disk, to see what is ours of the time. A disk's own time for making files
            depends on what was deleted there in the last minutes, by an earlier benchmark too.
    """
    root = tempfile.mkdtemp(prefix="clawfiles-bench-", dir=_MEMORY if in_memory else None)
    try:
        fill(root, tasks, delegations)
        yield App(root, dict(os.environ), None)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def fill(root: str, tasks: int, delegations: int) -> None:
    """Configuration, status files and ledger; the files are older than what an index distrusts."""
    with open(f"{root}/clawfiles.toml", "w", encoding="utf-8") as file:
        file.write(CONFIG)
    os.mkdir(f"{root}/status")
    now = datetime.now(UTC)
    for number in range(1, tasks + 1):
        path = f"{root}/status/tc-{number}.md"
        with open(path, "wb") as raw:
            raw.write(status.edit(None, None, _task(number, number <= delegations, now), f"status/tc-{number}.md"))
        os.utime(path, (now.timestamp() - 60, now.timestamp() - 60))
    text = b"# Ledger\n"
    for number in range(1, delegations + 1):
        text = ledger.add(text, Entry(task=TaskId(f"TC-{number}"), agent=PETER, at=now + timedelta(hours=1)), UTC)
    with open(f"{root}/HEARTBEAT.md", "wb") as raw:
        raw.write(text)


def _task(number: int, held: bool, now: datetime) -> Task:
    state = State.IN_PROGRESS if held else State.BACKLOG
    return Task(
        id=TaskId(f"TC-{number}"),
        title=f"task {number}",
        type="bug",
        state=state,
        recorded=state,
        assignee=PETER if held else None,
        generation=1 if held else 0,
        created=now,
        updated=now,
    )
