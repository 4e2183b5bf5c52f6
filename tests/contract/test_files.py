"""What every `Files` promises, asked of the disk, and of the overlay that a simulation writes into."""

from datetime import timedelta
from typing import Any

import pytest

from claw_files.core.errors import CannotRead, CannotWrite, Conflict, FilePending, InvalidFile, NotFound
from tests.each import each

PATH = "status/tc-1.md"
NOTE = b'{"action": "test"}'
JOURNAL = "audit/2026-03-07.jsonl"


def added(data: bytes | None) -> bytes:
    return (data or b"") + b"new\n"


def unreadable(data: bytes | None) -> bytes:
    raise InvalidFile(PATH, "half-saved", "it does not parse")


def journal(world: Any) -> list[bytes]:
    try:
        return world.files.read(JOURNAL).data.splitlines()
    except NotFound:
        return []


def test_committed_bytes_are_read_back(world: Any) -> None:
    written = world.files.commit(PATH, added, NOTE)

    assert world.files.read(PATH) == written
    assert (written.data, written.stamp.size_bytes, len(written.digest)) == (b"new\n", 4, 16)
    assert world.files.stamp(PATH) == written.stamp
    assert journal(world) == [NOTE]


def test_a_change_gets_what_is_there(world: Any) -> None:
    world.by_hand(PATH, b"old\n")

    assert world.files.commit(PATH, added, NOTE).data == b"old\nnew\n"


def test_a_change_that_changes_nothing_writes_nothing(world: Any) -> None:
    world.by_hand(PATH, b"old\n")
    before = world.files.stamp(PATH)

    assert world.files.commit(PATH, lambda data: data or b"", NOTE).stamp == before
    assert world.files.stamp(PATH) == before
    assert journal(world) == []


def test_an_error_in_the_change_passes_and_nothing_is_written(world: Any) -> None:
    world.by_hand(PATH, b"old\n")

    def refuse(data: bytes | None) -> bytes:
        raise Conflict("no")

    with pytest.raises(Conflict):
        world.files.commit(PATH, refuse, NOTE)
    assert world.files.read(PATH).data == b"old\n"
    assert journal(world) == []


def test_an_edit_in_between_is_built_upon(disk: Any) -> None:
    disk.by_hand(PATH, b"old\n")
    seen = []

    def slow(data: bytes | None) -> bytes:
        seen.append(data)
        if len(seen) == 1:
            disk.by_hand(PATH, b"theirs\n")
        return added(data)

    assert disk.files.commit(PATH, slow, NOTE).data == b"theirs\nnew\n"
    assert seen == [b"old\n", b"theirs\n"]
    assert journal(disk) == [NOTE]


def test_an_edit_in_between_that_makes_the_change_impossible_stands(disk: Any) -> None:
    disk.by_hand(PATH, b"old\n")

    def slow(data: bytes | None) -> bytes:
        if data == b"theirs\n":
            raise Conflict("somebody was first")
        disk.by_hand(PATH, b"theirs\n")
        return added(data)

    with pytest.raises(Conflict, match="somebody was first"):
        disk.files.commit(PATH, slow, NOTE)
    assert disk.files.read(PATH).data == b"theirs\n"
    assert journal(disk) == []


def test_a_file_made_in_between_is_built_upon(disk: Any) -> None:
    def slow(data: bytes | None) -> bytes:
        if data is None:
            disk.by_hand(PATH, b"theirs\n")
        return added(data)

    assert disk.files.commit(PATH, slow, NOTE).data == b"theirs\nnew\n"


def test_a_file_deleted_in_between_is_told_to_the_change(disk: Any) -> None:
    disk.by_hand(PATH, b"old\n")
    seen = []

    def slow(data: bytes | None) -> bytes:
        seen.append(data)
        if data is not None:
            disk.files.remove(PATH, None)
        return added(data)

    assert disk.files.commit(PATH, slow, NOTE).data == b"new\n"
    assert seen == [b"old\n", None]


