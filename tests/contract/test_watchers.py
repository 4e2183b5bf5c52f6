"""Every watcher tells of the same things: by the kernel's events, by listing, and the one for tests."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from watchdog.observers.inotify_move_event_grouper import InotifyMoveEventGrouper

from claw_files.daemon.observers import KernelObserver, PollingObserver, Watcher
from claw_files.testing.patience import until
from tests.support.watcher import FakeWatcher


class Bench:
    """A watcher with what it has told so far."""

    def __init__(self, make: Callable[[Callable[[str], None]], Watcher], root: Path) -> None:
        self.root, self.told = root, set[str]()
        self.watcher = make(self.told.add)

    def hears(self, path: Path) -> None:
        """Wait until it has told of the path."""
        if isinstance(self.watcher, FakeWatcher):  # it hears what it is told
            self.watcher.happen(str(path))
        self.until(lambda: str(path) in self.told, f"{path} is told")

    def until(self, seen: Callable[[], bool], what: str) -> None:
        def healthy() -> None:
            assert self.watcher.look() == []

        until(seen, what, between=healthy)

    def folder(self, name: str) -> Path:
        (self.root / name).mkdir()
        return self.root / name


MAKERS: dict[str, Callable[[Callable[[str], None]], Watcher]] = {
    "events": KernelObserver,
    "polling": lambda tell: PollingObserver(tell, every=0.02),
    "fake": FakeWatcher,
}


@pytest.fixture(params=list(MAKERS))
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    made = Bench(MAKERS[request.param], tmp_path)
    yield made
    made.watcher.close()


def test_a_folder_is_told_when_it_is_first_watched_and_not_again(bench: Bench) -> None:
    folder = bench.folder("status")
    bench.watcher.watch([str(folder)])
    assert bench.told == {str(folder)}
    bench.told.clear()

    bench.watcher.watch([str(folder)])

    assert bench.told == set()


def test_a_folder_that_is_not_there_is_left_out(bench: Bench) -> None:
    bench.watcher.watch([str(bench.root / "nowhere")])

    assert bench.told == set()
    assert bench.watcher.look() == []


def test_a_new_file_a_changed_one_and_a_removed_one_are_told(bench: Bench) -> None:
    folder = bench.folder("status")
    bench.watcher.watch([str(folder)])
    path = folder / "tc-1.md"
    for act in (
        lambda: path.write_text("one"),
        lambda: path.write_text("another"),
        lambda: os.utime(path, (1, 1)),
        lambda: os.replace(_other(bench.root), path),
        lambda: path.unlink(),
    ):
        time.sleep(0.05)
        bench.watcher.look()
        bench.told.clear()
        act()
        bench.hears(path)


def _other(root: Path) -> Path:
    other = root / "written-elsewhere"
    other.write_text("a third")
    return other


def test_a_move_out_of_a_folder_keeps_nothing_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(InotifyMoveEventGrouper, "delay", 3600.0)
    bench = Bench(KernelObserver, tmp_path)
    folder = bench.folder("new")
    (folder / "first").write_text("one")
    bench.watcher.watch([str(folder)])

    (folder / "first").rename(tmp_path / "read")
    (folder / "second").write_text("two")

    bench.hears(folder / "first")
    bench.hears(folder / "second")
    bench.watcher.close()


def test_a_folder_that_was_replaced_is_told_and_heard_again(bench: Bench) -> None:
    folder = bench.folder("status")
    bench.watcher.watch([str(folder)])
    folder.rename(bench.root / "aside")
    folder.mkdir()
    bench.told.clear()

    bench.watcher.watch([str(folder)])
    assert str(folder) in bench.told

    (folder / "tc-1.md").write_text("one")
    bench.hears(folder / "tc-1.md")


def test_a_folder_that_is_watched_no_more_is_told_no_more(bench: Bench) -> None:
    one, two = bench.folder("one"), bench.folder("two")
    bench.watcher.watch([str(one), str(two)])
    bench.watcher.watch([str(two)])

    (one / "x").write_text("x")
    (two / "y").write_text("y")

    bench.hears(two / "y")
    assert str(one / "x") not in bench.told


def test_reading_a_file_is_no_event(bench: Bench) -> None:
    folder = bench.folder("status")
    (folder / "tc-1.md").write_text("one")
    bench.watcher.watch([str(folder)])
    bench.told.clear()

    (folder / "tc-1.md").read_text()
    os.listdir(folder)
    (folder / "end").write_text("x")

    bench.hears(folder / "end")
    assert str(folder / "tc-1.md") not in bench.told
