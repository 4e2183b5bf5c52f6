"""The interface to the disk, and its values; `DiskFiles` implements it.

Paths are relative to the workspace root, with "/" between names: "status/tc-47.md".
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Final, Protocol

import msgspec

from claw_files.core.digest import digest
from claw_files.core.errors import CannotRead, NotFound
from claw_files.core.text import FILE_BYTES

_LATEST: Final = 253402300799 * 10**6  # microseconds: the end of the year 9999

Note = bytes | Callable[[], bytes] | None  # a line of the journal, or who knows it once the change has run
Change = Callable[[bytes | None], bytes]
"""What a write is: a pure function from the bytes that are there (None: no file) to the bytes that shall be.

It may run more than once: when someone else's edit got in between, it runs again on top of theirs. It raises what the
rules raise when it no longer applies; then theirs stands. Returning what it was given writes nothing.
"""


class Stamp(msgspec.Struct, frozen=True):
    """Identifies one version of a file without reading it."""

    size_bytes: int
    inode: int
    mtime_ns: int

    @property
    def mtime(self) -> datetime:
        """Aware, UTC; times in the future are clipped by the reader, not here."""
        return datetime.fromtimestamp(max(0, min(self.mtime_ns // 1_000, _LATEST)) / 10**6, UTC)


Survey = tuple[str, int, int, int]
"""A file's name, its time in nanoseconds, its size in bytes, its inode."""


class Content(msgspec.Struct, frozen=True):
    """A file's bytes and the stamp taken on the same open descriptor."""

    data: bytes
    stamp: Stamp

    @property
    def digest(self) -> str:
        """The digest of the data: 16 hexadecimal digits."""
        return digest(self.data)


class Files(Protocol):
    """All file access of clawfiles goes through these methods."""

    def read(self, path: str, cap_bytes: int = FILE_BYTES) -> Content:
        """The file's content; that of an archived file from its monthly archive.

        Raises NotFound (what="file"), CannotRead for a link, a FIFO, a folder, a device, a second hard link, more than
        `cap_bytes`, or a path that leaves the root.
        """

    def read_live(self, path: str, cap_bytes: int = FILE_BYTES) -> Content:
        """As `read`, without archives."""

    def tail(self, path: str, size_bytes: int) -> bytes:
        """The last bytes of a file that only grows, at most so many. Raises NotFound, CannotRead."""

    def archives(self, folder: str) -> list[str]:
        """Names of the archives of months in a folder."""

    def all_names(self, folder: str, since: str = "") -> list[str]:
        """`names`, and those in archives: all, or those of the month `since` ("2026-10") and later."""

    def stamp(self, path: str) -> Stamp | None:
        """The stamp of a regular file, or None if there is none."""

    def names(self, folder: str, limit: int = 1_000_000) -> list[str]:
        """Names in a folder, sorted, at most `limit`; an absent folder is empty. Editors' droppings are left out."""

    def survey(self, folder: str) -> list[Survey]:
        """Everything a folder holds, in no order, each with its stamp; an absent folder is empty.

        One system call a name: for folders with very many. What is no regular file is in it too, for `read` to refuse;
        editors' droppings are left out.
        """

    def commit(
        self,
        path: str,
        change: Change,
        note: Note,
        keep_mtime: bool = False,
        turn: AbstractContextManager[None] | None = None,
    ) -> Content:
        """Make `change` durable and return the new content; the one way clawfiles writes a file.

        After it returns, the new content survives kill -9 and a power cut; before, the old one does; never half of
        either. What was displaced is kept for a while. `note` is one line of the journal, made durable with the write
        (None only for files that are themselves part of the journal of a run); a function is asked for the line after
        `change` has run. `keep_mtime` keeps the old time: a
        write in another's name must not look like that agent's sign of life.

        `turn` is entered before the file is read and left as soon as the new content is in its place: for a file that
        many write, so that they do not prepare their writes in vain, and wait for each other's disk only once.

        Raises whatever `change` raises, Refused (the file would be over the limit for one file, and larger than it
        is), Pending (a file that `change` cannot read is younger than 2 s), CannotRead,
        CannotWrite.
        """

    def move(self, source: str, target: str, note: bytes | None) -> None:
        """Rename durably; never replaces. Raises NotFound, or Conflict when the target exists."""

    def remove(self, path: str, note: bytes | None) -> None:
        """Delete a file, or an empty folder, durably. A missing one is fine."""

    def append(self, path: str, line: bytes) -> None:
        """Append one line to an append-only file (journal, `file:` channels), durably."""

    def recover(self, seconds: float = 0.0) -> list[tuple[str, str]]:
        """Complete writes after a crash; returns (path, what was found) for each, and journals it once.

        Cheap when there is nothing. Leaves everything alone while another process writes: then the next call does it;
        whoever names `seconds` waits so long for that, and gets Busy after them.
        """

    def adopt(self) -> list[tuple[str, str]]:
        """Check the versions displaced in the last ten minutes; returns (path, what was done) for each find."""

    def has_leftovers(self) -> bool:
        """Whether `recover` or `adopt` may find something: two listings."""

    def folder(self, path: str) -> None:
        """Make sure that the folder is there, and durable."""


def read_or_empty(files: Files, path: str, cap_bytes: int = FILE_BYTES) -> bytes:
    """The bytes of a file; empty if it is missing or unreadable."""
    try:
        return files.read(path, cap_bytes).data
    except (NotFound, CannotRead):
        return b""
