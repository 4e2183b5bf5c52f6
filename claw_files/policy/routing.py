"""Routing: the agent, method and model for a task, with and without a route."""

from datetime import timedelta
from typing import Literal

from msgspec.structs import replace

from claw_files.config import Agent, Route, Settings
from claw_files.core import text
from claw_files.core.errors import BadValue
from claw_files.core.model import AgentId, AgentKind, Size, State, Task, Value
from claw_files.core.text import render_duration
from claw_files.policy import pools
from claw_files.policy.pools import Loads

How = Literal["send", "spawn"]


class AgentChoice(Value, frozen=True):
    """One agent for one task, and how it gets the task."""

    agent: AgentId
    how: How
    size: Size | None = None  # of a spawn; None: the caller says, or M
    review: AgentId | None = None  # the reviewer; None: no review
    verify: tuple[str, ...] = ()
    model: str | None = None
    why: str = ""


def pick(
    settings: Settings,
    task_type: str | None,
    tried: tuple[AgentId, ...] = (),
    urgent: bool = False,
    loads: Loads | None = None,
) -> AgentChoice | None:
    """The next agent for a task of this type after those already tried, or None at the route's end.

    Args:
        urgent: as `candidates`.
        loads: what everybody has before them, for routes with a pool.
    """
    for agent in candidates(settings, task_type, urgent, loads):
        if agent not in tried:
            return _choice(settings, task_type, agent, tried)
    return None


def candidates(
    settings: Settings, task_type: str | None, urgent: bool = False, loads: Loads | None = None
) -> tuple[AgentId, ...]:
    """Everybody who may be picked for the type, in order.

    Without a route, the agents that take the type come first, in the order of the file, then the coordinator. With
    `urgent` (the answer is needed now) those that can be spawned come before those that are messaged, unless the route
    says `how`: then its order is never changed but for its pool.
    """
    route = settings.route(task_type)
    if route:
        found = pools.in_order(settings, route, loads or {})
    else:
        takers = [agent.name for agent in settings.agents.values() if task_type in agent.takes]
        found = tuple(dict.fromkeys((*takers, settings.coordinator)))
    if not urgent or (route and route.how):
        return found
    return tuple(sorted(found, key=lambda agent: settings.agents[agent].kind is not AgentKind.WORKER))


def is_urgent(task: Task) -> bool:
    """Whether its answer is needed now: its priority is the highest."""
    try:
        return text.rank(task.priority) == 0
    except BadValue:  # written by hand
        return False


def made_urgent(task: Task) -> Task:
    """The task with the highest priority; a task that has it keeps its word."""
    return task if is_urgent(task) else replace(task, priority="critical")


def model_for(settings: Settings, agent: AgentId, task_type: str | None, own: str | None = None) -> str | None:
    """The model that the agent works with on a task of this type: the task's own, the route's, or the agent's."""
    route = settings.route(task_type)
    return own or (route.model if route else None) or settings.agents[agent].model


def how(agent: Agent, route: Route | None = None) -> How:
    """Whether the agent is messaged or spawned.

    A worker can only be spawned, and who looks for itself, a person above all, only messaged. Where both are possible
    the route decides; without its word an agent that persists is messaged: its answer can wait.
    """
    if agent.kind is AgentKind.WORKER:
        return "spawn"
    wants_spawn = route is not None and route.how == "spawn"
    return "spawn" if wants_spawn and agent.kind is AgentKind.NAMED and agent.traits.has_command else "send"


def may_take(settings: Settings, agent: AgentId, task_type: str | None) -> bool:
    """Whether the agent may claim an unassigned task of this type.

    The coordinator may take any task; any agent may take a task without a type, or of a type without agents.
    """
    route = settings.route(task_type)
    named = {*(route.to if route else ()), *(a.name for a in settings.agents.values() if task_type in a.takes)}
    return agent == settings.coordinator or not named or agent in named


def reviewer(
    settings: Settings, task_type: str | None, maker: AgentId | None = None, asked: bool = False
) -> AgentId | None:
    """The reviewer of tasks of this type; None without a review, or if only the holder could review.

    What whoever is named has made goes up `reports_to`, else to the coordinator, else to any person.

    Args:
        asked: a review was asked for, whatever the route says: without its word the coordinator approves.
    """
    route = settings.route(task_type)
    named = AgentId(route.review) if route and route.review != "none" else AgentId("coordinator")
    if named == "coordinator":
        named = settings.coordinator
    if not asked and (route is None or route.review == "none"):
        return None
    people = [it for it in settings.agents if settings.is_human(it)]
    return next((it for it in (named, *settings.above(named), settings.coordinator, *people) if it != maker), None)


def unreviewed(settings: Settings, task: Task) -> str | None:
    """Why a done task counts without its review, in one sentence; None if it does not."""
    wanted, maker = reviewer(settings, task.type), task.assignee
    if task.state is not State.DONE or wanted is None or reviewer(settings, task.type, maker):
        return None
    return f"it is done without the review that its route requires: {maker} made it, and no other agent can review it"


_LEAST, _MOST = timedelta(minutes=5), timedelta(minutes=60)


def estimate_warning(estimate: timedelta | None) -> str | None:
    """Why work of this length should not be delegated, or None: delegation pays off for 5 to 60 minutes."""
    if estimate is None or _LEAST <= estimate <= _MOST:
        return None
    said = f"an estimate of {render_duration(estimate)} is outside the 5 to 60 minutes that delegation is for"
    return f"{said}: do it yourself" if estimate < _LEAST else f"{said}: split it into smaller tasks"


def source(settings: Settings, task_type: str | None) -> str:
    """The source of the candidates' order, in a few words."""
    if route := settings.route(task_type):
        return f"route {task_type}: {', '.join(route.to)}"
    if not task_type:
        return f"it has no type, so it goes to the coordinator, {settings.coordinator}"
    if takers := candidates(settings, task_type)[:-1]:
        return f"no route for {task_type}: taken by {', '.join(takers)}"
    return f"no route for {task_type}: no agent takes it, so it goes to the coordinator, {settings.coordinator}"


def _choice(settings: Settings, task_type: str | None, name: AgentId, tried: tuple[AgentId, ...]) -> AgentChoice:
    agent, route = settings.agents[name], settings.route(task_type)
    after = f", after {', '.join(tried)}" if tried else ""
    return AgentChoice(
        agent=name,
        how=how(agent, route),
        size=route.size if route else None,
        review=reviewer(settings, task_type),
        verify=route.verify if route else (),
        model=model_for(settings, name, task_type),
        why=f"{source(settings, task_type)}; {name} is next{after}",
    )
