"""A watcher that tells what a test says, and breaks when a test wants it to."""

import os
from collections.abc import Callable, Iterable

from claw_files.daemon.observers import Identity, WatchFault, identity


class FakeWatcher:
    """Hears of what is told to it with `happen`, in the folders it watches; as `Events` does of the kernel."""

    backend = "events"

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._watched: dict[str, Identity] = {}
        self.faults: list[WatchFault] = []  # what the next look finds
        self.deaf = False  # nothing is heard any more
        self.closed = False

    def watch(self, folders: Iterable[str]) -> None:
        there = {folder: found for folder in folders if (found := identity(folder))}
        for folder, found in there.items():
            if self._watched.get(folder) != found:
                self._tell(folder)
        self._watched = there

    def look(self) -> list[WatchFault]:
        faults, self.faults = self.faults, []
        return faults

    def close(self) -> None:
        self.closed, self._watched = True, {}

    def happen(self, path: str) -> None:
        """Something happened at the absolute path."""
        folder = os.path.dirname(path)
        if not self.deaf and self._watched.get(folder) is not None and self._watched[folder] == identity(folder):
            self._tell(path)
