"""A workspace that can be made ill, and a doctor who looks at it."""

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from claw_files.doctor.checkup import examine
from claw_files.doctor.findings import Finding
from claw_files.doctor.repair import Repair, RepairStep
from tests.support.office import Office


class Clinic(Office):
    """An office with the doctor in it."""

    @property
    def now(self) -> float:
        return self.clock.now().timestamp()

    def findings(self) -> list[Finding]:
        return examine(str(self.root), self.now)

    def codes(self) -> list[str]:
        return sorted({one.code for one in self.findings()})

    def repair(self) -> list[RepairStep]:
        """What was mended; everything had to go well."""
        app = self.app("sam")
        repair = Repair(app.workspace, app.files, app.runtime, app.actor)
        done = repair.mend()
        assert repair.failed == []
        self.settle()
        return done

    def openclaw(self, config: str) -> None:
        """OpenClaw's configuration on this machine."""
        (self.root.parent / "openclaw.json").write_text(config)

    def age(self, path: str, seconds: float) -> None:
        """Let the file be that old."""
        os.utime(self.root / path, (self.now - seconds,) * 2, follow_symlinks=False)

    def status(self, task: str, front: str, body: str = "") -> None:
        """A status file as clawfiles writes it."""
        self.write(f"status/{task.lower()}.md", f"---\nid: {task}\n{front.strip()}\n---\n{body}")

    def held(self, task: str = "TC-1", more: str = "") -> None:
        """A task in progress, with its line."""
        text = f"title: A bug\nstatus: in_progress\nassignee: peter\ngeneration: 1\nrecorded: in_progress\n{more}"
        self.status(task, text)
        with (self.root / "HEARTBEAT.md").open("a") as file:
            file.write(f"- {task} delegated to peter, check at 2026-03-07 10:00\n")
        self.settle()

    def message(self, key: str = "tc-1.1", to: str = "peter", box: str = "new", task: str = "TC-1") -> str:
        path = f"inbox/{to}/{box}/20260307T084500Z-{key}.md"
        front = f"id: 20260307T084500Z-{key}\nkey: {key}\nkind: task\nfrom: sam\nto: {to}\ntask: {task}"
        self.write(path, f"---\n{front}\n---\nDo it.\n")
        return path

    def sums(self) -> dict[str, str]:
        """Every name below the root, and what is there: kind, mode, link target or digest of the bytes."""
        return {str(path.relative_to(self.root)): _sum(path) for path in sorted(self.root.rglob("*"))}


def _sum(path: Path) -> str:
    there = path.lstat()
    text = f"{stat.filemode(there.st_mode)} {there.st_mtime_ns if not stat.S_ISDIR(there.st_mode) else ''} "
    if stat.S_ISLNK(there.st_mode):
        return text + os.readlink(path)
    if not stat.S_ISREG(there.st_mode):
        return text
    if there.st_size > 1 << 24:
        return f"{text} {there.st_size} bytes"
    mode = stat.S_IMODE(there.st_mode)
    return text + (hashlib.sha256(path.read_bytes()).hexdigest() if mode & 0o400 else "")


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    made = Clinic(tmp_path / "team")
    yield made
    made.stop()


@pytest.fixture
def one(clinic: Clinic) -> Callable[[str], Finding]:
    """The only finding of that code."""

    def pick(code: str) -> Finding:
        found = [finding for finding in clinic.findings() if finding.code == code]
        assert len(found) == 1, [finding.as_text() for finding in clinic.findings()]
        return found[0]

    return pick
