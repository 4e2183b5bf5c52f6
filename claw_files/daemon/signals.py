"""Signal handlers of the daemon: each sets a flag for the loop and wakes it."""

import signal
from types import FrameType

from claw_files.daemon.change_hints import ChangeHints


class Signals:
    """SIGTERM and SIGINT request a stop (a second one an immediate stop), SIGHUP a reload."""

    def __init__(self) -> None:
        self.ends = 0
        self.reload = False

    def install(self, hints: ChangeHints) -> None:
        """Listen from now on; only the main thread may."""
        signal.set_wakeup_fd(hints.wakeup, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self._end)
        signal.signal(signal.SIGINT, self._end)
        signal.signal(signal.SIGHUP, self._reload)

    def _end(self, number: int, frame: FrameType | None) -> None:
        self.ends += 1

    def _reload(self, number: int, frame: FrameType | None) -> None:
        self.reload = True
