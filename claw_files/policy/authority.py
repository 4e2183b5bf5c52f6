"""Authority: which agent may give work to which, and who may see or stop a session."""

from claw_files.config import Settings
from claw_files.core.model import AgentId


def standing(settings: Settings, sender: AgentId, to: AgentId, spawner: AgentId | None = None) -> str | None:
    """The role in which `sender` may give `to` work, in words for `to`; None if it may not.

    The coordinator, people, who spawned it, and everybody above it in `reports_to` may.

    Args:
        spawner: who spawned `to` for the task that is spoken of.
    """
    if sender == settings.coordinator:
        return "the coordinator"
    if settings.is_human(sender):
        return "a person"
    if sender == spawner:
        return "who spawned you"
    if sender == to:
        return "yourself"
    return "you report to them" if sender in settings.above(to) else None


def may_give_work(settings: Settings, sender: AgentId, to: AgentId, spawner: AgentId | None = None) -> bool:
    """Whether words of `sender` are a request to `to`, and not another agent's data."""
    return standing(settings, sender, to, spawner) is not None


def is_boss(settings: Settings, viewer: AgentId) -> bool:
    """Whether the agent is the coordinator or a person."""
    return viewer == settings.coordinator or settings.is_human(viewer)


def may_see(settings: Settings, viewer: AgentId | None, agent: AgentId, spawner: AgentId | None) -> bool:
    """Whether `viewer` may see a session of `agent` that `spawner` requested.

    None is a person at a terminal who gave no name.
    """
    if not (settings.may_know(viewer, agent) and settings.may_know(viewer, spawner)):
        return False
    return viewer is None or viewer in (agent, spawner) or is_boss(settings, viewer)


def may_steer(settings: Settings, viewer: AgentId, agent: AgentId, spawner: AgentId | None) -> bool:
    """Whether `viewer` may correct or stop a run in a session of `agent`."""
    is_known = settings.may_know(viewer, agent) and settings.may_know(viewer, spawner)
    return is_known and (viewer == spawner or is_boss(settings, viewer))
