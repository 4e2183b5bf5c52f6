"""Instructions for an agent's role, as configured: `prime`, and the skill's text."""

from collections.abc import Iterable
from string import Template

from claw_files.config import Agent, Settings
from claw_files.core.model import AgentId, AgentKind, Value
from claw_files.core.text import safe
from claw_files.formats import own_sections
from claw_files.system.package_data import template

SKILL = "skills/clawfiles/SKILL.md"
MOST_WORDS = 300  # of everything that is printed
_LIST_WORDS = 16  # of a list that the configuration makes as long as it likes
_NAME_WORDS, _NAME_LETTERS = 6, 40  # of a path, a type, a channel


class Primer(Value, frozen=True):
    """The instructions for one agent, and the cost of reading them."""

    agent: AgentId | None
    role: str  # coordinator, named, worker, human; nobody
    text: str

    @property
    def words(self) -> int:
        return len(self.text.split())

    @property
    def tokens(self) -> int:
        """Estimated as characters / 4, which is near enough for English in any model."""
        return (len(self.text) + 3) // 4


def prime(settings: Settings, name: AgentId | None) -> Primer:
    """The instructions for the agent; without an agent, the text of the skill.

    Raises NotFound for a name that the configuration does not know.
    """
    if name is None:
        return Primer(agent=None, role="nobody", text=skill_text())
    agent = settings.agent(name)
    role = "coordinator" if agent.name == settings.coordinator else str(agent.kind)
    names = {
        "name": agent.name,
        "coordinator": settings.coordinator,
        "ledger": _short(settings.workspace.ledger),
        "facts": "".join(f" {fact}" for fact in _facts(settings, agent, role)),
        "agents": _some(map(_described, _others(settings, agent))) or "none",
        "there": " of your own folder" if agent.workspace else "",
    }
    text = Template(template(f"prime/{role}.md")).substitute(names).strip()
    return Primer(agent=agent.name, role=role, text=text)


def skill_text() -> str:
    """The text of the skill without its front matter."""
    return (own_sections.inside(template(SKILL).encode(), SKILL) or "").strip()


# --- what only the configuration knows


def _facts(settings: Settings, agent: Agent, role: str) -> Iterable[str]:
    """The facts about this agent, one sentence each."""
    if agent.reports_to and role != "worker":
        yield f"You report to {agent.reports_to}."
    if role == "named":
        routed = (route.type for route in settings.routes.values() if agent.name in route.to)
        types = _some(map(_short, dict.fromkeys((*agent.takes, *routed))))
        yield f"You do: {types}." if types else "You take any task."
    if role == "human" and agent.channels:
        yield f"You are notified in {_some(map(_short, agent.channels))}."
    yield _woken(agent)
    if agent.workspace:
        yield f"You work in `{_short(agent.workspace)}`; its `status/` is read as your reports."
    if agent.own_folder:
        yield f"Your work is hidden from other agents, in `{agent.own_folder}/`."


def _woken(agent: Agent) -> str:
    briefing = "" if agent.kind is AgentKind.HUMAN else agent.traits.briefing.format(name=agent.name)
    if agent.traits.is_woken:
        return briefing
    return f"{briefing} Add `--agent {agent.name}` to each command, or set `CLAWFILES_AGENT`.".lstrip()


def _others(settings: Settings, agent: Agent) -> list[Agent]:
    """The agents that the agent may know of."""
    others = (other for other in settings.agents.values() if other.name != agent.name)
    return [other for other in others if settings.may_know(agent.name, other.name)]


def _described(agent: Agent) -> str:
    if agent.kind is AgentKind.NAMED:
        return f"{agent.name} ({_some(map(_short, agent.takes), 6)})" if agent.takes else agent.name
    return f"{agent.name} ({'person' if agent.kind is AgentKind.HUMAN else 'worker'})"


def _some(items: Iterable[str], most_words: int = _LIST_WORDS) -> str:
    """The first items, separated by commas, and the number of further ones."""
    every = list(items)
    shown: list[str] = []
    for item in every:
        if shown and len(" ".join([*shown, item]).split()) > most_words:
            break
        shown.append(item)
    more = len(every) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _short(text: str) -> str:
    words = text.split()
    cut = " ".join(words[:_NAME_WORDS]) + ("…" if len(words) > _NAME_WORDS else "")
    return safe(cut, _NAME_LETTERS).replace("`", "'")
