"""A command typed as root in a folder of somebody else leaves nothing behind that its owner cannot write."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from claw_files.testing.patience import until

ROOT = Path(__file__).parents[2]
OWNER = 65534
TEAM = """
[workspace]
coordinator = "sam"
[agents.sam]
reports_to = "dimitrios"
[agents.peter]
reports_to = "sam"
runtime = "inbox"
[agents.writer]
kind = "worker"
command = ["echo", "hello"]
[agents.dimitrios]
kind = "human"
channels = ["file:announcements.md"]
"""

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("setpriv"), reason="only root makes files for somebody else"
)


@pytest.fixture
def theirs() -> Iterator[Path]:
    """A workspace of an ordinary user, in a folder of theirs."""
    folder = Path(tempfile.mkdtemp(prefix="theirs-"))
    (folder / "clawfiles.toml").write_text(TEAM)
    for path in (folder, folder / "clawfiles.toml"):
        os.chown(path, OWNER, OWNER)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def run(folder: Path, *command: str, as_owner: bool = False) -> subprocess.CompletedProcess[str]:
    """One command of ours, by root or by the owner of the workspace."""
    who = ("setpriv", f"--reuid={OWNER}", f"--regid={OWNER}", "--clear-groups") if as_owner else ()
    env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HOME": "/nonexistent", "SUDO_UID": str(OWNER)}
    started = [*who, sys.executable, "-m", "claw_files", "-C", str(folder), *command]
    return subprocess.run(started, capture_output=True, text=True, env=env, check=False, cwd=folder)


def of_root(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.lstat().st_uid == 0)


def test_files_created_by_root_belong_to_the_owner_of_their_folder(theirs: Path) -> None:
    def ours(*command: str) -> None:
        done = run(theirs, *command)
        assert done.returncode == 0, done.stderr

    ours("init")
    ours("task", "new", "Read it", "--to", "peter", "--agent", "sam", "--body", "clawfiles.toml")
    ours("spawn", "Write it", "--worker", "writer", "--label", "it", "--size", "S", "--agent", "sam")
    ours("heartbeat")
    ours("claim", "TC-1", "--agent", "peter")
    ours("progress", "TC-1", "half of it", "--agent", "peter")
    until(lambda: "ended:" in next(theirs.glob("runs/*/run.md")).read_text(), "the worker ended")
    ours("heartbeat")
    ours("doctor", "--repair")

    assert (theirs / ".clawfiles").stat().st_uid == OWNER
    assert of_root(theirs) == []


def test_after_a_command_of_root_the_owner_goes_on(theirs: Path) -> None:
    assert run(theirs, "init").returncode == 0
    assert run(theirs, "task", "new", "Read it", "--to", "peter", "--agent", "sam").returncode == 0

    for command in (("heartbeat",), ("claim", "TC-1", "--agent", "peter"), ("done", "TC-1", "--agent", "peter")):
        done = run(theirs, *command, as_owner=True)
        assert done.returncode == 0, done.stderr


def test_existing_files_keep_their_owner(theirs: Path) -> None:
    """A name in their folder may be a second name of a file that is root's."""
    run(theirs, "init", as_owner=True)
    run(theirs, "task", "new", "Read it", "--agent", "sam", as_owner=True)
    secret = theirs.parent / f"{theirs.name}.secret"
    secret.write_text("root's\n")
    claims = theirs / ".clawfiles/claims"
    for folder in (claims.parent, claims):
        folder.mkdir(exist_ok=True)
        os.chown(folder, OWNER, OWNER)
    os.link(secret, claims / "tc-1.log")
    try:
        run(theirs, "claim", "TC-1", "--agent", "peter")
        assert secret.stat().st_uid == 0
    finally:
        secret.unlink()


def spoiled(folder: Path, path: str) -> None:
    """What one command of root left behind before new files were handed over."""
    for it in (folder / path, *(folder / path).rglob("*")):
        os.chown(it, 0, 0)
        it.chmod(0o700 if it.is_dir() else 0o600)


@pytest.mark.parametrize("path", [".clawfiles", "audit/{day}.jsonl", "inbox/peter/new", "status"])
def test_unwritable_files_are_reported_by_heartbeat_and_doctor(theirs: Path, path: str) -> None:
    for command in (("init",), ("task", "new", "Read it", "--to", "peter", "--agent", "sam"), ("heartbeat",)):
        assert run(theirs, *command, as_owner=True).returncode == 0
    path = path.format(day=next((theirs / "audit").iterdir()).stem)
    assert run(theirs, "doctor", as_owner=True).returncode == 0

    spoiled(theirs, path)

    for command, status in ((("heartbeat",), 6), (("heartbeat", "--check"), 1), (("doctor",), 1)):
        done = run(theirs, *command, as_owner=True)
        assert done.returncode == status, (command, done.stdout, done.stderr)
        assert path in done.stdout + done.stderr
    assert "not-writable" in run(theirs, "doctor", as_owner=True).stdout
