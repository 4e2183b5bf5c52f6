"""Comments: notes in a task's file that do not change its state."""

from msgspec.structs import replace

from claw_files.core import text as words
from claw_files.core.errors import BadValue, MoveRefused, NotFound
from claw_files.core.journal_events import JournalEvent
from claw_files.core.model import AgentId, Audit, Task, TaskId
from claw_files.formats import status
from claw_files.policy import payload_sizes
from claw_files.policy.acknowledgement import OWN
from claw_files.policy.snapshot import FilePlace
from claw_files.services.tasks.lifecycle import check_no_worker
from claw_files.storage import task_recall
from claw_files.storage.workspace import Workspace


def add(ws: Workspace, task: TaskId, by: AgentId, text: str) -> Task:
    """The task with a dated note at the end of its file, which is neither a statement nor a sign of its holder.

    The file keeps its time. `updated` is set where the last write was ours, so that the file goes on being as we wrote
    it; what somebody wrote by hand since is not hidden by that.

    Raises MoveRefused for a task in the archive, BadValue for a text without words, Refused for a worker and for a
    text that is too long.
    """
    payload_sizes.check(text)
    said = " ".join(text.split())
    if not said:
        raise BadValue("comment", text, "some words")
    check_no_worker(ws.settings, by, task)
    loaded, now = ws.load(task), ws.clock.now()
    if loaded.place is FilePlace.ARCHIVE:
        right = f"to reopen it: `clawfiles reopen {task} WHY`"
        raise MoveRefused("archive", f"{task} is in the archive and cannot be changed", right)
    path, stamp = loaded.path, loaded.content.stamp

    def change(raw: bytes | None) -> bytes:
        if raw is None:
            raise NotFound("task", task)
        before = status.parse(raw, path, min(stamp.mtime, now), ws.zone)
        is_ours = before.updated is not None and stamp.mtime <= before.updated + OWN
        new = status.edit(raw, before, replace(before, updated=now), path) if is_ours else raw
        new = status.append(new, f"- {words.render_instant(now)} {by} (comment): {said}", path)
        payload_sizes.check_file(len(new), path)
        return new

    key = ws.pending.nonce
    audit = Audit(JournalEvent.COMMENT, task=task, agent=loaded.task.assignee, actor=by, key=key, why=text)
    if not task_recall.made_under(ws, key):
        ws.files.commit(path, change, ws.line(audit), keep_mtime=True)
    return ws.in_force(ws.load(task).task)
