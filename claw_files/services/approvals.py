"""Whether a task that says it is done, though its route wants a review, was approved: the file alone is no evidence."""

from msgspec.structs import replace

from claw_files.model import AgentId, Box, State, Task
from claw_files.rules import routing
from claw_files.rules.case import task_key
from claw_files.services import history
from claw_files.workspace import Workspace

_APPROVED = ("approve", "from cache")  # what is answered from a cache was approved when it was found
_AGAIN = ("reopen", "requeue", "retry", "again", "turn", "next-agent")


def checked(ws: Workspace, task: Task) -> Task:
    """`task`, or, where it records an end that nobody approved, what it was before: then its word is a move by hand.

    Reads the journal for what is recorded as done and wants a review, and nothing for all else.
    """
    reviewer = routing.reviewer(ws.settings, task.type, task.assignee)
    if reviewer is None or not (task.state is task.recorded is State.DONE) or _is_approved(ws, task, reviewer):
        return task
    why = f"recorded {State.DONE}, but nobody approved it"
    return replace(task, recorded=State.IN_PROGRESS, overruled=(*task.overruled, why))


def _is_approved(ws: Workspace, task: Task, reviewer: AgentId) -> bool:
    found = ws.find_message(reviewer, task_key(task, "review"))
    if found and found[1] is Box.DONE:
        return True
    is_approved = False
    for line in history.lines(ws, task.id, None):
        by_hand = line.get("action") == "record" and line.get("why", "").endswith(f"-> {State.DONE}")
        if line.get("action") in _APPROVED or by_hand:
            is_approved = True
        elif line.get("action") in _AGAIN:
            is_approved = False
    return is_approved
