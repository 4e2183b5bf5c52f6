"""The one place that reads the clock."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from math import inf
from typing import Protocol, TypeVar

Found = TypeVar("Found")


class Clock(Protocol):
    """Time as an argument, so that a test can move it."""

    def now(self) -> datetime:
        """The present, aware, UTC, in whole seconds or finer."""

    def monotonic(self) -> float:
        """Seconds that never step back."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


class StillClock:
    """Stands still at `at` until it is put elsewhere; who sleeps wakes at once, and for him alone time has passed."""

    def __init__(self, at: datetime) -> None:
        self.at = at
        self._monotonic = 0.0

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self._monotonic

    def sleep(self, seconds: float) -> None:
        self._monotonic += seconds


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def awaited(clock: Clock, look: Callable[[], Found], seconds: float = inf, pause_seconds: float = 0.2) -> Found:
    """The first result of `look` that counts as true; after so many seconds, whatever the last look found."""
    end = clock.monotonic() + seconds
    while not (found := look()) and clock.monotonic() < end:
        clock.sleep(pause_seconds)
    return found
