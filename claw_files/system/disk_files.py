"""`DiskFiles`: the one way clawfiles reads and writes a workspace on disk.

`docs/explanation/durability.md` tells one write step by step, and what each state that a crash leaves means.
"""

import errno
import os
import stat
import time
from collections import deque
from contextlib import AbstractContextManager, ExitStack, suppress

from claw_files.core.digest import digest
from claw_files.core.errors import Busy, CannotRead, Conflict, NotFound
from claw_files.core.journal_events import JournalEvent
from claw_files.core.model import Audit
from claw_files.core.text import FILE_BYTES
from claw_files.formats.journal import render
from claw_files.system import kernel
from claw_files.system.clock import Clock, SystemClock
from claw_files.system.durable import WriteProgress, append_line, forget, locked, new_file, writing
from claw_files.system.files import Change, Content, Note, Stamp, Survey
from claw_files.system.month_archive import ARCHIVE, ArchivedFiles
from claw_files.system.path_gate import PathGate, content_in, stamp_of, status_in
from claw_files.system.paths import HAND_BYTES, is_dropping, journal_path, split
from claw_files.system.swap_folder import GONE, MOVED, NONE, NOTE, PART, Intent, Private, mark
from claw_files.system.write_decision import decide

_MANY, _MOMENT_NS = 500, 20_000_000  # the clock of a change moves every 10 ms at worst
_RETRY_SECONDS = 30.0  # for repeated concurrent edits