@pytest.mark.parametrize("data", [b"", b"---\nhalf"])
def test_a_young_file_that_is_empty_or_does_not_parse_is_waited_for_and_then_pending(world: Any, data: bytes) -> None:
    world.by_hand(PATH, data, timedelta(seconds=0.1))

    with pytest.raises(FilePending):
        world.files.commit(PATH, unreadable if data else added, NOTE)
    assert world.files.read(PATH).data == data
    assert 1 < sum(world.clock.slept) < 2


def test_a_file_that_its_editor_completes_while_we_wait_is_changed_then(world: Any) -> None:
    world.by_hand(PATH, b"", timedelta())
    world.clock.on_sleep = lambda: world.by_hand(PATH, b"theirs\n")

    assert world.files.commit(PATH, added, NOTE).data == b"theirs\nnew\n"


def test_an_old_file_that_does_not_parse_is_invalid_at_once(world: Any) -> None:
    world.by_hand(PATH, b"---\nhalf")

    with pytest.raises(InvalidFile, match="does not parse"):
        world.files.commit(PATH, unreadable, NOTE)
    assert world.clock.slept == []


def test_an_empty_file_that_nobody_writes_any_more_can_be_written(world: Any) -> None:
    world.by_hand(PATH, b"")

    assert world.files.commit(PATH, added, NOTE).data == b"new\n"


def test_a_file_from_the_future_is_watched_instead_of_dated(world: Any) -> None:
    world.by_hand(PATH, b"---\nhalf", timedelta(days=-1))

    with pytest.raises(InvalidFile, match="does not parse"):
        world.files.commit(PATH, unreadable, NOTE)
    assert world.clock.slept


def test_keep_mtime_keeps_the_old_time(world: Any) -> None:
    world.by_hand(PATH, b"old\n")
    before = world.files.read(PATH).stamp

    after = world.files.commit(PATH, added, NOTE, keep_mtime=True).stamp

    assert (after.mtime, after.mtime_ns) == (before.mtime, before.mtime_ns)
    assert world.files.commit(PATH, added, NOTE).stamp.mtime > before.mtime


def test_without_a_note_the_journal_stays_as_it_is(world: Any) -> None:
    world.files.commit(PATH, added, None)
    world.files.move(PATH, "status/tc-2.md", None)
    world.files.remove("status/tc-2.md", None)

    assert journal(world) == []


def test_an_absent_file_is_not_found(world: Any) -> None:
    with pytest.raises(NotFound) as caught:
        world.files.read(PATH)

    assert (caught.value.what, caught.value.name) == ("file", PATH)
    assert world.files.stamp(PATH) is None


def test_a_file_over_the_cap_is_too_large(world: Any) -> None:
    world.by_hand(PATH, b"x" * 100)

    assert len(world.files.read(PATH, cap_bytes=100).data) == 100
    with pytest.raises(CannotRead) as caught:
        world.files.read(PATH, cap_bytes=99)
    assert caught.value.problem == "too-large"


def test_a_folder_is_not_a_file(disk: Any) -> None:
    disk.files.folder(PATH)

    with pytest.raises(CannotRead) as caught:
        disk.files.read(PATH)
    assert caught.value.problem == "not-a-file"
    assert disk.files.stamp(PATH) is None


@each("path", ["../x", "a/../../x", "/etc/passwd", "", ".", "a//b", "a/", "a/./b", "ok.md\0.png", "x" * 256, "é" * 128])
@each("act", ["read", "stamp", "commit", "move from", "move to", "remove", "append", "folder"])
def test_a_path_that_could_leave_the_root_is_refused(world: Any, path: str, act: str) -> None:
    world.by_hand(PATH, b"old\n")
    acts = {
        "read": lambda: world.files.read(path),
        "stamp": lambda: world.files.stamp(path),
        "commit": lambda: world.files.commit(path, added, NOTE),
        "move from": lambda: world.files.move(path, "x", NOTE),
        "move to": lambda: world.files.move(PATH, path, NOTE),
        "remove": lambda: world.files.remove(path, NOTE),
        "append": lambda: world.files.append(path, b"x"),
        "folder": lambda: world.files.folder(path),
    }

    with pytest.raises(CannotRead) as caught:
        acts[act]()
    assert caught.value.problem == "escape"


