"""The loop with a clock that a test moves and a watcher that it breaks: no second passes here."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from claw_files.core.model import State
from claw_files.daemon.change_hints import ChangeHints
from claw_files.daemon.change_watch import ChangeWatch
from claw_files.daemon.log import DaemonLog
from claw_files.daemon.loop import DaemonLoop
from claw_files.daemon.observers import WatchFault
from claw_files.policy.snapshot import Act, Action
from claw_files.services.admin.daemon_state import CANARY
from claw_files.services.heartbeat.heartbeat import TickResult
from tests.support.office import TEAM, Office
from tests.support.watcher import FakeWatcher

SECOND, DAY = timedelta(seconds=1), timedelta(days=1)


class Room:
    """An office with a loop in it."""

    def __init__(self, root: Path) -> None:
        self.office = Office(root, TEAM + "[agents.coder]\ncommand = ['/bin/true']\n")
        self.said: list[str] = []
        self.made: list[FakeWatcher] = []
        self.watches_left = True
        self.hints = ChangeHints()
        log = DaemonLog(self.office.clock, lambda line: self.said.append(line.decode()))
        self.watch = ChangeWatch(str(root), self.office.clock, self.hints, log, self._make, polling=False)
        self.loop = DaemonLoop(self.office.app(), self.watch, self.hints, log)

    def _make(self, polling: bool, tell: Callable[[str], None]) -> FakeWatcher:
        if not polling and not self.watches_left:
            raise OSError(28, "inotify watch limit reached")
        made = FakeWatcher(tell)
        made.backend = "polling" if polling else "events"
        self.made.append(made)
        return made

    @property
    def watcher(self) -> FakeWatcher:
        return self.made[-1]

    def turn(self, after: timedelta = timedelta(0), sing: bool = True) -> None:
        """Turn until nothing is left to do at once, `after` from now; the canary is heard, unless it shall not."""
        self.office.clock.advance(after)
        self.office.settle()
        for _ in range(10):
            if sing:
                self.watcher.happen(str(self.office.root / f".clawfiles/daemon/{CANARY}"))
            self.loop.turn()
            self.office.settle()
            if self.loop.pause() > 0:
                return

    def save(self, path: str, text: str) -> None:
        """An editor saves, and the kernel tells."""
        self.office.write(path, text)
        self.watcher.happen(str(self.office.root / path))


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    made = Room(tmp_path / "sam")
    yield made
    made.hints.close()


def test_a_hint_makes_a_tick_without_any_wait(room: Room) -> None:
    task = room.office.delegated("iris")
    room.turn()

    room.save(f"status/{task.lower()}.md", f"{task}: DONE\n")
    room.turn()

    assert room.office.lines == []


def test_with_nothing_to_do_the_loop_waits_a_second_at_a_stretch(room: Room) -> None:
    room.turn()

    assert 0.9 <= room.loop.pause() <= 1.0


def test_a_due_action_happens_at_its_time(room: Room) -> None:
    room.office.delegated("iris")
    room.turn()
    due = room.loop.due
    assert due is not None

    room.turn(due - room.office.clock.now())

    assert room.office.audit(action="resend")


def test_a_rescan_finds_and_counts_what_no_event_told(room: Room) -> None:
    task = room.office.delegated("iris")
    room.turn()
    room.turn(SECOND)
    room.watcher.deaf = True

    room.office.write(f"status/{task.lower()}.md", f"{task}: DONE\n")
    room.turn(31 * SECOND)
    room.turn(2 * SECOND)

    assert room.office.lines == []
    assert room.watch.health.missed >= 1


def test_a_change_that_an_event_announced_is_not_counted_as_missed(room: Room) -> None:
    task = room.office.delegated("iris")
    room.turn()
    room.turn(31 * SECOND)
    room.save("status/x.txt", "x")
    room.turn(SECOND)
    missed = room.watch.health.missed
    assert task

    room.turn(31 * SECOND)
    room.turn(2 * SECOND)

    assert not any("status/x.txt" in line for line in room.said)
    assert room.watch.health.missed == missed


def test_a_canary_that_is_not_heard_means_a_new_watch(room: Room) -> None:
    room.turn()
    room.turn(61 * SECOND, sing=False)
    assert len(room.made) == 1

    for _ in range(6):
        room.turn(SECOND, sing=False)

    assert room.watch.health.faults == {WatchFault.NO_EVENTS: 1}
    assert room.made[0].closed and len(room.made) == 2


def test_a_loop_that_was_stopped_for_hours_does_not_blame_the_canary(room: Room) -> None:
    room.turn()
    room.turn(61 * SECOND, sing=False)

    room.turn(timedelta(hours=2), sing=False)
    room.turn(SECOND)

    assert room.watch.health.faults == {}


def test_without_watches_it_polls_and_tries_events_again_later(room: Room) -> None:
    room.watches_left = False
    room.watcher.faults = [WatchFault.DEAD]
    room.turn(2 * SECOND)
    assert room.watch.health.backend == "polling"

    room.watches_left = True
    room.turn(timedelta(minutes=11))

    assert room.watch.health.backend == "events"
    assert room.watch.health.faults == {WatchFault.DEAD: 1, WatchFault.NO_WATCHES: 1}


def test_an_overflow_means_a_rescan_at_once(room: Room) -> None:
    task = room.office.delegated("iris")
    room.turn()
    room.office.write(f"status/{task.lower()}.md", f"{task}: DONE\n")
    room.watcher.faults = [WatchFault.OVERFLOW]

    room.turn(2 * SECOND)

    assert room.office.lines == []
    assert len(room.made) == 1


@pytest.mark.parametrize("jump", [DAY, -DAY])
def test_a_clock_that_jumps_a_day_stops_nothing_and_hurries_nothing(room: Room, jump: timedelta) -> None:
    task = room.office.delegated("iris")
    room.save(f"status/{task.lower()}.md", f"{task}: IN PROGRESS\n")
    room.turn()
    before = room.office.clock.now()
    assert room.office.state(task) is State.IN_PROGRESS

    room.office.clock.set(before + jump)
    room.turn(SECOND)
    assert 0.0 <= room.loop.pause() <= 1.0
    room.save(f"status/{task.lower()}.md", f"{task}: DONE\n")
    room.turn(SECOND)

    assert room.office.lines == []
    assert len(room.office.audit(action="record", task=task)) == 2


def test_a_tick_that_fails_is_tried_again_within_a_second(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    task = room.office.delegated("iris")
    room.turn()
    ticks = 0

    def failing(**_: object) -> None:
        nonlocal ticks
        ticks += 1
        raise OSError(28, "No space left on device")

    real = room.loop.app.heartbeat.tick
    monkeypatch.setattr(room.loop.app.heartbeat, "tick", failing)
    room.save(f"status/{task.lower()}.md", f"{task}: DONE\n")
    for _ in range(10):
        room.turn(SECOND)
    assert 5 <= ticks <= 60
    assert sum("No space left" in line for line in room.said) == 1
    monkeypatch.setattr(room.loop.app.heartbeat, "tick", real)

    room.turn(SECOND)

    assert room.office.lines == []


def test_leftovers_of_editors_wake_nobody(room: Room) -> None:
    room.office.delegated("iris")
    room.turn()
    room.turn(SECOND)
    last = room.loop.last

    for name in ("status/.tc-1.md.swp", "status/tc-1.md~", "status/4913", "status/#tc-1.md#"):
        room.save(name, "x")
    room.turn(SECOND)

    assert room.loop.last == last


def test_a_decision_that_every_tick_repeats_keeps_the_loop_idle(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    room.turn()
    real, ticks = room.loop.app.heartbeat.tick, 0

    def again() -> TickResult:
        nonlocal ticks
        ticks += 1
        return replace(real(), actions=(Action(act=Act.NUDGE, key="tc-1.1.nudge"),))

    for name in ("tick", "tick_after_message"):
        monkeypatch.setattr(room.loop.app.heartbeat, name, again)
    for _ in range(50):
        room.hints.add(str(room.office.root / "status/tc-1.md"))
        room.loop.turn()

    assert ticks <= 5
    assert room.loop.pause() > 0.5


@pytest.mark.parametrize(("beside", "first"), [((), "wake"), (("status/iris.md",), "resend")])
def test_a_message_that_comes_alone_wakes_its_agent_before_the_lines_are_looked_at(
    room: Room, beside: tuple[str, ...], first: str
) -> None:
    room.office.delegated("iris")
    room.office.write("inbox/coder/new/.keep", "")
    room.turn()
    room.turn(SECOND)
    room.said.clear()
    assert room.loop.due is not None
    room.office.clock.advance(room.loop.due - room.office.clock.now())  # the line has something to do as well

    room.save("inbox/coder/new/m-1.md", "---\nid: m-1\nkey: m-1\nkind: announce\nfrom: sam\nto: coder\n---\nHello.\n")
    for path in beside:
        room.save(path, "nothing new\n")
    room.loop.turn()

    words = [line.split()[1] for line in room.said]
    room.office.runs_end()
    assert sorted(words) == ["resend", "wake"]
    assert words[0] == first
