"""The runs of workflows there have been, from `flows/`, each with what its record and the journal tell of it."""

from collections.abc import Iterator
from contextlib import suppress

from claw_files.core.errors import ClawError
from claw_files.core.model import TaskId
from claw_files.formats import frontmatter, workflow_record
from claw_files.policy.workflow_figures import RunFigures, runs_of
from claw_files.services.accounting.spend import Spending
from claw_files.storage.workspace import Workspace

_DEEPEST = 10  # tasks, each made in the run of the one before


class RunHistory:
    """Reads; never writes."""

    def __init__(self, workspace: Workspace) -> None:
        self._ws, self._known = workspace, dict[TaskId, tuple[str, ...]]()
        self._runs = frozenset(workspace.files.all_names("flows"))

    def runs(self, workflow: str | None = None) -> Iterator[RunFigures]:
        """The runs of the workflow, or all. One whose record cannot be read is left out."""
        costs = Spending(self._ws).by_group(self.runs_of)
        for run in sorted(self._runs):
            with suppress(ClawError):
                path = f"flows/{run}/record.md"
                raw = self._ws.files.read(path).data
                name = str(frontmatter.parse(raw, path).meta.get("workflow", ""))
                if workflow in (None, name):
                    record = workflow_record.parse(raw, path)
                    yield RunFigures(workflow=name, record=record, cost=costs.get(run))

    def runs_of(self, task: TaskId) -> tuple[str, ...]:
        """The runs of the task, the outermost first, including tasks that an agent created in a step."""
        found, at = self._known.get(task), task
        for _ in range(_DEEPEST):
            if found := found or tuple(runs_of(at, self._runs)):
                break
            with suppress(ClawError):
                made = self._ws.definition(at)
                at = (made.task.parent if made else None) or at
        return self._known.setdefault(task, found or ())

    def workflow_of(self, task: TaskId) -> str | None:
        """The workflow of the outermost run of the task."""
        runs = self.runs_of(task)
        known = self._ws.known(TaskId(runs[0].upper())) if runs else None
        return known.workflow if known else None
