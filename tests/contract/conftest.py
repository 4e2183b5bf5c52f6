"""A disk or a memory workspace under one handle, so that one suite asks both."""

import os
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from claw_files.system.disk_files import DiskFiles
from claw_files.testing import FakeClock, MemoryFiles

HOUR = timedelta(hours=1)


@dataclass
class MemoryWorld:
    clock: FakeClock
    files: MemoryFiles

    def by_hand(self, path: str, data: bytes, age: timedelta = HOUR) -> None:
        """Write as an editor does; the file is then `age` old by the fake clock."""
        self.files.edit_by_hand(path, data, self.clock() - age)

    def lose_root(self) -> None:
        """Take the workspace away."""
        self.files.fail_writes("the workspace is gone")


@dataclass
class DiskWorld:
    clock: FakeClock
    files: DiskFiles
    root: Path

    def by_hand(self, path: str, data: bytes, age: timedelta = HOUR) -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        at = (self.clock() - age).timestamp()
        os.utime(target, (at, at))

    def lose_root(self) -> None:
        self.files.names("")  # it has seen the real one
        self.root.rename(self.root.with_name("moved-away"))
        self.root.mkdir()


World = DiskWorld | MemoryWorld


@pytest.fixture(params=["disk", "memory"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    clock = FakeClock()
    if request.param == "memory":
        return MemoryWorld(clock, MemoryFiles(clock))
    root = tmp_path / "workspace"
    root.mkdir()
    return DiskWorld(clock, DiskFiles(str(root), clock=clock), root)
