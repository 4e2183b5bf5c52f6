"""The loop: wait, collect changes, tick. One turn is one pass; tests call it with their own clock.

Wall time says what is due, monotonic time how long to wait; nothing is waited for longer than a second at a stretch, so
a clock that jumps and a machine that slept cost no more than that.
"""

from collections.abc import Callable
from datetime import datetime

from msgspec.structs import replace

from claw_files.app.wiring import App
from claw_files.core.errors import ClawError
from claw_files.core.model import Box, Message, Run
from claw_files.core.text import render_instant
from claw_files.daemon.change_hints import ChangeHints
from claw_files.daemon.change_watch import ChangeWatch
from claw_files.daemon.log import DaemonLog
from claw_files.daemon.watched_folders import Folders
from claw_files.policy.dispatch_queue import long_waits, plan_waits, sentence
from claw_files.policy.heartbeat_plan import next_due
from claw_files.policy.snapshot import Snapshot
from claw_files.processes import LOST
from claw_files.services.admin.daemon_state import DaemonState, LastTick
from claw_files.services.heartbeat.heartbeat import TickResult
from claw_files.storage.workspace import CONFIG

STRETCH_SECONDS = 1.0
AT_ONCE_ROUNDS = 3  # so often the same may be decided in ticks on end; after that it is once a second
Done = set[tuple[object, ...]]
_FIRST_BACKOFF, _LONGEST_BACKOFF = 0.1, 1.0


