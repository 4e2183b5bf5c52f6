"""A configuration counts only where nobody but us and root decides what it says."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from claw_files.testing.patience import until
from tests.integration.users import ALICE, MALLORY, NOGROUP, ROOT, House, a_house, give, only_root
from tests.proofs import some

pytestmark = only_root
TEAM = """
[workspace]
coordinator = "sam"
[agents.sam]
[agents.peter]
runtime = "command"
command = ["touch", "{mark}"]
"""
NEW = ("task", "new", "Look at this", "--to", "peter", "--agent", "sam")


@pytest.fixture
def house() -> Iterator[House]:
    with a_house() as house:
        house.folder("marks", ALICE, 0o777)
        yield house


def team(house: House, name: str = "started") -> str:
    """A configuration whose agent leaves a mark."""
    return TEAM.format(mark=house.path / "marks" / name)


def marks(house: House) -> list[str]:
    return sorted(os.listdir(house.path / "marks"))


def refused(done: "subprocess.CompletedProcess[str]", path: Path, workspace: Path) -> bool:
    """Whether it was refused, with a sentence that says which file, and what to type."""
    said = done.stderr
    return done.returncode == 6 and str(path) in said and f"clawfiles trust {workspace}" in said


DOORS = [
    *(NEW, ("heartbeat",), ("heartbeat", "--check"), ("task", "list"), ("log",), ("board",), ("daemon", "run")),
    *(("daemon", "status"), ("serve",), ("mcp", "--agent", "sam"), ("doctor", "--agent", "peter"), ("prime",)),
    *(("spawn", "Do it", "--worker", "peter", "--label", "a", "--size", "S", "--agent", "sam"), ("token", "peter")),
    *(("install", "cron"), ("init",), ("init", "--for", "claude", "--remove"), ("explain", "TC-1"), ("inbox",)),
]


@pytest.mark.parametrize("command", DOORS, ids=" ".join)
def test_a_strangers_configuration_in_a_shared_folder_is_obeyed_at_no_door(
    house: House, command: tuple[str, ...]
) -> None:
    shared = house.workspace("shared", MALLORY, team(house))
    ours = house.folder("shared/mine", ALICE)
    where = shared if command[0] == "init" else ours

    done = house.type(ALICE, *command, cwd=where)

    assert done.returncode == 6, done
    assert f"{shared} decides which programs start here, and belongs to user {MALLORY}" in done.stderr
    assert f"`clawfiles trust {shared}`" in done.stderr
    assert marks(house) == []
    assert sorted(os.listdir(shared)) == ["clawfiles.toml", "mine"]


@pytest.mark.parametrize("way", ["-C", "CLAWFILES_WORKSPACE", "compartment"])
def test_naming_the_folder_does_not_bypass_the_trust_check(house: House, way: str) -> None:
    shared = house.workspace("shared", MALLORY, team(house))
    named = house.folder("shared/compartments", MALLORY) / "peter" if way == "compartment" else shared
    start = ("-C", str(shared)) if way == "-C" else ()
    env = {} if way == "-C" else {"CLAWFILES_WORKSPACE": str(named)}

    done = house.type(ALICE, *start, *NEW, cwd=house.home(ALICE), env=env)

    assert done.returncode == 6
    assert f"`clawfiles trust {shared}`" in done.stderr
    assert marks(house) == []


@pytest.mark.parametrize("name", ["", "clawfiles.toml", ".clawfiles"])
@pytest.mark.parametrize("mode", some([0o1777, 0o702, 0o775, 0o777, 0o722], 3))
def test_a_workspace_that_others_can_write_is_refused_and_reported_by_the_doctor(
    house: House, name: str, mode: int
) -> None:
    ws = house.workspace("ws", ALICE, team(house))
    house.folder("ws/.clawfiles", ALICE, 0o700)
    give(ws / name, ALICE, mode, NOGROUP)

    done, doctor = house.type(ALICE, *NEW, cwd=ws), house.type(ALICE, "doctor", "--json", cwd=ws)

    assert refused(done, ws / name, ws), done
    assert f"mode {mode:o}" in done.stderr
    assert marks(house) == []
    assert (ws / name).stat().st_mode & 0o7777 == mode  # it is told, never changed
    findings = {one["code"]: one for one in json.loads(doctor.stdout)["findings"]}
    assert doctor.returncode == 1
    assert str(ws / name) in findings["untrusted"]["meaning"]


def test_the_private_group_of_one_user_is_nobody_else(house: House) -> None:
    """The default of whole distributions: umask 002, and a group for each user."""
    ws = house.workspace("ws", ALICE, team(house))
    house.folder("ws/.clawfiles", ALICE, 0o770)
    for path in (ws, ws / "clawfiles.toml"):
        give(path, ALICE, 0o775 if path == ws else 0o664)

    assert house.type(ALICE, *NEW, cwd=ws, umask=0o002).returncode == 0


def test_an_access_control_list_counts_as_others(house: House) -> None:
    ws = house.workspace("ws", ALICE, team(house))
    give(ws, ALICE, 0o775)
    # user::rwx user:MALLORY:rwx group::r-x mask::rwx other::r-x, as setfacl writes it
    rows = [(1, 7, 2**32 - 1), (2, 7, MALLORY), (4, 5, 2**32 - 1), (16, 7, 2**32 - 1), (32, 5, 2**32 - 1)]
    listed = b"".join(
        tag.to_bytes(2, "little") + n.to_bytes(2, "little") + w.to_bytes(4, "little") for tag, n, w in rows
    )
    try:
        os.setxattr(ws, "system.posix_acl_access", (2).to_bytes(4, "little") + listed)
    except OSError:
        shutil.rmtree(ws)  # a file system without them
        return

    assert refused(house.type(ALICE, *NEW, cwd=ws), ws, ws)


def test_root_acts_in_a_folder_of_its_own_and_in_that_of_whoever_became_root(house: House) -> None:
    ws = house.workspace("ws", ALICE, team(house))

    as_root, by_sudo = (house.type(0, "heartbeat", cwd=ws, env=env) for env in ({}, {"SUDO_UID": str(ALICE)}))
    by_another = house.type(0, "heartbeat", cwd=ws, env={"SUDO_UID": str(MALLORY)})
    no_root = house.type(MALLORY, "heartbeat", cwd=ws, env={"SUDO_UID": str(ALICE)})

    assert as_root.returncode == by_another.returncode == no_root.returncode == 6
    assert "belongs to user 4242" in as_root.stderr
    assert by_sudo.returncode == 0
    assert house.type(ALICE, "heartbeat", cwd=house.workspace("roots", 0, team(house))).returncode == 6  # not writable
    assert house.type(ALICE, "task", "list", cwd=house.path / "roots").returncode == 0


def test_trusting_a_folder_is_remembered_outside_of_it_for_one_user(house: House) -> None:
    shared = house.workspace("shared", MALLORY, team(house), 0o777)
    trust = house.type(ALICE, "trust", str(shared), cwd=house.home(ALICE))

    assert trust.returncode == 0, trust.stderr
    assert house.type(ALICE, *NEW, cwd=shared).returncode == 0
    until(lambda: marks(house) == ["started"], "the agent was started")
    assert house.type(0, "heartbeat", cwd=shared).returncode == 6
    assert house.type(ALICE, "trust", "--list", cwd=shared).stdout == f"{shared}\n"
    assert str(shared) in (house.home(ALICE) / ".config/clawfiles/trusted").read_text()

    assert house.type(ALICE, "trust", "--remove", cwd=shared).returncode == 0
    assert house.type(ALICE, *NEW, cwd=shared).returncode == 6


@pytest.mark.parametrize("spoiled", ["file", "folder", "owner"])
def test_a_trust_list_that_others_can_write_is_ignored(house: House, spoiled: str) -> None:
    shared = house.workspace("shared", MALLORY, team(house))
    house.type(ALICE, "trust", str(shared), cwd=shared)
    path = house.home(ALICE) / ".config/clawfiles/trusted"
    at = path.parent if spoiled == "folder" else path
    give(at, MALLORY if spoiled == "owner" else ALICE, 0o644 if spoiled == "owner" else 0o777)

    done = house.type(ALICE, *NEW, cwd=shared)

    assert done.returncode == 6
    assert str(at) in done.stderr
    assert marks(house) == []


def test_no_run_trusts_a_folder(house: House) -> None:
    said = house.path / "marks/said"
    call = f"PYTHONPATH={ROOT} {sys.executable} -m claw_files trust {house.path}/other"
    script = f"cd {house.path} && {call} > {said} 2>&1; echo end $? >> {said}"
    config = TEAM.replace('["touch", "{mark}"]', json.dumps(["sh", "-c", f"unset CLAWFILES_RUN; {script}"]))
    ws = house.workspace("ws", ALICE, config)
    house.folder("other", MALLORY)

    assert house.type(ALICE, *NEW, cwd=ws).returncode == 0
    until(lambda: said.exists() and "end" in said.read_text(), "the run ended")

    assert "an agent's run cannot trust a folder" in said.read_text()
    assert said.read_text().endswith("end 5\n")
    assert house.type(ALICE, "trust", "--list", cwd=ws).stdout == "no folder is trusted\n"


# --- one inside another


@pytest.mark.parametrize("inside", ["work/box", "status", "a/b/c", "compartments/peter"])
@pytest.mark.parametrize("way", some(["cwd", "link", "-C", "CLAWFILES_WORKSPACE"], 2))
def test_a_configuration_inside_a_workspace_is_none(house: House, inside: str, way: str) -> None:
    ws = house.workspace("ws", ALICE, team(house, "outer"))
    box = ws
    for name in inside.split("/"):
        box = house.folder(str((box / name).relative_to(house.path)), ALICE)
    house.workspace(str(box.relative_to(house.path)), ALICE, team(house, "inner"))
    link = house.home(ALICE) / "link"
    link.symlink_to(box)
    start = {"-C": ("-C", str(box)), "link": ("-C", str(link))}.get(way, ())
    env = {"CLAWFILES_WORKSPACE": str(box)} if way == "CLAWFILES_WORKSPACE" else {}

    done = house.type(ALICE, *start, *NEW, cwd=box if way == "cwd" else house.home(ALICE), env=env)

    assert done.returncode == 0, done.stderr
    until(lambda: marks(house) == ["outer"], "the agent of the outer one was started")
    assert (ws / "status/tc-1.md").exists() and not (box / "status/tc-1.md").exists()


def test_one_inside_another_counts_once_it_is_trusted_and_what_lies_inside_of_it_does_not(house: House) -> None:
    house.workspace("ws", ALICE, team(house, "outer"))
    inner = house.workspace("ws/inner", ALICE, team(house, "inner"))
    box = house.workspace("ws/inner/box", ALICE, team(house, "box"))
    assert house.type(ALICE, "trust", str(inner), cwd=inner).returncode == 0

    assert house.type(ALICE, *NEW, cwd=box).returncode == 0

    until(lambda: marks(house) == ["inner"], "the agent of the trusted one was started")


def test_a_stranger_around_our_workspace_does_not_take_it_over(house: House) -> None:
    house.workspace("shared", MALLORY, team(house, "theirs"), 0o777)
    ours = house.workspace("shared/mine", ALICE, team(house, "ours"))

    assert house.type(ALICE, *NEW, cwd=ours).returncode == 0

    until(lambda: marks(house) == ["ours"], "our agent was started")


def test_a_stranger_who_writes_into_a_folder_of_ours_does_not_take_what_lies_in_it_over(house: House) -> None:
    above = house.workspace("open", ALICE, team(house, "theirs"), 0o777)
    give(above / "clawfiles.toml", MALLORY, 0o644)
    ours = house.workspace("open/mine", ALICE, team(house, "ours"))

    assert house.type(ALICE, *NEW, cwd=ours).returncode == 0

    until(lambda: marks(house) == ["ours"], "our agent was started")


def test_opening_the_mode_of_a_workspace_does_not_select_an_inner_configuration(house: House) -> None:
    ws = house.workspace("ws", ALICE, team(house, "outer"), 0o777)
    box = house.workspace("ws/box", ALICE, team(house, "inner"))

    assert refused(house.type(ALICE, *NEW, cwd=box), ws, ws)
    assert marks(house) == []


def test_init_inside_a_workspace_says_which_one_counts_and_what_to_type(house: House) -> None:
    ws = house.workspace("ws", ALICE, team(house))

    done = house.type(ALICE, "init", "sub", cwd=ws)
    alone = house.type(ALICE, "init", cwd=house.folder("alone", ALICE))

    assert done.returncode == alone.returncode == 0
    assert f"this folder is inside another workspace: {ws}" in done.stdout
    assert f"`clawfiles trust {ws}/sub`" in done.stdout
    assert "trust" not in alone.stdout


# --- while we run


def test_a_daemon_does_not_take_over_a_configuration_that_others_can_write(house: House) -> None:
    ws = house.workspace("ws", ALICE, team(house, "first"))
    daemon = house.start(ALICE, "daemon", "run", cwd=ws)
    try:
        until(lambda: b"last_tick" in (ws / ".clawfiles/daemon/state").read_bytes(), "the daemon has ticked")
        (ws / "clawfiles.toml").chmod(0o666)
        (ws / "clawfiles.toml").write_text(team(house, "second"))
        until(
            lambda: (
                "decides which programs start" in (house.type(ALICE, "doctor", cwd=ws).stdout)
                and b"decides which programs start" in (ws / ".clawfiles/daemon/state").read_bytes()
            ),
            "it says that it was refused",
        )
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.communicate(timeout=60)
    assert house.type(ALICE, *NEW, cwd=ws).returncode == 6
    assert marks(house) == []
