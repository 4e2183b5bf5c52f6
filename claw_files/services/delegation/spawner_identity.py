"""Identifies the spawner by files and processes; names and variables can be forged."""

from collections.abc import Callable, Iterable, Sequence

from claw_files.core.errors import ClawError
from claw_files.core.keys import Key
from claw_files.core.model import AgentId, AgentKind, Run, State, Task, TaskId
from claw_files.policy import flow_tree
from claw_files.policy.flow_tree import Caller
from claw_files.storage.workspace import Workspace


class SpawnerIdentity:
    """Looks at where a spawn comes from, and whether it may be."""

    def __init__(self, workspace: Workspace, runs: Callable[[], Sequence[Run]] = tuple) -> None:
        """`runs` gives the live runs that the calling process is part of, the innermost first."""
        self._ws = workspace
        self._runs = runs

    def caller(self, by: AgentId, inside: TaskId | None) -> Caller:
        """Whom `by` turns out to be.

        Args:
            inside: what the variables say. Where a run is found, that one counts instead.
        """
        runs = self._runs()
        named = [self.find(inside)] if inside and not runs else []
        tasks = [task for task in (*map(self._task_of, runs), *named) if task]
        kinds = {self._ws.settings.agents[run.agent].kind for run in runs if run.agent in self._ws.settings.agents}
        is_worker = AgentKind.WORKER in {*kinds, self._ws.settings.agent(by).kind}
        deepest = max(tasks, key=self._depth, default=None)
        return Caller(
            by=by,
            within=deepest.id if deepest else None,
            depth=max(self._depth(deepest) if deepest else 0, int(is_worker)),
            in_run=bool(runs or inside),
            stopped=self._stopped(tasks),
        )

    def check(self, caller: Caller, more: int = 1) -> None:
        """Raises Refused where the caller may not spawn so many more."""
        settings = self._ws.settings
        children = 0
        if flow_tree.is_bounded(settings, caller):
            # What is open has a ledger line: to read every task would cost more with each that lies in status/.
            watched = map(self.find, dict.fromkeys(entry.task for entry in self._ws.entries()))
            children = sum(1 for task in watched if task and flow_tree.is_child(task, caller))
        flow_tree.check_spawn(settings, caller, children, more)

    def find(self, task: TaskId) -> Task | None:
        """The task in force, wherever it lies; None for one that is gone or cannot be read."""
        try:
            return self._ws.in_force(self._ws.load_anywhere(task).task)
        except ClawError:
            return None

    def _depth(self, task: Task) -> int:
        return flow_tree.depth(task, self.find)

    def _task_of(self, run: Run) -> Task | None:
        """What the run works on; of one that was only told of a task, the agent's own above that."""
        task = self.find(run.task) if run.task else None
        if task is None or (task.assignee == run.agent and Key.parse(run.key).is_attempt):
            return task
        ours = (it for it in flow_tree.above(task, self.find) if it.assignee == run.agent and not it.state.is_closed)
        return next(ours, None)

    def _stopped(self, tasks: Iterable[Task]) -> TaskId | None:
        lines = (it for task in tasks for it in (task, *flow_tree.above(task, self.find)))
        return next((it.id for it in lines if it.state is State.CANCELLED), None)
