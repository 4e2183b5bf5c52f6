"""A clock that moves only when a test moves it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from claw_files.system.clock import StillClock

START = datetime(2026, 3, 7, 8, 45, tzinfo=UTC)


class FakeClock(StillClock):
    """Stands still at `start` until `advance`, `set` or `sleep`; `clock()` is `clock.now()`.

    `on_sleep` is called before each sleep, so that a test can let somebody act while we wait.
    """

    def __init__(self, start: datetime = START) -> None:
        super().__init__(start)
        self.slept: list[float] = []
        self.on_sleep: Callable[[], None] | None = None

    def __call__(self) -> datetime:
        return self.at

    def sleep(self, seconds: float) -> None:
        """Move on by `seconds` in no time."""
        self.slept.append(seconds)
        if self.on_sleep:
            self.on_sleep()
        self.advance(timedelta(seconds=seconds))

    def advance(self, by: timedelta) -> None:
        """Move both clocks on; `by` may not be negative."""
        assert by >= timedelta(0), "time passes forwards; use `set` for a clock that was put back"
        self.at += by
        self._monotonic += by.total_seconds()

    def set(self, to: datetime) -> None:
        """Put the wall clock to `to`, in either direction; the monotonic clock does not notice."""
        self.at = to
