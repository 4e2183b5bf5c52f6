"""Broken, empty, missing or outdated status files. None of them counts as a new task."""

import os
from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta

from claw_files.core import text
from claw_files.core.errors import ClawError
from claw_files.core.keys import task_key
from claw_files.core.model import AgentId, Box, Entry, Message, Report, Run, State, Task
from claw_files.formats import status
from claw_files.policy import routing
from claw_files.policy.snapshot import TaskEvidence
from claw_files.storage import task_recall
from claw_files.storage.workspace import Workspace
from claw_files.system.files import Content

YOUNG = timedelta(seconds=2)  # a file that is broken or gone for less than this is being written


def broken(ws: Workspace, entry: Entry, wrong: ClawError) -> TaskEvidence:
    """Evidence of an unreadable file. A young one may still be in a save; `digest` names its content."""
    found = ws.find(entry.task)
    path = found[0] if found else ""
    stamp = ws.files.stamp(path) if path else None
    young = stamp is not None and ws.clock.now() - stamp.mtime < YOUNG
    digest = f"{stamp.mtime_ns:x}"[-8:] if stamp else "gone"
    return TaskEvidence(entry=entry, path=path, pending=young, unreadable=str(wrong), digest=digest)


def absent(ws: Workspace, entry: Entry, reports: tuple[Report, ...]) -> TaskEvidence:
    """Evidence without a file: a new task, or a missing file if another record knows the task."""
    if any(it.find(entry.task) for it in ws.siblings.others()):
        return TaskEvidence(entry=entry, reports=reports)  # it is being moved from one workspace to another
    named = (entry.agent, entry.spawner, ws.settings.coordinator)
    if not task_recall.is_known(ws, entry.task, (agent for agent in named if agent in ws.settings.agents)):
        return TaskEvidence(entry=entry, reports=reports)
    path = f"status/{text.file_name(entry.task)}"
    said = f"its status file is missing: {path}; no new one is created; put it back, or {status.WRITE_HOW}"
    return TaskEvidence(entry=entry, path=path, unreadable=said, digest="gone", gone=True, pending=_is_fresh(ws))


def _is_fresh(ws: Workspace) -> bool:
    """Whether a name in status/ was added or removed within two seconds: a missing file may be on its way."""
    with suppress(OSError):
        changed = os.stat(os.path.join(ws.root, "status"), follow_symlinks=False).st_mtime
        return abs(ws.clock.now().timestamp() - changed) < YOUNG.total_seconds()
    return False


def emptied(ws: Workspace, looks: Iterable[TaskEvidence]) -> str | None:
    """Why the tick must stop, in one sentence: status/ is empty, although the ledger's tasks are known."""
    gone = [look.entry.task for look in looks if look.gone]
    if not gone or any(name.endswith(".md") for name in ws.files.names("status")):
        return None
    is_there = os.path.isdir(os.path.join(ws.root, "status"))
    tasks = ", ".join(gone[:3]) + (f" and {len(gone) - 3} more" if len(gone) > 3 else "")
    return (
        f"status/ is {'empty' if is_there else 'missing'}, but the ledger names tasks that are known ({tasks}): "
        "nothing is done until their files are back, or their lines are out of the ledger"
    )


def is_claimed(ws: Workspace, task: Task, agent: AgentId | None) -> bool:
    """Whether the claim log has the task's generation as claimed by `agent`; asked of files that were written anew."""
    if task.superseded is not None:
        return True
    if task.recorded is not None or task.generation == 0:
        return False
    given = ws.claims.given(task.id)
    return given.is_spent(task.generation) and given.owner(task.generation) == agent


def may_be_older(
    task: Task, run: Run | None, found: tuple[Message, Box] | None, content: Content, is_due: bool
) -> bool:
    """Whether the file may be an older copy with the same generation: it says that the work has not ended.

    But its run is over, or its message was put away; or it is as it was sent, byte for byte, and was written since.
    """
    if task.recorded not in (State.BACKLOG, State.IN_PROGRESS) or task.superseded is not None:
        return False
    message, box = found or (None, None)
    if message and message.sent and message.status_hash == content.digest:
        return content.stamp.mtime > message.sent + YOUNG
    is_over = run is not None and run.ended is not None and run.key == task_key(task)
    return is_over or (box is Box.DONE and is_due)


def was_in_review(ws: Workspace, task: Task) -> bool:
    """Whether the file was edited to in progress in an attempt whose reviewer was already notified."""
    if task.recorded is not State.IN_PROGRESS or task.superseded is not None or not task_recall.is_edited(ws, task):
        return False
    reviewer = routing.reviewer(ws.settings, task.type, task.assignee)
    return reviewer is not None and ws.told().get(f"{reviewer}/{task_key(task, 'review')}") is not None