def test_names_are_sorted_bounded_and_without_what_editors_leave(world: Any) -> None:
    droppings = ["b.md~", ".b.md.swp", ".b.md.swo", "#b.md#", ".#b.md", "4913", ".b.md.tmp"]
    for name in ["b.md", "a.md", "#7.md", ".hidden", "c.md.swp-notes", "deeper/d.md", *droppings]:
        world.by_hand(f"status/{name}", b"x")

    assert world.files.names("status") == ["#7.md", ".hidden", "a.md", "b.md", "c.md.swp-notes", "deeper"]
    assert world.files.names("status", limit=2) == ["#7.md", ".hidden"]
    assert world.files.names("nowhere") == []
    assert "status" in world.files.names("")


def test_a_move_keeps_the_content_and_is_told(world: Any) -> None:
    world.by_hand(PATH, b"old\n")

    world.files.move(PATH, "status/archive/2026-03/tc-1.md", NOTE)

    assert world.files.read("status/archive/2026-03/tc-1.md").data == b"old\n"
    assert world.files.stamp(PATH) is None
    assert journal(world) == [NOTE]


def test_a_folder_moves_with_what_is_in_it(disk: Any) -> None:
    disk.by_hand("runs/new/run.md", b"old\n")

    disk.files.move("runs/new", "runs/tc-1.1-s1", NOTE)

    assert disk.files.read("runs/tc-1.1-s1/run.md").data == b"old\n"
    assert disk.files.names("runs") == ["tc-1.1-s1"]


def test_a_move_never_replaces(world: Any) -> None:
    world.by_hand(PATH, b"old\n")
    world.by_hand("status/tc-2.md", b"theirs\n")

    with pytest.raises(Conflict):
        world.files.move(PATH, "status/tc-2.md", NOTE)
    assert [world.files.read(p).data for p in (PATH, "status/tc-2.md")] == [b"old\n", b"theirs\n"]
    assert journal(world) == []


@pytest.mark.parametrize("source", [PATH, "nowhere/tc-1.md"])
def test_a_move_of_what_is_not_there_is_not_found(world: Any, source: str) -> None:
    world.files.folder("status")

    with pytest.raises(NotFound) as caught:
        world.files.move(source, "status/tc-2.md", NOTE)
    assert caught.value.what == "file"
    assert journal(world) == []


def test_a_removal_is_told_once_and_may_come_late(world: Any) -> None:
    world.by_hand(PATH, b"old\n")

    world.files.remove(PATH, NOTE)
    world.files.remove(PATH, NOTE)
    world.files.remove("nowhere/at/all.md", NOTE)

    assert world.files.stamp(PATH) is None
    assert journal(world) == [NOTE]


def test_lines_are_added_each_on_its_own(world: Any) -> None:
    world.by_hand("log.txt", b"one\ntorn by a cra")
    world.files.append("log.txt", b"two")
    world.files.append("log.txt", b"three\n")

    assert world.files.read("log.txt").data == b"one\ntorn by a cra\ntwo\nthree\n"


def test_folders_are_made_with_their_parents_and_may_be_there(disk: Any) -> None:
    disk.files.folder("inbox/peter/new")
    disk.files.folder("inbox/peter/new")

    assert disk.files.names("inbox/peter") == ["new"]


@pytest.mark.parametrize("act", ["commit", "move", "remove", "append", "folder"])
def test_a_vanished_workspace_is_written_to_by_nobody(disk: Any, act: str) -> None:
    disk.by_hand(PATH, b"old\n")
    acts = {
        "commit": lambda: disk.files.commit("status/x.md", added, NOTE),
        "move": lambda: disk.files.move(PATH, "x", NOTE),
        "remove": lambda: disk.files.remove(PATH, NOTE),
        "append": lambda: disk.files.append("log.txt", b"x"),
        "folder": lambda: disk.files.folder("new"),
    }
    disk.lose_root()

    with pytest.raises(CannotWrite) as caught:
        acts[act]()
    assert not caught.value.unknown


def test_with_nothing_to_mend_nothing_is_mended(world: Any) -> None:
    assert (world.files.recover(), world.files.adopt()) == ([], [])
    world.files.commit(PATH, added, NOTE)
    assert (world.files.recover(), world.files.adopt()) == ([], [])
    assert journal(world) == [NOTE]
