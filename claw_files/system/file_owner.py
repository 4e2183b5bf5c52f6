"""Owner and mode of new files: they follow their folder, even for root and with any umask.

A file is for its owner alone, as in a Maildir, unless its folder is shared by a group in the usual way: writable by the
group, with the setgid bit. One command typed as root must not leave files behind that whoever works here cannot write.
What exists is never given away: a name in a folder of somebody else may be a second name of a file that is root's for
a reason.
"""

import os
import stat
from contextlib import suppress

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_CREAT | os.O_EXCL
_SHARED = stat.S_ISGID | stat.S_IWGRP
_PRIVATE = ("compartments", "tokens")  # no group shares these
_NOT_FOR_GIT = (".clawfiles", "compartments")


def hand_over(fd: int, folder: int | str, private: bool = False) -> None:
    """Give what this process has just made (0700, 0600) to the owner of its folder where that is not root, and, unless
    it is private, to the group that shares the folder."""
    with suppress(OSError):
        above = os.stat(folder)
        if above.st_uid and not os.geteuid():
            os.fchown(fd, above.st_uid, above.st_gid)
        if above.st_mode & _SHARED == _SHARED and not private:
            os.fchmod(fd, 0o2770 if stat.S_ISDIR(os.fstat(fd).st_mode) else 0o660)


def open_or_make(path: str, flags: int, dir_fd: int | None = None) -> int:
    """`os.open` that creates a missing file, and hands over only a new one. With O_EXCL as `os.open`."""
    if not flags & os.O_EXCL:
        with suppress(FileNotFoundError):
            return os.open(path, flags, dir_fd=dir_fd)
    try:
        fd = os.open(path, flags | _NEW, 0o600, dir_fd=dir_fd)
    except FileExistsError:
        if flags & os.O_EXCL:
            raise
        return os.open(path, flags | os.O_CREAT, 0o600, dir_fd=dir_fd)
    hand_over(fd, _above(path, dir_fd))
    return fd


def make_folder(path: str, dir_fd: int | None = None) -> None:
    """`os.mkdir`, with the folder handed over; a private one is ignored by git."""
    os.mkdir(path, 0o700, dir_fd=dir_fd)
    with suppress(OSError):
        fd = os.open(path, _FOLDER, dir_fd=dir_fd)
        try:
            hand_over(fd, _above(path, dir_fd), os.path.basename(path) in _PRIVATE)
            if os.path.basename(path) in _NOT_FOR_GIT:
                with open(open_or_make(".gitignore", os.O_WRONLY | os.O_EXCL | os.O_CLOEXEC, fd), "wb") as file:
                    file.write(b"*\n")
        finally:
            os.close(fd)


def make_folders(path: str) -> None:
    """`os.makedirs` with `exist_ok`, each folder that was missing handed over."""
    if os.path.isdir(path):
        return
    above = os.path.dirname(path)
    if above and not os.path.isdir(above):
        make_folders(above)
    try:
        make_folder(path)
    except FileExistsError:
        if not os.path.isdir(path):
            raise


class PrivateFolder:
    """A folder of `.clawfiles/`, which may be missing, or a link to a folder elsewhere."""

    def __init__(self, root: str, name: str) -> None:
        self._private = os.path.join(root, ".clawfiles")
        self._folder = os.path.join(self._private, name)

    def _make(self) -> None:
        for folder in (self._private, self._folder):  # never the workspace: whoever deleted it meant that
            with suppress(FileExistsError):
                make_folder(folder)

    def _is_ours(self) -> bool:
        """Whether the path is a folder and not a link."""
        return not os.path.islink(self._private) and not os.path.islink(self._folder)


def _above(path: str, dir_fd: int | None) -> int | str:
    return os.path.dirname(path) or "." if dir_fd is None else dir_fd
