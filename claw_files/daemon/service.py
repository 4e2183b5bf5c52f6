"""The daemon's life from start to end: one workspace, under its lock, with its own epoch."""

import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from datetime import datetime, timedelta

from msgspec.structs import replace

from claw_files.app.wiring import App
from claw_files.core.digest import digest
from claw_files.core.errors import Busy, ClawError, DaemonRuns
from claw_files.core.journal_events import JournalEvent
from claw_files.core.model import Audit, Kind, Run
from claw_files.daemon import epoch
from claw_files.daemon.change_hints import ChangeHints
from claw_files.daemon.change_watch import ChangeWatch, Make
from claw_files.daemon.log import DaemonLog
from claw_files.daemon.loop import STRETCH_SECONDS, DaemonLoop
from claw_files.daemon.observers import WatchFault, identity
from claw_files.daemon.periodic_jobs import PeriodicJobs
from claw_files.daemon.run_sockets import RunSockets
from claw_files.daemon.sd_notify import ServiceNotifier
from claw_files.daemon.signals import Signals
from claw_files.services.admin import daemon_state
from claw_files.services.admin.daemon_state import DaemonState, WatchHealth
from claw_files.services.admin.partial_results import PartialResults
from claw_files.storage.workspace import CONFIG
from claw_files.system.clock import Clock
from claw_files.system.inotify_info import filesystem_of, tells_events

END_SECONDS = 20.0  # TERM, two seconds, KILL, and time to write the end
_POLL_SECONDS = 0.05


class Shutdown:
    """The shutdown of one loop."""

    def __init__(self, loop: DaemonLoop, log: DaemonLog) -> None:
        self._loop, self._log = loop, log
        self._clock = loop.app.clock
        self.until: datetime | None = None
        self._give_up = float("inf")

    def begin(self, limit: timedelta) -> None:
        """Start no more runs."""
        self._loop.app.heartbeat.starts = False
        self.until = (self._clock.now() + limit).replace(microsecond=0)
        self._give_up = self._clock.monotonic() + limit.total_seconds()
        self._log.say("draining", f"waiting up to {limit.total_seconds():g} s", runs=len(self._live()))

    def is_over(self) -> bool:
        """Whether nothing runs any more, or the time is over."""
        return not self._live() or self._clock.monotonic() >= self._give_up

    def finish(self) -> None:
        """Save the partial work of the remaining runs, stop them, and wait for their end."""
        for app, run in self._live():
            self._save(app, run)
            self._log.say("ended", "its time to finish is over", run=_named(app, run))
            app.runtime.stop(run.id, drained=True)
        end = self._clock.monotonic() + END_SECONDS
        while (rest := self._live()) and self._clock.monotonic() < end:
            for app, run in rest:
                app.runtime.end_lost(run.id)
            self._clock.sleep(_POLL_SECONDS)
        for app, run in self._live():
            self._log.say("left", "it is stuck in the kernel and cannot be stopped", run=_named(app, run))

    def _live(self) -> list[tuple[App, Run]]:
        """The live runs, including compartments, with their places."""
        everywhere = self._loop.app.resolver.everywhere()
        return [(place, run) for place in everywhere for run in place.runtime.live()]

    def _save(self, app: App, run: Run) -> None:
        try:
            path = PartialResults(app.workspace, app.checkpoints).save(run)
        except (ClawError, OSError) as wrong:
            self._log.say("not saved", "" if app.home else str(wrong), run=_named(app, run))
            return
        self._log.say("saved", "" if app.home else f"its partial result is in {path}", run=_named(app, run))


def _named(app: App, run: Run) -> str:
    """The run's name in the log, which other users may read."""
    return f"one in {os.path.relpath(app.root, app.base)}" if app.home else run.id


HALF_SAVED = timedelta(seconds=2)


