"""The one gate that opens everything below the root, and its refusals.

Agents and people write into this folder: what carries the name of a task may be a link to somebody's secret, a FIFO
that never answers, or a terabyte of nothing. Check and use happen on one descriptor: there is no moment in between.
"""

import _thread
import errno
import os
import stat
from contextlib import AbstractContextManager, suppress

import msgspec

from claw_files.core.errors import CannotRead, NotFound
from claw_files.system import kernel
from claw_files.system.file_owner import make_folder
from claw_files.system.files import Content, Stamp
from claw_files.system.paths import HAND_BYTES, split
from claw_files.system.private_files import read_up_to

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
_KEPT_OPEN = 64  # folders
_REOPEN = 100  # an editor that replaces the file this often while we look is no editor
_REASONS = {
    errno.ELOOP: ("symlink", "it is a symbolic link, or is below one"),
    errno.EXDEV: ("escape", "it is outside the workspace"),
    errno.EACCES: ("permission", "no permission"),
    errno.EPERM: ("permission", "no permission"),
    errno.ENXIO: ("not-a-file", "it is not a regular file"),
    errno.EISDIR: ("not-a-file", "it is a folder"),
}


class _Folder(msgspec.Struct, frozen=True):
    """A folder that was opened before: its descriptor, and which folder that was."""

    fd: int
    device: int
    inode: int


class _Own:
    """A descriptor that is closed at the end of the block."""

    __slots__ = ("_fd",)

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def __enter__(self) -> int:
        return self._fd

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


class PathGate:
    """Opens files below `root`; remembers the root's identity, so that a replaced root is detected.

    Folders stay open: that the name still means the same folder is one look, and what is opened from its descriptor
    lies in it. Locks belong to a descriptor, so whoever is handed one gets one of its own.
    """

    def __init__(self, root: str, mask: int = 0o7777) -> None:
        """`mask` limits the mode of a replaced file: 0o700 in a compartment."""
        self.root, self.mask = root, mask
        self._fd = -1
        self._identity = (0, 0)
        self._opened: dict[str, _Folder] = {}
        self._one = _thread.allocate_lock()  # no thread may close a folder while another is about to use it

    def root_fd(self, path: str = "") -> int:
        """The descriptor of the root, open until this object goes.

        Raises CannotRead (problem "root-changed") when the root is gone or another folder has its name now: what is
        written into a folder that was moved away reaches nobody.
        """
        if self._fd < 0:
            self._open_root()
        try:
            now = os.stat(self.root)
        except OSError as error:
            raise CannotRead(
                path or self.root, "root-changed", f"the workspace no longer exists: {error.strerror}"
            ) from error
        if (now.st_dev, now.st_ino) != self._identity:
            raise CannotRead(path or self.root, "root-changed", "the workspace folder was replaced by another one")
        return self._fd

    def _open_root(self) -> None:
        try:
            fd = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise CannotRead(self.root, "root-changed", error.strerror or "cannot be opened") from error
        found = os.fstat(fd)
        self._identity, self._fd = (found.st_dev, found.st_ino), fd

    def __del__(self) -> None:
        for fd in (self._fd, *(folder.fd for folder in self._opened.values())):
            if fd >= 0:
                os.close(fd)

    def folder(self, path: str) -> AbstractContextManager[int]:
        """A descriptor of the folder `path` ("" is the root). Raises NotFound (what="folder") or CannotRead."""
        with self._one:
            return _Own(os.open(".", _FOLDER, dir_fd=self._folder_fd(path)))

    def _folder_fd(self, path: str) -> int:
        """The cached descriptor of the folder; requested and used under the lock."""
        known = self._opened.get(path)
        if known and self._is_still(path, known):
            return known.fd
        if path:
            split(path)
        fd = self._open(path or ".", _FOLDER, "folder")
        found = os.fstat(fd)
        for old in [path] if known else list(self._opened)[: len(self._opened) - _KEPT_OPEN + 1]:
            os.close(self._opened.pop(old).fd)
        self._opened[path] = _Folder(fd, found.st_dev, found.st_ino)
        return fd

    def _is_still(self, path: str, known: _Folder) -> bool:
        """Whether the whole path still names the same folder, including the root's name."""
        try:
            now = os.stat(f"{self.root}/{path}", follow_symlinks=not path)
        except OSError:
            return False
        return (now.st_dev, now.st_ino) == (known.device, known.inode)

    def making(self, path: str, sync: bool = True) -> AbstractContextManager[int]:
        """As `folder`; creates a missing folder, durably with `sync`."""
        try:
            return self.folder(path)
        except NotFound:
            self._make(path, sync)
            return self.folder(path)

    def _make(self, path: str, sync: bool) -> None:
        parent, _, name = path.rpartition("/")
        with self.making(parent, sync) if parent else self.folder("") as fd:
            with suppress(FileExistsError):
                make_folder(name, fd)
            if sync:
                os.fsync(fd)

    def read(self, path: str, cap_bytes: int) -> Content:
        """Implements `Files.read`."""
        folder, name = split(path)
        for _ in range(_REOPEN):
            fd = self._open_in(folder, name, path)
            try:
                content = content_of(fd, path, cap_bytes)
            finally:
                os.close(fd)
            if content:
                return content
        raise CannotRead(path, "permission", "another process keeps replacing it")

    def tail(self, path: str, size_bytes: int) -> bytes:
        """Implements `Files.tail`."""
        fd = self._open_in(*split(path), path)
        try:
            return os.pread(fd, size_bytes, max(0, os.fstat(fd).st_size - size_bytes))
        finally:
            os.close(fd)

    def _open_in(self, folder: str, name: str, path: str) -> int:
        """A descriptor of the file, by way of its folder's."""
        try:
            with self._one:
                return os.open(name, _FILE, dir_fd=self._folder_fd(folder))
        except (FileNotFoundError, NotFound):
            raise NotFound("file", path) from None
        except OSError as error:
            raise self._refusal(path, error) from error

    def _open(self, path: str, flags: int, what: str) -> int:
        root = self.root_fd(path)
        try:
            return kernel.open_beneath(root, path, flags)
        except FileNotFoundError:
            raise NotFound(what, path) from None
        except OSError as error:
            raise self._refusal(path, error) from error

    def _refusal(self, path: str, error: OSError) -> CannotRead:
        number = error.errno or 0
        if number == errno.ENOTDIR:  # O_DIRECTORY asks before O_NOFOLLOW does, so a link to a folder comes here too
            number = errno.ELOOP if self._has_link(path) else errno.ENXIO
        return CannotRead(path, *_REASONS.get(number, ("unreadable", error.strerror or "unknown")))

    def _has_link(self, path: str) -> bool:
        names = path.split("/")
        return any(os.path.islink(os.path.join(self.root, *names[:n])) for n in range(1, len(names) + 1))


