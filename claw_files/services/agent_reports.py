"""What an agent says about a task in files of its own."""

from collections.abc import Iterable

from msgspec.structs import replace

from claw_files import words
from claw_files.documents import reports
from claw_files.errors import ClawError
from claw_files.model import AgentId, Report, TaskId
from claw_files.system.files import Files
from claw_files.workspace import Workspace


def reports_of(ws: Workspace, task: TaskId, agent: AgentId | None) -> tuple[Report, ...]:
    """The agent's reports on the task: in `status/peter.md` here, and in `status/` of its own workspace."""
    if agent is None or agent not in ws.settings.agents:
        return ()
    found = list(_read(ws, ws.files, f"status/{agent}.md", agent, None))
    if (folder := ws.settings.agents[agent].workspace) and (files := ws.outside(folder)):
        there = [*_read(ws, files, f"status/{words.file_name(task)}", agent, task)]
        there += _read(ws, files, f"status/{agent}.md", agent, None)
        found += [_from(folder, report) for report in there]
    return tuple(report for report in found if report.task == task)


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
