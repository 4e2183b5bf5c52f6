"""Runs whose usage is not recorded yet, listed cheaply enough for an idle tick."""

from collections.abc import Iterable

from claw_files.core.errors import ClawError
from claw_files.core.model import Run, RunId
from claw_files.storage.workspace import Workspace
from claw_files.system.todo_marks import TodoMarks


def marks(workspace: Workspace) -> TodoMarks:
    """The names of the runs that were started and not counted."""
    return workspace.uncounted


def run_names(workspace: Workspace) -> list[str]:
    """The names in runs/; empty if runs/ is not a folder, which other code reports."""
    try:
        return workspace.files.names("runs")
    except ClawError:
        return []


def is_due(workspace: Workspace, live: Iterable[Run]) -> bool:
    """Whether the usage of an ended run is not recorded yet. Costs one listing of a folder."""
    names = marks(workspace).names()
    if names is None:
        return bool(run_names(workspace))
    alive = {run.id for run in live}
    return any(name not in alive for name in names)


def begin(workspace: Workspace, run: RunId) -> None:
    """Mark a run before its start, so that its usage is recorded at its end."""
    found = marks(workspace)
    if found.names() is None and not run_names(workspace):
        found.prepare()
    found.add(run)
