"""The rules inside a compartment: its configuration, and the agents that work in it."""

from msgspec.structs import replace

from claw_files.config import EventSettings, Settings
from claw_files.core.model import AgentId


def inside(settings: Settings, home: AgentId) -> Settings:
    """The configuration inside the compartment of `home`: nothing is sent outside automatically.

    Routes end with the agent and its workers; schedules, events and `auto` apply only outside.
    """
    routes = {
        name: replace(route, to=tuple(agent for agent in route.to if is_inside(settings, home, agent)))
        for name, route in settings.routes.items()
    }
    heartbeat = replace(settings.heartbeat, auto=False)
    none = EventSettings()
    return replace(settings, routes=routes, heartbeat=heartbeat, schedules={}, sources={}, webhooks={}, events=none)


def is_inside(settings: Settings, home: AgentId, agent: AgentId) -> bool:
    """Whether work in the compartment of `home` may be given to `agent`: to itself, and to any worker."""
    return agent == home or settings.is_worker(agent)
