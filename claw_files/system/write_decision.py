"""Decides when a file may be written: not while another process is writing it."""

from collections.abc import Callable
from datetime import timedelta

from claw_files.core.errors import FilePending, InvalidFile
from claw_files.core.text import FILE_BYTES
from claw_files.policy import payload_sizes
from claw_files.system.clock import Clock
from claw_files.system.files import Change, Content
from claw_files.system.paths import JOURNAL_BYTES

YOUNG = timedelta(seconds=2)  # an editor that empties a file before it writes is through by then
_PATIENCE_SECONDS = 1.5  # less than YOUNG, so that a file that was just emptied says Pending, not invalid
_POLL_SECONDS = 0.01


def decide(path: str, read: Callable[[], Content | None], change: Change, clock: Clock) -> tuple[Content | None, bytes]:
    """The current bytes, and the bytes after `change`.

    A file that is empty, or that `change` finds invalid, is read again until it is neither or 2 s old. Raises Pending
    when it is still young after 1.5 s, Refused for what would be over the limit of one file, and what `change` raises.
    """
    give_up = clock.monotonic() + _PATIENCE_SECONDS
    first: Content | None = None
    while True:
        base = read()
        first = first or base
        over = clock.monotonic() >= give_up
        young = base is not None and _is_young(base, first if over else None, clock)
        if base is None or base.data or not young:
            try:
                new = change(base.data if base else None)
                limit_bytes = JOURNAL_BYTES if path.endswith(".zip") else FILE_BYTES
                payload_sizes.check_file(len(new), path, len(base.data) if base else 0, limit_bytes)
                return base, new
            except InvalidFile:
                if not young:
                    raise
        if over:
            raise FilePending(path)
        clock.sleep(_POLL_SECONDS)


def when_written(read: Callable[[], Content], clock: Clock) -> Content:
    """The result of `read` once it is not empty, or after 1.5 s, or at once if it was emptied 2 s ago."""
    found, give_up = read(), clock.monotonic() + _PATIENCE_SECONDS
    while not found.data and _is_young(found, None, clock) and clock.monotonic() < give_up:
        clock.sleep(_POLL_SECONDS)
        found = read()
    return found


def _is_young(base: Content, watched_since: Content | None, clock: Clock) -> bool:
    """Whether the file may still be in a save. A time in the future is ignored: then the watched time counts."""
    age = clock.now() - base.stamp.mtime
    if age < -YOUNG and watched_since is not None:
        return base.stamp != watched_since.stamp
    return age < YOUNG
