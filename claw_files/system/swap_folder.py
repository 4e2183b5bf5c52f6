"""The private folder: prepared and displaced versions, whose names describe each write for recovery.

    swap/NAME.part   being written; not yet complete
    swap/NAME        complete; after the exchange the same name holds what was displaced
    swap/NAME.note   the journal's line for it, until it stands in the journal
    kept/NAME        displaced, looked at again for ten minutes: an editor may still write into it. Beside the newest
                     sixteen only those stay that were changed, or that a process has open for writing
    long/@HASH       which path a hash in a NAME stands for, where the path itself would be too long

NAME is target~base~new~nonce: which file, what was there (hash and length), what shall be there, when and which try.
"""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime
from itertools import takewhile
from typing import Self

import msgspec

from claw_files.core.digest import digest
from claw_files.core.errors import CannotRead, NotFound
from claw_files.system.durable import forget, locked, new_file
from claw_files.system.home import mac
from claw_files.system.path_gate import PathGate, read_in
from claw_files.system.paths import HAND_BYTES

PART, NOTE = ".part", ".note"
NONE, MOVED, GONE = "none", "moved", "gone"  # instead of a base: a new file, a rename, a deletion
LATE = "late-"  # and the length before them: in place of the new content's hash, once late lines were added
KEPT_VERSIONS, KEPT_UNTOLD = 16, 256  # always kept; and kept if the kernel grants no leases
_LONGEST_BYTES = 160  # what is left of 255 for the target, beside two hashes, a length, a nonce and an ending


class Intent(msgspec.Struct, frozen=True):
    """The plan of one write, encoded in its file's name in swap/."""

    target: str  # as `spell` writes it
    base: str  # "digest-length", or NONE, MOVED, GONE
    new: str  # digest; for MOVED and GONE the inode that goes
    nonce: str  # seconds since 1970 in hexadecimal, "-", eight random digits, the proof that it is ours

    @classmethod
    def plan(cls, target: str, base: str, new: str, now: datetime) -> Self:
        """A new try, never the same name twice."""
        return cls(target, base, new, f"{int(now.timestamp()):x}-{os.urandom(4).hex()}").signed()

    def signed(self) -> Self:
        """The intent with its MAC, because files in a copied folder must not be trusted."""
        at, _, rest = self.nonce.partition("-")
        proof = mac("write", self.target, self.base, self.new, at, rest[:8])
        return msgspec.structs.replace(self, nonce=f"{at}-{rest[:8]}{proof}")

    @classmethod
    def parse(cls, name: str) -> Self | None:
        """The intent in a file name, without its ending; None for a foreign name."""
        parts = name.split("~")
        try:
            int(parts[3].partition("-")[0], 16)
        except (ValueError, IndexError):
            return None
        return cls(*parts) if len(parts) == 4 else None

    @property
    def name(self) -> str:
        return f"{self.target}~{self.base}~{self.new}~{self.nonce}"

    @property
    def at(self) -> datetime:
        """The time of the plan, whole seconds, UTC."""
        return datetime.fromtimestamp(int(self.nonce.partition("-")[0], 16), UTC)

    @property
    def is_proven(self) -> bool:
        """Whether the MAC is valid."""
        return self == self.signed()

    @property
    def base_digest(self) -> str:
        return self.base.partition("-")[0]

    @property
    def base_bytes(self) -> int:
        """Length of the base version; 0 without one."""
        length = self.base.partition("-")[2]
        return int(length) if length.isdigit() else 0


def mark(data: bytes) -> str:
    """The digest and length of a content, for a name."""
    return f"{digest(data)}-{len(data)}"


def spell(path: str) -> str:
    """`path` as part of one file name: "status%tc-47.md"; "@" and a hash if that would be too long or ambiguous."""
    if "%" in path or "~" in path or path.startswith("@") or len(os.fsencode(path)) > _LONGEST_BYTES:
        return "@" + digest(os.fsencode(path))
    return path.replace("/", "%")


