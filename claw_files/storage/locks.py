"""Locks that wait and name their holder, and claim files that decide the first claimant.

Agents tidy up, and a lock file that was deleted keeps nobody out. So a lock is held on the workspace's own folder, and
its file only makes others wait in a queue and tells them for whom. A claim is flock on the task's claim file until the
status is written, and a look at the status file itself under the lock of its folder (`Files.commit`).
`docs/explanation/durability.md` tells which of them catches what.
"""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime, timedelta

import msgspec

from claw_files.core.errors import AlreadyClaimed, BadId, Busy, CannotRead, NotFound, NotYours
from claw_files.core.lazy_regex import pattern
from claw_files.core.model import AgentId, TaskId
from claw_files.core.text import FILE_BYTES
from claw_files.system import folder_locks, wait_notice
from claw_files.system.clock import Clock, SystemClock
from claw_files.system.durable import lock_within, try_lock, write_all, writing
from claw_files.system.file_owner import open_or_make
from claw_files.system.path_gate import PathGate

_NAME = pattern(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_FLAGS = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_TIDIED_AWAY_SECONDS = 10.0  # so long a claim file may be deleted again and again before we have it
_AGAIN_SECONDS = 0.002
_TIDIER = "another process, which keeps deleting the lock file"


class Locks:
    """Named locks of a workspace; the kernel frees them when their holder dies.

    The excluding lock is on the workspace's folder (`system.folder_locks`). Waiting processes queue at
    `.clawfiles/locks/NAME.lock`, which has the holder's name; deleting it breaks nothing.
    """

    def __init__(self, root: str, clock: Clock | None = None, private: str = ".clawfiles") -> None:
        self._gate, self._private = PathGate(root), f"{private}/locks"
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
        deadline = time.monotonic() + patience.total_seconds()
        with ExitStack() as held:
            fd = self._acquire(_checked(name, "lock"), deadline)
            held.callback(os.close, fd)
            self._enter(name, deadline, fd, who, held)
            yield

    def acquire(self, name: str, patience: timedelta, who: str) -> ExitStack:
        """Take the lock `name` until it is closed or this process ends, as `hold`; by filelock, for long holds.

        It is the same lock as that of `hold`, and filelock looks after threads and forks as well. Commands that hold a
        lock for a moment do without it: to import it takes longer than most of them need.
        """
        from filelock import Timeout, UnixFileLock

        path, fds = os.path.join(self._gate.root, self._private, f"{_checked(name, 'lock')}.lock"), list[int]()
        deadline = time.monotonic() + patience.total_seconds()
        for _ in _tries():
            # Try again if the folder is deleted between its creation and the opening of the file.
            with (
                writing(path),
                suppress(FileNotFoundError, NotFound),
                self._gate.making(self._private, sync=False),
                ExitStack() as held,
            ):
                lock = UnixFileLock(
                    path,
                    timeout=max(0.0, deadline - time.monotonic()),
                    mode=0o600,
                    fallback_to_soft=False,  # a soft lock would outlive a crash
                    on_acquired=fds.append,
                )
                try:
                    os.close(open_or_make(path, _FLAGS))  # created by filelock it would belong to root
                    held.enter_context(lock.acquire())
                except Timeout:
                    raise Busy(name, self.holder(name)) from None
                self._enter(name, deadline, fds[-1], who, held)
                return held.pop_all()
        raise Busy(name, _TIDIER)

    def tidy(self, now: datetime) -> None:
        """Remove the lock files of tasks that were unused for a day; a waiting process creates a new file."""
        with suppress(NotFound, OSError), self._gate.folder(self._private) as folder:
            for name in os.listdir(folder):
                with suppress(OSError), ExitStack() as opened:
                    fd = os.open(name, _FLAGS, dir_fd=folder)
                    opened.callback(os.close, fd)
                    is_old = abs(now.timestamp() - os.fstat(fd).st_mtime) > 86_400
                    if is_old and "-" in name and try_lock(fd):  # not the long-lived ones: tick, daemon and sender
                        os.unlink(name, dir_fd=folder)

    def drop_notes(self) -> None:
        """Remove the notes of commands of a day ago whose process is gone."""
        from claw_files.system.command_notes import CommandNotes

        CommandNotes(self._gate.root, self._clock).drop_old()

    def is_held(self, name: str) -> bool:
        """Whether a process holds the lock now."""
        with suppress(CannotRead), self._gate.folder("") as folder:
            return folder_locks.is_taken(folder, _checked(name, "lock"))
        return False

    def _enter(self, name: str, deadline: float, file: int, who: str, held: ExitStack) -> None:
        """Take the lock itself, after its file, and sign the file. Raises Busy if it is not free in time.

        The lock is free immediately, unless its holder's file was deleted: then no queue signals when it becomes free.
        """
        with writing(name):
            folder = held.enter_context(self._gate.folder(""))
        # Polled: the kernel has no queue for a lock whose file is gone. It happens only after such a deletion.
        while not folder_locks.take(folder, name):
            if time.monotonic() > deadline:
                raise Busy(name, self.holder(name))
            time.sleep(_AGAIN_SECONDS)
        self._sign(file, who)
        held.callback(_unsign, file)

    def _acquire(self, name: str, deadline: float) -> int:
        """The lock's file, locked, under its current name. After a deletion, waiting processes use the new file."""
        file = f"{name}.lock"
        for _ in _tries():
            left = deadline - time.monotonic()
            # Try again if the folder is deleted between its creation and the opening of the file.
            with (
                writing(f"{self._private}/{file}"),
                suppress(FileNotFoundError, NotFound),
                self._gate.making(self._private, sync=False) as folder,
                ExitStack() as unless_ours,
            ):
                # Opened first, compared at the end: between these steps the file may be deleted and made again.
                fd = open_or_make(file, _FLAGS, folder)
                unless_ours.callback(os.close, fd)
                if not lock_within(fd, 0):
                    by = self.holder(name) or "somebody"
                    with wait_notice.waiting(f"for the lock {name} of {by}, at most {max(left, 0):.0f} s"):
                        if not lock_within(fd, left):
                            raise Busy(name, self.holder(name))
                if _is_at(fd, file, folder):
                    unless_ours.pop_all()
                    return fd
        raise Busy(name, _TIDIER)

    def holder(self, name: str) -> str:
        """The lock's holder, as one line: "peter: clawfiles done TC-47 (process 812 since ...)"; or ""."""
        try:
            found = msgspec.json.decode(self._gate.read(f"{self._private}/{name}.lock", 2000).data)
            return f"{found['who']} (process {found['pid']} since {found['since']})"
        except (CannotRead, NotFound, ValueError, KeyError, TypeError):
            return ""

    def _sign(self, fd: int, who: str) -> None:
        """Write the holder's name into the lock file for waiting processes. Best effort: nothing depends on it."""
        since = self._clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        with suppress(OSError):
            os.pwrite(fd, msgspec.json.encode({"pid": os.getpid(), "who": who, "since": since}), 0)


def _unsign(fd: int) -> None:
    with suppress(OSError):
        os.ftruncate(fd, 0)


def _is_at(fd: int, name: str, folder: int) -> bool:
    """Whether `name` in `folder` still names the file that `fd` has open."""
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    own = os.fstat(fd)
    return (own.st_dev, own.st_ino) == (found.st_dev, found.st_ino)


class ClaimRecord:
    """The content of a claim file: the reserved and claimed generations of its task, and their agents.

    Its lines are "3 for peter" (reserved), "3 by peter 812" (a claim begun), "3 taken peter 9f3c" (a claim begun by a
    program that cannot hold our lock) and "3 written" (a claim made, the number spent); they are only ever added. A
    line that a crash tore off, or that is somebody else's, says nothing. `docs/reference/file-format.md`, "Claiming".
    """

    def __init__(self, data: bytes, at: datetime | None = None) -> None:
        """`at` is the time of the file's last write; None without a file."""
        self.at = at
        self._for: dict[int, AgentId] = {}
        self._by: dict[int, AgentId] = {}
        self._taken: dict[int, AgentId] = {}
        self._written: set[int] = set()
        self.last: AgentId | None = None  # the last claimant, if its claim was not completed
        for line in data[: data.rfind(b"\n") + 1].decode("utf-8", "replace").splitlines():
            self._read(line.split(" "))

    def _read(self, words: list[str]) -> None:
        if len(words) < 2 or not (words[0].isascii() and words[0].isdigit() and len(words[0]) < 10):
            return
        number, verb = int(words[0]), words[1]
        if verb == "written" and len(words) == 2:
            self._written.add(number)
            self.last = None
        elif verb == "for" and len(words) == 3 and number not in self._taken:
            self._for.setdefault(number, AgentId(words[2]))  # of two concurrent lines the first counts
        elif verb == "by" and len(words) == 4:
            if number not in self._taken:  # the first line about a number wins
                self._by[number] = AgentId(words[2])  # a claimant that takes over from a dead one comes last
                self.last = AgentId(words[2])
        elif verb == "taken" and len(words) == 4 and number not in self._by and self._may_take(number, words[2]):
            self._taken.setdefault(number, AgentId(words[2]))

    def _may_take(self, number: int, agent: str) -> bool:
        return self._for.get(number) in (None, agent)

    @property
    def highest(self) -> int:
        """The highest generation that was claimed or reserved; 0 when none was."""
        return max((*self._for, *self._by, *self._taken), default=0)

    def reserved(self, generation: int) -> AgentId | None:
        """For whom the generation is reserved, or None."""
        return self._for.get(generation)

    def owner(self, generation: int) -> AgentId | None:
        """The agent for which the generation is reserved or by which it was claimed, or None."""
        return self._for.get(generation) or self._by.get(generation) or self._taken.get(generation)

    def holder(self, generation: int) -> AgentId | None:
        """The certain holder of the generation; None if it was never assigned, or a claim was interrupted."""
        is_certain = generation in self._for or self.is_spent(generation)
        return self.owner(generation) if is_certain else None

    def is_taken(self, generation: int) -> bool:
        """Whether a program without clawfiles' lock has begun to claim it; it is unknown whether it is alive."""
        return generation in self._taken

    def is_spent(self, generation: int) -> bool:
        """Whether the generation was fully claimed: it is never assigned a second time."""
        return generation in self._written

    def check(self, task: TaskId, generation: int, agent: AgentId, is_free: bool = True) -> None:
        """Raises AlreadyClaimed or NotYours if the agent may not claim it; not `is_free`: a claim is in progress."""
        if not is_free or self.is_spent(generation) or self.is_taken(generation):
            raise AlreadyClaimed(task, self.last or self.owner(generation), generation)
        if self.reserved(generation) not in (None, agent):
            raise NotYours(task, self.reserved(generation))


class Claims:
    """Decides claims: one file for each task, `.clawfiles/claims/tc-47.log`, kept until archiving.

    If it is lost, counting goes on from the status file's generation.
    """

    def __init__(self, root: str, private: str = ".clawfiles", *, durable: bool = True) -> None:
        """`durable=False` leaves out fsync, as in `DiskFiles`."""
        self._gate, self._folder, self._durable = PathGate(root), f"{private}/claims", durable

    @contextmanager
    def take(self, task: TaskId, generation: int, agent: AgentId) -> Iterator[None]:
        """Claim `generation` of `task` exclusively inside the block, which must write the status file.

        When the block ends well the claim file says so, and the number is spent. A claim whose maker died before that
        may be taken over, a living one's not: its lock tells them apart. The status file has the last word all the
        same: the block's change refuses when it is not in backlog any more.

        Raises AlreadyClaimed (it is spent, or somebody is at it right now), NotYours (the generation is reserved for
        another agent), CannotWrite.
        """
        with writing(self._path(task)):
            fd = self._seize(task, generation, agent)
        try:
            yield
            with suppress(OSError):  # without this line the status file alone refuses the next claimant
                write_all(fd, b"%d written\n" % generation)
        finally:
            os.close(fd)

    def _seize(self, task: TaskId, generation: int, agent: AgentId) -> int:
        """The claim file, locked, with the claim durable in it; created again whenever it is deleted."""
        for _ in _tries():
            with suppress(FileNotFoundError, NotFound), ExitStack() as unless_ours:
                folder, fd = self._opened(task, unless_ours)
                # The order matters: no other clawfiles process can add to what is read under the lock.
                free, given, torn = try_lock(fd), *_read(fd)
                given.check(task, generation, agent, free)
                if not _is_at(fd, _name(task), folder):
                    continue
                # Durable before the status file: after a power cut the number is spent even if the claim is not seen.
                self._add(fd, folder, torn + b"%d by %s %d\n" % (generation, agent.encode(), os.getpid()))
                if (again := _read(fd)[0]).is_taken(generation):  # a program without this lock was faster by a line
                    raise AlreadyClaimed(task, again.owner(generation), generation)
                return os.dup(fd)  # the copy shares the lock; the original is closed with the block
        raise Busy(f"the claim of {task}", _TIDIER)

    def reserve(self, task: TaskId, generation: int, agent: AgentId) -> None:
        """Reserve `generation` for `agent`, durably, so that the woken process finds its generation.

        The same again is fine. Raises NotYours when another agent has it, Busy, CannotWrite.
        """
        for _ in _tries():
            with writing(self._path(task)), suppress(FileNotFoundError, NotFound), ExitStack() as opened:
                folder, fd = self._opened(task, opened)
                given, torn = _read(fd)
                # No lock here: lines are appended whole, and of two reservations the first line counts.
                if given.reserved(generation) is None and not given.is_taken(generation):
                    self._add(fd, folder, torn + b"%d for %s\n" % (generation, agent.encode()))
                    given, _ = _read(fd)  # another process may have been faster by a line
                if given.reserved(generation) != agent:
                    raise NotYours(task, given.owner(generation))
                if _is_at(fd, _name(task), folder):
                    return
        raise Busy(f"the claim of {task}", _TIDIER)

    def _opened(self, task: TaskId, opened: ExitStack) -> tuple[int, int]:
        """Descriptors of the folder and of the claim file, both there, until `opened` ends."""
        folder = opened.enter_context(self._gate.making(self._folder, self._durable))
        fd = open_or_make(_name(task), _FLAGS | os.O_APPEND, folder)
        opened.callback(os.close, fd)
        return folder, fd

    def _add(self, fd: int, folder: int, line: bytes) -> None:
        write_all(fd, line)
        if self._durable:
            os.fsync(fd)
            os.fsync(folder)

    def given(self, task: TaskId) -> ClaimRecord:
        """The generations of the task that were assigned so far: one read."""
        try:
            content = self._gate.read(self._path(task), FILE_BYTES)
            return ClaimRecord(content.data, content.stamp.mtime)
        except (NotFound, CannotRead):
            return ClaimRecord(b"")

    def adopt(self, task: TaskId, other: "Claims") -> None:
        """Start with the record of `other` for the task, which has moved here; no-op if this file has one."""
        try:
            data = other._gate.read(other._path(task), FILE_BYTES).data
        except (NotFound, CannotRead):
            return
        with writing(self._path(task)), ExitStack() as opened:
            folder, fd = self._opened(task, opened)
            if os.fstat(fd).st_size == 0:
                self._add(fd, folder, data)

    def forget(self, task: TaskId) -> None:
        """Remove the task's claim file: at archiving only, or a zombie could claim an old generation anew."""
        with (
            writing(self._path(task)),
            suppress(NotFound, FileNotFoundError),
            self._gate.folder(self._folder) as folder,
        ):
            os.unlink(_name(task), dir_fd=folder)

    def _path(self, task: TaskId) -> str:
        return f"{self._folder}/{_name(task)}"


def _tries() -> Iterator[None]:
    """Attempts in a loop, bounded, because another process may keep deleting the file."""
    end = time.monotonic() + _TIDIED_AWAY_SECONDS
    while time.monotonic() < end:
        yield None


def _read(fd: int) -> tuple[ClaimRecord, bytes]:
    """The record in the claim file, and the text to put before the next line: it ends a truncated line."""
    data = os.pread(fd, FILE_BYTES, 0)
    # A line break alone would make "3 for pet" a reservation for another agent.
    return ClaimRecord(data), b"" if data[-1:] in (b"", b"\n") else b" - cut off -\n"


def _name(task: TaskId) -> str:
    return f"{_checked(task, 'task').lower()}.log"


def _checked(name: str, what: str) -> str:
    if not _NAME.fullmatch(name):
        raise BadId(name, what)
    return name
