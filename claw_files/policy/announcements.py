"""Planner of announcements: the messages in the inboxes of people, and the quiet hours that hold them back."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from claw_files.core.keys import topic_key
from claw_files.core.model import AgentId, Message
from claw_files.policy import quiet_hours
from claw_files.policy.snapshot import Act, Action, Snapshot


def plan_people(snap: Snapshot, now: datetime) -> list[Action]:
    """What lies in people's inboxes: handed over at once, or held for the brief when the quiet hours end."""
    return [action for person, held in snap.held.items() for action in _plan_person(snap, person, held, now)]


def _plan_person(snap: Snapshot, person: AgentId, held: Sequence[Message], now: datetime) -> list[Action]:
    actions, ends = list[Action](), dict[datetime, list[Message]]()
    for message in held:
        if quiet_hours.held_until(snap.settings, person, now, message.critical):
            continue
        sent = message.sent or now
        if end := quiet_hours.held_until(snap.settings, person, sent, message.critical):
            ends.setdefault(end, []).append(message)
            continue
        why = "critical" if message.critical else "no quiet hours now"
        of_message: dict[str, Any] = {"task": message.task, "key": message.key, "details": {"id": message.id}}
        actions.append(Action(act=Act.ANNOUNCE, agent=person, why=why, **of_message))
    for end, messages in sorted(ends.items()):
        key = topic_key("brief", person, end)
        details = {"ids": [message.id for message in messages]}
        why = f"{len(messages)} held back in the quiet hours"
        actions.append(Action(act=Act.BRIEF, agent=person, key=key, at=end, why=why, details=details))
    return actions