def content_of(fd: int, path: str, cap_bytes: int) -> Content | None:
    """The content of an open file, or None if it has no name any more: an editor replaced it, open again.

    Raises CannotRead for what is no regular file, has a second name, or holds more than `cap_bytes`.
    """
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        raise CannotRead(path, "not-a-file", "it is not a regular file")
    if found.st_nlink > 1:
        raise CannotRead(path, "hardlink", "it has a hard link, which may be outside the workspace")
    if found.st_nlink == 0:
        return None
    # A file may grow while it is read: the size says when to refuse early, the count of bytes when to stop.
    data = b"" if found.st_size > cap_bytes else read_up_to(fd, cap_bytes + 1)
    if max(found.st_size, len(data)) > cap_bytes:
        size = f"{cap_bytes / (1 << 20):g} MiB"
        raise CannotRead(path, "too-large", f"it is larger than {size}; move long text into other files")
    return Content(data=data, stamp=stamp_of(found))


def stamp_of(found: os.stat_result) -> Stamp:
    """The stamp in a stat result."""
    return Stamp(size_bytes=found.st_size, inode=found.st_ino, mtime_ns=found.st_mtime_ns)


def status_in(folder_fd: int, name: str) -> os.stat_result | None:
    """The lstat of `name` in an open folder; None if it is missing."""
    try:
        return os.stat(name, dir_fd=folder_fd, follow_symlinks=False)
    except FileNotFoundError:
        return None


def content_in(folder_fd: int, name: str) -> Content | None:
    """The content of `name` in an open folder; None if it is missing or the gate would refuse it."""
    try:
        return read_in(folder_fd, name, HAND_BYTES)
    except (OSError, CannotRead):
        return None


def read_in(folder_fd: int, name: str, cap_bytes: int) -> Content | None:
    """The content of `name` in an open folder; None if it was replaced during the read. Raises as the gate."""
    fd = os.open(name, _FILE, dir_fd=folder_fd)
    try:
        return content_of(fd, name, cap_bytes)
    finally:
        os.close(fd)
