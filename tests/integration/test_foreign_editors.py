"""People and agents edit without our locks, while we write: none of their lines is lost, wherever it ends up."""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from claw_files.core.errors import Busy, CannotWrite, Conflict, InvalidFile
from claw_files.core.model import AgentId
from claw_files.services.tasks.lifecycle import NewTask
from claw_files.system import durable, kernel
from claw_files.system.disk_files import DiskFiles
from claw_files.system.durable import try_lock
from claw_files.testing import FakeClock
from tests.support.office import Office

PATH = "status/tc-1.md"
BASE = b"# TC-1\n"


class World:
    def __init__(self, root: Path) -> None:
        self.root, self.clock = root, FakeClock(datetime.now(UTC))
        self.files = DiskFiles(str(root), clock=self.clock)
        self.path = root / PATH
        self.path.parent.mkdir(parents=True)
        self.path.write_bytes(BASE)
        os.utime(self.path, (1, 1))

    def everything(self) -> bytes:
        """All that a person can find: the live file, and conflicts/."""
        found = [self.path, *sorted(p for p in self.root.glob("conflicts/*") if p.suffix != ".reason")]
        return b"".join(path.read_bytes() for path in found)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "w")


def ours(data: bytes | None) -> bytes:
    return (data or b"") + b"ours\n"


def test_lines_that_an_open_editor_adds_after_our_write_come_into_the_live_file(world: World) -> None:
    with world.path.open("ab", buffering=0) as editor:
        world.files.commit(PATH, ours, b"{}")
        editor.write(b"theirs 1\nhalf of ")
        assert world.files.adopt() == [(PATH, "late lines added")]
        editor.write(b"theirs 2\n")
        world.files.commit(PATH, ours, b"{}")
        world.files.adopt()

    assert world.path.read_bytes() == BASE + b"ours\ntheirs 1\nours\nhalf of theirs 2\n"
    assert world.files.adopt() == []


def test_late_lines_wait_while_another_editor_is_in_the_middle_of_saving(world: World) -> None:
    with world.path.open("ab", buffering=0) as one:
        world.files.commit(PATH, ours, b"{}")
        one.write(b"late\n")
        with world.path.open("wb", buffering=0) as saving:
            saving.write(b"# TC-1\n\nfirst ha")
            world.clock.set(datetime.now(UTC))
            assert world.files.adopt() == []
            saving.write(b"lf\nsecond half\n")

    world.clock.set(datetime.now(UTC))
    assert world.files.adopt() == []  # it may be writing still
    world.clock.advance(timedelta(seconds=3))
    assert world.files.adopt() == [(PATH, "late lines added")]
    assert world.path.read_bytes() == b"# TC-1\n\nfirst half\nsecond half\nlate\n"


def test_ten_minutes_later_a_last_look_takes_even_half_a_line_and_drops_the_version(world: World) -> None:
    with world.path.open("ab", buffering=0) as editor:
        world.files.commit(PATH, ours, b"{}")
        editor.write(b"no line end")
    world.clock.advance(timedelta(minutes=10))

    world.files.adopt()
    world.clock.advance(timedelta(minutes=10))
    world.files.adopt()

    assert world.path.read_bytes() == BASE + b"ours\nno line end"
    assert os.listdir(world.root / ".clawfiles/kept") == []


def test_late_lines_that_the_editor_itself_writes_over_are_in_conflicts(world: World) -> None:
    with world.path.open("ab", buffering=0) as editor:
        world.files.commit(PATH, ours, b"{}")
        stale = world.path.read_bytes()
        editor.write(b"late\n")
    world.files.adopt()
    assert b"late\n" in world.path.read_bytes()
    world.path.write_bytes(stale + b"later\n")
    world.clock.advance(timedelta(minutes=11))

    assert world.files.adopt() == [(PATH, "the other version is in conflicts/")]

    assert world.path.read_bytes() == stale + b"later\n"
    assert any(b"late\n" in path.read_bytes() for path in world.root.glob("conflicts/*"))


def test_an_open_editor_that_rewrites_what_we_displaced_goes_to_conflicts_once_it_is_through(world: World) -> None:
    with world.path.open("r+b", buffering=0) as editor:
        world.files.commit(PATH, ours, b"{}")
        editor.truncate(0)
        assert world.files.adopt() == []  # it may be in the middle of it
        editor.write(b"all anew\n")
        world.clock.set(datetime.now(UTC) + timedelta(seconds=3))
        assert world.files.adopt() == [(PATH, "the other version is in conflicts/")]
        editor.write(b"and more\n")

    assert world.path.read_bytes() == BASE + b"ours\n"
    assert b"all anew\nand more\n" in world.everything()
    assert [p.read_text() for p in world.root.glob("conflicts/*.reason")] != []
    assert b"conflicts/" in next(world.root.glob("audit/*")).read_bytes()


