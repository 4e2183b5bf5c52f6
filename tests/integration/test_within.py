"""Files of one folder by absolute paths: nothing outside is read or written, whatever the path, whatever lies there."""

import os
from pathlib import Path

import pytest

from claw_files.core.errors import CannotRead, CannotWrite, ClawError, NotFound
from claw_files.system.confined_files import TEXT_BYTES, ConfinedFiles


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "desk/deep").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_text("secret")
    return tmp_path / "desk"


def test_a_file_is_written_and_read_by_its_absolute_path(folder: Path) -> None:
    within = ConfinedFiles(str(folder))

    within.write(f"{folder}/new/deep/a.txt", "é\n")
    within.write("b.txt", "b")

    assert within.read(f"{folder}/new/deep/a.txt") == "é\n"
    assert (folder / "b.txt").read_text() == "b"
    assert sorted(os.listdir(folder)) == ["b.txt", "deep", "new"]


def test_a_file_keeps_its_mode(folder: Path) -> None:
    script = folder / "run.sh"
    script.write_text("old")
    script.chmod(0o750)

    ConfinedFiles(str(folder)).write(str(script), "new")

    assert (script.read_text(), script.stat().st_mode & 0o777) == ("new", 0o750)


@pytest.mark.parametrize(
    "path", ["/etc/hostname", "{root}/../outside/secret", "../outside/secret", "{root}x/a", "a\0b", "{root}", "", "/"]
)
def test_a_path_that_leads_out_is_neither_read_nor_written(folder: Path, path: str) -> None:
    within, path = ConfinedFiles(str(folder)), path.format(root=folder)
    before = sorted(folder.parent.rglob("*"))

    with pytest.raises(ClawError):
        within.read(path)
    with pytest.raises(ClawError):
        within.write(path, "x")
    assert sorted(folder.parent.rglob("*")) == before
    assert (folder.parent / "outside/secret").read_text() == "secret"


@pytest.mark.parametrize("link", ["file", "folder", "dangling", "loop"])
def test_a_link_is_followed_neither_for_reading_nor_for_writing(folder: Path, link: str) -> None:
    outside, within = folder.parent / "outside", ConfinedFiles(str(folder))
    target = {"file": outside / "secret", "folder": outside, "dangling": outside / "new", "loop": folder / "link"}[link]
    (folder / "link").symlink_to(target)
    path = f"{folder}/link/secret" if link == "folder" else f"{folder}/link"

    with pytest.raises(CannotRead):
        within.read(path)
    with pytest.raises(CannotRead):
        within.write(path, "x")
    assert not within.has(path) or link == "loop"
    assert (folder / "link").is_symlink()
    assert {path.name: path.read_text() for path in outside.iterdir()} == {"secret": "secret"}


def test_a_second_name_a_pipe_and_a_flood_are_refused(folder: Path) -> None:
    within = ConfinedFiles(str(folder))
    os.link(folder.parent / "outside/secret", folder / "hard")
    os.mkfifo(folder / "pipe")
    (folder / "large").write_bytes(b"")
    os.truncate(folder / "large", TEXT_BYTES + 1)
    (folder / "binary").write_bytes(b"\xff\xfe")

    for name in ("hard", "pipe", "large", "binary", "deep"):
        with pytest.raises(CannotRead):
            within.read(name)
    for name in ("pipe", "deep"):
        with pytest.raises(CannotRead):
            within.write(name, "x")
    with pytest.raises(CannotWrite):
        within.write("more", "x" * (TEXT_BYTES + 1))
    within.write("hard", "mine")
    assert (folder.parent / "outside/secret").read_text() == "secret"
    with pytest.raises(NotFound):
        within.read("nothing")


def test_a_path_inside_the_folder_is_allowed_also_through_links_inside(folder: Path) -> None:
    within = ConfinedFiles(str(folder))
    (folder / "inside").symlink_to(folder / "deep")
    (folder / "way-out").symlink_to(folder.parent / "outside")

    for path in (str(folder), f"{folder}/deep/x", "deep", "./a.py", f"{folder}/deep/../a", "inside/x"):
        assert within.has(path), path
    for path in ("/etc", "..", f"{folder}/../outside", "way-out/secret", "way-out/../x", f"{folder}-other/x", "\0"):
        assert not within.has(path), path
