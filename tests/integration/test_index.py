"""The index saves time and decides nothing: lost, old or full of nonsense, everybody reads the same."""

import os
from pathlib import Path

import pytest

from claw_files.app.wiring import App
from claw_files.core.model import AgentId, State
from claw_files.services.tasks.lifecycle import NewTask

CONFIG = '[workspace]\ncoordinator = "sam"\n[agents.sam]\n[agents.peter]\ntakes = ["bug"]\n'
SAM, PETER = AgentId("sam"), AgentId("peter")


def opened(root: Path) -> App:
    return App(str(root), {}, None)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "clawfiles.toml").write_text(CONFIG)
    app = opened(tmp_path)
    for number in range(1, 8):
        app.tasks.new(NewTask(title=f"task {number}", type="bug", priority="high" if number == 5 else None), SAM)
    settle(tmp_path)
    opened(tmp_path).board.listing()
    return tmp_path


def settle(root: Path) -> None:
    """Let the files be older than what an index distrusts."""
    for path in (root / "status").iterdir():
        os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns - 10_000_000_000))


def listed(root: Path) -> list[tuple[str, str, str]]:
    return [(shown.task.id, shown.task.state.value, shown.task.title) for shown in opened(root).board.listing().tasks]


def test_a_listing_leaves_an_index_that_the_next_one_believes(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(root)
    read: list[str] = []
    load_file = app.workspace.load_file
    monkeypatch.setattr(app.workspace, "load_file", lambda *path: read.append(path[1]) or load_file(*path))

    app.board.listing()

    assert read == []


@pytest.mark.parametrize("spoiled", [None, b"", b"nonsense", b"\x93\xa1x\x00\x90", os.urandom(5000)])
def test_a_lost_or_spoiled_index_changes_nothing(root: Path, spoiled: bytes | None) -> None:
    before = listed(root)
    folder = Path(opened(root).cache._folder)
    assert root not in folder.parents
    (folder / "index").unlink()
    if spoiled is not None:
        (folder / "index").write_bytes(spoiled)
        (folder / "index").chmod(0o600)

    assert listed(root) == before
    assert opened(root).claims.claim_next(PETER).task == "TC-5"


def test_an_edit_by_hand_is_seen_whatever_it_does_to_size_and_time(root: Path) -> None:
    path = root / "status/tc-3.md"
    stamp = path.stat()
    old = path.read_text()
    path.write_text(old.replace("task 3", "TASK 3"))  # in place, the same size
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns + 1))

    assert ("TC-3", "backlog", "TASK 3") in listed(root)


def test_a_replaced_file_with_the_old_time_and_size_is_seen(root: Path) -> None:
    path = root / "status/tc-3.md"
    stamp = path.stat()
    other = root / "status/new.tmp"
    other.write_text(path.read_text().replace("task 3", "TASK 3"))
    other.rename(path)
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))

    assert ("TC-3", "backlog", "TASK 3") in listed(root)


def test_a_young_file_is_read_again_although_its_stamp_is_the_same(root: Path) -> None:
    path = root / "status/tc-3.md"
    path.write_text(path.read_text())
    listed(root)
    stamp = path.stat()
    path.write_text(path.read_text().replace("task 3", "TASK 3"))
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))

    assert ("TC-3", "backlog", "TASK 3") in listed(root)


def test_a_removed_file_is_gone_and_a_new_one_is_there(root: Path) -> None:
    (root / "status/tc-2.md").unlink()
    (root / "status/tc-9.md").write_text("# TC-9: by hand\nStatus: TODO\n")

    assert [task for task, _, _ in listed(root)] == ["TC-1", "TC-3", "TC-4", "TC-5", "TC-6", "TC-7", "TC-9"]


def test_another_configuration_makes_another_index(root: Path) -> None:
    (root / "status/tc-1.md").write_text(
        "---\nid: TC-1\ntype: bug\nstatus: done\nrecorded: in_progress\nassignee: peter\n---\n"
    )
    settle(root)
    assert opened(root).board.listing(status=State.DONE).tasks
    (root / "clawfiles.toml").write_text(CONFIG + '[routes]\nbug = { to = ["peter"], review = "coordinator" }\n')

    assert not opened(root).board.listing(status=State.DONE).tasks
    assert opened(root).board.listing(status=State.REVIEW).tasks


def test_an_unreadable_file_is_named_each_time(root: Path) -> None:
    (root / "status/tc-8.md").write_text("---\nid: [\n")
    (root / "status/tc-9.md").symlink_to("/etc/hostname")

    for _ in range(2):
        named = dict(opened(root).board.listing().unreadable)
        assert set(named) == {"status/tc-8.md", "status/tc-9.md"}


def test_limits_and_filters_hold_in_the_order_of_numbers(root: Path) -> None:
    for number in range(8, 12):
        opened(root).tasks.new(NewTask(title=f"task {number}"), SAM)

    first = opened(root).board.listing(limit=10).tasks

    assert [shown.task.id for shown in first] == [f"TC-{number}" for number in range(1, 11)]


def test_a_number_beyond_all_counting_and_a_name_of_raw_bytes_do_not_break_a_listing(root: Path) -> None:
    (root / f"status/tc-{'9' * 50}.md").write_text("# big\nStatus: TODO\n")
    with open(os.path.join(os.fsencode(root), b"status/\xff.md"), "wb") as file:
        file.write(b"x")

    for _ in range(2):
        assert len(opened(root).board.listing().tasks) == 8