class DaemonLoop:
    """The heartbeat of one workspace from start to stop."""

    def __init__(self, app: App, watch: ChangeWatch, hints: ChangeHints, log: DaemonLog) -> None:
        self.app, self.watch, self.hints, self.log = app, watch, hints, log
        self._clock = app.clock
        self.due: datetime | None = None
        self.runs: tuple[Run, ...] = ()
        self.waiting: tuple[Message, ...] = ()
        self.last: LastTick | None = None
        self.config_changed = False  # the configuration was saved; the owner of this loop reloads it
        self.on_tick: Callable[[TickResult | None], None] = lambda ticked: None  # None: it failed
        self.lag_seconds = 0.0  # from hearing of something to the end of the tick about it, the last time
        self._again = True  # tick in this turn, whatever else
        self._rounds = 0
        self._done: Done = set()  # by the last tick
        self._not_before = float("-inf")
        self._rescan_at = float("-inf")
        self._backoff = 0.0
        self._noted = set[str]()
        self._queue: Snapshot | None = None
        self._has_runs = False  # anywhere
        self.take_over(app)

    def take_over(self, app: App) -> None:
        """Go on with this app: after a reload, or at the start."""
        self.app = app
        self.watch.aim(Folders(app))
        self._again = True

    def turn(self) -> None:
        """One pass: hints, changes of a rescan, and a tick if there is a reason."""
        now, mono = self._clock.now(), self._clock.monotonic()
        heard, again = self.watch.sort(self.hints.take()), self._again
        self.watch.turn()
        # The last condition: a reload may have shortened the interval.
        if self.watch.wants_rescan or mono >= self._rescan_at or self._rescan_at - mono > self._rescan_every():
            heard |= self.watch.rescan()
            self._rescan_at = mono + self._rescan_every()
            self._again = True
        self.config_changed |= CONFIG in heard
        message = not again and are_messages(heard)  # its agent need not wait for the look at all lines
        self._again |= bool(heard) or self._has_lost_run()
        if (self._again or (self.due is not None and now >= self.due)) and mono >= self._not_before:
            self._tick(message)
            self.lag_seconds = self._clock.monotonic() - mono if heard else self.lag_seconds
        self._tell_waits(now)

    def _has_lost_run(self) -> bool:
        """Whether a run's supervisor was killed, which leaves no file that would show it."""
        if not self._has_runs:
            return False
        return any(run.reason == LOST for place in self.app.resolver.everywhere() for run in place.runtime.live())

    def pause(self) -> float:
        """The seconds until the next work, at most one."""
        now, mono = self._clock.now(), self._clock.monotonic()
        if self._again:
            return max(0.0, min(STRETCH_SECONDS, self._not_before - mono))
        ends = [STRETCH_SECONDS, self._rescan_at - mono]
        if self.due is not None:
            ends.append(max((self.due - now).total_seconds(), self._not_before - mono))
        return max(0.0, min(ends))

    def tell(self, state: DaemonState) -> DaemonState:
        """`state` with this loop's numbers."""
        return replace(
            state,
            watch=self.watch.health,
            last_tick=self.last,
            next_due=self.due,
            runs=tuple(run.id for run in self.runs),
            waiting=tuple(str(message.key) for message in self.waiting),
        )

    def _rescan_every(self) -> float:
        return self.app.settings.daemon.rescan.total_seconds()

    # --- the tick

    def _tick(self, message: bool) -> None:
        """Tick; any error is reported, and the tick is repeated within a second."""
        self._again = False
        try:
            ticked = self.app.heartbeat.tick_after_message() if message else self.app.heartbeat.tick()
        except (ClawError, OSError) as wrong:
            self._failed(str(wrong))
        except Exception as wrong:  # noqa: BLE001 - a bug of ours in one tick must not end the daemon: it is told
            self._failed(f"internal error: {type(wrong).__name__}: {wrong}")
        else:
            self._ticked(ticked)
        here = self.app.heartbeat.seen
        if seen := self.app.heartbeat.take_seen():
            self._learn(here, seen)

    def _failed(self, sentence: str) -> None:
        self.log.news("tick failed", sentence)
        self.last = LastTick(at=self._clock.now(), problems=(sentence,))
        self.on_tick(None)
        self._try_again()

    def _try_again(self) -> None:
        self._backoff = min(_LONGEST_BACKOFF, self._backoff * 2 or _FIRST_BACKOFF)
        self._not_before = self._clock.monotonic() + self._backoff
        self._again = True

    def _ticked(self, ticked: TickResult) -> None:
        self.log.news("tick failed", "")
        problems = (*ticked.problems, *ticked.faults)
        self.log.news("problems", "; ".join(problems))
        self.last = LastTick(at=ticked.at, actions=len(ticked.actions), problems=problems)
        for action in ticked.actions:
            facts = {"task": action.task, "agent": action.agent, "key": action.key}
            self.log.say(str(action.act), action.why, **{key: value for key, value in facts.items() if value})
        self.on_tick(ticked)
        if ticked.problems or ticked.busy:
            self._try_again()
        else:
            self._backoff = 0.0
            self._follow(ticked)

    def _follow(self, ticked: TickResult) -> None:
        """A tick that acted is followed by another, because its actions may enable others.

        What is decided again in tick after tick is a fault somewhere; it must not keep the machine busy.
        """
        done: set[tuple[object, ...]] = {
            (action.act, action.task, action.agent, action.key) for action in ticked.actions
        }
        done |= {("hidden",)} if ticked.hidden else set()
        self._rounds = self._rounds + 1 if done & self._done else 0
        self._done = done
        self._again |= bool(done)
        if self._rounds >= AT_ONCE_ROUNDS:
            self._not_before = self._clock.monotonic() + STRETCH_SECONDS

    def _learn(self, snap: Snapshot | None, seen: list[Snapshot]) -> None:
        """The next due times, including compartments; only facts outside of compartments are shown."""
        self.due = min((at for one in seen if (at := next_due(one, self._clock.now()))), default=None)
        self._has_runs = any(one.live for one in seen)
        if snap is None:
            return
        self.runs, self.waiting = snap.live, snap.waiting
        self._queue = replace(snap, looks=(), told={}, tried={}, ready=(), held={})  # all that waits depend on

    def _tell_waits(self, now: datetime) -> None:
        """Log once for each message that it waits, and the reason."""
        if self._queue is None or not self._queue.waiting:
            self._noted.clear()
            return
        waits = plan_waits(self._queue, now)
        self._noted &= {wait.message.id for wait in waits}
        for wait in long_waits(waits, now):
            if wait.message.id not in self._noted:
                self._noted.add(wait.message.id)
                self.log.say("waits", sentence(wait, render_instant), key=str(wait.message.key), agent=wait.message.to)


def are_messages(paths: set[str]) -> bool:
    """Whether these are only names in boxes for new messages, and at least one."""
    parts = [path.split("/") for path in paths]
    return bool(parts) and all(len(names) == 4 and names[::2] == ["inbox", Box.NEW] for names in parts)