def _thin(kept: int, names: list[str]) -> None:
    """Remove versions that cannot change any more: unchanged, and open for writing nowhere."""
    mine = sorted((at, name) for name in names if (at := _kept_since(kept, name)) is not None)
    for place, (_, name) in enumerate(mine[:-KEPT_VERSIONS]):
        with suppress(OSError, CannotRead):
            is_free = _is_free(kept, name)
            if is_free or (is_free is None and place < len(mine) - KEPT_UNTOLD):
                found, intent = read_in(kept, name, HAND_BYTES), Intent.parse(name)
                is_late = intent is None or intent.new.startswith(LATE)  # its lines are checked later
                if found and intent and not is_late and found.digest == intent.base_digest:
                    forget(kept, name)


def _kept_since(kept: int, name: str) -> int | None:
    with suppress(OSError):
        return os.stat(name, dir_fd=kept, follow_symlinks=False).st_ctime_ns if Intent.parse(name) else None
    return None


def _is_free(kept: int, name: str) -> bool | None:
    """Whether no process has the file open for writing: then the kernel grants a read lease. None: unknown."""
    fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=kept)
    try:
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return False if error.errno == errno.EAGAIN else None
    finally:
        os.close(fd)
    return True


class Private:
    """The private folder of one workspace: mode 0700, made when needed, disposable while nothing runs."""

    def __init__(self, gate: PathGate, name: str, durable: bool) -> None:
        self._gate, self._name, self._durable = gate, name, durable

    def folder(self, name: str) -> AbstractContextManager[int]:
        """A descriptor of the folder `name` in it, created if missing."""
        return self._gate.making(f"{self._name}/{name}", self._durable)

    def existing(self, name: str) -> AbstractContextManager[int]:
        """As `folder`; raises NotFound if it is missing."""
        return self._gate.folder(f"{self._name}/{name}")

    @contextmanager
    def bench(self) -> Iterator[int]:
        """swap/, with a shared lock that tells `recover` of an active writer; it is released with the process."""
        with self.folder("swap") as fd, locked(fd, "the workspace", shared=True):
            yield fd

    def plan(self, path: str, base: str, new: str, now: datetime) -> Intent:
        """A new intent for `path`; a path too long for a name is remembered beside it first."""
        spelled = spell(path)
        if spelled.startswith("@"):
            with self.folder("long") as fd, suppress(FileExistsError):
                new_file(fd, spelled, os.fsencode(path), sync=self._durable)
                self.sync(fd)
        return Intent.plan(spelled, base, new, now)

    def path_of(self, intent: Intent) -> str | None:
        """The path of an intent; None if it was too long for the name and its record is missing."""
        if not intent.target.startswith("@"):
            return intent.target.replace("%", "/")
        try:
            with self.existing("long") as fd:
                content = read_in(fd, intent.target, 1 << 14)
        except (OSError, NotFound):
            return None
        return os.fsdecode(content.data) if content else None

    def write_note(self, bench: int, intent: Intent, note: bytes | None) -> None:
        """Write the journal line for recovery. Not synced: a power cut loses its text, not the fact."""
        if note is not None:
            new_file(bench, intent.name + NOTE, note, sync=False)

    def discard(self, bench: int, intent: Intent) -> None:
        """Remove a try that changed nothing. The note goes first: a note alone means that its write was made."""
        for ending in (NOTE, PART, ""):
            forget(bench, intent.name + ending)

    def keep(self, bench: int, intent: Intent) -> None:
        """Move the displaced version to where `adopt` checks it; a new file displaces none."""
        with self.folder("kept") as kept:
            with suppress(FileNotFoundError):
                os.rename(intent.name, intent.name, src_dir_fd=bench, dst_dir_fd=kept)
            names = os.listdir(kept)
            if len(names) > KEPT_VERSIONS:
                _thin(kept, names)

    def keep_copy(self, intent: Intent, base: bytes, displaced: bytes, now: datetime) -> None:
        """Copy an editor's version before it gets its name back: the editor may save over it based on ours."""
        lines = zip(base.splitlines(True), displaced.splitlines(True), strict=False)
        same = sum(len(mine) for mine, _ in takewhile(lambda pair: pair[0] == pair[1], lines))
        with self.folder("kept") as kept:
            copy = Intent.plan(intent.target, mark(displaced), f"{LATE}{same}", now)
            new_file(kept, copy.name, displaced, sync=self._durable)

    def sync(self, *folders: int) -> None:
        """Make the names in these folders durable."""
        if self._durable:
            for fd in folders:
                os.fsync(fd)
