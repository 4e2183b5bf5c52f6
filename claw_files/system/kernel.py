"""System calls that Python does not offer: openat2 and renameat2, and what stands in for them where they are missing.

ctypes is imported on the first call only: a command that touches nothing pays nothing for it.
"""

import errno
import os
from functools import cache
from typing import Any

MISSING = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP)  # this kernel, this C library or this file system lacks it
_NO_REPLACE, _EXCHANGE = 1, 2
_OPENAT2 = 437  # one number on every architecture
_BENEATH, _NO_SYMLINKS, _NO_MAGIC_LINKS = 0x08, 0x04, 0x02


def open_beneath(root_fd: int, path: str, flags: int) -> int:
    """A descriptor of `path` under `root_fd`, close-on-exec; no component of it is a symbolic link.

    Raises OSError: ELOOP for a symbolic link, EXDEV for a path that leaves the root.
    """
    flags |= os.O_NOFOLLOW | os.O_CLOEXEC
    if has_openat2():
        return _openat2(root_fd, path, flags)
    return _walk(root_fd, path, flags)


@cache
def has_openat2() -> bool:
    """Whether the kernel knows openat2 (Linux 5.6; containers may forbid it). Asked once."""
    try:
        fd = os.open(".", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        os.close(_openat2(fd, ".", os.O_RDONLY | os.O_CLOEXEC))
    except (OSError, AttributeError, ImportError):
        return False
    finally:
        os.close(fd)
    return True


def exchange(source_fd: int, source: str, target_fd: int, target: str) -> None:
    """Swap two names in one step, so that what was displaced is still there to be looked at. Raises OSError."""
    _renameat2(source_fd, source, target_fd, target, _EXCHANGE)


def place(source_fd: int, source: str, target_fd: int, target: str) -> None:
    """Rename; FileExistsError when the target exists. Other OSErrors as rename(2).

    Without renameat2 a look comes before the rename: another process may create the target in between.
    """
    try:
        _renameat2(source_fd, source, target_fd, target, _NO_REPLACE)
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


def _walk(root_fd: int, path: str, flags: int) -> int:
    """The same one folder at a time; no component is followed, so nothing leads out either."""
    *folders, name = path.split("/")
    fd = os.dup(root_fd)
    try:
        for folder in folders:
            below = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
            os.close(fd)
            fd = below
        return os.open(name, flags, dir_fd=fd)
    finally:
        os.close(fd)


@cache
def _libc() -> Any:
    import ctypes

    return ctypes.CDLL(None, use_errno=True)


def _fail(name: str) -> OSError:
    import ctypes

    number = ctypes.get_errno()
    return OSError(number, os.strerror(number), name)


@cache
def _how() -> Any:
    """The class for struct open_how: flags, mode, resolve; all 64 bits wide."""
    import ctypes

    return ctypes.c_uint64 * 3


def _openat2(root_fd: int, path: str, flags: int) -> int:
    import ctypes

    how = _how()(flags, 0, _BENEATH | _NO_SYMLINKS | _NO_MAGIC_LINKS)
    name = ctypes.c_char_p(os.fsencode(path))
    while True:
        fd = _libc().syscall(
            ctypes.c_long(_OPENAT2), ctypes.c_long(root_fd), name, ctypes.byref(how), ctypes.c_size_t(24)
        )
        if fd >= 0:
            return int(fd)
        error = _fail(path)
        # EAGAIN: something in the workspace was renamed while the kernel looked; man page: try again.
        if error.errno not in (errno.EAGAIN, errno.EINTR):
            raise error


def _renameat2(source_fd: int, source: str, target_fd: int, target: str, flags: int) -> None:
    try:
        call = _libc().renameat2
    except AttributeError:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), target) from None
    if call(source_fd, os.fsencode(source), target_fd, os.fsencode(target), flags):
        raise _fail(target)
