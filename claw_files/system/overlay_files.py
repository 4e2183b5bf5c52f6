"""Files that are read from others and written in memory alone: nothing below them ever changes."""

from collections import defaultdict
from contextlib import AbstractContextManager
from datetime import datetime

from claw_files.core.errors import Conflict, NotFound
from claw_files.core.text import FILE_BYTES
from claw_files.system.clock import Clock
from claw_files.system.files import Change, Content, Files, Note, Stamp, Survey
from claw_files.system.month_archive import ARCHIVE, ArchivedFiles
from claw_files.system.paths import JOURNAL_BYTES, is_dropping, journal_path, split
from claw_files.system.write_decision import decide


class OverlayFiles(ArchivedFiles):
    """`Files` over `below`, for one process alone. Only files are moved and removed; their folders need not be made."""

    def __init__(self, below: Files, clock: Clock) -> None:
        self._below, self._clock, self._writes = below, clock, 0
        self._files: dict[str, Content] = {}
        self._names: defaultdict[str, set[str]] = defaultdict(set)  # of the files here, by folder
        self._gone: set[str] = set()  # of those below

    def read_live(self, path: str, cap_bytes: int = FILE_BYTES) -> Content:
        if path in self._files:
            return self._files[path]
        if path in self._gone:
            raise NotFound("file", path)
        return self._below.read_live(path, cap_bytes)

    def tail(self, path: str, size_bytes: int) -> bytes:
        here = self._files.get(path)
        return here.data[-size_bytes:] if here else self._below.tail(path, size_bytes)

    def stamp(self, path: str) -> Stamp | None:
        if content := self._files.get(path):
            return content.stamp
        return None if path in self._gone else self._below.stamp(path)

    def archives(self, folder: str) -> list[str]:
        return [name for name in self._all(folder, self._below.archives(folder)) if ARCHIVE.fullmatch(name)]

    def names(self, folder: str, limit: int = 1_000_000) -> list[str]:
        return sorted(name for name in self._all(folder, self._below.names(folder)) if not is_dropping(name))[:limit]

    def survey(self, folder: str) -> list[Survey]:
        found = ((name, self._files.get(_join(folder, name))) for name in self._names.get(folder, ()))
        own = {name: content.stamp for name, content in found if content}
        below = [it for it in self._below.survey(folder) if it[0] not in own and _join(folder, it[0]) not in self._gone]
        return [*below, *((name, it.mtime_ns, it.size_bytes, it.inode) for name, it in own.items())]

    def _all(self, folder: str, below: list[str]) -> set[str]:
        return self._names.get(folder, set()) | {it for it in below if _join(folder, it) not in self._gone}

    def commit(
        self,
        path: str,
        change: Change,
        note: Note,
        keep_mtime: bool = False,
        turn: AbstractContextManager[None] | None = None,
    ) -> Content:
        base, new = decide(path, lambda: self._read_if_there(path), change, self._clock)
        if base and base.data == new:
            return base
        written = self._put(path, new, base.stamp.mtime if base and keep_mtime else self._clock.now())
        self._journal(note() if callable(note) else note)
        return written

    def move(self, source: str, target: str, note: bytes | None) -> None:
        content = self.read_live(source, JOURNAL_BYTES)
        if self.stamp(target):
            raise Conflict(f"{target} is already there")
        self._put(target, content.data, content.stamp.mtime)
        self.remove(source, note)

    def remove(self, path: str, note: bytes | None) -> None:
        if self.stamp(path):
            folder, name = split(path)
            self._files.pop(path, None)
            self._names[folder].discard(name)
            self._gone.add(path)
            self._journal(note)

    def append(self, path: str, line: bytes) -> None:
        before = self._read_if_there(path)
        data = before.data if before else b""
        torn = b"\n" if data and not data.endswith(b"\n") else b""
        self._put(path, data + torn + line.rstrip(b"\n") + b"\n", self._clock.now())

    def folder(self, path: str) -> None:
        split(path)

    def recover(self, seconds: float = 0.0) -> list[tuple[str, str]]:
        """Nothing: what a crash left below stays there."""
        return []

    def adopt(self) -> list[tuple[str, str]]:
        return []

    def has_leftovers(self) -> bool:
        return False

    def _read_if_there(self, path: str) -> Content | None:
        return self.read_live(path, JOURNAL_BYTES) if self.stamp(path) else None

    def _put(self, path: str, data: bytes, at: datetime) -> Content:
        folder, name = split(path)
        self._writes += 1
        stamp = Stamp(size_bytes=len(data), inode=self._writes, mtime_ns=int(at.timestamp() * 1_000_000) * 1_000)
        self._files[path] = Content(data=data, stamp=stamp)
        # So that the folders above know of it, too.
        while name:
            self._names[folder].add(name)
            folder, _, name = folder.rpartition("/")
        return self._files[path]

    def _journal(self, note: bytes | None) -> None:
        if note is not None:
            self.append(journal_path(self._clock.now()), note)


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name
