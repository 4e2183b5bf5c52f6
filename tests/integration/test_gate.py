"""Hostile things in the place of a task file: each is refused with its reason, at once, and nothing outside is read."""

import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from claw_files.core.errors import CannotRead, CannotWrite, NotFound
from claw_files.system import kernel
from claw_files.system.disk_files import DiskFiles

PATH = "status/tc-1.md"
SECRET = b"root:x:0:0"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A workspace beside a secret."""
    (tmp_path / "secret").write_bytes(SECRET)
    (tmp_path / "w/status").mkdir(parents=True)
    return tmp_path / "w"


def symlink(path: Path) -> None:
    path.symlink_to(path.parents[2] / "secret")


def symlink_inside(path: Path) -> None:
    (path.parent / "other.md").write_bytes(b"x")
    path.symlink_to("other.md")


def symlink_to_nowhere(path: Path) -> None:
    path.symlink_to("nowhere")


def linked_folder(path: Path) -> None:
    outside = path.parents[2] / "outside"
    outside.mkdir()
    (outside / path.name).write_bytes(SECRET)
    path.parent.rmdir()
    path.parent.symlink_to(outside)


def hard_link(path: Path) -> None:
    os.link(path.parents[2] / "secret", path)


def fifo(path: Path) -> None:
    os.mkfifo(path)


def listening(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


def folder(path: Path) -> None:
    path.mkdir()


def terabyte_of_nothing(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


def no_permission(path: Path) -> None:
    path.write_bytes(SECRET)
    path.chmod(0)


HOSTILE: list[tuple[Callable[[Path], None], str]] = [
    (symlink, "symlink"),
    (symlink_inside, "symlink"),
    (symlink_to_nowhere, "symlink"),
    (linked_folder, "symlink"),
    (hard_link, "hardlink"),
    (fifo, "not-a-file"),
    (listening, "not-a-file"),
    (folder, "not-a-file"),
    (terabyte_of_nothing, "too-large"),
    *([(no_permission, "permission")] if os.geteuid() else []),  # root may read everything: tests/hostile asks as less
]


@pytest.mark.timeout(20)
@pytest.mark.parametrize(("put", "problem"), HOSTILE, ids=[put.__name__ for put, _ in HOSTILE])
def test_a_file_that_is_not_regular_is_refused_with_its_reason(
    root: Path, put: Callable[[Path], None], problem: str
) -> None:
    put(root / PATH)
    files = DiskFiles(str(root))

    for act in (lambda: files.read(PATH), lambda: files.commit(PATH, lambda data: b"ours", None)):
        with pytest.raises(CannotRead) as caught:
            act()
        assert caught.value.problem == problem
        assert "status" in str(caught.value)
    assert (root.parent / "secret").read_bytes() == SECRET


@pytest.mark.parametrize("put", [symlink, linked_folder, hard_link, fifo, folder])
def test_a_line_is_added_to_nothing_but_a_plain_file(root: Path, put: Callable[[Path], None]) -> None:
    put(root / PATH)

    with pytest.raises((CannotRead, CannotWrite)):
        DiskFiles(str(root)).append(PATH, b"ours")
    assert (root.parent / "secret").read_bytes() == SECRET


def test_a_private_folder_that_was_made_a_link_is_not_followed(root: Path) -> None:
    (root.parent / "outside").mkdir()
    (root / ".clawfiles").symlink_to(root.parent / "outside")

    with pytest.raises(CannotRead):
        DiskFiles(str(root)).commit(PATH, lambda data: b"ours", None)
    assert list((root.parent / "outside").iterdir()) == []


def test_a_hostile_file_hides_no_other_file(root: Path) -> None:
    fifo(root / PATH)
    (root / "status/tc-2.md").write_bytes(b"x")

    assert DiskFiles(str(root)).read("status/tc-2.md").data == b"x"


def test_a_link_swapped_in_at_any_moment_opens_nothing_outside(root: Path) -> None:
    """Somebody exchanges the file, and its folder, for links to a secret as fast as possible while we read."""
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "tc-1.md").write_bytes(SECRET)
    (root / PATH).write_bytes(b"ours")
    (root / "link").symlink_to(root.parent / "secret")
    (root / "linked").symlink_to(outside)
    fd = os.open(root, os.O_RDONLY)
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            for one, other in (("link", PATH), ("link", PATH), ("linked", "status"), ("linked", "status")):
                kernel.exchange(fd, one, fd, other)

    swapper = threading.Thread(target=swap)
    swapper.start()
    files, seen = DiskFiles(str(root)), {"read": 0, "refused": 0}
    until = time.monotonic() + 1.5
    try:
        while time.monotonic() < until:
            try:
                assert files.read(PATH).data == b"ours"
                seen["read"] += 1
            except (CannotRead, NotFound):
                seen["refused"] += 1
    finally:
        stop.set()
        swapper.join()
        os.close(fd)
    assert min(seen.values()) > 0, seen


def test_an_editor_that_replaces_the_file_while_we_read_never_makes_it_unreadable(root: Path) -> None:
    """Between our open and our look the old file loses its last name; it is opened again instead of refused."""
    (root / PATH).write_bytes(b"x")
    files, stop = DiskFiles(str(root)), threading.Event()

    def replace() -> None:
        while not stop.is_set():
            (root / "new").write_bytes(b"x")
            (root / "new").rename(root / PATH)

    editor = threading.Thread(target=replace)
    editor.start()
    try:
        for _ in range(3000):
            assert files.read(PATH).data == b"x"
    finally:
        stop.set()
        editor.join()


def test_a_replaced_root_is_noticed_by_readers_and_writers_and_forgiven_when_it_is_back(root: Path) -> None:
    (root / PATH).write_bytes(b"x")
    files = DiskFiles(str(root))
    files.read(PATH)
    root.rename(root.with_name("away"))
    (root / "status").mkdir(parents=True)

    with pytest.raises(CannotRead) as caught:
        files.read(PATH)
    assert caught.value.problem == "root-changed"
    with pytest.raises(CannotWrite, match="replaced"):
        files.commit(PATH, lambda data: b"y", None)

    (root / "status").rmdir()
    root.rmdir()
    root.with_name("away").rename(root)
    assert files.read(PATH).data == b"x"


def test_the_private_folder_is_for_the_owner_only_and_made_again_when_deleted(root: Path) -> None:
    files = DiskFiles(str(root))
    for _ in range(2):
        files.commit(PATH, lambda data: (data or b"") + b"x", b"{}")
        assert (root / ".clawfiles").stat().st_mode & 0o777 == 0o700
        os.system(f"rm -rf '{root}/.clawfiles'")
    assert files.read(PATH).data == b"xx"


def test_a_path_too_long_for_one_name_survives_a_crash_too(root: Path) -> None:
    path = "/".join(["inbox", "a" * 120, "b" * 120, "c~d%.md"])
    files = DiskFiles(str(root))
    files.commit(path, lambda data: b"x\n", b"{}")

    with (root / path).open("ab") as editor:
        files.commit(path, lambda data: b"x\ny\n", b"{}")
        editor.write(b"late\n")

    assert files.adopt() == [(path, "late lines added")]
    assert files.read(path).data == b"x\ny\nlate\n"


def test_without_renameat2_a_write_still_is_all_or_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*args: object) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(kernel, "renameat2", missing)
    files = DiskFiles(str(root))

    for _ in range(2):
        files.commit(PATH, lambda data: (data or b"") + b"x", b"{}")
    files.move(PATH, "status/tc-2.md", b"{}")

    assert files.read("status/tc-2.md").data == b"xx"
    assert (files.recover(), files.adopt(), len(list((root / "audit").iterdir()))) == ([], [], 1)
