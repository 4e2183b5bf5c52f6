"""Who may see what: nothing of a compartmentalised agent reaches anybody else, and a session is its own business.

A compartment's agent is not forbidden to others, it is not there: what names it is left out, and asking for it finds
nothing. A session may be seen by its agent, by who spawned it, by the coordinator and by people.
"""

from claw_files.config import Settings
from claw_files.model import AgentId, Task


def hidden_from(settings: Settings, viewer: AgentId | None) -> frozenset[AgentId]:
    """The agents whose work `viewer` must not see: everybody else's compartment. None is somebody who was not named."""
    return frozenset(agent.name for agent in settings.agents.values() if agent.compartment and agent.name != viewer)


def hides(hidden: frozenset[AgentId], task: Task) -> bool:
    """Whether the task is one of the hidden agents' own: theirs to do, or spawned by one of them."""
    return bool(hidden & {task.assignee, task.spawner})


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
