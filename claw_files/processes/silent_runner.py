"""Runs for a simulation: none of them begins, and those that there are say nothing until their time is over."""

from collections.abc import Callable
from datetime import datetime

from msgspec.structs import replace

from claw_files.core.model import Run, RunId
from claw_files.formats import runs
from claw_files.processes import StartOrder
from claw_files.processes.process_runner import ProcessRunner
from claw_files.system.files import Files


class SilentRunner(ProcessRunner):
    """Starts no process: an order becomes a run that lives, does nothing, and is ended when its time is over."""

    def __init__(self, runner: ProcessRunner, files: Callable[[], Files]) -> None:
        vars(self).update(vars(runner))
        self._files, ids = files, self._locks.ids()
        # As they were seen last; the first time as they are.
        self._seen = {run_id: runner.look(run_id) for run_id in (self._unended() if ids is None else ids)}

    def start(self, order: StartOrder) -> bool:
        if self.look(order.run.id) is None:
            self._keep(order.run, command=order.command, alive=True)
            return True
        return False

    def look(self, run_id: RunId) -> Run | None:
        if run_id not in self._seen:
            self._seen[run_id] = super().look(run_id)
        run = self._seen[run_id]
        end = end_of(run) if run and run.alive else None
        return (
            self._keep(run, ended=end, reason="timed out", exit=-15)
            if run and end and end <= self._clock.now()
            else run
        )

    def live(self) -> list[Run]:
        return [run for it in sorted(self._seen) if (run := self.look(it)) and run.ended is None]

    def stop(self, run_id: RunId, drained: bool = False) -> bool:
        if (run := self.look(run_id)) and not run.ended:
            self._keep(run, ended=self._clock.now(), reason=run.reason or "stopped")
            return True
        return False

    def end_lost(self, run_id: RunId) -> Run | None:
        self.stop(run_id)
        return self.look(run_id)

    def _keep(self, run: Run, alive: bool = False, **changes: object) -> Run:
        self._seen[run.id] = run = replace(run, alive=alive, **changes)
        self._files().commit(f"runs/{run.id}/run.md", lambda _: runs.render(run), None)
        return run


def end_of(run: Run) -> datetime | None:
    """When the time of the run is over."""
    return run.started + run.timeout if run.started and run.timeout else None
