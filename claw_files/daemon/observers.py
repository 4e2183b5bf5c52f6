"""Observers of changes in folders: kernel events (watchdog), or polling.

Whichever it is tells of paths, into `Hints`, and decides nothing. Both pass `tests/contract/test_watchers.py`.
"""

import logging
import os
import threading
import warnings
from collections.abc import Callable, Iterable
from contextlib import suppress
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from claw_files.system.inotify_info import watched_inodes

if TYPE_CHECKING:
    from watchdog.events import FileSystemEvent

_OVERFLOW = "queue overflowed"
_JOIN_SECONDS = 2.0

Tell = Callable[[str], None]
"""Takes the absolute path at which something happened; from any thread."""

Identity = tuple[int, int]
"""Device and inode of a folder."""


class WatchFault(StrEnum):
    """The kinds of watch faults."""

    DEAD = "dead"  # a thread that has ended
    OVERFLOW = "overflow"  # events were lost
    UNWATCHED = "unwatched"  # a folder that is there and not watched
    NO_EVENTS = "no-events"  # the canary's event did not come
    NO_WATCHES = "no-watches"  # the system has none left
    NO_WORKSPACE = "no-workspace"  # the root is gone, or another folder has its name


class Watcher(Protocol):
    """Reports changes in folders, not in their subfolders: each folder is given separately."""

    backend: str

    def watch(self, folders: Iterable[str]) -> None:
        """Watch exactly these folders (absolute) from now on. Missing ones are skipped.

        A new or replaced folder is itself reported as a hint, because files may have arrived before the watch.
        Raises OSError when the system has no watches left.
        """

    def look(self) -> list[WatchFault]:
        """The current faults; called about once a second. A polling watcher polls here."""

    def close(self) -> None:
        """Watch nothing any more."""


def identity(path: str) -> Identity | None:
    """The identity of the folder; None without one."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


class KernelObserver:
    """By the kernel's events."""

    backend = "events"

    def __init__(self, tell: Tell) -> None:
        """Raises OSError when the system has no inotify instances left."""
        from watchdog.observers import Observer

        _pair_no_moves()
        # watchdog 7.1 prints its whole table of watches when it replaces one.
        warnings.filterwarnings("ignore", module=r"watchdog\.observers\.inotify")
        self._tell = tell
        self._watched: dict[str, tuple[Identity, Any]] = {}
        self._overflow = _Overflow()
        self._observer: Any = Observer()
        self._observer.daemon = True
        self._observer.start()

    def watch(self, folders: Iterable[str]) -> None:
        wanted = {folder: found for folder in folders if (found := identity(folder))}
        for folder, (was, watch) in list(self._watched.items()):
            if wanted.get(folder) != was:
                self._forget(folder, watch)
        for folder, found in wanted.items():
            if folder not in self._watched:
                self._add(folder, found)

    def _add(self, folder: str, found: Identity) -> None:
        try:
            watch = self._observer.schedule(_Handler(self._tell), folder, event_filter=_wanted_events())
        except FileNotFoundError:
            return
        self._watched[folder] = (found, watch)
        self._tell(folder)

    def _forget(self, folder: str, watch: Any) -> None:
        del self._watched[folder]
        with suppress(KeyError, OSError, RuntimeError):
            self._observer.unschedule(watch)

    def look(self) -> list[WatchFault]:
        faults = []
        # A deleted folder ends its thread; this is not a fault, and the next `watch` skips it.
        there = {folder for folder, (was, _) in self._watched.items() if identity(folder) == was}
        reader = getattr(self._observer, "_inotify_fd", None)
        alive = self._observer.is_alive() and (reader is None or reader.is_alive())
        dead = [it for it in list(self._observer.emitters) if it.watch.path in there and not it.is_alive()]
        if not alive or dead:
            faults.append(WatchFault.DEAD)
        if self._overflow.happened():
            faults.append(WatchFault.OVERFLOW)
        known = watched_inodes()
        if known is not None and any(self._watched[folder][0][1] not in known for folder in there):
            faults.append(WatchFault.UNWATCHED)
        return faults

    def close(self) -> None:
        self._overflow.close()
        # A broken observer may never end; the process's exit frees its resources.
        ending = threading.Thread(target=self._end, daemon=True)
        ending.start()
        ending.join(_JOIN_SECONDS)

    def _end(self) -> None:
        with suppress(Exception):
            self._observer.stop()
            self._observer.join(_JOIN_SECONDS)


