"""Files that the heartbeat's user may not write, usually created by a command of another user."""

import os
from collections.abc import Iterable, Iterator
from datetime import datetime

from claw_files.system.paths import journal_path

PRIVATE = ".clawfiles"
_OURS = ("", "status", "audit", "checkpoints", "inbox", "runs", "events/new", "events/done")
_HIDDEN = ("", "/locks", "/claims", "/runs")
_BOXES = ("", "/new", "/cur", "/done")


def unwritable(root: str, agents: Iterable[str], now: datetime) -> list[str]:
    """Paths, relative to `root`, that are there and may not be written. One question to the kernel for each."""
    return [path or "." for path in _paths(agents, now) if not _may_write(os.path.join(root, path))]


def unwritable_locks(root: str, most: int = 20) -> list[str]:
    """The unwritable files below `.clawfiles/` that are opened for writing, up to a limit."""
    found = (os.path.join(folder, name) for folder, _, names in os.walk(os.path.join(root, PRIVATE)) for name in names)
    closed = (path for path in found if not _may_write(path))
    return [os.path.relpath(path, root) for path, _ in zip(closed, range(most), strict=False)]


def sentence(paths: list[str], root: str) -> str:
    """The problem, and the command that fixes it."""
    owner = os.stat(root)
    more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
    right = f"`sudo chown -R {owner.st_uid}:{owner.st_gid} {root}` gives them back"
    return f"cannot write {', '.join(paths[:3])}{more}: another user made them; {right}"


def _paths(agents: Iterable[str], now: datetime) -> Iterator[str]:
    yield from _OURS
    yield from (PRIVATE + name for name in _HIDDEN)
    yield journal_path(now)
    yield from (f"inbox/{agent}{box}" for agent in agents for box in _BOXES)


def _may_write(path: str) -> bool:
    """Whether the file may be written, or does not exist; a link counts as writable."""
    return os.access(path, os.W_OK) or os.path.islink(path) or not os.path.lexists(path)
