"""What we make is for its owner alone, or for the group of a shared folder, whatever the umask; git takes none."""

import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from claw_files.testing.patience import until
from tests.integration.users import ALICE, NOGROUP, House, a_house, give, only_root

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


def day(house: House, ws: Path, umask: int, uid: int = ALICE) -> None:
    for command in DAY:
        done = house.type(uid, *command, cwd=ws, umask=umask)
        assert done.returncode == 0, (command, done.stderr)
    until(lambda: "ended:" in next(ws.glob("runs/*/run.md")).read_text(), "the worker ended")


def modes(ws: Path) -> dict[str, int]:
    return {str(path.relative_to(ws)): stat.S_IMODE(path.lstat().st_mode) for path in ws.rglob("*")}


@only_root
@pytest.mark.parametrize("umask", [0o000, 0o002, 0o022, 0o077])
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
def test_what_was_there_keeps_its_mode_when_we_write_it(house: House) -> None:
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
def test_git_takes_no_token_and_nothing_of_a_compartment(house: House) -> None:
    ws = house.workspace("ws", ALICE, TEAM)
    day(house, ws, 0o022)
    for path in (ws, *ws.rglob("*")):
        os.chown(path, 0, 0, follow_symlinks=False)
    git(ws, "init", "-q")

    git(ws, "add", "-A")

    taken = git(ws, "ls-files").splitlines()
    assert "status/tc-1.md" in taken
    assert [path for path in taken if path.startswith((".clawfiles", "compartments"))] == []
