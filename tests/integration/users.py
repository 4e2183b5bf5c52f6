"""Real users: commands as somebody else types them, in a home and in folders of theirs."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ALICE, MALLORY = 4242, 4243
NOGROUP = 65534  # the group of several users
only_root = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("setpriv"), reason="only root acts as somebody else"
)

# A Python below the home of root is closed to others: then they may enter every folder, and write no more than else.
_CLOSED = not all(path.stat().st_mode & 1 for path in Path(sys.executable).resolve().parents)
_WAY = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search") if _CLOSED else ()


class House:
    """A folder that everybody may enter, with a home for each user in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.chmod(0o755)

    def home(self, uid: int) -> Path:
        return self.folder(f"home-{uid}", uid, 0o700)

    def folder(self, name: str, uid: int, mode: int = 0o755, gid: int | None = None) -> Path:
        """A folder of that user, made if it is not there."""
        path = self.path / name
        path.mkdir(exist_ok=True)
        give(path, uid, mode, gid)
        return path

    def workspace(self, name: str, uid: int, config: str, mode: int = 0o755) -> Path:
        """A folder of that user with that configuration."""
        path = self.folder(name, uid, mode)
        (path / "clawfiles.toml").write_text(config)
        give(path / "clawfiles.toml", uid, 0o644)
        return path

    def start(
        self, uid: int, *command: str, cwd: Path, env: Mapping[str, str] | None = None, umask: int = 0o022
    ) -> "subprocess.Popen[str]":
        """A command of ours, as that user types it there."""
        who = ("setpriv", f"--reuid={uid}", f"--regid={uid}", f"--groups={NOGROUP}", *_WAY) if uid else ()
        home = str(self.home(uid))
        given = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HOME": home, "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.Popen(
            [*who, sys.executable, "-m", "claw_files", *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=given | dict(env or {}),
            cwd=cwd,
            umask=umask,
        )

    def type(
        self, uid: int, *command: str, cwd: Path, env: Mapping[str, str] | None = None, umask: int = 0o022
    ) -> "subprocess.CompletedProcess[str]":
        """The same, to its end."""
        process = self.start(uid, *command, cwd=cwd, env=env, umask=umask)
        out, err = process.communicate(timeout=120)
        return subprocess.CompletedProcess(command, process.returncode, out, err)


def give(path: Path, uid: int, mode: int, gid: int | None = None) -> None:
    os.chown(path, uid, uid if gid is None else gid)
    path.chmod(mode)


@contextmanager
def a_house() -> Iterator[House]:
    """Beside the folders of pytest itself, which are closed to other users."""
    path = Path(tempfile.mkdtemp(prefix="house-"))
    try:
        yield House(path)
    finally:
        shutil.rmtree(path, ignore_errors=True)
