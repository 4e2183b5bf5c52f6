"""A workspace that somebody else made, and that came here by git: nothing in its `.clawfiles/` is believed."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from claw_files import __version__, config
from claw_files.app.wiring import App
from claw_files.core.digest import digest
from claw_files.core.model import AgentId
from claw_files.system.disk_files import DiskFiles
from claw_files.system.swap_folder import Intent, mark
from claw_files.testing.patience import until

ROOT = Path(__file__).parents[2]
TEAM = """
[workspace]
coordinator = "sam"
[agents.sam]
reports_to = "dimitrios"
[agents.peter]
runtime = "command"
command = ["true"]
[agents.dimitrios]
kind = "human"
"""
LEDGER = "# Ledger\n"


class Machine:
    """Somebody's own folders: a workspace in one of them is made, published and cloned with real git."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        home = {f"XDG_{name}_HOME": str(path / name.lower()) for name in ("CONFIG", "STATE", "CACHE")}
        git = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_AUTHOR_NAME": "m", "GIT_AUTHOR_EMAIL": "m@example.org"}
        git |= {"GIT_COMMITTER_NAME": "m", "GIT_COMMITTER_EMAIL": "m@example.org"}
        self.env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(path)} | home | git

    def run(self, cwd: Path, *words: str, umask: int = 0o022) -> str:
        done = subprocess.run(words, cwd=cwd, env=self.env, capture_output=True, text=True, check=False, umask=umask)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    def type(self, cwd: Path, *words: str) -> str:
        return self.run(cwd, sys.executable, "-m", "claw_files", *words)

    def publish(self, ws: Path) -> None:
        """Everything, also what our .gitignore leaves out."""
        for path in ws.rglob(".gitignore"):
            path.unlink()
        self.run(ws, "git", "init", "-q")
        self.run(ws, "git", "add", "-A", "-f")
        self.run(ws, "git", "commit", "-q", "-m", "a workspace")


def used(theirs: Machine) -> Path:
    """Their workspace, in which something is done."""
    ws = theirs.path / "ws"
    ws.mkdir()
    (ws / "clawfiles.toml").write_text(TEAM)
    (ws / "HEARTBEAT.md").write_text(LEDGER)
    theirs.type(ws, "task", "new", "Look at this", "--agent", "sam")
    theirs.type(ws, "token", "dimitrios")
    theirs.type(ws, "heartbeat")
    return ws


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Machine, Path]:
    """Their machine, with a workspace in which something has been done, and a copy of all that is on it."""
    folder = tmp_path_factory.mktemp("kept")
    theirs = Machine(folder / "theirs")
    used(theirs)
    return theirs, Path(shutil.copytree(theirs.path, folder / "copy", symlinks=True))


@pytest.fixture
def theirs(kept: tuple[Machine, Path]) -> Machine:
    machine, copy = kept
    shutil.rmtree(machine.path)
    shutil.copytree(copy, machine.path, symlinks=True)
    return machine


@pytest.fixture
def ours(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "ours")


@pytest.fixture
def made(theirs: Machine) -> Path:
    """Their workspace, in which something has been done."""
    return theirs.path / "ws"


def cloned(ours: Machine, made: Path, umask: int = 0o077) -> Path:
    """With umask 077 even the tokens have the modes that we ask for."""
    ours.run(ours.path, "git", "clone", "-q", str(made), "ws", umask=umask)
    return ours.path / "ws"


def test_the_commands_of_a_copied_cache_are_not_started(tmp_path: Path, ours: Machine) -> None:
    theirs = Machine(tmp_path / "theirs")  # of its own: a cache names the very file that it was made from
    made = used(theirs)
    mark_file = ours.path / "started"
    raw = (made / "clawfiles.toml").read_bytes()
    hidden = config.parse(raw.replace(b'["true"]', json.dumps(["touch", str(mark_file)]).encode()), "clawfiles.toml")
    head = f"{__version__} {digest(raw)}\n".encode()
    for place in (made / ".clawfiles/cache", *(theirs.path / "cache/clawfiles").iterdir()):
        place.mkdir(exist_ok=True)
        (place / "config").write_bytes(head + msgspec.json.encode(hidden))
    theirs.type(made, "task", "new", "Look", "--to", "peter", "--agent", "sam")
    until(mark_file.exists, "their own cache has it started")
    mark_file.unlink()
    theirs.publish(made)
    ws = cloned(ours, made)
    before = set(ws.glob("runs/*"))

    ours.type(ws, "task", "new", "Look", "--to", "peter", "--agent", "sam")

    until(lambda: set(ws.glob("runs/*")) - before, "its agent is started")
    (run,) = set(ws.glob("runs/*")) - before
    until(lambda: "ended:" in (run / "run.md").read_text(), "the run has ended")
    assert "touch" not in (run / "run.md").read_text()
    assert not mark_file.exists()


