"""Who may see what: nothing of a compartmentalised agent reaches anybody else, and a session is its own business.

A compartment's agent is not forbidden to others, it is not there: what names it is left out, and asking for it finds
nothing. A session may be seen by its agent, by who spawned it, by the coordinator and by people.
"""

from msgspec.structs import replace

from claw_files.config import Settings
from claw_files.core.model import AgentId, AgentKind, Task


def hidden_from(settings: Settings, viewer: AgentId | None) -> frozenset[AgentId]:
    """The agents whose work `viewer` must not see: everybody else's compartment. None is somebody who was not named."""
    return frozenset(agent.name for agent in settings.agents.values() if agent.compartment and agent.name != viewer)


def hides(hidden: frozenset[AgentId], task: Task) -> bool:
    """Whether the task is one of the hidden agents' own: theirs to do, or spawned by one of them."""
    return bool(hidden & {task.assignee, task.spawner})


def inside(settings: Settings, home: AgentId) -> Settings:
    """The configuration as it holds in the compartment of `home`: nothing in it goes to anybody outside by itself.

    Routes end with the agent and the workers; schedules and `auto` are for what lies outside.
    """
    routes = {
        name: replace(route, to=tuple(agent for agent in route.to if is_inside(settings, home, agent)))
        for name, route in settings.routes.items()
    }
    heartbeat = replace(settings.heartbeat, auto=False)
    return replace(settings, routes=routes, heartbeat=heartbeat, schedules={})


def is_inside(settings: Settings, home: AgentId, agent: AgentId) -> bool:
    """Whether work in the compartment of `home` may be given to `agent`: to itself, and to any worker."""
    known = settings.agents.get(agent)
    return agent == home or (known is not None and known.kind is AgentKind.WORKER)


def told_outside(settings: Settings, holder: AgentId | None, to: AgentId, text: str, short: str) -> str:
    """What `to` is told of a task of `holder`: all of it, or from a compartment no more than how it stands."""
    return short if holder in hidden_from(settings, to) else text


def is_boss(settings: Settings, viewer: AgentId) -> bool:
    """Whether it is the coordinator or a person."""
    return viewer == settings.coordinator or settings.is_human(viewer)


def may_see(settings: Settings, viewer: AgentId | None, agent: AgentId, spawner: AgentId | None) -> bool:
    """Whether `viewer` may look at a session of `agent` that `spawner` asked for.

    None is whoever sits at the terminal and was not named: a person, who sees all but compartments.
    """
    if hidden_from(settings, viewer) & {agent, spawner}:
        return False
    return viewer is None or viewer in (agent, spawner) or is_boss(settings, viewer)


def may_steer(settings: Settings, viewer: AgentId, agent: AgentId, spawner: AgentId | None) -> bool:
    """Whether `viewer` may correct or stop what runs in a session of `agent`."""
    return not hidden_from(settings, viewer) & {agent, spawner} and (viewer == spawner or is_boss(settings, viewer))