class ConfigReload:
    """Keeps a loop on the newest configuration that is right."""

    def __init__(self, loop: DaemonLoop, open_app: Callable[[], App], log: DaemonLog, notify: ServiceNotifier) -> None:
        self._loop, self._open, self._log, self._notify = loop, open_app, log, notify
        self._again_at = float("inf")  # a file in a save is read once more
        self.error: str | None = None

    def turn(self, signals: Signals) -> None:
        """Reload if there is a reason."""
        clock = self._loop.app.clock
        if not (signals.reload or self._loop.config_changed or clock.monotonic() >= self._again_at):
            return
        signals.reload, self._loop.config_changed, self._again_at = False, False, float("inf")
        # The service manager expects the start time of the reload on the monotonic clock.
        self._notify(f"RELOADING=1\nMONOTONIC_USEC={int(clock.monotonic() * 1e6)}")
        self._read(clock)
        self._notify("READY=1")

    def _read(self, clock: Clock) -> None:
        try:
            app = self._open()
            settings = app.settings
        except (ClawError, OSError) as wrong:
            self._refuse(str(wrong), clock)
            return
        self.error = None
        if settings != self._loop.app.settings:
            app.workspace.epoch = self._loop.app.workspace.epoch
            app.heartbeat.starts = self._loop.app.heartbeat.starts
            self._loop.take_over(app)
            self._log.say("reload", f"{CONFIG} is loaded")

    def _refuse(self, sentence: str, clock: Clock) -> None:
        stamp = self._loop.app.files.stamp(CONFIG)
        if stamp is not None and abs(clock.now() - stamp.mtime) < HALF_SAVED:
            self._again_at = clock.monotonic() + HALF_SAVED.total_seconds()
            return
        if sentence == self.error:
            return
        self.error = sentence
        self._log.say("reload", f"{CONFIG} is invalid; the previous configuration is kept: {sentence}")
        self._tell_monitor(sentence)

    def _tell_monitor(self, sentence: str) -> None:
        app = self._loop.app
        key, to = f"config.{digest(sentence.encode(), 4)}", app.settings.monitor
        text = f"{CONFIG} is invalid; the daemon keeps the previous configuration:\n\n{sentence[:4000]}"
        me, why = app.settings.coordinator, sentence[:500]
        audit = Audit(JournalEvent.RELOAD_REFUSED, agent=to, key=key, actor=me, why=why)
        try:
            if app.workspace.find_message(to, key) is None:
                app.messages.tell(key, to, text, Kind.ANNOUNCE, None, audit)
        except (ClawError, OSError) as wrong:
            self._log.say("reload", f"{to} could not be informed: {wrong}")


MISSING_SECONDS = 2.0  # an editor may take the configuration away for a moment
LOCK_PATIENCE = timedelta(seconds=1)  # a check of the lock holds it for an instant


class Service:
    """The service of `daemon run`."""

    def __init__(
        self,
        root: str,
        open_app: Callable[[], App],
        clock: Clock,
        log: DaemonLog,
        make: Make,
        signals: Signals,
        hints: ChangeHints,
        env: Mapping[str, str],
    ) -> None:
        """`open_app` opens the current workspace at `root`; `env` has the service manager's socket."""
        self.root, self.open, self.clock, self.log = root, open_app, clock, log
        self.make, self.signals, self.hints = make, signals, hints
        self.notify = ServiceNotifier(env)
        self.faults: dict[str, int] = {}  # outlive a workspace that went and came back

    def run(self) -> None:
        """Serve until a signal asks for the end. Raises DaemonRuns, and InvalidConfig at the start."""
        app = self.open()
        while True:
            session = WorkspaceService(self, app)
            if session.serve():
                return
            self.faults[WatchFault.NO_WORKSPACE] = self.faults.get(WatchFault.NO_WORKSPACE, 0) + 1
            back = self._wait_for_workspace()
            if back is None:
                return
            app = back

    def _wait_for_workspace(self) -> App | None:
        """The workspace, once it is back and readable; None if a stop is requested first."""
        self.log.say("no workspace", f"{self.root} is missing or was replaced; waiting for it")
        while not self.signals.ends:
            self.hints.wait(STRETCH_SECONDS)
            if not os.path.lexists(os.path.join(self.root, CONFIG)):
                continue
            try:
                app = self.open()
                app.check_settings()
            except ClawError as wrong:
                self.log.news("no workspace", str(wrong))
                continue
            self.log.say("workspace", "it is back")
            return app
        return None


