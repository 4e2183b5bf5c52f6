"""The end of a daemon: no new work, time for what runs, what is left of it saved, then ended. Nothing stays behind."""

from datetime import datetime, timedelta

from claw_files.daemon.log import Log
from claw_files.daemon.loop import Loop
from claw_files.errors import ClawError
from claw_files.model import Run
from claw_files.services.saving import Saving

END_SECONDS = 20.0  # TERM, two seconds, KILL, and time to write the end
_POLL_SECONDS = 0.05


class Drain:
    """The way out of one loop."""

    def __init__(self, loop: Loop, log: Log) -> None:
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
        runtime = self._loop.app.runtime
        left = self._live()
        for run in left:
            self._save(run)
            self._log.say("ended", "its time to finish is over", run=run.id)
            runtime.stop(run.id, drained=True)
        end = self._clock.monotonic() + END_SECONDS
        while (rest := self._live()) and self._clock.monotonic() < end:
            for run in rest:
                runtime.end_lost(run.id)
            self._clock.sleep(_POLL_SECONDS)
        for run in self._live():
            self._log.say("left", "it hangs in the kernel and cannot be ended", run=run.id)

    def _live(self) -> list[Run]:
        return self._loop.app.runtime.live()

    def _save(self, run: Run) -> None:
        app = self._loop.app
        try:
            path = Saving(app.workspace, app.checkpoints).save(run)
        except (ClawError, OSError) as wrong:
            self._log.say("not saved", str(wrong), run=run.id)
            return
        self._log.say("saved", f"what there is of it is in {path}", run=run.id)
