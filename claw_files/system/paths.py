"""Names before they reach the disk: which paths are allowed, and which names in a folder are ignored."""

import os
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from claw_files.core.errors import CannotRead
from claw_files.core.lazy_regex import pattern
from claw_files.core.text import FILE_BYTES

NAME_BYTES = 255  # what Linux file systems take for one name
JOURNAL_BYTES = 64 << 20  # of one day's journal; a larger one is written and not read
HAND_BYTES = 4 * FILE_BYTES  # what somebody made too large is read this far where it can be cut: by an edit, the ledger

# vim, Emacs, nano and our own kind leave these beside the file that is edited; none is a task or a message. The last
# is the archive of a month (`system.month_archive`).
_DROPPING = pattern(r"~$|^#.*#$|^\.#|^4913$|^\..*\.(sw[a-z]|swpx|tmp)$|^[0-9]{4}-[0-9]{2}(\.[0-9]{1,4})?\.zip$")


@lru_cache(256)  # the same few, again and again
def split(path: str) -> tuple[str, str]:
    """The folder ("" is the root) and the name of `path`, which may not leave the root.

    Raises CannotRead (problem "escape") for an absolute path, "..", ".", an empty name, a name over 255 bytes, or a
    NUL: C libraries end a name at a NUL, so that "ok.md\\0.png" would open "ok.md".
    """
    for name in path.split("/"):
        if name in ("", ".", "..") or "\0" in name:
            raise CannotRead(path, "escape", "this is not a path inside the workspace")
        if len(os.fsencode(name)) > NAME_BYTES:
            raise CannotRead(path, "escape", f"a name in it is longer than {NAME_BYTES} bytes")
    folder, _, name = path.rpartition("/")
    return folder, name


def is_dropping(name: str) -> bool:
    """Whether an editor left this name behind: "x.md~", ".x.md.swp", "#x.md#", ".#x.md", "4913", ".x.tmp"."""
    return not (name.endswith(".md") and name[0].isalnum()) and _DROPPING.search(name) is not None


def journal_path(day: date) -> str:
    """The path of that day's journal; a datetime must be in UTC."""
    return f"audit/{day:%Y-%m-%d}.jsonl"


def journal_paths(first: datetime, last: datetime) -> list[str]:
    """The paths of the journals between two instants (aware), oldest first, existing or not."""
    start, end = (at.astimezone(UTC).date() for at in (first, last))
    return [journal_path(start + timedelta(days=number)) for number in range((end - start).days + 1)]
