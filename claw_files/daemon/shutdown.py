"""The end of a daemon: no new work, time for what runs, what is left of it saved, then ended. Nothing stays behind."""

import os
from datetime import datetime, timedelta

from claw_files.app.wiring import App
from claw_files.core.errors import ClawError
from claw_files.core.model import Run
from claw_files.daemon.log import DaemonLog
from claw_files.daemon.loop import DaemonLoop
from claw_files.services.admin.partial_results import PartialResults

END_SECONDS = 20.0  # TERM, two seconds, KILL, and time to write the end
_POLL_SECONDS = 0.05


class Shutdown:
    """The way out of one loop."""

    def __init__(self, loop: DaemonLoop, log: DaemonLog) -> None:
        self._loop, self._log = loop, log
        self._clock = loop.app.clock
        self.until: datetime | None = None
        self._give_up = float("inf")

    def begin(self, limit: timedelta) -> None:
        """From now on no run is started."""
        self._loop.app.heartbeat.starts = False
        self.until = (self._clock.now() + limit).replace(microsecond=0)
        self._give_up = self._clock.monotonic() + limit.total_seconds()
        self._log.say("draining", f"waiting up to {limit.total_seconds():g} s", runs=len(self._live()))

    def is_over(self) -> bool:
        """Whether nothing runs any more, or the time is over."""
        return not self._live() or self._clock.monotonic() >= self._give_up

    def finish(self) -> None:
        """Save what is left of the runs that are still there, end them, and wait until they are gone."""
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
        """What runs, in compartments, too, and where."""
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
    """How the log, which others read, calls the run."""
    return f"one in {os.path.relpath(app.root, app.base)}" if app.home else run.id
