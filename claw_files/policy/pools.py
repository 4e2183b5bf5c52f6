"""Pools: the least busy named agent of a route gets the next task."""

from collections import Counter
from collections.abc import Iterable, Mapping

from claw_files.config import Route, Settings
from claw_files.core.model import AgentId, AgentKind, Entry, Message, Run, State, Task, TaskId, Value

AT_IT = (State.BACKLOG, State.IN_PROGRESS)  # blocked, reviewed and failed tasks wait for other agents, or for time


class AgentLoad(Value, frozen=True):
    """The load of one agent, each item counted once."""

    tasks: int = 0  # given to it and not over, at work or still waiting
    runs: int = 0  # alive for something else: an answer, a review
    messages: int = 0  # that wait to be read, about something else

    @property
    def total(self) -> int:
        return self.tasks + self.runs + self.messages

    def __str__(self) -> str:
        counted = ((self.tasks, "task"), (self.runs, "other run"), (self.messages, "other message"))
        return ", ".join(f"{n} {what}{'s' if n > 1 else ''}" for n, what in counted if n) or "nothing"


Loads = Mapping[AgentId, AgentLoad]


def loads(
    watched: Iterable[tuple[Entry, Task]], live: Iterable[Run], waiting: Iterable[Message]
) -> dict[AgentId, AgentLoad]:
    """The load of each agent; idle agents are omitted.

    Args:
        watched: the lines of the ledger with their tasks, in the state that is in force.
        live: runs that have not ended.
        waiting: messages in new/.
    """
    mine: dict[AgentId, set[TaskId]] = {}
    for entry, task in watched:
        agent = task.assignee or entry.agent
        if agent and task.state in AT_IT:
            mine.setdefault(agent, set()).add(task.id)
    runs = Counter(run.agent for run in live if run.task not in mine.get(run.agent, ()))
    others = (it for it in waiting if it.generation is None)  # a task's own message is its task
    messages = Counter(it.to for it in others if it.task not in mine.get(it.to, ()))
    agents = {*mine, *runs, *messages}
    return {it: AgentLoad(tasks=len(mine.get(it, ())), runs=runs[it], messages=messages[it]) for it in agents}


def members(settings: Settings, route: Route) -> tuple[AgentId, ...]:
    """The agents of the route's pool: the named ones, without the coordinator, which is the fallback."""
    if not route.pool:
        return ()
    named = (it for it in route.to if it in settings.agents and settings.agents[it].kind is AgentKind.NAMED)
    return tuple(it for it in named if it != settings.coordinator)


def in_order(settings: Settings, route: Route, loads: Loads) -> tuple[AgentId, ...]:
    """All agents of the route: its pool with the least busy first, the others in their position.

    Who is as busy as another keeps the route's order.
    """
    pool = members(settings, route)
    # sorted() keeps the order of equals.
    ordered = iter(sorted(pool, key=lambda agent: loads.get(agent, AgentLoad()).total))
    return tuple(next(ordered) if agent in pool else agent for agent in route.to)


def with_one_more(loads: Loads, agent: AgentId) -> dict[AgentId, AgentLoad]:
    """The loads after the agent was given one more task."""
    had = loads.get(agent, AgentLoad())
    return {**loads, agent: AgentLoad(tasks=had.tasks + 1, runs=had.runs, messages=had.messages)}
