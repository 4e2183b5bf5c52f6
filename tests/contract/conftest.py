"""A workspace on the disk, or above it in memory, and what happens to it from outside."""

import os
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from claw_files.system.disk_files import DiskFiles
from claw_files.system.overlay_files import OverlayFiles
from claw_files.testing import FakeClock

HOUR = timedelta(hours=1)


@dataclass
class DiskWorld:
    clock: FakeClock
    files: DiskFiles
    root: Path

    def by_hand(self, path: str, data: bytes, age: timedelta = HOUR) -> None:
        """Write as an editor does; the file is then `age` old by the fake clock."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        at = (self.clock() - age).timestamp()
        os.utime(target, (at, at))

    def lose_root(self) -> None:
        """Take the workspace away."""
        self.files.names("")  # it has seen the real one
        self.root.rename(self.root.with_name("moved-away"))
        self.root.mkdir()


@dataclass
class OverlayWorld:
    """What people wrote lies on the disk, what we write in memory above it."""

    clock: FakeClock
    files: OverlayFiles
    disk: DiskWorld

    def by_hand(self, path: str, data: bytes, age: timedelta = HOUR) -> None:
        self.disk.by_hand(path, data, age)


@pytest.fixture
def disk(tmp_path: Path) -> DiskWorld:
    clock = FakeClock()
    root = tmp_path / "workspace"
    root.mkdir()
    return DiskWorld(clock, DiskFiles(str(root), clock=clock), root)


@pytest.fixture(params=["disk", "overlay"])
def world(request: pytest.FixtureRequest, disk: DiskWorld) -> DiskWorld | OverlayWorld:
    if request.param == "disk":
        return disk
    return OverlayWorld(disk.clock, OverlayFiles(disk.files, disk.clock), disk)
