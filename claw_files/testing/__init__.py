"""For tests, ours and yours: a clock that moves when told to, files that live in memory, and patience."""

from claw_files.testing.clock import FakeClock
from claw_files.testing.files import Crash, MemoryFiles
from claw_files.testing.patience import until

__all__ = ["Crash", "FakeClock", "MemoryFiles", "until"]
