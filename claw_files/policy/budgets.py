"""Budgets: an agent that has used its month's budget gets no new work; running work continues.

Nothing is stored: after a raised budget or in a new month work continues automatically. The budget of runs per root
message is here, too, with the notice when it is used up.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo

from msgspec.structs import replace

from claw_files.config import Settings
from claw_files.core.digest import digest
from claw_files.core.model import AgentId, KeyText, Kind, Message
from claw_files.policy.escalation import tell_up
from claw_files.policy.snapshot import Action, MonthSpending, Snapshot


def wakes_key(settings: Settings, root: str) -> KeyText:
    """The key of the notice about a used-up wake limit, once per limit; a root's id may be as long as a key."""
    return KeyText(f"wakes.{digest(root.encode())}.{settings.limits.wakes}")


def wakes_are_used_up(settings: Settings, caused: Mapping[str, int], message: Message) -> bool:
    """Whether the message must wake no agent, because its root has used up its runs. Never the notice about it."""
    is_over = message.follows and caused.get(message.origin, 1) >= settings.limits.wakes
    return is_over and message.key != wakes_key(settings, message.origin)


def plan_wake_limits(snap: Snapshot, now: datetime) -> list[Action]:
    """What is told once for each root message that is used up while something of it waits: to the first person above
    whoever sent that, else to whoever is next above, else to the monitor."""
    settings, told = snap.settings, list[Action]()
    for root, message in {it.origin: it for it in snap.waiting if wakes_are_used_up(settings, snap.caused, it)}.items():
        name, above = wakes_key(settings, root), settings.above(message.sender)
        start = next((it for it in above if settings.is_human(it)), above[0] if above else settings.monitor)
        why = f"{settings.limits.wakes} runs followed from message {root}, as many as limits.wakes allows"
        text = (
            f"{why}. Its follow-up messages wake no agent, such as the one from {message.sender} to {message.to}. "
            "To continue, raise `wakes` under [limits] in clawfiles.toml, or send a new message."
        )
        found = tell_up(snap, start, name, why, text, now, Kind.ANNOUNCE)
        told += [replace(action, details={"root": root}) for action in found]
    return told


ALL = "all"  # in a key: the budget of all agents together


def used_up(settings: Settings, spent: MonthSpending | None, agent: AgentId | None) -> str | None:
    """Why the agent gets no new work this month, in one sentence; None within the budget, and for people."""
    if spent is None or agent is None or settings.is_human(agent):
        return None
    limits = settings.budgets
    own = limits.agents.get(agent)
    if own is not None and spent.agents.get(agent, 0.0) >= own:
        return _sentence(agent, spent.agents.get(agent, 0.0), own, limits.currency, spent.month)
    if limits.month is not None and spent.total >= limits.month:
        return _sentence("all agents together", spent.total, limits.month, limits.currency, spent.month)
    return None


def _sentence(who: str, used: float, limit: float, currency: str, month: str) -> str:
    return f"the budget of {who} for {month} is used up: {used:.2f} of {limit:.2f} {currency}"


def next_month(now: datetime, zone: tzinfo) -> datetime:
    """When the month that `now` is in ends in that zone; aware, UTC."""
    local = now.astimezone(zone)
    year, month = divmod(local.year * 12 + local.month, 12)
    return datetime(year, month + 1, 1, tzinfo=zone).astimezone(UTC)


def without_money(settings: Settings, spent: MonthSpending | None) -> tuple[AgentId, ...]:
    """The agents whose budget is used up."""
    return tuple(agent for agent in settings.agents if used_up(settings, spent, agent))


def plan_budgets(snap: Snapshot, now: datetime) -> tuple[Action, ...]:
    """Escalations, once per month and agent, about work that waits for money."""
    agents = dict.fromkeys(message.to for message in snap.waiting)
    told = [action for agent in agents for action in plan_telling(snap, agent, now)]
    said = {(it.agent, it.key) for it in snap.planned}  # by a ledger line of an agent without money
    return tuple({it.key: it for it in told if (it.agent, it.key) not in said}.values())


def plan_telling(snap: Snapshot, agent: AgentId | None, now: datetime) -> tuple[Action, ...]:
    """The notice to the next manager that the agent's budget is used up; empty if it is not, or was sent."""
    settings, spent = snap.settings, snap.spent
    why = used_up(settings, spent, agent)
    if spent is None or agent is None or why is None:
        return ()
    own = settings.budgets.agents.get(agent)
    is_own = own is not None and spent.agents.get(agent, 0.0) >= own
    key = f"budget.{spent.month}.{agent if is_own else ALL}"
    start = (settings.reports_to(agent) if is_own else None) or settings.coordinator
    where = f"[budgets.agents] {agent}" if is_own else "[budgets] month"
    text = f"{why}. Its messages wait. Raise `{where}` in clawfiles.toml, or wait for next month."
    return tell_up(snap, start, key, why, text, now)
