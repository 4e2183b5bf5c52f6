"""Opens without following links; and renameat2, which Python lacks, with a fallback.

ctypes is imported for the first write only: a command that changes nothing pays nothing for it.
"""

import errno
import os
from functools import cache
from typing import Any

MISSING = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP)  # this kernel, this C library or this file system lacks it
_NO_REPLACE, _EXCHANGE = 1, 2
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def open_beneath(root_fd: int, path: str, flags: int) -> int:
    """A descriptor of `path` under `root_fd`, close-on-exec, opened one folder at a time.

    No component is followed if it is a symbolic link, and whoever calls lets no ".." through: nothing leads out.
    Raises OSError: ELOOP or ENOTDIR for a link.
    """
    *folders, name = path.split("/")
    fd = os.dup(root_fd)
    try:
        for folder in folders:
            below = os.open(folder, _FOLDER, dir_fd=fd)
            os.close(fd)
            fd = below
        return os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
    finally:
        os.close(fd)


def exchange(source_fd: int, source: str, target_fd: int, target: str) -> None:
    """Exchange two names in one step, so that the displaced version still exists. Raises OSError."""
    renameat2(source_fd, source, target_fd, target, _EXCHANGE)


def place(source_fd: int, source: str, target_fd: int, target: str) -> None:
    """Rename; FileExistsError when the target exists. Other OSErrors as rename(2).

    Without renameat2 a look comes before the rename: another process may create the target in between.
    """
    try:
        renameat2(source_fd, source, target_fd, target, _NO_REPLACE)
    except OSError as error:
        if error.errno not in MISSING:
            raise
        if _exists(target_fd, target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target) from None
        os.rename(source, target, src_dir_fd=source_fd, dst_dir_fd=target_fd)


def _exists(folder_fd: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=folder_fd, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


@cache
def _libc() -> Any:
    import ctypes

    return ctypes.CDLL(None, use_errno=True)


def _fail(name: str) -> OSError:
    import ctypes

    number = ctypes.get_errno()
    return OSError(number, os.strerror(number), name)


def renameat2(source_fd: int, source: str, target_fd: int, target: str, flags: int) -> None:
    try:
        call = _libc().renameat2
    except AttributeError:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), target) from None
    if call(source_fd, os.fsencode(source), target_fd, os.fsencode(target), flags):
        raise _fail(target)
