"""Secrets in a sandbox, by whatever way the configuration leads to them; keys of the kernel; namespaces."""

import ctypes
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from claw_files.processes.bubblewrap import PROGRAM
from tests.sandbox.conftest import Yard, agent

SECRET = "hush-hush"
LOOKS = """
import json, os
found = {}
for path in PATHS:
    try: found[path] = open(path).read()
    except OSError as error: found[path] = type(error).__name__
with open("part", "w") as file: json.dump(found, file)
os.rename("part", "found.json")
"""


def team(yard: Yard, named: str, paths: list[str], read: Path) -> None:
    """Peter tries these paths, and may read in one folder; `named` is what the configuration calls a secret."""
    yard.team(
        f"[profiles.reader]\nsandbox = 'require'\nread = ['{read}']\n",
        agent("peter", f"PATHS = {paths!r}\n{LOOKS}", 'profile = "reader"'),
        f'[agents.me]\nkind = "human"\nchannels = ["addresses:{named}"]\n[openclaw]\ntoken_file = "{named}"\n',
    )


def put(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(SECRET)
    path.chmod(0o600)
    return path


WAYS = ("a link", "a link to a link", "a link above", "home", "home is a link", "up and down", "the folder is a link")


@pytest.mark.parametrize("way", WAYS)
def test_a_secret_is_hidden_at_its_real_path(
    yard: Yard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    open_folder = tmp_path / "open"
    real, named, home = put(open_folder / "deep/secret"), "token", tmp_path / "home"
    home.mkdir()
    paths = [str(real)]
    match way:
        case "a link":
            (yard.root / "token").symlink_to(real)
        case "a link to a link":
            (yard.root / "first").symlink_to(real)
            (yard.root / "token").symlink_to("first")
        case "a link above":
            (yard.root / "keys").symlink_to(open_folder / "deep")
            named = "keys/secret"
        case "home":
            home, named = open_folder, "~/deep/secret"
        case "home is a link":
            home.rmdir()
            home.symlink_to(open_folder)
            named = "~/deep/secret"
        case "up and down":
            named = f"status/../../{open_folder.name}/deep/../deep/secret"
        case "the folder is a link":
            other = tmp_path / "other"
            other.symlink_to(open_folder)
            named = str(real)
            paths.append(str(other / "deep/secret"))
            open_folder = other
    (yard.root / "status").mkdir(exist_ok=True)
    paths += [str(yard.root / named)] if not named.startswith("~") else []
    team(yard, named, paths, open_folder)
    put(Path(os.path.realpath(open_folder)) / "beside").write_text("to be read")
    monkeypatch.setenv("HOME", str(home))  # the daemon or this process starts the run, whichever is faster
    yard.start()

    yard.new("peter")

    found = yard.found()
    assert SECRET not in found.values(), found
    assert found[str(real)] in ("", "PermissionError", "FileNotFoundError")


def test_without_the_rule_that_secret_could_be_read(yard: Yard, tmp_path: Path) -> None:
    real = put(tmp_path / "open/secret")
    team(yard, "elsewhere", [str(real)], tmp_path / "open")
    yard.start()

    yard.new("peter")

    assert yard.found() == {str(real): SECRET}


@pytest.mark.parametrize("case", ["a second name", "a folder"])
def test_a_secret_that_cannot_be_hidden_refuses_the_run(yard: Yard, tmp_path: Path, case: str) -> None:
    real = tmp_path / "open/secret"
    if case == "a folder":
        real.mkdir(parents=True)
    else:
        os.link(put(real), tmp_path / "open/other")
    team(yard, str(real), [str(real)], tmp_path / "open")

    said = yard.run_md(f"{yard.new('peter').lower()}.1-s1")

    assert "could not start" in said
    assert f"{real} contains a secret and cannot be hidden" in said


def test_a_secret_is_hidden_under_every_mount_of_its_folder(tmp_path: Path) -> None:
    """As in a namespace in which the folder is mounted a second time."""
    for name in ("real", "other", "team"):
        (tmp_path / name).mkdir()
    put(tmp_path / "real/in/secret")
    (tmp_path / "team/.clawfiles").mkdir()
    put(tmp_path / "team/.clawfiles/token")
    (tmp_path / "team copy").mkdir()
    script = f"""
from claw_files.processes.sandbox_builder import _ways_to
for path in {str(tmp_path / "real/in/secret")!r}, {str(tmp_path / "team/.clawfiles")!r}:
    print("\\n".join(sorted(set(_ways_to(path)))))
"""
    mounts = ["--dev-bind", "/", "/", "--bind", str(tmp_path / "real/in"), str(tmp_path / "other")]
    mounts += ["--bind", str(tmp_path / "team"), str(tmp_path / "team copy")]
    done = subprocess.run([PROGRAM, *mounts, sys.executable, "-c", script], capture_output=True, text=True)

    assert done.stdout.splitlines() == [
        str(tmp_path / "other/secret"),
        str(tmp_path / "real/in/secret"),
        str(tmp_path / "team copy/.clawfiles"),
        str(tmp_path / "team/.clawfiles"),
    ], done.stderr


KEYS = """
import ctypes, json, os, platform
libc = ctypes.CDLL(None, use_errno=True)
first = {"x86_64": 248, "aarch64": 217, "riscv64": 217}[platform.machine()]
def call(*words):
    found = libc.syscall(*words)
    return found if found >= 0 else os.strerror(ctypes.get_errno())
found = {
    "its session's": call(first + 2, 0, -3, 0),
    "joining another": call(first + 2, 1, b"_ses"),
    "searching": call(first + 2, 10, -3, b"user", b"clawfiles-test", 0),
    "the user's, linked": call(first + 2, 8, -4, -3),
    "asking": call(first + 1, b"user", b"clawfiles-test", None, -3),
    "adding": call(first, b"user", b"x", b"y", 1, -3),
    "by the other numbers": call(0x40000000 + first + 2, 0, -3, 0),
    "a namespace": call({"x86_64": 272, "aarch64": 97, "riscv64": 97}[platform.machine()], 0x10000000),
}
try: listed = open("/proc/keys").read()
except OSError: listed = ""
with open("part", "w") as file: json.dump([found, listed], file)
os.rename("part", "found.json")
"""


def test_a_run_reaches_no_key_and_makes_no_namespace(yard: Yard) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    first = {"x86_64": 248, "aarch64": 217, "riscv64": 217}[os.uname().machine]
    session = libc.syscall(first + 2, 1, b"clawfiles-test-session")
    assert session > 0, os.strerror(ctypes.get_errno())
    key = libc.syscall(first, b"user", b"clawfiles-test", b"secret", 6, -3)
    assert key > 0
    yard.team(agent("peter", KEYS))
    yard.start()  # which inherits that session

    yard.new("peter")

    found, listed = yard.found()
    assert {name for name, what in found.items() if isinstance(what, int)} == set()
    assert "clawfiles-test" not in listed
    free = subprocess.run(["python3", "-c", KEYS], capture_output=True, text=True, cwd=yard.root)
    assert isinstance(json.loads((yard.root / "found.json").read_text())[0]["its session's"], int), free.stderr


def test_a_folder_above_the_home_does_not_open_the_home(
    yard: Yard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "people/me"
    key, beside = put(home / ".ssh/id_ed25519"), put(tmp_path / "people/beside")
    team(yard, "elsewhere", [str(key), str(beside)], tmp_path / "people")
    monkeypatch.setenv("HOME", str(home))
    yard.start()

    yard.new("peter")

    assert yard.found() == {str(key): "FileNotFoundError", str(beside): SECRET}
