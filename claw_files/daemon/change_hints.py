"""Queue of changed paths, from the watching threads to the loop."""

import os
import select
from contextlib import suppress


class ChangeHints:
    """A set that many threads fill and one empties, with a wait.

    No lock is used, because signal handlers reach in here, too: each step is one operation on a dict, and the wait is
    on a pipe, which a signal can end.
    """

    def __init__(self) -> None:
        self._paths: dict[str, None] = {}
        self._read, self.wakeup = os.pipe()  # signals also write to `wakeup`
        os.set_blocking(self._read, False)
        os.set_blocking(self.wakeup, False)

    def add(self, path: str) -> None:
        """Something may have happened at `path` (absolute)."""
        self._paths[path] = None
        self.wake()

    def wake(self) -> None:
        """End a wait."""
        with suppress(OSError):  # the pipe is full: it wakes anyway
            os.write(self.wakeup, b"!")

    def take(self) -> set[str]:
        """All hints since the last call; a concurrent hint is in this answer or in the next."""
        found = set[str]()
        with suppress(KeyError):
            while True:
                found.add(self._paths.popitem()[0])
        return found

    def wait(self, seconds: float) -> bool:
        """Wait for a hint or a signal, up to a limit; True if one arrived."""
        poll = select.poll()  # not select, which knows no descriptor beyond 1023
        poll.register(self._read, select.POLLIN)
        ready = poll.poll(max(0.0, seconds) * 1000)
        with suppress(OSError):
            while ready and os.read(self._read, 65536):
                pass
        return bool(ready)

    def close(self) -> None:
        """Give the pipe back."""
        for fd in (self._read, self.wakeup):
            with suppress(OSError):
                os.close(fd)
