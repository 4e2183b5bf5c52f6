"""Whether clawfiles wrote a recorded end: the file alone is no evidence, the journal is."""

from contextlib import suppress

from msgspec.structs import replace

from claw_files.core import text
from claw_files.core.errors import ClawError
from claw_files.core.journal_events import JournalEvent as E
from claw_files.core.keys import task_key
from claw_files.core.model import AgentId, Audit, Box, State, Task
from claw_files.formats.journal import Line
from claw_files.policy import routing
from claw_files.services.tasks import task_history
from claw_files.storage import task_recall
from claw_files.storage.workspace import Workspace

# A cached answer was approved when it was created.
_APPROVED = (E.APPROVE, E.NO_REVIEWER, E.FROM_CACHE, E.RECORD, E.CLOSE)


_PATIENCE_SECONDS = 5.0


def checked(ws: Workspace, task: Task) -> Task:
    """`task`, or, if its recorded end was never approved or written, the task before it: its state is a move by hand.

    Reads the journal for what is recorded as done or dead, and nothing for all else.
    """
    if _doubted(ws, task) is not task:
        with suppress(ClawError):  # a command that is at it writes its file before its line
            ws.files.recover(_PATIENCE_SECONDS)
    return _doubted(ws, task)


def _doubted(ws: Workspace, task: Task) -> Task:
    if task.state is not task.recorded or task.state not in (State.DONE, State.DEAD):
        return task
    reviewer = routing.reviewer(ws.settings, task.type, task.assignee) if task.state is State.DONE else None
    known = task_recall.journalled(ws, task.id)
    if reviewer and not _is_approved(ws, task, reviewer, known):
        why = f"recorded {State.DONE}, but it was not approved"
        return replace(task, recorded=State.IN_PROGRESS, overruled=(*task.overruled, why))
    if known and not reviewer and known.after is not task.recorded:
        why, found = f"records {task.recorded}, and the journal {known.after}", replace(task, recorded=known.after)
        is_move = task.state is State.DONE
        return replace(found, overruled=(*task.overruled, why)) if is_move else replace(found, stranger=why)
    lines = task_history.lines(ws, task.id, task.completed) if task.verified else []
    if task.verified and all(line.get("action") != E.VERIFIED for line in lines):
        why = f"verified {text.render_instant(task.verified)}, which only the heartbeat writes"
        return replace(task, verified=None, overruled=(*task.overruled, why))
    return task


def _is_approved(ws: Workspace, task: Task, reviewer: AgentId, known: Line | None) -> bool:
    if known:
        return known.after is State.DONE and known.action in _APPROVED
    found = ws.find_message(reviewer, task_key(task, "review"))
    return found is not None and found[1] is Box.DONE


def put_away(ws: Workspace, task: Task, attempt: int, audit: Audit) -> None:
    """Finish the review request of the attempt, if one was sent: it is no longer needed."""
    reviewer = routing.reviewer(ws.settings, task.type, task.assignee, asked=True) or ws.settings.coordinator
    key = task_key(replace(task, attempt=attempt), "review")
    told = ws.told().get(f"{reviewer}/{key}")
    if told and told.box is not Box.DONE:
        done = replace(audit, action=E.INBOX_DONE, agent=reviewer, key=key, why="reviewed")
        with suppress(ClawError):  # the move is made, whatever the inbox contains
            ws.shift(reviewer, key, told.box, Box.DONE, done)
