"""A copy of the package, changed as a section of docs/how-to/extend.md says, and a workspace that uses it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/how-to/extend.md"
BLOCK = re.compile(r"^```diff file=(?P<file>\S+)\n(?P<lines>.*?)^```$", re.MULTILINE | re.DOTALL)


def section(heading: str) -> str:
    """The text of the page's section."""
    found = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert found, f"no section {heading!r}"
    return found[1]


def apply(package: Path, file: str, lines: list[str]) -> None:
    """Change the file as the block says: its old lines must be there, once."""
    path = package / file
    old = "".join(f"{line[1:]}\n" for line in lines if line[:1] in (" ", "-"))
    new = "".join(f"{line[1:]}\n" for line in lines if line[:1] in (" ", "+"))
    if not old:
        assert not path.exists(), f"{file} exists already"
        path.write_text(new)
        return
    text = path.read_text()
    assert text.count(old) == 1, f"{file}: the page's lines are there {text.count(old)} times:\n{old}"
    path.write_text(text.replace(old, new))


class Extended:
    """The changed package, and one workspace."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.root = folder, folder / "team"
        for name in ("claw_files", "templates", "docs/generate"):
            shutil.copytree(ROOT / name, folder / name)  # with what was compiled

    def follow(self, heading: str) -> None:
        """Do what the section says."""
        blocks = list(BLOCK.finditer(section(heading)))
        assert blocks, f"{heading}: no block"
        for block in blocks:
            lines = [line or " " for line in block["lines"].splitlines()]
            apply(self.folder / "claw_files", block["file"], lines)
        self.root.mkdir()

    def run(self, *words: str, by: str = "sam", status: int | None = 0) -> str:
        """What the command prints, run with the changed package."""
        return self._python("-m", "claw_files", "-C", str(self.root), *words, by=by, status=status)

    def python(self, script: str, *arguments: str) -> str:
        """What the script prints, run with the changed package."""
        return self._python("-c", script, *arguments)

    def _python(self, *words: str, by: str = "sam", status: int | None = 0) -> str:
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "CLAWFILES_AGENT": by}
        environment["PYTHONPATH"] = str(self.folder)
        done = subprocess.run(
            [sys.executable, *words],
            env=environment, cwd=self.folder, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert status in (None, done.returncode), done.stdout + done.stderr
        return done.stdout + done.stderr

    def configure(self, text: str) -> None:
        (self.root / "clawfiles.toml").write_text(text)

    def write(self, path: str, text: str) -> None:
        (self.root / path).write_text(text)

    def read(self, path: str) -> str:
        return (self.root / path).read_text()


@pytest.fixture
def extended(tmp_path: Path) -> Extended:
    return Extended(tmp_path)
