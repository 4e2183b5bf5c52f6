"""Escalation: notifies the next manager in the `reports_to` chain, one step at a time."""

from datetime import datetime

from claw_files.config import Settings
from claw_files.core.model import AgentId, Box, Kind
from claw_files.policy.snapshot import Act, Action, Snapshot, ToldMarks


def next_to_tell(settings: Settings, told: ToldMarks, key: str, start: AgentId, now: datetime) -> AgentId | None:
    """The next agent from `start` upward to notify of `key`; None while an earlier one has the notice.

    One step further up only if the notice is unread for longer than the acknowledgement time.
    """
    to: AgentId | None = start
    seen: set[AgentId] = set()
    while to is not None and to not in seen:
        seen.add(to)
        found = told.get(f"{to}/{key}")
        if found is None:
            return to
        if found.box is not Box.NEW or found.sent is None or now - found.sent < settings.heartbeat.ack:
            return None
        to = settings.reports_to(to)
    return None


def tell_up(
    snap: Snapshot, start: AgentId, key: str, why: str, text: str, now: datetime, kind: Kind = Kind.QUESTION
) -> tuple[Action, ...]:
    """The notice of this key to the next agent from `start` upward; empty while one has it."""
    to = next_to_tell(snap.settings, snap.told, key, start, now)
    return (Action(act=Act.ESCALATE, agent=to, key=key, why=why, text=text, kind=kind),) if to else ()
