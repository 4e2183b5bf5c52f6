"""Who may act now: locks that wait and name their holder, and claim files that decide who was first.

A lock alone decides nothing here: whoever deletes its file breaks it, and agents do tidy up. So a claim is two things:
flock on the claim file of one generation until the status is written, and a look at the status file itself under the
lock of its folder (`Files.commit`). `docs/explanation/durability.md` tells which of them catches what.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

from claw_files.errors import AlreadyClaimed, BadId, Busy, CannotRead, NotFound, NotYours
from claw_files.model import AgentId, TaskId
from claw_files.patterns import pattern
from claw_files.system.clock import Clock, SystemClock
from claw_files.system.durable import forget, locked, new_file, try_lock, write_all, writing
from claw_files.system.gate import Gate

if TYPE_CHECKING:
    from filelock import BaseFileLock

_NAME = pattern(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_POLL_SECONDS = 0.002  # filelock's own 50 ms make a hot lock wait 300 ms
_RESERVED = ".for"
_SPENT = b"written\n"
_CLAIM = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_TIDIED_AWAY = 100  # so many times a claim file may be deleted before we have it


class Locks:
    """Named locks at `.clawfiles/locks/NAME.lock`; the kernel frees them when their holder dies."""

    def __init__(self, root: str, clock: Clock | None = None, private: str = ".clawfiles") -> None:
        self._gate, self._private = Gate(root), f"{private}/locks"
        self._folder = os.path.join(os.path.abspath(root), private, "locks")
        self._clock: Clock = clock or SystemClock()

    @contextmanager
    def hold(self, name: str, patience: timedelta, who: str) -> Iterator[None]:
        """Hold the lock `name` inside the block.

        Args:
            name: letters, digits, ".", "_", "-"; at most 100.
            patience: how long to wait for it, in real time; zero means to try once.
            who: "peter: clawfiles done TC-47", shown to whoever has to wait.

        Raises Busy, which names the holder as far as it is known, and BadId.
        """
        path = os.path.join(self._folder, _checked(name, "lock") + ".lock")
        deadline = time.monotonic() + patience.total_seconds()
        lock, fd = self._acquire(name, path, deadline)
        try:
            self._sign(fd, who)
            yield
        finally:
            with suppress(OSError):
                os.ftruncate(fd, 0)
            lock.release()

    def _acquire(self, name: str, path: str, deadline: float) -> "tuple[BaseFileLock, int]":
        """A lock on the file that `path` names now: one on a file deleted meanwhile keeps nobody out."""
        from filelock import Timeout

        while True:
            left = deadline - time.monotonic()
            descriptors: list[int] = []
            # Somebody deletes the folder between its making and our opening the file in it: then once more.
            with (
                writing(path),
                suppress(FileNotFoundError, FileExistsError, NotFound),
                self._gate.making(self._private, 0o700, sync=False),
            ):
                lock = _file_lock(path, max(0.0, left), descriptors.append)
                try:
                    lock.acquire()
                except Timeout:
                    raise Busy(name, self.holder(name)) from None
                if sys.platform == "win32" or (descriptors and _is_at(descriptors[-1], path)):
                    return lock, descriptors[-1] if descriptors else -1
                lock.release()
            if left < 0:
                raise Busy(name, "somebody who deletes its file again and again")

    def holder(self, name: str) -> str:
        """Who holds the lock, as one line for people: "peter: clawfiles done TC-47 (process 812 since ...)"; or ""."""
        try:
            with open(os.path.join(self._folder, f"{name}.lock"), "rb") as file:
                found = msgspec.json.decode(file.read(2000))
            return f"{found['who']} (process {found['pid']} since {found['since']})"
        except (OSError, ValueError, KeyError, TypeError):
            return ""

    def _sign(self, fd: int, who: str) -> None:
        """Leave a name in the lock file for those who wait. Best effort: nothing is decided by it."""
        since = self._clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        with suppress(OSError):
            os.ftruncate(fd, 0)
            os.pwrite(fd, msgspec.json.encode({"pid": os.getpid(), "who": who, "since": since}), 0)


def _file_lock(path: str, timeout_seconds: float, on_acquired: Callable[[int], None]) -> "BaseFileLock":
    """The kernel's lock on `path`, never filelock's soft one, which a crash leaves behind."""
    from filelock import FileLock, UnixFileLock

    if sys.platform == "win32":
        return FileLock(path, timeout=timeout_seconds, poll_interval=_POLL_SECONDS)
    return UnixFileLock(
        path,
        timeout=timeout_seconds,
        mode=0o600,
        poll_interval=_POLL_SECONDS,
        fallback_to_soft=False,
        on_acquired=on_acquired,
    )


def _is_at(fd: int, path: str, folder: int | None = None) -> bool:
    """Whether `path` (in `folder`) still names the file that `fd` has open."""
    try:
        found = os.stat(path, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    own = os.fstat(fd)
    return (own.st_dev, own.st_ino) == (found.st_dev, found.st_ino)


class Claims:
    """The arbiter: one file for each task and generation, `.clawfiles/claims/tc-47/3`, kept until archiving.

    `3.for` reserves generation 3 for the agent it was delivered to. If the folder is lost, counting goes on from the
    status file's generation.
    """

    def __init__(self, root: str, private: str = ".clawfiles", *, durable: bool = True) -> None:
        """`durable=False` leaves out fsync, as in `DiskFiles`."""
        self._gate, self._private, self._durable = Gate(root), private, durable

    @contextmanager
    def take(self, task: TaskId, generation: int, agent: AgentId) -> Iterator[None]:
        """Be the only one to claim `generation` of `task` inside the block, which must write the status file.

        Whoever creates the claim file has the generation, once and for all: when the block ends well the file says so,
        and the number is spent. A claim file whose maker died before that may be taken over, a living one's not: its
        lock tells them apart. The status file has the last word all the same: the block's change refuses when it is
        not in backlog any more.

        Raises AlreadyClaimed (it is spent, or somebody is at it right now), NotYours (the generation is reserved for
        another agent), CannotWrite.
        """
        owner = self.reserved(task, generation)
        if owner not in (None, agent):
            raise NotYours(task, owner)
        with writing(self._of(task)):
            fd = self._seize(task, generation, agent)
        try:
            yield
            with suppress(OSError):  # without the mark the status file alone refuses the next claimant
                write_all(fd, _SPENT)
        finally:
            os.close(fd)

    def is_spent(self, task: TaskId, generation: int) -> bool:
        """Whether the generation was claimed to the end: it is never given a second time."""
        try:
            return self._gate.read(f"{self._of(task)}/{generation}", 4096).data.endswith(_SPENT)
        except (NotFound, CannotRead):
            return False

    def _seize(self, task: TaskId, generation: int, agent: AgentId) -> int:
        """The claim file, locked by us and signed, durably; made again as often as somebody tidies it away."""
        for _ in range(_TIDIED_AWAY):
            with suppress(FileNotFoundError, NotFound), self._making(task) as folder, ExitStack() as unless_ours:
                fd = _create_or_open(folder, str(generation))
                unless_ours.callback(os.close, fd)
                if not try_lock(fd) or os.pread(fd, 4096, 0).endswith(_SPENT):
                    raise AlreadyClaimed(task, _last_name(fd), generation)
                if not _is_at(fd, str(generation), folder):
                    continue
                # Added, not replaced: one who takes over a finished claim in vain must not wipe out who made it.
                write_all(fd, f"{agent} {os.getpid()}\n".encode())
                self._sync(fd, folder)
                unless_ours.pop_all()
                return fd
        raise Busy(f"the claim of {task}", "somebody who deletes its file again and again")

    def reserve(self, task: TaskId, generation: int, agent: AgentId) -> None:
        """Keep `generation` for `agent`, durably, so that the process it wakes finds its generation already there.

        The same again is fine. Raises NotYours when another agent has it, Busy, CannotWrite.
        """
        name = f"{generation}{_RESERVED}"
        with writing(self._of(task)), self._making(task) as folder, locked(folder, task):
            owner = self.reserved(task, generation)
            if owner == agent:
                return
            if owner is not None:
                raise NotYours(task, owner)
            # Beside its name first: an empty reservation would be one for nobody.
            forget(folder, name + ".part")
            new_file(folder, name + ".part", f"{agent}\n".encode(), sync=self._durable)
            os.rename(name + ".part", name, src_dir_fd=folder, dst_dir_fd=folder)
            self._sync(folder)

    def reserved(self, task: TaskId, generation: int) -> AgentId | None:
        """For whom the generation is reserved, or None."""
        try:
            return AgentId(self._gate.read(f"{self._of(task)}/{generation}{_RESERVED}", 200).data.decode().strip())
        except (NotFound, UnicodeDecodeError):
            return None

    def owner(self, task: TaskId, generation: int) -> AgentId | None:
        """For whom the generation is reserved or by whom it was claimed, or None."""
        if owner := self.reserved(task, generation):
            return owner
        try:
            lines = self._gate.read(f"{self._of(task)}/{generation}", 4096).data.removesuffix(_SPENT).split()
            return AgentId(lines[0].decode()) if lines else None
        except (NotFound, CannotRead, UnicodeDecodeError):
            return None

    def highest(self, task: TaskId) -> int:
        """The highest generation that was claimed or reserved; 0 when none was. One listing of the task's folder."""
        try:
            with self._gate.folder(self._of(task)) as folder:
                names = os.listdir(folder)
        except NotFound:
            return 0
        numbers = (name.removesuffix(_RESERVED) for name in names)
        return max((int(number) for number in numbers if number.isascii() and number.isdigit()), default=0)

    def forget(self, task: TaskId) -> None:
        """Remove the task's claim files: at archiving only, or a zombie could claim an old generation anew."""
        with suppress(NotFound), self._gate.folder(f"{self._private}/claims") as folder:
            import shutil

            shutil.rmtree(_checked(task, "task").lower(), ignore_errors=True, dir_fd=folder)

    def _of(self, task: TaskId) -> str:
        return f"{self._private}/claims/{_checked(task, 'task').lower()}"

    def _making(self, task: TaskId) -> AbstractContextManager[int]:
        return self._gate.making(self._of(task), 0o700, self._durable)

    def _sync(self, *fds: int) -> None:
        if self._durable:
            for fd in fds:
                os.fsync(fd)


def _create_or_open(folder: int, name: str) -> int:
    """The claim file: made by us, exclusively, or that of somebody who was first."""
    try:
        return os.open(name, _CLAIM | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=folder)
    except FileExistsError:
        return os.open(name, _CLAIM, dir_fd=folder)


def _checked(name: str, what: str) -> str:
    if not _NAME.fullmatch(name):
        raise BadId(name, what)
    return name


def _last_name(fd: int) -> str | None:
    """Who wrote into the claim file last: the one who is at it now."""
    with suppress(OSError, ValueError, IndexError):
        return os.pread(fd, 4096, 0).removesuffix(_SPENT).decode().splitlines()[-1].split()[0]
    return None
