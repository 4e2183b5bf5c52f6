"""How many runs one message may lead to, and who is told when they are used up."""

from collections.abc import Mapping
from datetime import datetime

from msgspec.structs import replace

from claw_files.config import Settings
from claw_files.core.digest import digest
from claw_files.core.model import KeyText, Kind, Message
from claw_files.policy.escalation import tell_up
from claw_files.policy.snapshot import Action, Snapshot


def key(settings: Settings, root: str) -> KeyText:
    """Of the message that tells of it, once for each limit; a root's id may be as long as a key."""
    return KeyText(f"wakes.{digest(root.encode())}.{settings.limits.wakes}")


def is_used_up(settings: Settings, caused: Mapping[str, int], message: Message) -> bool:
    """Whether the message must wake nobody: its root message has led to as many runs as it may. Not what tells so."""
    is_over = message.follows and caused.get(message.origin, 1) >= settings.limits.wakes
    return is_over and message.key != key(settings, message.origin)


def plan_used_up(snap: Snapshot, now: datetime) -> list[Action]:
    """What is told once for each root message that is used up while something of it waits: to the first person above
    whoever sent that, else to whoever is next above, else to the monitor."""
    settings, told = snap.settings, list[Action]()
    for root, message in {it.origin: it for it in snap.waiting if is_used_up(settings, snap.caused, it)}.items():
        name, above = key(settings, root), settings.above(message.sender)
        start = next((it for it in above if settings.is_human(it)), above[0] if above else settings.monitor)
        why = f"{settings.limits.wakes} runs followed from message {root}, as many as limits.wakes allows"
        text = (
            f"{why}. Its follow-up messages wake no agent, such as the one from {message.sender} to {message.to}. "
            "To continue, raise `wakes` under [limits] in clawfiles.toml, or send a new message."
        )
        found = tell_up(snap, start, name, why, text, now, Kind.ANNOUNCE)
        told += [replace(action, details={"root": root}) for action in found]
    return told
