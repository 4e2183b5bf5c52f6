"""Small durable steps on open descriptors: write all, lock briefly, append a line, sync a name.

Whatever fails here raises OSError; `writing` turns that into the error callers know.
"""

import _thread
import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from claw_files.core.errors import Busy, CannotRead, CannotWrite
from claw_files.system.file_owner import hand_over, open_or_make

LOCK_SECONDS = 10.0  # one write holds its lock for well under a millisecond; this long means somebody is stopped


class WriteProgress:
    """How far a write got. `unknown` from the moment on at which the new content can be seen."""

    unknown = False
    on_swapped: Callable[[], None] = staticmethod(lambda: None)  # called once the new content is in its place


@contextmanager
def writing(path: str) -> Iterator[WriteProgress]:
    """Turn what the disk refuses inside into CannotWrite, honest about whether something was changed already."""
    step = WriteProgress()
    try:
        yield step
    except CannotRead as error:
        if error.problem != "root-changed":
            raise
        raise CannotWrite(path, error.reason, step.unknown) from error
    except OSError as error:
        raise CannotWrite(path, error.strerror or str(error), step.unknown) from error


@contextmanager
def locked(fd: int, what: str, shared: bool = False) -> Iterator[None]:
    """Hold flock on `fd`; raises Busy after LOCK_SECONDS.

    The lock of a target is taken on its folder's descriptor, which cannot be deleted like a lock file. The wait is
    for another process, so it passes in real time whatever the caller's clock says.
    """
    if not lock_within(fd, LOCK_SECONDS, shared):
        raise Busy(what)
    try:
        yield
    finally:
        fcntl.flock(fd, fcntl.LOCK_UN)


def try_lock(fd: int, shared: bool = False) -> bool:
    """Take flock on `fd` if it is free now; it goes with the descriptor, also when the process is killed."""
    try:
        fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def lock_within(fd: int, seconds: float, shared: bool = False) -> bool:
    """Take flock on `fd`, waiting so long at most.

    The kernel queues waiting processes. A polling process would find the lock taken as long as others are luckier: with
    sixteen processes at one lock the slowest waited ten times as long.
    """
    return try_lock(fd, shared) or (seconds > 0 and _Waiting(fd, shared).ends_within(seconds))


class _Waiting:
    """One wait for flock, in a thread of its own: the call cannot be given a limit, but its thread can be left behind.

    It waits on a copy of the descriptor, which shares the lock. If the waiter has given up when the lock arrives,
    closing the copy releases it.
    """

    def __init__(self, fd: int, shared: bool) -> None:
        self._copy, self._how = os.dup(fd), fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        self._over, self._deciding = _thread.allocate_lock(), _thread.allocate_lock()
        self._has_it = self._is_given_up = False
        self._over.acquire()
        _thread.start_new_thread(self._wait, ())

    def _wait(self) -> None:
        try:
            with suppress(OSError):
                fcntl.flock(self._copy, self._how)
                # The lock may arrive just as the waiter gives up; exactly one of the two sides decides.
                with self._deciding:
                    self._has_it = not self._is_given_up
        finally:
            os.close(self._copy)
            self._over.release()

    def ends_within(self, seconds: float) -> bool:
        """Whether the lock came in time."""
        try:
            self._over.acquire(timeout=min(seconds, _thread.TIMEOUT_MAX))
        finally:  # Ctrl-C ends the wait, too
            with self._deciding:
                self._is_given_up = True
        return self._has_it


def write_all(fd: int, data: bytes) -> None:
    """Write every byte: write(2) may take fewer than it is given, on a nearly full disk first of all."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def new_file(
    folder_fd: int,
    name: str,
    data: bytes,
    *,
    sync: bool,
    like: os.stat_result | None = None,
    mtime_ns: int | None = None,
    mask: int = 0o7777,
) -> None:
    """Create `name` with `data`, with the mode and owner of `like`; durable when `sync`. Never replaces.

    Of that mode, `mask` says what may be left. Without `like` it is as `hand_over` makes it.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(name, flags, 0o600, dir_fd=folder_fd)
    try:
        write_all(fd, data)
        if like:
            _resemble(fd, like, mask)
        else:
            hand_over(fd, folder_fd)
        if mtime_ns is not None:
            os.utime(fd, ns=(mtime_ns, mtime_ns))
        if sync:
            os.fsync(fd)
    except BaseException:
        with suppress(OSError):
            os.close(fd)
        raise
    os.close(fd)  # some file systems report a failed write only here


def _resemble(fd: int, like: os.stat_result, mask: int) -> None:
    own, mode = os.fstat(fd), stat.S_IMODE(like.st_mode) & mask
    if (own.st_uid, own.st_gid) != (like.st_uid, like.st_gid):
        # A tick run by root must not take the files away from the agents; without that right it stays as it is.
        with suppress(OSError):
            os.fchown(fd, like.st_uid, like.st_gid)
    if stat.S_IMODE(own.st_mode) != mode:
        os.fchmod(fd, mode)


def append_line(folder_fd: int, name: str, line: bytes, path: str, sync: bool, step: WriteProgress) -> None:
    """Add `line` to `name` in one piece, created when absent; what a crash tore off before is ended first.

    `step.unknown` is set once the line stands there. Raises CannotRead for what is no plain file.
    """
    fd = _open_to_append(folder_fd, name, path)
    try:
        with locked(fd, path):
            size_bytes = os.fstat(fd).st_size
            torn = size_bytes > 0 and os.pread(fd, 1, size_bytes - 1) != b"\n"
            try:
                write_all(fd, b"\n" * torn + line.rstrip(b"\n") + b"\n")
            except OSError:
                # A part of the line, written to a full disk, would be read as a line of its own.
                os.ftruncate(fd, size_bytes)
                raise
            step.unknown = True
        if sync:
            os.fsync(fd)
            # The name of a new file must be durable, too.
            if size_bytes == 0:
                os.fsync(folder_fd)
    finally:
        os.close(fd)


def _open_to_append(folder_fd: int, name: str, path: str) -> int:
    flags = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    fd = open_or_make(name, flags, folder_fd)
    found = os.fstat(fd)
    if stat.S_ISREG(found.st_mode) and found.st_nlink <= 1:
        return fd
    os.close(fd)
    raise CannotRead(path, "not-a-file", "it is not a regular file with a single name")


def forget(folder_fd: int, name: str) -> None:
    """Unlink `name`; an absent one is fine, and so is a disk that refuses: recovery looks again."""
    with suppress(OSError):
        os.unlink(name, dir_fd=folder_fd)


def overwrite(path: str, data: bytes) -> None:
    """Put `data` in the place of what the file holds; it must be there. A crash may leave a mixture of both.

    Raises CannotWrite.
    """
    try:
        fd = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with open(fd, "wb") as file:  # not emptied first: who reads it meanwhile finds no empty one
            file.write(data)
            file.truncate()
            file.flush()
            os.fsync(fd)
    except OSError as error:
        raise CannotWrite(path, error.strerror or str(error)) from None
