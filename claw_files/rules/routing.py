"""Who does a task: the route of its type, agent by agent, and what holds where there is no route."""

from datetime import timedelta
from typing import Literal

from claw_files.config import Agent, Route, Settings
from claw_files.model import AgentId, AgentKind, Size, Value
from claw_files.words import render_duration

How = Literal["send", "spawn"]


class Choice(Value, frozen=True):
    """One agent for one task, and how it gets it."""

    agent: AgentId
    how: How
    size: Size | None = None  # of a spawn; None: the caller says, or M
    review: AgentId | None = None  # who approves; None: nobody needs to
    verify: tuple[str, ...] = ()
    model: str | None = None
    why: str = ""


def pick(
    settings: Settings, task_type: str | None, tried: tuple[AgentId, ...] = (), urgent: bool = False
) -> Choice | None:
    """The next agent for a task of this type after those already tried, or None at the route's end.

    Without a route, the agents that take the type come first, in the order of the file, then the coordinator. With
    `urgent` (the answer is needed now) those that can be spawned come before those that are messaged. A route's order
    is never changed.
    """
    for agent in candidates(settings, task_type, urgent):
        if agent not in tried:
            return _choice(settings, task_type, agent, tried)
    return None


def candidates(settings: Settings, task_type: str | None, urgent: bool = False) -> tuple[AgentId, ...]:
    """Everybody who may be picked for the type, in order."""
    if route := settings.route(task_type):
        return route.to
    takers = [agent for agent in settings.agents.values() if task_type in agent.takes]
    if urgent:
        takers.sort(key=lambda agent: agent.kind is not AgentKind.WORKER)
    return tuple(dict.fromkeys((*(agent.name for agent in takers), settings.coordinator)))


def how(agent: Agent, route: Route | None = None) -> How:
    """Whether the agent is messaged or spawned.

    A worker can only be spawned, and who looks for itself, a person above all, only messaged. Where both are possible
    the route decides; without its word an agent that persists is messaged: its answer can wait.
    """
    if agent.kind is AgentKind.WORKER:
        return "spawn"
    wants_spawn = route is not None and route.how == "spawn"
    return "spawn" if wants_spawn and agent.kind is AgentKind.NAMED and agent.has_command else "send"


def may_take(settings: Settings, agent: AgentId, task_type: str | None) -> bool:
    """Whether the agent may claim a task of this type that is delegated to nobody.

    The coordinator may take anything; a task without a type, or of a type that nobody is named for, anyone may.
    """
    route = settings.route(task_type)
    named = {*(route.to if route else ()), *(a.name for a in settings.agents.values() if task_type in a.takes)}
    return agent == settings.coordinator or not named or agent in named


def reviewer(settings: Settings, task_type: str | None) -> AgentId | None:
    """Who approves tasks of this type; None where the route asks for no review, or there is no route."""
    route = settings.route(task_type)
    if route is None or route.review == "none":
        return None
    return settings.coordinator if route.review == "coordinator" else AgentId(route.review)


_LEAST, _MOST = timedelta(minutes=5), timedelta(minutes=60)


def estimate_warning(estimate: timedelta | None) -> str | None:
    """What speaks against delegating work of this length, or None: delegation pays for 5 to 60 minutes of it."""
    if estimate is None or _LEAST <= estimate <= _MOST:
        return None
    said = f"an estimate of {render_duration(estimate)} is outside the 5 to 60 minutes that delegation is for"
    return f"{said}: do it yourself" if estimate < _LEAST else f"{said}: split it into smaller tasks"


def explain(
    settings: Settings, task_type: str | None, tried: tuple[AgentId, ...] = (), urgent: bool = False
) -> tuple[str, ...]:
    """Why a task of this type goes where it goes, one sentence for each step of the decision."""
    choice = pick(settings, task_type, tried, urgent)
    said = [_source(settings, task_type)]
    if tried:
        said.append(f"already tried: {', '.join(tried)}")
    if choice is None:
        return (*said, "nobody is left: it is escalated")
    said.append(f"next: {choice.agent}, by {choice.how}: {_reason(settings, choice)}")
    said.append(f"review by {choice.review}" if choice.review else "no review: done is done")
    if choice.verify:
        said.append(f"verified by running {' '.join(choice.verify)}")
    return tuple(said)


def _choice(settings: Settings, task_type: str | None, name: AgentId, tried: tuple[AgentId, ...]) -> Choice:
    agent, route = settings.agents[name], settings.route(task_type)
    after = f", after {', '.join(tried)}" if tried else ""
    return Choice(
        agent=name,
        how=how(agent, route),
        size=route.size if route else None,
        review=reviewer(settings, task_type),
        verify=route.verify if route else (),
        model=agent.model,
        why=f"{_source(settings, task_type)}; {name} is next{after}",
    )


def _source(settings: Settings, task_type: str | None) -> str:
    if settings.route(task_type):
        return f"route {task_type}: {', '.join(candidates(settings, task_type))}"
    if not task_type:
        return f"it has no type, so it goes to the coordinator, {settings.coordinator}"
    takers = candidates(settings, task_type)[:-1]
    names = (
        f"taken by {', '.join(takers)}"
        if takers
        else f"nobody takes it, so it goes to the coordinator, {settings.coordinator}"
    )
    return f"no route for {task_type}: {names}"


def _reason(settings: Settings, choice: Choice) -> str:
    kind = settings.agents[choice.agent].kind
    if choice.agent == settings.coordinator:
        return "the coordinator does it itself"
    if choice.how == "spawn":
        return (
            "a worker is spawned for each task" if kind is AgentKind.WORKER else "the route asks for a run of its own"
        )
    return "a person is told" if kind is AgentKind.HUMAN else "a named agent is messaged"
