"""Reading the configuration anew: when it was saved, or on SIGHUP. A wrong one leaves the one before in force."""

from collections.abc import Callable
from datetime import timedelta

from claw_files.app.wiring import App
from claw_files.core.digest import digest
from claw_files.core.errors import ClawError
from claw_files.core.journal_events import JournalEvent
from claw_files.core.model import Audit, Kind
from claw_files.daemon.log import DaemonLog
from claw_files.daemon.loop import DaemonLoop
from claw_files.daemon.sd_notify import ServiceNotifier
from claw_files.daemon.signals import Signals
from claw_files.storage.workspace import CONFIG
from claw_files.system.clock import Clock

HALF_SAVED = timedelta(seconds=2)


class ConfigReload:
    """Keeps a loop on the newest configuration that is right."""

    def __init__(self, loop: DaemonLoop, open_app: Callable[[], App], log: DaemonLog, notify: ServiceNotifier) -> None:
        self._loop, self._open, self._log, self._notify = loop, open_app, log, notify
        self._again_at = float("inf")  # a file that was being saved is looked at once more
        self.error: str | None = None

    def turn(self, signals: Signals) -> None:
        """Reload if there is a reason to."""
        clock = self._loop.app.clock
        if not (signals.reload or self._loop.config_changed or clock.monotonic() >= self._again_at):
            return
        signals.reload, self._loop.config_changed, self._again_at = False, False, float("inf")
        # The service manager wants to know since when, by the clock that never steps.
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