class _Handler:
    """Adds the path of every event to the set, and nothing else: it runs in watchdog's thread."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell

    def dispatch(self, event: "FileSystemEvent") -> None:
        with suppress(Exception):  # no error may end the thread that reports all other folders
            for path in (event.src_path, event.dest_path):
                if path:
                    self._tell(os.fsdecode(path))


def _pair_no_moves() -> None:
    """Make watchdog report a move out of a folder immediately, and later events without delay.

    It would keep it for half a second, and everything behind it in the same folder, to tell of both ends in one event.
    Here each end is a path at which something happened; and who reads a message moves it out of new/.
    """
    with suppress(ImportError):
        from watchdog.observers.inotify_move_event_grouper import InotifyMoveEventGrouper

        InotifyMoveEventGrouper.delay = 0.0


def _wanted_events() -> list[Any]:
    """All events except opening and closing for reading: the daemon's own reads would wake it forever."""
    from watchdog import events

    files = (events.FileCreatedEvent, events.FileModifiedEvent, events.FileMovedEvent, events.FileDeletedEvent)
    folders = (events.DirCreatedEvent, events.DirMovedEvent, events.DirDeletedEvent)
    return [*files, events.FileClosedEvent, events.FileAttribEvent, *folders]


class _Overflow(logging.Handler):
    """Detects that the kernel dropped events, which watchdog only logs."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._happened = False
        self._loggers = [logging.getLogger(f"watchdog.observers.{name}") for name in ("inotify_c", "inotify")]
        for logger in self._loggers:
            logger.addHandler(self)
            logger.propagate = False

    def emit(self, record: logging.LogRecord) -> None:
        if _OVERFLOW in str(record.msg):
            self._happened = True

    def happened(self) -> bool:
        """Whether it occurred since the last call."""
        happened, self._happened = self._happened, False
        return happened

    def close(self) -> None:
        for logger in self._loggers:
            logger.removeHandler(self)
        super().close()


class PollingObserver:
    """Polls the folders: for file systems without events, and when no watches are left."""

    backend = "polling"

    def __init__(self, tell: Tell, every: float = 2.0, clock: Callable[[], float] | None = None) -> None:
        """`every` in seconds; `clock` in seconds that never step back."""
        import time

        self._tell, self._every, self._clock = tell, every, clock or time.monotonic
        self._watched: dict[str, Identity] = {}
        self._seen: dict[str, frozenset[tuple[str, int, int, int]]] = {}
        self._next = 0.0

    def watch(self, folders: Iterable[str]) -> None:
        there = {folder: found for folder in folders if (found := identity(folder))}
        same = {folder for folder, found in there.items() if self._watched.get(folder) == found}
        self._seen = {folder: seen for folder, seen in self._seen.items() if folder in same}
        self._watched = there
        for folder in there:
            if folder not in self._seen:
                self._seen[folder] = _listed(folder)
                self._tell(folder)

    def look(self) -> list[WatchFault]:
        if self._clock() >= self._next:
            self._next = self._clock() + self._every
            for folder, before in list(self._seen.items()):
                now = self._seen[folder] = _listed(folder)
                for name in {entry[0] for entry in before ^ now}:
                    self._tell(os.path.join(folder, name))
        return []

    def close(self) -> None:
        self._seen = {}


def watcher(polling: bool, tell: Tell) -> Watcher:
    """The watcher for this machine. Raises OSError if events are required and unavailable."""
    return PollingObserver(tell) if polling else KernelObserver(tell)


def _listed(folder: str) -> frozenset[tuple[str, int, int, int]]:
    """Everything in a folder with time, size and inode."""
    found = []
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):
                stat = entry.stat(follow_symlinks=False)
                found.append((entry.name, stat.st_mtime_ns, stat.st_size, stat.st_ino))
    return frozenset(found)