class DiskFiles(ArchivedFiles):
    """`Files` on a real folder (Linux; elsewhere with a weaker promise).

    Where renameat2 is missing (another platform or file system), an edit that somebody makes in the microseconds
    between our last look and the rename is overwritten, and what an editor writes into the displaced file is not found.
    On Linux with ext4, XFS, Btrfs or tmpfs neither can happen. Network file systems are not supported.

    Safe for several threads and processes. `private` is disposable while nothing runs; it is made again when needed.
    """

    def __init__(
        self,
        root: str,
        private: str = ".clawfiles",
        clock: Clock | None = None,
        *,
        durable: bool = True,
        closed: bool = False,
    ) -> None:
        """The files below `root`.

        Args:
            durable: False leaves out fsync: for tests that count on processes dying, not on power failing.
            closed: what others could read is closed to them when it is replaced.
        """
        self._gate = PathGate(os.path.abspath(root), 0o700 if closed else 0o7777)
        self._private = Private(self._gate, private, durable)
        self._clock: Clock = clock or SystemClock()
        self._durable = durable
        self._listed: dict[str, tuple[int, list[str]]] = {}  # folders with many names, as they were at that time
        self.made: deque[bytes] = deque(maxlen=20)  # the journal's lines of the writes that were made last

    # -- reading -------------------------------------------------------------------------------------------------

    def read_live(self, path: str, cap_bytes: int = FILE_BYTES) -> Content:
        return self._gate.read(path, cap_bytes)

    def tail(self, path: str, size_bytes: int) -> bytes:
        return self._gate.tail(path, size_bytes)

    def archives(self, folder: str) -> list[str]:
        try:
            with self._gate.folder(folder) as fd:
                return [name for name in os.listdir(fd) if ARCHIVE.fullmatch(name)]
        except (NotFound, CannotRead):
            return []

    def stamp(self, path: str) -> Stamp | None:
        folder, name = split(path)
        try:
            with self._gate.folder(folder) as fd:
                found = os.stat(name, dir_fd=fd, follow_symlinks=False)
        except CannotRead as error:
            if error.problem == "root-changed":
                raise
            return None  # behind a link: nothing of ours
        except (NotFound, OSError):
            return None
        return stamp_of(found) if found.st_mode & 0o170000 == 0o100000 else None

    def names(self, folder: str, limit: int = 1_000_000) -> list[str]:
        try:
            with self._gate.folder(folder) as fd:
                at = os.fstat(fd).st_ctime_ns
                if self._listed.get(folder, (0, []))[0] != at:
                    # The first question answers for nearly every name, without a call.
                    names = [
                        it for it in os.listdir(fd) if (it[-3:] == ".md" and it[0].isalnum()) or not is_dropping(it)
                    ]
                    names.sort()
                    # A change in the same moment would leave the same time.
                    is_known = len(names) > _MANY and time.time_ns() - at > _MOMENT_NS
                    self._listed[folder] = (at if is_known else 0, names)
                return self._listed[folder][1][:limit]
        except NotFound:
            return []

    def survey(self, folder: str) -> list[Survey]:
        try:
            with self._gate.folder(folder) as fd, os.scandir(fd) as found:
                return [
                    (entry.name, stat.st_mtime_ns, stat.st_size, stat.st_ino)
                    for entry in found
                    if not is_dropping(entry.name) and (stat := _stat(entry))
                ]
        except NotFound:
            return []

    # -- writing -------------------------------------------------------------------------------------------------

    def commit(
        self,
        path: str,
        change: Change,
        note: Note,
        keep_mtime: bool = False,
        turn: AbstractContextManager[None] | None = None,
    ) -> Content:
        split(path)
        give_up = time.monotonic() + _RETRY_SECONDS
        with writing(path) as step, ExitStack() as until_swapped:
            if turn:
                until_swapped.enter_context(turn)
            step.on_swapped = until_swapped.close
            while time.monotonic() < give_up:
                # Decided anew in each round: the change must be right for the bytes that it replaces.
                base, new = decide(path, lambda: self._read_if_there(path), change, self._clock)
                if base and base.data == new:
                    return base
                mtime_ns = base.stamp.mtime_ns if base and keep_mtime else None
                written = self._replace(path, base, new, note() if callable(note) else note, mtime_ns, step)
                if written:
                    return written
        raise Busy(path, "another process, which keeps changing it")

    def move(self, source: str, target: str, note: bytes | None) -> None:
        (from_folder, from_name), (to_folder, to_name) = split(source), split(target)
        with writing(source) as step, ExitStack() as opened:
            bench = opened.enter_context(self._private.bench())
            try:
                from_fd = opened.enter_context(self._gate.folder(from_folder))
                found = os.stat(from_name, dir_fd=from_fd, follow_symlinks=False)
            except (FileNotFoundError, NotFound):
                raise NotFound("file", source) from None
            to_fd = opened.enter_context(self._making(to_folder))
            intent = self._intent(target, MOVED, str(found.st_ino))
            self._private.write_note(bench, intent, note)
            # The note is on disk before the move: after a crash the inode tells whether the move was made.
            try:
                with locked(from_fd, source):
                    kernel.place(from_fd, from_name, to_fd, to_name)
            except BaseException as error:
                forget(bench, intent.name + NOTE)
                raise _move_refused(error, source, target) from error
            # The target's folder first: a power cut in between may leave the file in both, never in neither.
            step.unknown = True
            self._private.sync(to_fd, from_fd)
            self._journal(bench, intent, note)

    def remove(self, path: str, note: bytes | None) -> None:
        folder, name = split(path)
        with writing(path) as step, suppress(NotFound), self._gate.folder(folder) as fd, self._private.bench() as bench:
            try:
                found = os.stat(name, dir_fd=fd, follow_symlinks=False)
            except FileNotFoundError:
                return
            intent = self._intent(path, GONE, str(found.st_ino))
            self._private.write_note(bench, intent, note)
            try:
                with locked(fd, path):
                    (os.rmdir if stat.S_ISDIR(found.st_mode) else os.unlink)(name, dir_fd=fd)
            except BaseException as error:
                forget(bench, intent.name + NOTE)
                if isinstance(error, FileNotFoundError):
                    return
                raise
            step.unknown = True
            self._private.sync(fd)
            self._journal(bench, intent, note)

    def append(self, path: str, line: bytes) -> None:
        folder, name = split(path)
        with writing(path) as step, self._making(folder) as fd:
            if path == journal_path(self._clock.now()):
                self._journal_is_plain(fd, name)
            append_line(fd, name, line, path, self._durable, step)

    def folder(self, path: str) -> None:
        split(path)
        with writing(path), self._gate.making(path, self._durable):
            pass

    def opened(self) -> AbstractContextManager[int]:
        """A descriptor of the root."""
        return self._gate.folder("")

    # -- after a crash, and after foreign editors ----------------------------------------------------------------

    def has_leftovers(self) -> bool:
        """Whether `recover` or `adopt` may find something: two listings."""
        return any(self._has_names(folder) for folder in ("swap", "kept"))

    def _has_names(self, folder: str) -> bool:
        try:
            with self._private.existing(folder) as there:
                return bool(os.listdir(there))
        except NotFound:
            return False

    def recover(self, seconds: float = 0.0) -> list[tuple[str, str]]:
        from claw_files.system.crash_recovery import Recovery

        return Recovery(self._gate, self._private, self, self.journal, self._clock).recover(seconds)

    def adopt(self) -> list[tuple[str, str]]:
        """Check the versions displaced in the last ten minutes; returns (path, what was done) for each find.

        Lines that an editor added to a displaced version are added to the live file, any other change goes to
        conflicts/ with its reason. Cheap when there is nothing.
        """
        from claw_files.system.crash_recovery import Recovery

        return Recovery(self._gate, self._private, self, self.journal, self._clock).adopt()

    # -- one write, step by step ---------------------------------------------------------------------------------

    def _read_if_there(self, path: str) -> Content | None:
        try:
            return self._gate.read(path, HAND_BYTES)
        except NotFound:
            return None

    def _replace(
        self, path: str, base: Content | None, new: bytes, note: bytes | None, mtime_ns: int | None, step: WriteProgress
    ) -> Content | None:
        """Replace `base` with `new`, durably. None: the file was changed meanwhile, decide again."""
        folder, name = split(path)
        with self._making(folder) as target, self._private.bench() as bench:
            intent = self._intent(path, mark(base.data) if base else NONE, digest(new))
            try:
                self._prepare(bench, intent, new, status_in(target, name) if base else None, note, mtime_ns)
                # Taken before the swap: afterwards an editor may have written into the file already.
                stamp = stamp_of(os.stat(intent.name, dir_fd=bench, follow_symlinks=False))
                with locked(target, path):
                    swapped = self._swap_in(bench, intent, target, name, base, new, step)
            except BaseException:
                if not step.unknown:
                    self._private.discard(bench, intent)
                raise
            if not swapped:
                self._private.discard(bench, intent)
                return None
            # The next writer may start now: the new content is in place, only its durability is missing.
            step.on_swapped()
            self._private.sync(target, bench)
            self._journal(bench, intent, note)
            self._private.keep(bench, intent)
            return Content(data=new, stamp=stamp)

    def _prepare(
        self,
        bench: int,
        intent: Intent,
        new: bytes,
        like: os.stat_result | None,
        note: bytes | None,
        mtime_ns: int | None,
    ) -> None:
        """Write the new content to swap/, durably. It gets its final name only when it is complete."""
        new_file(
            bench,
            intent.name + PART,
            new,
            sync=self._durable,
            like=like,
            mtime_ns=mtime_ns,
            mask=self._gate.mask,
        )
        # Renamed last: a file without the ending has its note beside it, and recovery may believe both.
        self._private.write_note(bench, intent, note)
        os.rename(intent.name + PART, intent.name, src_dir_fd=bench, dst_dir_fd=bench)

    def _swap_in(
        self, bench: int, intent: Intent, target: int, name: str, base: Content | None, new: bytes, step: WriteProgress
    ) -> bool:
        """Exchange and compare, under the folder's lock. False: the live file was not `base`; nothing was changed."""
        if base is None:
            try:
                kernel.place(bench, intent.name, target, name)
            except FileExistsError:
                return False
            step.unknown = True
            return True
        # Read again under the lock: another command may have written since the change was decided.
        now = content_in(target, name)
        if now is None or now.data != base.data:
            return False
        # From here on swap/ may hold an editor's bytes: any interruption, even Ctrl-C, must leave them to recovery.
        step.unknown = True
        try:
            kernel.exchange(bench, intent.name, target, name)
        except OSError as error:
            step.unknown = False
            if isinstance(error, FileNotFoundError):
                return False
            if error.errno not in kernel.MISSING:
                raise
            os.rename(intent.name, name, src_dir_fd=bench, dst_dir_fd=target)  # the weaker promise
            step.unknown = True
            return True
        # The lock excludes clawfiles, not editors: the displaced version shows whether one wrote in between.
        displaced = content_in(bench, intent.name)
        if displaced is not None and displaced.data == base.data:
            return True
        if displaced is not None:
            self._private.keep_copy(intent, base.data, displaced.data, self._clock.now())
        self._put_back(bench, intent, target, name, new)
        step.unknown = False
        return False

    def _put_back(self, bench: int, intent: Intent, target: int, name: str, new: bytes) -> None:
        """Give the name back to the foreign version. A third writer's version is kept, and checked by `adopt`."""
        try:
            kernel.exchange(bench, intent.name, target, name)
        except FileNotFoundError:  # ours was deleted meanwhile: the editor's version is the newest
            with suppress(FileExistsError):
                kernel.place(bench, intent.name, target, name)
        back = content_in(bench, intent.name)
        if back is None or back.data != new:
            self._private.keep(bench, intent)

    def _making(self, folder: str) -> AbstractContextManager[int]:
        """The folder of a file to be written, created if missing."""
        return self._gate.making(folder, sync=self._durable) if folder else self._gate.folder("")

    def _intent(self, path: str, base: str, new: str) -> Intent:
        return self._private.plan(path, base, new, self._clock.now())

    def _journal(self, bench: int, intent: Intent, note: bytes | None) -> None:
        if note is not None:
            self.made.append(note)
            self.journal(note)
            forget(bench, intent.name + NOTE)

    def journal(self, line: bytes) -> None:
        """Append one line to today's journal (UTC), durably. Raises OSError, which the caller words."""
        path = journal_path(self._clock.now())
        folder, name = split(path)
        try:
            opened = self._gate.making(folder, sync=self._durable)
        except CannotRead:
            self._move_aside(folder)
            opened = self._gate.making(folder, sync=self._durable)
        with opened as fd:
            self._journal_is_plain(fd, name)
            append_line(fd, name, line, path, self._durable, WriteProgress())

    def _move_aside(self, folder: str) -> None:
        """Move a non-folder away from the name of the journal's folder."""
        with self._gate.folder("") as root:
            found = status_in(root, folder)
            if found is not None and not stat.S_ISDIR(found.st_mode):
                os.rename(folder, f"{folder}.{time.time_ns()}.kept", src_dir_fd=root, dst_dir_fd=root)

    def _journal_is_plain(self, fd: int, name: str) -> None:
        """Move aside anything but a regular file under the journal's name, so that no write fails for it."""
        found = status_in(fd, name)
        if found is None or (stat.S_ISREG(found.st_mode) and found.st_nlink == 1):
            return
        kept = f"{name}.{time.time_ns()}.kept"
        with suppress(FileNotFoundError):  # another process was faster
            os.rename(name, kept, src_dir_fd=fd, dst_dir_fd=fd)
            why = f"{name} was no plain file; it is {kept} now"
            line = render(Audit(JournalEvent.RECOVER, why=why), self._clock.now())
            append_line(fd, name, line, name, self._durable, WriteProgress())


def _stat(entry: "os.DirEntry[str]") -> os.stat_result | None:
    try:
        return entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None


def _move_refused(error: BaseException, source: str, target: str) -> BaseException:
    if isinstance(error, OSError) and error.errno in (errno.EEXIST, errno.ENOTEMPTY):
        return Conflict(f"{target} is already there")
    return NotFound("file", source) if isinstance(error, FileNotFoundError) else error
