"""The workday of the example workspace, lived through once by the real command."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import frontmatter
import pytest

ROOT = Path(__file__).parents[2]
ENV = {name: value for name, value in os.environ.items() if not name.startswith("CLAWFILES_")}
ENV |= {"PYTHONPATH": str(ROOT)}


class Workday:
    """The folder that a day left, and what was printed while it lasted."""

    def __init__(self, folder: Path, printed: str) -> None:
        self.folder, self.printed = folder, printed

    def text(self, path: str) -> str:
        return (self.folder / path).read_text(encoding="utf-8")

    def head(self, path: str) -> dict[str, object]:
        return frontmatter.loads(self.text(path)).metadata

    def runs(self, agent: str) -> list[dict[str, object]]:
        heads = [self.head(f"runs/{path.name}/run.md") for path in sorted((self.folder / "runs").iterdir())]
        return [head for head in heads if head["agent"] == agent]

    def journal(self) -> list[dict[str, str]]:
        lines = [line for path in sorted((self.folder / "audit").iterdir()) for line in path.read_bytes().splitlines()]
        return [json.loads(line) for line in lines]


@pytest.fixture(scope="session")
def workday(tmp_path_factory: pytest.TempPathFactory) -> Workday:
    """The same for all workers: whoever needs it first lives through it, and the others wait."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder, printed = shared / "demo/day", shared / "demo/printed"
    with (shared / "demo.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not printed.exists():
            shutil.rmtree(folder.parent, ignore_errors=True)
            folder.parent.mkdir()
            command = [sys.executable, "-m", "claw_files", "demo", "--keep", str(folder)]
            done = subprocess.run(command, env=ENV, capture_output=True, text=True)
            assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
            printed.write_text(done.stdout, encoding="utf-8")
    return Workday(folder, printed.read_text(encoding="utf-8"))
