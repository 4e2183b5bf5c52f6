"""Whose a new file is: that of the folder it is made in, also when root makes it.

One command typed as root must not leave files behind that whoever works here cannot write. What exists is never given
away: a name in a folder of somebody else may be a second name of a file that is root's for a reason.
"""

import os
from contextlib import suppress

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def hand_over(fd: int, folder: int | str) -> None:
    """Give what this process has just made to the owner of its folder, where that is not root."""
    if os.geteuid():
        return
    with suppress(OSError):
        owner = os.stat(folder)
        if owner.st_uid:
            os.fchown(fd, owner.st_uid, owner.st_gid)


def open_or_make(path: str, flags: int, mode: int, dir_fd: int | None = None) -> int:
    """`os.open` with O_CREAT; only what was not there before is handed over."""
    if os.geteuid():
        return os.open(path, flags | os.O_CREAT, mode, dir_fd=dir_fd)
    try:
        fd = os.open(path, flags | os.O_CREAT | os.O_EXCL, mode, dir_fd=dir_fd)
    except FileExistsError:
        return os.open(path, flags | os.O_CREAT, mode, dir_fd=dir_fd)
    hand_over(fd, os.path.dirname(path) or "." if dir_fd is None else dir_fd)
    return fd


def make_folder(path: str, mode: int = 0o777, dir_fd: int | None = None) -> None:
    """`os.mkdir`, the folder handed over."""
    os.mkdir(path, mode, dir_fd=dir_fd)
    if os.geteuid():
        return
    with suppress(OSError):
        fd = os.open(path, _FOLDER, dir_fd=dir_fd)
        try:
            hand_over(fd, os.path.dirname(path) or "." if dir_fd is None else dir_fd)
        finally:
            os.close(fd)


def make_folders(path: str, mode: int = 0o777) -> None:
    """`os.makedirs` with `exist_ok`, each folder that was missing handed over."""
    if os.path.isdir(path):
        return
    above = os.path.dirname(path)
    if above and not os.path.isdir(above):
        make_folders(above)
    try:
        make_folder(path, mode)
    except FileExistsError:
        if not os.path.isdir(path):
            raise
