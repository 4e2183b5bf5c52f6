"""A workspace in memory, with the same contract as the disk: `tests/contract/` runs one suite on both."""

from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta

from claw_files.core.errors import CannotRead, CannotWrite, Conflict, NotFound
from claw_files.core.text import FILE_BYTES
from claw_files.system.clock import Clock
from claw_files.system.files import Change, Content, Note, Stamp, Survey
from claw_files.system.month_archive import ARCHIVE, ArchivedFiles
from claw_files.system.paths import HAND_BYTES, is_dropping, journal_path, split
from claw_files.system.write_decision import decide
from claw_files.testing.clock import FakeClock


class Crash(BaseException):
    """The process died here. No Exception, so that no `except` of the code under test survives it."""


class MemoryFiles(ArchivedFiles):
    """`Files` without a disk. What a crash may lose on a disk it may lose here: steps are counted and can be the last.

    Steps: a commit has three (prepared, swapped, journalled), move and remove have three, append one, folder one.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock: Clock = clock or FakeClock()
        self._files: dict[str, Content] = {}
        self._folders: set[str] = set()
        self._notes: dict[int, tuple[str, bytes]] = {}  # made, and not yet in the journal
        self._inode = 0
        self.steps = 0  # taken so far
        self._last: int | None = None
        self._refused: dict[str, str] = {}
        self._full = ""

    # -- hooks for tests -----------------------------------------------------------------------------------------

    def crash_before(self, step: int) -> None:
        """Raise Crash instead of taking the `step`-th step from now (1 is the next). Then it works again."""
        self._last = self.steps + step

    def edit_by_hand(self, path: str, data: bytes, mtime: datetime | None = None) -> None:
        """Write as a person's editor does: no lock, no journal."""
        split(path)
        self._put(path, data, mtime)

    def refuse(self, path: str, problem: str) -> None:
        """From now on the gate refuses `path` with this problem: "symlink", "hardlink", "not-a-file", ..."""
        self._refused[path] = problem

    def fail_writes(self, reason: str) -> None:
        """From now on every write raises CannotWrite; "" ends that."""
        self._full = reason

    # -- the contract --------------------------------------------------------------------------------------------

    def archives(self, folder: str) -> list[str]:
        return [name for name in self._below(folder) if ARCHIVE.fullmatch(name)]

    def read_live(self, path: str, cap_bytes: int = FILE_BYTES) -> Content:
        split(path)
        if path in self._refused:
            raise CannotRead(path, self._refused[path], "refused for this test")
        if self._is_folder(path):
            raise CannotRead(path, "not-a-file", "it is a folder")
        try:
            content = self._files[path]
        except KeyError:
            raise NotFound("file", path) from None
        if content.stamp.size_bytes > cap_bytes:
            raise CannotRead(path, "too-large", f"it is larger than {cap_bytes} bytes")
        return content

    def stamp(self, path: str) -> Stamp | None:
        split(path)
        content = self._files.get(path)
        return content.stamp if content and path not in self._refused else None

    def names(self, folder: str, limit: int = 1_000_000) -> list[str]:
        return sorted(name for name in self._below(folder) if not is_dropping(name))[:limit]

    def _below(self, folder: str) -> set[str]:
        prefix = f"{folder}/" if folder else ""
        under = (path[len(prefix) :] for path in {*self._files, *self._folders} if path.startswith(prefix))
        return {rest.partition("/")[0] for rest in under}

    def survey(self, folder: str) -> list[Survey]:
        stamps = [(name, self.stamp(f"{folder}/{name}")) for name in self.names(folder)]
        return [(name, stamp.mtime_ns, stamp.size_bytes, stamp.inode) for name, stamp in stamps if stamp]

    def commit(
        self,
        path: str,
        change: Change,
        note: Note,
        keep_mtime: bool = False,
        turn: AbstractContextManager[None] | None = None,
    ) -> Content:
        split(path)
        with turn or nullcontext():
            while True:
                base, new = decide(path, lambda: self._read_if_there(path), change, self._clock)
                if base and base.data == new:
                    return base
                self._step(path)
                if self._files.get(path) == base:
                    break
            self._step(path)
            written = self._put(path, new, base.stamp.mtime if base and keep_mtime else None)
        self._journal(path, note() if callable(note) else note)
        return written

    def move(self, source: str, target: str, note: bytes | None) -> None:
        split(source), split(target)
        moving = [path for path in self._files if path == source or path.startswith(source + "/")]
        if not moving and not self._is_folder(source):
            raise NotFound("file", source)
        self._step(source)
        if target in self._files or self._is_folder(target):
            raise Conflict(f"{target} is already there")
        self._step(source)
        for path in moving:
            self._files[target + path[len(source) :]] = self._files.pop(path)
        for folder in [f for f in self._folders if f == source or f.startswith(source + "/")]:
            self._folders.remove(folder)
            self._folders.add(target + folder[len(source) :])
        self._journal(target, note)

    def remove(self, path: str, note: bytes | None) -> None:
        split(path)
        if path not in self._files:
            return
        self._step(path)
        self._step(path)
        del self._files[path]
        self._journal(path, note)

    def append(self, path: str, line: bytes) -> None:
        split(path)
        self._step(path)
        self._append(path, line)

    def folder(self, path: str) -> None:
        split(path)
        self._step(path)
        names = path.split("/")
        self._folders.update("/".join(names[:n]) for n in range(1, len(names) + 1))

    def recover(self, seconds: float = 0.0) -> list[tuple[str, str]]:
        """Journal what was made before a crash and not yet told; returns (path, verdict) for each."""
        left, self._notes = self._notes, {}
        for _, note in left.values():
            self._append(self._today(), note)
        return [(path, "done, now in the journal") for path, _ in left.values()]

    def adopt(self) -> list[tuple[str, str]]:
        """Nothing: nobody holds a file in memory open."""
        return []

    # -- inside --------------------------------------------------------------------------------------------------

    def _step(self, path: str) -> None:
        self.steps += 1
        if self.steps == self._last:
            self._last = None
            raise Crash(f"before step {self.steps}, {path}")
        if self._full:
            raise CannotWrite(path, self._full)

    def _read_if_there(self, path: str) -> Content | None:
        try:
            return self.read_live(path, HAND_BYTES)
        except NotFound:
            return None

    def _put(self, path: str, data: bytes, mtime: datetime | None = None) -> Content:
        self._inode += 1
        mtime = mtime or self._clock.now()
        mtime_ns = int((mtime - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1)) * 1000
        stamp = Stamp(size_bytes=len(data), inode=self._inode, mtime_ns=mtime_ns)
        self._files[path] = Content(data=data, stamp=stamp)
        return self._files[path]

    def _append(self, path: str, line: bytes) -> None:
        before = self._files[path].data if path in self._files else b""
        torn = b"\n" if before and not before.endswith(b"\n") else b""
        self._put(path, before + torn + line.rstrip(b"\n") + b"\n")

    def _journal(self, path: str, note: bytes | None) -> None:
        if note is None:
            return
        self._notes[self.steps] = (path, note)
        self._step(path)
        self._append(self._today(), note)
        self._notes.popitem()

    def _today(self) -> str:
        return journal_path(self._clock.now())

    def _is_folder(self, path: str) -> bool:
        return path in self._folders or any(name.startswith(path + "/") for name in self._files)
