"""Why a message waits for its agent to be woken, in one sentence."""

from collections.abc import Sequence

from claw_files import words
from claw_files.config import Settings
from claw_files.model import Message, Run
from claw_files.rules.case import lane


def ahead_of(settings: Settings, live: Sequence[Run], waiting: Sequence[Message], message: Message) -> str:
    """What is ahead of `message`: a run in its lane, messages that were sent before it, or no free run at all.

    Args:
        live: runs that are alive.
        waiting: all messages that wait, this one among them, in the order they were sent.
    """
    mine = lane(settings, message.to, message.key)
    if running := [run for run in live if lane(settings, run.agent, run.key) == mine]:
        return f"{message.to} is at {words.safe(running[0].id, 100)}{_and_before(settings, waiting, message)}"
    if len(live) >= settings.limits.runs:
        return f"all {settings.limits.runs} runs are taken{_and_before(settings, waiting, message)}"
    return f"{message.to} may not be woken now: its breaker is open, or a rate is used up"


def _and_before(settings: Settings, waiting: Sequence[Message], message: Message) -> str:
    mine = lane(settings, message.to, message.key)
    names = [str(other.key) for other in waiting if lane(settings, other.to, other.key) == mine]
    first = names[: names.index(str(message.key))] if str(message.key) in names else []
    return f"; before it {words.safe(', '.join(first[:5]), 300)}" if first else ""