class WorkspaceService:
    """One workspace under one lock and one epoch."""

    def __init__(self, service: Service, app: App) -> None:
        self._service, self._root, self._clock, self._log = service, service.root, service.clock, service.log
        self._signals, self._hints, self._notify = service.signals, service.hints, service.notify
        self._identity = identity(self._root)
        self._lock = self._take_lock(app)
        self._missing_since: float | None = None  # so long there is no configuration
        self._saved: DaemonState | None = None
        self._save_at = 0.0
        try:
            number = epoch.next_epoch(app.files)
            self._epoch = str(number)
            self._begin(app, number)
        except BaseException:
            self._lock.close()
            raise

    def _begin(self, app: App, number: int) -> None:
        since, health = self._clock.now().replace(microsecond=0), WatchHealth(faults=dict(self._service.faults))
        self._state = DaemonState(pid=os.getpid(), epoch=self._epoch, since=since, watch=health)
        daemon_state.save(self._root, self._state)  # replaces the state of a daemon killed in its drain
        app.workspace.epoch, app.heartbeat.starts = self._epoch, True
        self._note(app, JournalEvent.DAEMON_START, f"process {os.getpid()}")
        epoch.keep(app.files, number)
        how = app.settings.daemon.watch
        polling = how == "polling" or (how == "auto" and not tells_events(filesystem_of(self._root)))
        self.watch = ChangeWatch(self._root, self._clock, self._hints, self._log, self._service.make, polling)
        self.watch.health = health
        self.loop = DaemonLoop(app, self.watch, self._hints, self._log)
        self._reload = ConfigReload(self.loop, self._service.open, self._log, self._notify)
        self._drain = Shutdown(self.loop, self._log)
        self._doors = RunSockets(self._log)
        self._chores = PeriodicJobs(self.loop, self._log, self._service.open)

    def _take_lock(self, app: App) -> ExitStack:
        try:
            return app.workspace.locks.acquire(daemon_state.LOCK, LOCK_PATIENCE, "clawfiles daemon")
        except Busy as busy:
            raise DaemonRuns(busy.holder) from None

    def serve(self) -> bool:
        """Turn until the end is asked for (True), or the workspace is gone (False)."""
        self._log.say("start", f"watching {self._root}", epoch=self._epoch, pid=os.getpid())
        try:
            self.loop.turn()
            self._save()
            self._notify("READY=1")
            while not self._signals.ends:
                self._wait()
                if self._is_gone():
                    return False
                if self._missing_since is None:
                    self._turn()
            self._end()
            return True
        finally:
            self._leave()

    def _is_gone(self) -> bool:
        """Whether this workspace is here no more: another folder, or none, or for seconds none with a configuration.

        While it is being deleted nothing is written, or its folders could not be removed.
        """
        if identity(self._root) != self._identity:
            return True
        if os.path.lexists(os.path.join(self._root, CONFIG)):
            self._missing_since = None
            return False
        now = self._clock.monotonic()
        self._missing_since = now if self._missing_since is None else self._missing_since
        return now - self._missing_since >= MISSING_SECONDS

    def _wait(self) -> None:
        if self._missing_since is not None:
            self._hints.wait(STRETCH_SECONDS)
            return
        save_in = self._save_at - self._clock.monotonic() if self._is_news() else STRETCH_SECONDS
        self._hints.wait(max(0.0, min(self.loop.pause(), save_in)))

    def _turn(self) -> None:
        try:
            self.loop.turn()
            self._doors.refresh(place.root for place in self.loop.app.resolver.everywhere())
            self._reload.turn(self._signals)
            self._chores.turn()
        except (ClawError, OSError) as wrong:  # a full disk, or the workspace went away under our hands
            self._log.news("turn failed", str(wrong))
        else:
            self._log.news("turn failed", "")
        self._save()
        self._notify("WATCHDOG=1")

    # --- the state file

    def _now(self) -> DaemonState:
        told = self.loop.tell(replace(self._state, reload_error=self._reload.error))
        return replace(told, draining_until=self._drain.until)

    def _is_news(self) -> bool:
        return self._now() != self._saved

    def _save(self, at_once: bool = False) -> None:
        """Write the state if it has changed, at most once a second."""
        now = self._clock.monotonic()
        if (at_once or now >= self._save_at) and (news := self._now()) != self._saved:
            daemon_state.save(self._root, news)
            self._saved, self._save_at = news, now + 1.0

    # --- the end

    def _end(self) -> None:
        """Drain; a second signal skips the rest of the wait."""
        limit = daemon_state.stop_order(self._root, self._epoch)
        limit = self.loop.app.settings.daemon.drain if limit is None else limit
        self._drain.begin(limit)
        self._notify("STOPPING=1")
        # The unit has the drain time of its installation; the current one may be longer.
        self._notify(f"EXTEND_TIMEOUT_USEC={int((limit + daemon_state.ENDING).total_seconds() * 1e6)}")
        self._save(at_once=True)
        while not self._drain.is_over() and self._signals.ends < 2 and identity(self._root) == self._identity:
            self._wait()
            self._turn()
        if identity(self._root) == self._identity:
            self._drain.finish()
            self._chores.close()
            with suppress(ClawError, OSError):  # a full disk must not prevent the stop
                self._note(self.loop.app, JournalEvent.DAEMON_STOP, "asked to")

    def _leave(self) -> None:
        self._doors.close()
        self.watch.close()
        self._service.faults.update(self.watch.health.faults)
        self._lock.close()
        self._log.say("stop", "the lock is free")

    def _note(self, app: App, action: JournalEvent, why: str) -> None:
        audit = Audit(action, actor=app.settings.coordinator, why=why, epoch=self._epoch)
        app.workspace.note(audit)