def between(monkeypatch: pytest.MonkeyPatch, *acts: Callable[[], object]) -> None:
    """Let somebody act in the last moment before our first, second, ... exchange."""
    exchange, left = kernel.exchange, list(acts)

    def instead(*args: Any) -> None:
        if left:
            left.pop(0)()
        exchange(*args)

    monkeypatch.setattr(kernel, "exchange", instead)


def test_an_edit_in_the_last_moment_before_the_exchange_is_built_upon(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    between(monkeypatch, lambda: world.path.write_bytes(BASE + b"theirs\n"))

    assert world.files.commit(PATH, ours, None).data == BASE + b"theirs\nours\n"


def test_an_edit_in_the_last_moment_that_makes_ours_impossible_stands(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def only_on_base(data: bytes | None) -> bytes:
        if data != BASE:
            raise Conflict("changed")
        return ours(data)

    between(monkeypatch, lambda: world.path.write_bytes(b"theirs\n"))

    with pytest.raises(Conflict):
        world.files.commit(PATH, only_on_base, b"{}")
    assert world.path.read_bytes() == b"theirs\n"
    assert not (world.root / "audit").exists()
    assert os.listdir(world.root / ".clawfiles/swap") == []


def test_a_third_writer_while_we_give_the_name_back_is_kept_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def replace() -> None:
        (world.root / "new").write_bytes(b"third\n")
        (world.root / "new").rename(world.path)

    between(monkeypatch, lambda: world.path.write_bytes(b"second\n"), replace)

    world.files.commit(PATH, ours, None)
    world.clock.advance(timedelta(seconds=5))
    world.files.adopt()

    assert b"second\n" in world.everything()
    assert b"third\n" in world.everything()


def test_a_line_that_its_own_editor_saves_over_after_reading_ours_is_in_conflicts(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The editor saves, reads our version in the instant before we take it back, and saves that with one line more."""
    exchange, calls, read = kernel.exchange, list[int](), list[bytes]()

    def between(*args: Any) -> None:
        calls.append(1)
        if len(calls) == 1:
            write_and_rename(world.path, b"line 1\n", [])
        exchange(*args)
        if len(calls) == 1:
            read.append(world.path.read_bytes())
        if len(calls) == 2:
            world.path.with_name("4913").write_bytes(read[0] + b"line 2\n")
            world.path.with_name("4913").rename(world.path)

    monkeypatch.setattr(kernel, "exchange", between)
    world.files.commit(PATH, ours, b"{}")
    assert b"line 1" not in world.path.read_bytes()
    world.clock.advance(timedelta(minutes=11))
    world.files.adopt()

    assert b"line 1\n" in world.everything() and b"line 2\n" in world.everything()


def test_an_interrupt_right_after_the_exchange_loses_no_bytes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the worst moment: theirs is displaced, not yet looked at."""
    exchange = kernel.exchange

    def interrupted(*args: Any) -> None:
        world.path.write_bytes(b"theirs\n")
        exchange(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(kernel, "exchange", interrupted)

    with pytest.raises(KeyboardInterrupt):
        world.files.commit(PATH, ours, b"{}")
    assert world.files.recover() == [(PATH, "replaced another process's edit, which is in conflicts/")]

    assert b"theirs\n" in world.everything()
    assert world.path.read_bytes() == BASE + b"ours\n"


def test_a_crash_over_added_lines_adds_them_to_the_live_file(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    exchange = kernel.exchange

    def interrupted(*args: Any) -> None:
        with world.path.open("ab") as editor:
            editor.write(b"theirs\n")
        exchange(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(kernel, "exchange", interrupted)
    with pytest.raises(KeyboardInterrupt):
        world.files.commit(PATH, ours, b"{}")
    monkeypatch.undo()

    assert world.files.recover() == [(PATH, "swapped in")]
    assert world.files.adopt() == [(PATH, "late lines added")]
    assert world.path.read_bytes() == BASE + b"ours\ntheirs\n"


def test_a_write_waits_for_whoever_holds_the_folder(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durable, "LOCK_SECONDS", 0.05)
    fd = os.open(world.path.parent, os.O_RDONLY)
    assert try_lock(fd)

    with pytest.raises(Busy):
        world.files.commit(PATH, ours, b"{}")
    os.close(fd)

    assert world.path.read_bytes() == BASE
    assert world.files.commit(PATH, ours, b"{}").data == BASE + b"ours\n"


def test_a_full_disk_changes_nothing_and_leaves_nothing_behind(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(CannotWrite, match="No space left") as caught:
        world.files.commit(PATH, ours, b"{}")
    monkeypatch.undo()

    assert not caught.value.unknown
    assert world.path.read_bytes() == BASE
    assert world.files.recover() == []


def test_a_failure_after_the_exchange_says_that_durability_is_unknown(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.files.commit("status/warm-up.md", ours, None)
    calls, fsync = [0], os.fsync

    def second_fails(fd: int) -> None:
        calls[0] += 1
        if calls[0] == 2:
            raise OSError(5, "Input/output error")
        fsync(fd)

    monkeypatch.setattr(os, "fsync", second_fails)

    with pytest.raises(CannotWrite) as caught:
        world.files.commit(PATH, ours, b'{"n":1}')

    assert caught.value.unknown
    assert world.path.read_bytes() == BASE + b"ours\n"
    assert world.files.recover() == [(PATH, "swapped in")]
    assert b'{"n":1}' in next(world.root.glob("audit/*")).read_bytes()


def test_mode_and_owner_of_a_persons_file_stay(world: World) -> None:
    world.path.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(world.path, 12345, 12346)
    before = world.path.stat()

    world.files.commit(PATH, ours, None)

    after = world.path.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert after.st_nlink == 1


# -- the same with real processes, as fast as they can -----------------------------------------------------------

LINES = 200


def append_in_place(path: Path, line: bytes, held: list[Any]) -> None:
    """An agent's `echo >>`, or a logger that keeps its file open and is handed a new one only now and then."""
    if not held or held[0] % 20 == 0:
        held[:] = [0, path.open("ab", buffering=0)]
    held[0] += 1
    held[1].write(line)


def truncate_and_write(path: Path, line: bytes, held: list[Any]) -> None:
    """nano: read all, empty the file, write it in two pieces."""
    data = path.read_bytes() + line
    with path.open("wb", buffering=0) as file:
        file.write(data[: len(data) // 2])
        os.sched_yield()
        file.write(data[len(data) // 2 :])


def write_and_rename(path: Path, line: bytes, held: list[Any]) -> None:
    """vim, VS Code, sed -i: write beside it and rename."""
    data = path.read_bytes() + line
    path.with_name("4913").write_bytes(data)
    path.with_name("4913").rename(path)


def complete(data: bytes | None) -> bytes:
    """A change that does not touch half a file."""
    if not data or not data.endswith(b"\n"):
        raise InvalidFile(PATH, "half-saved", "no line end")
    return ours(data)


@pytest.mark.parametrize("style", [append_in_place, truncate_and_write, write_and_rename])
def test_an_editor_at_work_while_we_write_loses_no_line(
    tmp_path: Path, style: Callable[[Path, bytes, list[Any]], None]
) -> None:
    world = World(tmp_path / "w")
    files = DiskFiles(str(world.root), durable=False)
    child = os.fork()
    if child == 0:
        try:
            held: list[Any] = []
            for n in range(LINES):
                style(world.path, b"line %03d.\n" % n, held)
                time.sleep(0.001)
            os._exit(0)
        finally:
            os._exit(1)
    commits = 0
    while not (done := os.waitpid(child, os.WNOHANG))[0]:
        with suppress(Busy):
            files.commit(PATH, complete, None)
            commits += 1
        files.adopt()
    assert (done[1], commits > 0) == (0, True)
    world.clock.set(datetime.now(UTC) + timedelta(minutes=11))
    world.files.adopt()

    missing = [n for n in range(LINES) if b"line %03d." % n not in world.everything()]
    assert missing == []


def test_a_command_waits_for_the_text_of_a_file_that_an_editor_has_just_emptied(tmp_path: Path) -> None:
    office = Office(tmp_path / "w")
    task = office.app().tasks.new(NewTask(title="Wash the car"), AgentId("human")).id
    path = tmp_path / f"w/status/{task.lower()}.md"
    text = path.read_bytes()
    path.write_bytes(b"")
    office.clock.set(datetime.now(UTC))
    office.clock.on_sleep = lambda: path.write_bytes(text) and None

    assert office.app().board.show(task).task.title == "Wash the car"
    assert len(office.clock.slept) == 1


def test_a_file_that_stays_empty_is_named_after_a_second_and_a_half(tmp_path: Path) -> None:
    office = Office(tmp_path / "w")
    task = office.app().tasks.new(NewTask(title="Wash the car"), AgentId("human")).id
    (tmp_path / f"w/status/{task.lower()}.md").write_bytes(b"")
    office.clock.set(datetime.now(UTC))

    with pytest.raises(InvalidFile, match="it is empty"):
        office.app().board.show(task)
    assert 1 < sum(office.clock.slept) < 2
