"""Who may give whom work: from them a message is an ordinary request, from anybody else it is data."""

from claw_files.config import Settings
from claw_files.core.model import AgentId


def standing(settings: Settings, sender: AgentId, to: AgentId, spawner: AgentId | None = None) -> str | None:
    """As what `sender` may give `to` work, in words for `to`; None where it may not.

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
