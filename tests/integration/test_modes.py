"""What we make is for its owner alone, or for the group of a shared folder, whatever the umask; git takes none."""

import json
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from claw_files.testing.patience import until
from tests.integration.users import ALICE, NOGROUP, House, a_house, give, only_root
from tests.proofs import some

TEAM = """
[workspace]
coordinator = "sam"
[agents.sam]
reports_to = "dimitrios"
[agents.peter]
runtime = "inbox"
[agents.ada]
compartment = true
[agents.writer]
kind = "worker"
command = ["echo", "hello"]
[agents.dimitrios]
kind = "human"
channels = ["file:announcements.md"]
"""
DAY = (
    ("task", "new", "Read it", "--to", "peter", "--agent", "sam"),
    ("task", "new", "A secret", "--to", "ada", "--agent", "ada"),
    ("spawn", "Write it", "--worker", "writer", "--label", "it", "--size", "S", "--agent", "sam"),
    ("heartbeat",),
    ("claim", "TC-1", "--agent", "peter"),
    ("progress", "TC-1", "half of it", "--agent", "peter"),
    ("checkpoint", "save", "--agent", "peter"),
    ("token", "peter"),
    ("send", "dimitrios", "Hello", "--agent", "sam"),
    ("heartbeat",),
)


@pytest.fixture
def house() -> Iterator[House]:
    with a_house() as house:
        yield house


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[House, Path]]:
    """A house in which a day has passed, and a copy of its workspace."""
    with a_house() as house:
        day(house, house.workspace("ws", ALICE, TEAM), 0o022)
        yield house, copied(house.path / "ws", tmp_path_factory.mktemp("kept"))


@pytest.fixture
def lived(kept: tuple[House, Path]) -> Iterator[House]:
    """The same house, its workspace as that day left it."""
    house, workspace = kept
    shutil.rmtree(house.path / "ws")
    copied(workspace, house.path)
    yield house
    give(house.path, 0, 0o755)


def copied(folder: Path, into: Path) -> Path:
    """The folder with its owners, modes and times, there."""
    subprocess.run(["cp", "-a", str(folder), str(into)], check=True)
    return into / folder.name


def day(house: House, ws: Path, umask: int, uid: int = ALICE) -> None:
    for command in DAY:
        done = house.type(uid, *command, cwd=ws, umask=umask)
        assert done.returncode == 0, (command, done.stderr)
    until(lambda: "ended:" in next(ws.glob("runs/*/run.md")).read_text(), "the worker ended")


def modes(ws: Path) -> dict[str, int]:
    return {str(path.relative_to(ws)): stat.S_IMODE(path.lstat().st_mode) for path in ws.rglob("*")}


@only_root
@pytest.mark.parametrize("umask", some([0o000, 0o077, 0o002, 0o022], 2))
def test_all_that_we_make_is_for_its_owner_alone_whatever_the_umask(house: House, umask: int) -> None:
    parent = house.folder("desk", ALICE)
    assert house.type(ALICE, "init", "ws", cwd=parent, umask=umask).returncode == 0
    ws = parent / "ws"
    (ws / "clawfiles.toml").write_text(TEAM)

    day(house, ws, umask)

    found = modes(ws)
    assert {"HEARTBEAT.md", "status/tc-1.md", "announcements.md", "compartments/ada", ".clawfiles/tokens/peter"} <= set(
        found
    )
    assert stat.S_IMODE(ws.stat().st_mode) == 0o700
    assert {path: f"{mode:o}" for path, mode in found.items() if mode & 0o077} == {}


@only_root
@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_in_a_folder_that_a_group_shares_all_is_for_the_group_but_tokens_and_compartments(
    house: House, umask: int
) -> None:
    ws = house.workspace("ws", ALICE, TEAM)
    give(ws, ALICE, 0o2770, NOGROUP)
    assert house.type(ALICE, *DAY[0], cwd=ws).returncode == 6  # for each of them the others are others
    assert house.type(ALICE, "trust", cwd=ws).returncode == 0

    day(house, ws, umask)

    private = ("compartments", ".clawfiles/tokens")
    for path, mode in modes(ws).items():
        is_folder, is_private = (ws / path).is_dir(), path.startswith(private)
        wanted = (0o700 if is_folder else 0o600) if is_private else (0o2770 if is_folder else 0o660)
        assert path == "clawfiles.toml" or mode & 0o777 == wanted & 0o777, (path, f"{mode:o}")
        assert is_private or path == "clawfiles.toml" or (ws / path).lstat().st_gid == NOGROUP


