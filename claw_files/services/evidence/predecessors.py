"""Predecessors of a task: no cycles, and their results for the task's message."""

from collections.abc import Iterator
from contextlib import suppress

from claw_files.core import text
from claw_files.core.errors import ClawError, Refused
from claw_files.core.model import Task, TaskId
from claw_files.policy.snapshot import MOST_BEFORE
from claw_files.services.messaging import prompt_templates
from claw_files.storage.workspace import Workspace

MOST_IN_CIRCLE = 1000  # tasks that are looked at for one
MOST_TOLD, MOST_LETTERS = 20, 1000  # of the tasks before it that a message tells of, and of each


def check_no_circle(ws: Workspace, task: Task) -> None:
    """Raises Refused for a task that depends on itself, directly or indirectly: it would wait forever."""
    way: dict[TaskId, tuple[TaskId, ...]] = {it: (it,) for it in task.after}
    left = list(way)
    while left and len(way) < MOST_IN_CIRCLE:
        it = left.pop()
        if it == task.id:
            why = f"{task.id} comes after itself: {' -> '.join((task.id, *way[it]))}, so that none becomes ready"
            raise Refused("after", why, "take one of them out of `after`")
        with suppress(ClawError):  # an unreadable task has no predecessors
            new = [before for before in ws.load_anywhere(it).task.after[:MOST_BEFORE] if before not in way]
            way |= {before: (*way[it], before) for before in new}
            left += new


def told(ws: Workspace, task: Task) -> str:
    """The results of the predecessors for the task's message, quoted with their source; empty without any."""
    blocks = list(_told(ws, task))
    return "\n".join(["", "Finished tasks that it depends on:", *blocks]) + "\n" if blocks else ""


def _told(ws: Workspace, task: Task) -> Iterator[str]:
    for before in task.after[:MOST_TOLD]:
        try:
            found = ws.load(before).task  # a sibling discloses nothing
        except ClawError:
            continue
        said = [found.summary or "(no summary)", *(f"output: {it}" for it in found.outputs[:MOST_TOLD])]
        source = f"{found.assignee or 'somebody'} in status/{text.file_name(before)}"
        yield prompt_templates.quoted("\n".join(said), source, MOST_LETTERS)
