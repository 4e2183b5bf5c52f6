"""What an agent says about a task in files of its own."""

from collections.abc import Iterable
from datetime import datetime
from functools import cached_property

from msgspec.structs import replace

from claw_files.core import text
from claw_files.core.errors import ClawError
from claw_files.core.model import AgentId, Report, State, Task, TaskId
from claw_files.formats import reports
from claw_files.storage.workspace import Workspace
from claw_files.system.files import Files


def reports_of(ws: Workspace, task: TaskId, agent: AgentId | None) -> tuple[Report, ...]:
    """The agent's reports on the task: in `status/peter.md` here, and in `status/` of its own workspace."""
    if agent is None or agent not in ws.settings.agents:
        return ()
    found = list(_read(ws, ws.files, f"status/{agent}.md", agent, None))
    if (folder := ws.settings.agents[agent].workspace) and (files := ws.outside(folder)):
        there = [*_read(ws, files, f"status/{text.file_name(task)}", agent, task)]
        there += _read(ws, files, f"status/{agent}.md", agent, None)
        found += [_from(folder, report) for report in there]
    return tuple(report for report in found if report.task == task)


class Reporters:
    """Who has a file of reports in `status/`, looked at once: for one tick."""

    def __init__(self, workspace: Workspace) -> None:
        self._ws = workspace

    @cached_property
    def _written(self) -> dict[AgentId, datetime]:
        stamps = ((agent, self._ws.files.stamp(f"status/{agent}.md")) for agent in self._ws.settings.agents)
        return {agent: stamp.mtime for agent, stamp in stamps if stamp}

    def on(self, task: Task, holder: AgentId | None) -> tuple[Report, ...]:
        """Reports on an open task by agents that do not have it; a file is read if it is newer than our last write."""
        since, is_open = task.updated, task.state in (State.BACKLOG, State.IN_PROGRESS, State.BLOCKED)
        newer = (who for who, at in self._written.items() if is_open and since and who != holder and at > since)
        said = (it for who in newer for it in _read(self._ws, self._ws.files, f"status/{who}.md", who, None))
        return tuple(it for it in said if it.task == task.id)


def _read(ws: Workspace, files: Files, path: str, agent: AgentId, task: TaskId | None) -> Iterable[Report]:
    try:
        content = files.read(path)
        return reports.parse(content.data, path, agent, content.stamp.mtime, ws.zone, task, vocabulary=ws.vocabulary)
    except ClawError:  # doctor names it
        return ()


def _from(folder: str, report: Report) -> Report:
    """The report as it is seen from here: it lies in the agent's own workspace."""
    unclear = tuple(replace(it, path=f"{folder}/{it.path}") for it in report.unclear)
    return replace(report, path=f"{folder}/{report.path}", unclear=unclear)
