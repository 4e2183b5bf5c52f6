"""The doctor's access to the disk: names and files below one root, through the path gate."""

import os
import re
import stat
from contextlib import suppress
from typing import Final

from claw_files.core.errors import CannotRead, NotFound
from claw_files.core.model import Value
from claw_files.core.text import FILE_BYTES
from claw_files.system.disk_files import DiskFiles
from claw_files.system.path_gate import PathGate
from claw_files.system.paths import split

MOST_NAMES: Final = 20_000
FULL_BYTES: Final = FILE_BYTES * 3 // 4  # a file as large as this will soon be refused
DEEPEST: Final = 4
# Temporary files of editors; all other hidden files belong to other programs.
_IGNORED = re.compile(r"^\.|~$|^#.*#$|^4913$")
_KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFLNK: "link"}
_CODES: Final = {"symlink": "link", "permission": "no-permission", "hardlink": "hard-link", "too-large": "too-large"}


class DiskNode(Value, frozen=True):
    """The lstat of one name."""

    path: str
    name: str
    kind: str  # file, folder, link, special
    size_bytes: int
    mtime: float  # seconds since 1970
    links: int
    mode: int


class DiskFolder(Value, frozen=True):
    """One folder: all names, and the nodes of the first 20,000 in byte order."""

    path: str
    names: frozenset[str] = frozenset()
    nodes: tuple[DiskNode, ...] = ()
    odd: str | None = None  # a finding's code: the folder itself cannot be entered

    @property
    def is_cut(self) -> bool:
        return len(self.names) > len(self.nodes) and len(self.nodes) >= MOST_NAMES


class DiskTree:
    """Everything the check sees of the disk."""

    def __init__(self, root: str) -> None:
        self.root = os.path.abspath(root)
        self.files, self._gate = DiskFiles(self.root), PathGate(self.root)

    def node(self, path: str) -> DiskNode | None:
        """The node at the path; None if it is missing or inaccessible."""
        with suppress(NotFound, CannotRead, OSError):
            folder, name = split(path)
            with self._gate.folder(folder) as fd:
                return _node(path, name, os.stat(name, dir_fd=fd, follow_symlinks=False))
        return None

    def folder(self, path: str) -> DiskFolder:
        """The names of a folder; empty if it is missing."""
        try:
            with self._gate.folder(path) as fd:
                names = [name for name in os.listdir(fd) if not _IGNORED.search(name)]
                first = sorted(names)[:MOST_NAMES]
                nodes = tuple(node for name in first if (node := _stat(fd, path, name)))
        except NotFound:
            return DiskFolder(path=path)
        except CannotRead as wrong:
            return DiskFolder(path=path, odd=_CODES.get(wrong.problem, "special-file"))
        return DiskFolder(path=path, names=frozenset(names), nodes=nodes)

    def read(self, path: str, cap_bytes: int = FILE_BYTES) -> bytes:
        """The bytes of a regular file with one name, at most `cap_bytes`; a journal may be in its monthly archive.

        Raises NotFound, and CannotRead, whose problem is the code of a finding.
        """
        try:
            return self.files.read(path, cap_bytes).data
        except CannotRead as wrong:
            if wrong.problem == "root-changed":
                raise NotFound("file", path) from None
            node, code = self.node(path), _CODES.get(wrong.problem, "special-file")
            if node and node.kind == "folder":
                code = "folder-as-file"
            detail = f"{node.size_bytes} bytes" if node and code == "too-large" else ""
            raise CannotRead(path, code, detail) from None


def _stat(fd: int, folder: str, name: str) -> DiskNode | None:
    try:
        return _node(f"{folder}/{name}" if folder else name, name, os.stat(name, dir_fd=fd, follow_symlinks=False))
    except OSError:
        return None  # it went away between listing and looking


def _node(path: str, name: str, there: os.stat_result) -> DiskNode:
    kind, mode = _KINDS.get(stat.S_IFMT(there.st_mode), "special"), stat.S_IMODE(there.st_mode)
    size_bytes, mtime, links = there.st_size, there.st_mtime, there.st_nlink
    return DiskNode(path=path, name=name, kind=kind, size_bytes=size_bytes, mtime=mtime, links=links, mode=mode)
