"""Messages of session workers: each is one turn of the session, in order of arrival.

Nothing is kept for it but the messages, `tc-5.turn.2.md` and so on in the worker's inbox, and the task's `session` and
`turn`. The tick makes a turn an attempt at the task: what holds for attempts holds for turns.
"""

from collections.abc import Iterator
from contextlib import suppress

from msgspec.structs import replace

from claw_files.core.errors import ClawError, MoveRefused, NotFound
from claw_files.core.journal_events import JournalEvent
from claw_files.core.keys import Key, turn_key
from claw_files.core.model import AgentId, Audit, Box, Kind, Message, Stay, Task, TaskId
from claw_files.storage.workspace import Workspace


def is_turn(message: Message) -> bool:
    """Whether the message is for a session: such a message wakes no agent by itself."""
    return message.kind is Kind.QUESTION and Key.parse(message.key).turn is not None


def numbers(ws: Workspace, worker: AgentId, task: TaskId, box: Box) -> list[int]:
    """The numbers of the session's messages in a box, in order."""
    keys = map(Key.parse, ws.message_ids(worker, box))
    return sorted(key.turn for key in keys if key.turn is not None and key.name == task.lower())


def waiting(ws: Workspace, task: Task) -> Iterator[tuple[int, Message]]:
    """The messages of an open session that have not become a turn, in order; unreadable ones are skipped."""
    if task.session is not Stay.OPEN or task.assignee is None:
        return
    for number in numbers(ws, task.assignee, task.id, Box.NEW):
        with suppress(ClawError):
            if number > task.turn:
                yield number, ws.read_message(task.assignee, Box.NEW, turn_key(task.id, number))


def next_turn(ws: Workspace, task: Task) -> AgentId | None:
    """The sender of the next message; None without one."""
    return next((message.sender for _, message in waiting(ws, task)), None)


def put_away(ws: Workspace, task: Task, audit: Audit, all_of: bool = False) -> list[str]:
    """Finish the messages that became a turn, or all; returns the ids of those that were in new/."""
    moved = []
    audit = replace(audit, action=JournalEvent.WITHDRAW if all_of else JournalEvent.INBOX_DONE)
    for number in numbers(ws, task.assignee, task.id, Box.NEW) if task.assignee else ():
        if all_of or number <= task.turn:
            key = turn_key(task.id, number)
            with suppress(NotFound):
                ws.shift(task.assignee or AgentId(""), key, Box.NEW, Box.DONE, replace(audit, key=key))
                moved.append(str(key))
    return moved


def begin(ws: Workspace, task: Task) -> tuple[int, AgentId]:
    """Number and sender of the next turn. Raises MoveRefused without one."""
    for number, message in waiting(ws, task):
        return number, message.sender
    raise MoveRefused("sessions", f"{task.id} has no message waiting", "")
