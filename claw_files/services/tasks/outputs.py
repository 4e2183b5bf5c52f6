"""Promised outputs: which ones of a finished task are missing."""

from contextlib import suppress

from claw_files.core.errors import CannotRead
from claw_files.core.model import State, Task
from claw_files.policy import delegation, profiles
from claw_files.policy.verification import file_of
from claw_files.storage.workspace import Workspace


def missing(ws: Workspace, task: Task) -> tuple[str, ...]:
    """Promised outputs that are not there; only `./path` and `file:path` name files, other text is kept."""
    if task.state not in (State.DONE, State.REVIEW):
        return ()
    named = [(text, file_of(text)) for text in task.outputs]
    return tuple(text for text, path in named if path is not None and not _is_there(ws, path, task))


def _is_there(ws: Workspace, path: str, task: Task) -> bool:
    agent = ws.settings.agents.get(task.assignee) if task.assignee else None
    own = ws.outside(agent.workspace) if agent and agent.workspace else None
    folder = task.cwd or (agent and profiles.folder_of(ws.settings, agent.name, task))
    cwd = f"{folder}/" if folder and delegation.is_inside(folder) else ""
    for files, there in ((ws.files, path), (ws.files, cwd + path), (own, path)):
        with suppress(CannotRead):  # a path that leads out, or through a link, names nothing that was made here
            if files is not None and files.stamp(there) is not None:
                return True
    return False
