"""The doctor's own reader: files below one root; nothing is followed or waited for, everything is bounded."""

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from claw_files.errors import ClawError
from claw_files.model import Value
from claw_files.system.disk import DiskFiles
from claw_files.words import FILE_BYTES

MOST_NAMES: Final = 20_000
FULL_BYTES: Final = FILE_BYTES * 3 // 4  # a file as large as this will soon be refused
DEEPEST: Final = 4
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
# What editors leave; and every other hidden file is somebody's business that is not ours.
_IGNORED = re.compile(r"^\.|~$|^#.*#$|^4913$")
_KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFLNK: "link"}


class Node(Value, frozen=True):
    """What lstat says of one name."""

    path: str
    name: str
    kind: str  # file, folder, link, special
    size_bytes: int
    mtime: float  # seconds since 1970
    links: int
    mode: int


class Folder(Value, frozen=True):
    """One folder: all names there are, and the nodes of the first 20,000 in order of their bytes."""

    path: str
    names: frozenset[str] = frozenset()
    nodes: tuple[Node, ...] = ()
    odd: str | None = None  # a finding's code: the folder itself cannot be entered

    @property
    def is_cut(self) -> bool:
        return len(self.names) > len(self.nodes) and len(self.nodes) >= MOST_NAMES


class Unread(Exception):
    """The file is not what it should be. The code is a finding's."""

    def __init__(self, code: str, detail: str = "", line: int | None = None) -> None:
        super().__init__(code, detail, line)
        self.code, self.detail, self.line = code, detail, line


class Tree:
    """Everything the check sees of the disk."""

    def __init__(self, root: str) -> None:
        self.root = os.path.abspath(root)
        self.files = DiskFiles(self.root)

    @contextmanager
    def _inside(self, folder: str) -> Iterator[int]:
        """A descriptor of the folder, each name on the way opened without following it. Raises OSError."""
        fd = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for name in folder.split("/") if folder else ():
                below = os.open(name, _FOLDER, dir_fd=fd)
                os.close(fd)
                fd = below
            yield fd
        finally:
            os.close(fd)

    def node(self, path: str) -> Node | None:
        """What is at the path; None when there is nothing, or the way there is barred."""
        folder, _, name = path.rpartition("/")
        if not name or name in (".", "..") or "\0" in path:
            return None
        try:
            with self._inside(folder) as fd:
                return _node(path, name, os.stat(name, dir_fd=fd, follow_symlinks=False))
        except (OSError, ValueError):
            return None

    def folder(self, path: str) -> Folder:
        """The names of a folder; an absent one is empty."""
        try:
            with self._inside(path) as fd:
                names = [name for name in os.listdir(fd) if not _IGNORED.search(name)]
                first = sorted(names)[:MOST_NAMES]
                nodes = tuple(node for name in first if (node := _stat(fd, path, name)))
        except FileNotFoundError:
            return Folder(path=path)
        except OSError as error:
            return Folder(path=path, odd=_code_of(error))
        return Folder(path=path, names=frozenset(names), nodes=nodes)

    def read(self, path: str, cap_bytes: int = FILE_BYTES) -> bytes:
        """The bytes of a plain file with one name, at most `cap_bytes`. Raises Unread, FileNotFoundError."""
        folder, _, name = path.rpartition("/")
        try:
            with self._inside(folder) as above:
                fd = os.open(name, _FILE, dir_fd=above)
                try:
                    return _contents(fd, cap_bytes)
                finally:
                    os.close(fd)
        except FileNotFoundError:
            with suppress(ClawError):  # a journal, say, that lies in the archive of its month
                return self.files.read(path, cap_bytes).data
            raise
        except (OSError, ValueError) as error:
            raise Unread(_code_of(error), str(getattr(error, "strerror", error))) from None


def _contents(fd: int, cap_bytes: int) -> bytes:
    there = os.fstat(fd)
    if not stat.S_ISREG(there.st_mode):
        raise Unread("folder-as-file" if stat.S_ISDIR(there.st_mode) else "special-file")
    if there.st_nlink > 1:
        raise Unread("hard-link")
    parts, left = [], cap_bytes + 1  # it may grow while we read
    while left > 0 and there.st_size <= cap_bytes and (part := os.read(fd, min(left, 1 << 18))):
        parts.append(part)
        left -= len(part)
    if left <= 0 or there.st_size > cap_bytes:
        raise Unread("too-large", f"{there.st_size} bytes")
    return b"".join(parts)


def _stat(fd: int, folder: str, name: str) -> Node | None:
    try:
        return _node(f"{folder}/{name}" if folder else name, name, os.stat(name, dir_fd=fd, follow_symlinks=False))
    except OSError:
        return None  # it went away between listing and looking


def _node(path: str, name: str, there: os.stat_result) -> Node:
    kind = _KINDS.get(stat.S_IFMT(there.st_mode), "special")
    return Node(
        path=path,
        name=name,
        kind=kind,
        size_bytes=there.st_size,
        mtime=there.st_mtime,
        links=there.st_nlink,
        mode=stat.S_IMODE(there.st_mode),
    )


def _code_of(error: Exception) -> str:
    number = getattr(error, "errno", None)
    if number in (errno.ELOOP, errno.ENOTDIR):
        return "link"
    return "no-permission" if number in (errno.EACCES, errno.EPERM) else "special-file"
