"""Test helpers, also for users: a manual clock, simulated crashes, and patience."""

from claw_files.testing.clock import FakeClock
from claw_files.testing.patience import until

__all__ = ["Crash", "FakeClock", "until"]


class Crash(BaseException):
    """The process died here. No Exception, so that no `except` of the code under test survives it."""