@pytest.mark.parametrize("umask", [0o077, 0o022])
def test_a_copied_token_is_refused(ours: Machine, theirs: Machine, made: Path, umask: int) -> None:
    token = (made / ".clawfiles/tokens/dimitrios").read_text().strip()
    theirs.publish(made)
    ws = cloned(ours, made, umask)
    os.chmod(ws / ".clawfiles", 0o700)
    os.chmod(ws / ".clawfiles/tokens", 0o700)

    tokens = App(str(ws), {}, None).tokens
    assert tokens.agent_of(token) is None
    assert tokens.show(AgentId("dimitrios")) is None if umask == 0o077 else tokens.problems()
    assert "dimitrios" in tokens.problems()[0]


def test_a_token_that_is_made_here_takes_the_place_of_a_copied_one(ours: Machine, theirs: Machine, made: Path) -> None:
    old = (made / ".clawfiles/tokens/dimitrios").read_text().strip()
    theirs.publish(made)
    ws = cloned(ours, made)

    new = ours.type(ws, "token", "dimitrios", "--show").strip()

    assert new != old
    assert ours.type(ws, "token", "dimitrios", "--show").strip() == new


@pytest.mark.parametrize("path", ["clawfiles.toml", "HEARTBEAT.md", "status/tc-1.md"])
@pytest.mark.parametrize("age", [0, 300, 100_000])
def test_lines_in_copied_versions_are_added_to_nothing(
    ours: Machine, theirs: Machine, made: Path, path: str, age: int
) -> None:
    """A version that an editor went on writing into after it was displaced, as it looks in kept/."""
    before = (made / path).read_bytes()
    now = int(subprocess.run(["date", "+%s"], capture_output=True, text=True, check=True).stdout) - age
    evil = before + b'[agents.eve]\ncommand = ["touch", "started"]\n- TC-9 eve\n'
    nonce = f"{now:x}-01234567"
    for proof in ("", "0" * 16):
        intent = Intent(path.replace("/", "%"), mark(before), digest(b"new"), nonce + proof)
        (made / ".clawfiles/kept").mkdir(exist_ok=True)
        (made / ".clawfiles/kept" / intent.name).write_bytes(evil)
        (made / ".clawfiles/swap" / intent.name).write_bytes(evil)
        (made / ".clawfiles/swap" / f"{intent.name}x.note").write_bytes(b'{"action": "approve"}\n')
    theirs.publish(made)
    ws = cloned(ours, made)

    ours.type(ws, "heartbeat")
    ours.type(ws, "heartbeat")

    assert b"eve" not in (ws / path).read_bytes()
    assert b'"approve"' not in b"".join(it.read_bytes() for it in (ws / "audit").iterdir())
    assert any(b"eve" in it.read_bytes() for it in (ws / "conflicts").iterdir())


def test_late_lines_of_our_own_are_still_added(tmp_path: Path) -> None:
    """The same version, displaced by us."""
    (tmp_path / "a.md").write_text("one\n")
    files = DiskFiles(str(tmp_path))
    with open(tmp_path / "a.md", "a") as editor:
        files.commit("a.md", lambda raw: (raw or b"") + b"two\n", None)
        editor.write("three\n")

    assert files.adopt() == [("a.md", "late lines added")]
    assert (tmp_path / "a.md").read_text() == "one\ntwo\nthree\n"


def test_without_a_home_writes_recover_and_no_token_is_made(tmp_path: Path) -> None:
    ws = tmp_path / "ws"
    ws.mkdir()
    (ws / "clawfiles.toml").write_text(TEAM)
    bare = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}

    def typed(*words: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "claw_files", *words]
        return subprocess.run(command, cwd=ws, env=bare, capture_output=True, text=True, check=False)

    assert typed("task", "new", "One", "--agent", "sam").returncode == 0
    assert typed("heartbeat").returncode == 0
    done = typed("token", "peter")
    assert done.returncode == 6
    assert "set HOME or XDG_STATE_HOME" in done.stderr


def test_the_cache_is_outside_of_the_workspace_and_for_us_alone(ours: Machine, made: Path) -> None:
    shutil.copytree(made, ours.path / "ws")
    ours.type(ours.path / "ws", "task", "list")

    assert not (ours.path / "ws/.clawfiles/cache").exists()
    (folder,) = (ours.path / "cache/clawfiles").iterdir()
    assert {"config"} <= set(os.listdir(folder))
    assert [path for path in (folder, *folder.iterdir()) if path.stat().st_mode & 0o077] == []

    os.chmod(folder, 0o777)
    before = (folder / "config").stat().st_mtime_ns
    ours.type(ours.path / "ws", "task", "list")
    assert (folder / "config").stat().st_mtime_ns == before  # neither read nor written
