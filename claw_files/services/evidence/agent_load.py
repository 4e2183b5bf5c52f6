"""What agents have before them, for routes with a pool; and with which model what waits for them would be done."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from msgspec.structs import replace

from claw_files.core.errors import ClawError
from claw_files.core.model import Box, Entry, Message, Run, Task
from claw_files.policy import pools
from claw_files.policy.pools import Loads
from claw_files.storage.workspace import Workspace


def loads(ws: Workspace, live: Callable[[], Sequence[Run]], tasks: Iterable[Task]) -> Loads:
    """What everybody has to do, where one of these tasks may go to a pool; else nobody asks, and nothing is read."""
    settings = ws.settings
    if not any(route.pool for task in tasks if (route := settings.route(task.type))):
        return {}
    watched = [(entry, task) for entry in ws.entries() if (task := _task(ws, entry))]
    agents = {agent for route in settings.routes.values() for agent in pools.members(settings, route)}
    waiting = [message for agent in sorted(agents) for message in ws.messages_in(agent, Box.NEW)]
    return pools.loads(watched, live(), waiting)


def with_model(ws: Workspace, message: Message) -> Message:
    """The message with what its task says now of the model, where rates go by that: an answer carries no more."""
    if message.task is None or not ws.settings.limits.per_model:
        return message
    with suppress(ClawError):
        task = ws.load(message.task).task
        told = {"type": task.type, "model": task.model} if task.assignee == message.to else {}
        return replace(message, definition={key: value for key, value in told.items() if value})
    return message


def _task(ws: Workspace, entry: Entry) -> Task | None:
    try:
        return ws.in_force(ws.load(entry.task).task)
    except ClawError:
        return None
