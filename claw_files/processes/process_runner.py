"""Runs as supervised processes, described in `docs/explanation/runs.md`.

`runs/RUN-ID/` decides who started a run: it is moved into its place, complete, with its supervisor already waiting and
holding the run's lock. A starter that finds the folder has lost; a killed starter leaves either no folder, so that the
next tick starts the run, or a supervised run.
"""

import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from msgspec.structs import replace

from claw_files.core.errors import CannotWrite, InvalidFile, NotFound
from claw_files.core.model import DRAINED, AgentId, KeyText, Run, RunId
from claw_files.processes import LOST, StartOrder
from claw_files.processes.run_locks import RunLocks
from claw_files.system.clock import Clock
from claw_files.system.files import Content
from claw_files.system.processes import SystemProcesses
from claw_files.system.randomness import token
from claw_files.system.todo_marks import UNCOUNTED, TodoMarks

if TYPE_CHECKING:
    from claw_files.processes import run_staging

SUPERVISOR = os.path.join(os.path.dirname(os.path.abspath(__file__)), "supervisor.py")


class ProcessRunner:
    """Starts commands under `root`, an absolute path, and looks after them, whatever the runtime."""

    def __init__(
        self,
        root: str,
        processes: SystemProcesses,
        clock: Clock,
        environ: Mapping[str, str],
        grace: timedelta = timedelta(seconds=2),
        cap_bytes: int = 1 << 20,
        closed: bool = False,
        read: Callable[[str], Content] | None = None,
    ) -> None:
        """With `closed`, new files of agents' runs are private, as in a compartment.

        `read` finds runs of months ago, too.
        """
        self._read_old = read
        # One spelling for all callers: a run's processes are found by the path of its folder.
        root = os.path.realpath(root)
        self._root, self._processes, self._clock, self._environ = root, processes, clock, environ
        self._grace, self._cap_bytes, self._closed = grace, cap_bytes, closed
        self._runs = os.path.join(root, "runs")
        self._locks = RunLocks(os.path.join(root, ".clawfiles", "runs"))

    def start(self, order: StartOrder) -> bool:
        from claw_files.processes import run_staging

        run_staging.check(order)
        run_id = order.run.id
        folder = self._folder(run_id)
        if os.path.lexists(self._runs) and not run_staging.is_folder(self._runs):
            raise CannotWrite("runs", "it is not a folder, or a link to one")
        if os.path.lexists(folder):
            return False
        try:
            # Before the first new lock: a created folder must list all live runs, or they would not count as live.
            self._locks.prepare(self._unended)
            with self._locks.taking(run_id) as lock:
                return lock is not None and self._start(order, folder, lock)
        except OSError as error:
            raise CannotWrite(f"runs/{run_id}", error.strerror or str(error)) from error

    def _start(self, order: StartOrder, folder: str, lock: int) -> bool:
        """Stage the folder, start its supervisor, move it into place; the supervisor continues when `go` is closed."""
        from claw_files.processes import run_staging

        staged = os.path.join(self._root, ".clawfiles", "runs-new", f"{order.run.id}.{token(4)}")
        plan = run_staging.RunPlan(order, self._environ, staged, folder, self._locks.path(order.run.id), self._closed)
        waits, go = os.pipe()
        try:
            run_staging.stage(plan)
            confined = self._confined(plan)
            fields = [*run_staging.fields(plan, self._grace, self._cap_bytes), *confined]
            self._supervise(plan, (lock, run_staging.handover(staged, fields), waits))
            # The rename decides between starters, even if the lock files were deleted: it never replaces a folder.
            return run_staging.place(staged, folder)
        finally:
            run_staging.discard(staged)
            # The pipe also closes if this process dies; then the supervisor checks whether its folder is in place.
            os.close(go)

    def _confined(self, plan: "run_staging.RunPlan") -> list[tuple[str, str]]:
        """The order's sandbox fields; without a sandbox, the plain command."""
        if plan.order.sandbox is None:
            return [("arg", item) for item in plan.command]
        from claw_files.processes import sandbox_builder

        return sandbox_builder.fields(plan, plan.order.sandbox, os.path.join(self._root, ".clawfiles"))

    def _supervise(self, plan: "run_staging.RunPlan", given: tuple[int, int, int]) -> None:
        argv = [sys.executable, "-I", "-S", "-X", "utf8", SUPERVISOR, plan.run.id]
        env = plan.identity | {"CLAWFILES_SUPERVISES": plan.folder}
        del env["CLAWFILES_RUN_DIR"]  # the mark of its agent's processes
        try:
            self._processes.detach(argv, env, given)
        finally:
            os.close(given[1])
            os.close(given[2])

    def look(self, run_id: RunId) -> Run | None:
        # In this order: the supervisor writes the end before it releases the lock, so neither means that it died.
        held = self._locks.is_held(run_id)
        run = self._read(run_id)
        if run is None or held or run.ended:
            return run and replace(run, alive=held)
        # .clawfiles may have been deleted: then the lock is still held, but has no name.
        if self._processes.is_supervised(self._folder(run_id)):
            return replace(run, alive=True)
        # Read again: the supervisor may have written the end and exited since the first read.
        run = self._read(run_id)
        if run is None or run.ended:
            return run
        return replace(run, alive=self._processes.has_left(self._folder(run_id)), reason=LOST)

    def live(self) -> list[Run]:
        ids = self._locks.ids()
        if ids is not None:  # a lock file may have been deleted; the marks of uncounted runs complete the list
            ids = sorted({*ids, *map(RunId, TodoMarks(self._root, UNCOUNTED).names() or ())})
        found = [self.look(run_id) for run_id in (self._unended() if ids is None else ids)]
        for run in found:
            if run is not None and run.ended and not run.alive:
                self._locks.forget(run.id)  # left by a crash after the end was written
        return [run for run in found if run is not None and (run.alive or run.ended is None)]

    def stop(self, run_id: RunId, drained: bool = False) -> bool:
        from claw_files.processes.supervisor import STOP, write_durably

        run = self.look(run_id)
        if run is None or run.ended:
            return False
        if run.reason == LOST:
            return self.end_lost(run_id) is not None
        # The file is the request, and persists if the supervisor is just starting; the signal only speeds it up.
        if not os.path.lexists(os.path.join(self._folder(run_id), STOP)):
            write_durably(self._folder(run_id), STOP, f"{DRAINED}\n" if drained else "")
        self._processes.ask_to_end(self._folder(run_id))
        return True

    def lacks_sandbox(self) -> str | None:
        from claw_files.processes.bubblewrap import problem

        return problem(self._environ)

    def end_lost(self, run_id: RunId) -> Run | None:
        from claw_files.processes import run_staging
        from claw_files.system import protected_paths

        run = self.look(run_id)
        if run is None or run.ended or run.reason != LOST:
            return run
        self._locks.prepare(self._unended)
        with self._locks.taking(run_id) as lock:
            # Check again under the lock: another process may have ended it meanwhile.
            run = self._read(run_id)
            if lock is None or run is None or run.ended or not self._processes.kill_left(self._folder(run_id)):
                return self.look(run_id)
            door = os.path.join(self._root, ".clawfiles", "doors", run_id)
            told = "".join(f"clawfiles: {one}\n" for one in protected_paths.finish(door, run_id))
            ended = replace(run, ended=self._clock.now(), reason=LOST)
            run_staging.write_end(self._folder(run_id), ended, told)
            self._locks.forget(run_id)
            return ended

    def _read(self, run_id: RunId) -> Run | None:
        """The run in run.md; for an unreadable one, a run without known facts."""
        from claw_files.processes import run_staging

        try:
            return run_staging.read(self._folder(run_id), run_id)
        except (OSError, InvalidFile):
            with suppress(InvalidFile, NotFound):
                path = f"runs/{run_id}/run.md"
                if self._read_old:
                    return run_staging.parse(self._read_old(path).data, path)
            if not run_staging.is_folder(self._folder(run_id)):
                return None
            return Run(id=run_id, agent=AgentId(""), key=KeyText(""), reason="run.md cannot be read")

    def _unended(self) -> list[RunId]:
        """Every run without an end, by reading all: needed only once after .clawfiles was deleted."""
        if not os.path.lexists(self._runs):
            return []
        from claw_files.processes import run_staging

        if not run_staging.is_folder(self._runs):
            return []
        names = sorted(os.listdir(self._runs))
        runs = [self._read(RunId(name)) for name in names if run_staging.is_name(name)]
        unended = [run for run in runs if run is not None and run.ended is None]
        # A folder with an unreadable run.md and no live process is foreign.
        unknown = not all(run.key for run in unended)
        living = self._processes.run_folders() if unknown else set[str]()
        return [run.id for run in unended if run.key or self._folder(run.id) in living]

    def _folder(self, run_id: RunId) -> str:
        return os.path.join(self._runs, run_id)
