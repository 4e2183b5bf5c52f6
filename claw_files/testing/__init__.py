"""For tests, ours and yours: a clock that moves when told to, and files that live in memory."""

from claw_files.testing.clock import FakeClock
from claw_files.testing.files import Crash, MemoryFiles

__all__ = ["Crash", "FakeClock", "MemoryFiles"]
