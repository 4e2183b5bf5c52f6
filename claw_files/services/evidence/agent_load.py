"""The load of agents, for routes with a pool, and the model for their waiting work."""

from collections.abc import Callable, Iterable, Sequence

from msgspec.structs import replace

from claw_files.core.model import Box, Message, Run, Task
from claw_files.policy import pools
from claw_files.policy.pools import Loads
from claw_files.storage.workspace import Workspace


def loads(ws: Workspace, live: Callable[[], Sequence[Run]], tasks: Iterable[Task]) -> Loads:
    """The load of all agents, if one of these tasks may go to a pool; otherwise nothing is read."""
    settings = ws.settings
    if not any(route.pool for task in tasks if (route := settings.route(task.type))):
        return {}
    watched = [(entry, task) for entry in ws.entries() if (task := ws.known(entry.task))]
    agents = {agent for route in settings.routes.values() for agent in pools.members(settings, route)}
    waiting = [message for agent in sorted(agents) for message in ws.messages_in(agent, Box.NEW)]
    return pools.loads(watched, live(), waiting)


def with_model(ws: Workspace, message: Message) -> Message:
    """The message with the current model of its task, if rates depend on it."""
    task = ws.known(message.task) if message.task and ws.settings.limits.per_model else None
    if task is None:
        return message
    told = {"type": task.type, "model": task.model} if task.assignee == message.to else {}
    return replace(message, definition={key: value for key, value in told.items() if value})