@only_root
def test_an_existing_file_keeps_its_mode_when_written(house: House) -> None:
    ws = house.workspace("ws", ALICE, TEAM)
    (ws / "HEARTBEAT.md").write_text("# Ledger\n")
    give(ws / "HEARTBEAT.md", ALICE, 0o644)

    assert house.type(ALICE, *DAY[0], cwd=ws).returncode == 0

    assert "TC-1" in (ws / "HEARTBEAT.md").read_text()
    assert modes(ws)["HEARTBEAT.md"] == 0o644
    assert stat.S_IMODE(ws.stat().st_mode) == 0o755


def git(ws: Path, *words: str) -> str:
    env = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
    return subprocess.run(["git", *words], cwd=ws, env=env, capture_output=True, text=True, check=True).stdout


@only_root
def test_git_takes_no_token_and_nothing_of_a_compartment(lived: House) -> None:
    ws = lived.path / "ws"
    for path in (ws, *ws.rglob("*")):
        os.chown(path, 0, 0, follow_symlinks=False)
    git(ws, "init", "-q")

    git(ws, "add", "-A")

    taken = git(ws, "ls-files").splitlines()
    assert "status/tc-1.md" in taken
    assert [path for path in taken if path.startswith((".clawfiles", "compartments"))] == []


# --- what was made by others, or before


def findings(house: House, ws: Path) -> dict[str, str]:
    """What the doctor finds about modes: the file by its code."""
    found = json.loads(house.type(ALICE, "doctor", "--json", cwd=ws).stdout)["findings"]
    return {one["code"]: one["file"] for one in found if one["code"].startswith(("others-", "open-", "untrusted"))}


def made_under_an_open_umask(lived: House, mask: int) -> Path:
    """As an older version made it: every file and folder with what the umask left."""
    ws = lived.path / "ws"
    for path in ws.rglob("*"):
        if ".clawfiles" not in path.parts and "compartments" not in path.parts:
            path.chmod((0o777 if path.is_dir() else 0o666) & ~mask)
    return ws


@only_root
def test_the_doctor_names_what_others_can_read(lived: House) -> None:
    ws = made_under_an_open_umask(lived, 0o022)
    assert findings(lived, ws) == {"others-read": "clawfiles.toml"}

    for path in (ws / "clawfiles.toml", *ws.glob("*")):
        path.chmod(path.stat().st_mode & 0o700)
    assert findings(lived, ws) == {}


@only_root
@pytest.mark.parametrize(
    "path", some(["HEARTBEAT.md", "status", "inbox/peter/cur", "audit/{day}", "status/tc-1.md"], 3)
)
def test_the_doctor_names_what_others_can_write(lived: House, path: str) -> None:
    ws = made_under_an_open_umask(lived, 0o077)
    path = path.replace("{day}", next((ws / "audit").iterdir()).name)
    for part in Path(path).parents:
        (ws / part).chmod(0o711)
    (ws / path).chmod(0o702)

    assert findings(lived, ws) == {"others-write": path}


@only_root
def test_nothing_is_said_of_what_others_cannot_reach(lived: House) -> None:
    ws = made_under_an_open_umask(lived, 0o000)
    (ws / "clawfiles.toml").chmod(0o644)
    lived.path.chmod(0o700)
    os.chown(lived.path, ALICE, ALICE)

    assert findings(lived, ws) == {}


@only_root
def test_a_group_that_shares_the_folder_is_not_others(house: House) -> None:
    ws = house.workspace("ws", ALICE, TEAM)
    give(ws, ALICE, 0o2770, NOGROUP)
    house.type(ALICE, "trust", cwd=ws)
    day(house, ws, 0o022)

    assert findings(house, ws) == {}
    give(ws, ALICE, 0o2771, NOGROUP)
    (ws / "HEARTBEAT.md").chmod(0o662)
    assert findings(house, ws)["others-write"] == "HEARTBEAT.md"
