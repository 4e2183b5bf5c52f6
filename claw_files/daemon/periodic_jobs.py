"""The daemon's periodic jobs. A failed job is reported, and repeated at its next interval."""

import threading
from collections.abc import Callable
from datetime import timedelta

from claw_files.app.wiring import App
from claw_files.core.errors import ClawError
from claw_files.daemon.doctor_sync import sync
from claw_files.daemon.health_checks import HealthChecks
from claw_files.daemon.log import DaemonLog
from claw_files.daemon.loop import DaemonLoop
from claw_files.daemon.metrics import Metrics

FIRST_SECONDS = 20.0  # not at the start: then there are ticks to be made
METRICS_SECONDS = 10.0
CLOSE_SECONDS = 5.0


class PeriodicJobs:
    """The periodic jobs of one loop."""

    def __init__(self, loop: DaemonLoop, log: DaemonLog, open_app: Callable[[], App]) -> None:
        self._loop, self._log, self._clock, self._open = loop, log, loop.app.clock, open_app
        self._visit: threading.Thread | None = None
        self._app = loop.app
        self._health = HealthChecks(loop.app, log)
        self._metrics = Metrics(loop)
        start = self._clock.monotonic()
        self._at = dict.fromkeys(("health", "sync", "metrics"), start + FIRST_SECONDS) | {"metrics": start}

    def turn(self) -> None:
        """Run the due jobs."""
        if self._app is not self._loop.app:  # the configuration was read anew
            self._app = self._loop.app
            self._health.take_over(self._app)
        settings = self._app.settings
        self._safely("health", self._health.turn)
        self._if_due("health", settings.health.every, self._health.ask)
        self._if_due("sync", settings.daemon.sync, self._begin_visit)
        if settings.daemon.metrics:
            self._if_due("metrics", timedelta(seconds=METRICS_SECONDS), self._metrics.write)

    def close(self) -> None:
        """Wait for a running check of the doctor; the next one completes an interrupted one."""
        if self._visit is not None:
            self._visit.join(CLOSE_SECONDS)

    def _begin_visit(self) -> None:
        """Start the check in a thread with its own app, so that agents do not wait for it."""
        if self._visit is not None and self._visit.is_alive():
            return
        app = self._open()
        app.workspace.epoch = self._app.workspace.epoch
        visit = threading.Thread(target=self._safely, args=("sync", lambda: sync(app, self._log)), daemon=True)
        self._visit = visit
        visit.start()

    def _if_due(self, name: str, every: timedelta, do: Callable[[], None]) -> None:
        now, seconds = self._clock.monotonic(), every.total_seconds()
        if not seconds or now < min(self._at[name], now + seconds):
            return
        self._at[name] = now + seconds
        self._safely(name, do)

    def _safely(self, name: str, do: Callable[[], None]) -> None:
        try:
            do()
        except (ClawError, OSError) as wrong:
            self._log.news(f"{name} failed", str(wrong))
        except Exception as wrong:  # noqa: BLE001 - a bug of ours in a chore must not end the heartbeat: it is told
            self._log.news(f"{name} failed", f"internal error: {type(wrong).__name__}: {wrong}")
