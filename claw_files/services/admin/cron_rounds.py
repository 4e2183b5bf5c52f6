"""Pings and the doctor's check without a daemon: when a heartbeat of cron starts them.

What is due next stands in a small file; its own time is the earliest of these, so that a tick with nothing to begin
costs one look at it. Losing the file means that counting restarts.
"""

import os
import sys
from contextlib import suppress
from datetime import datetime

import msgspec

from claw_files.config import Settings
from claw_files.core.model import AgentId, Value
from claw_files.policy import health_rules
from claw_files.policy.health_rules import Silence
from claw_files.services.admin import daemon_state
from claw_files.system.cache import SharedCache

FOLDER, NAME, LOCK = "rounds", "next", "rounds"
_PATH = f".clawfiles/{FOLDER}/{NAME}"


class Rounds(Value, frozen=True):
    """When what is due next, in seconds since 1970, and whose silence is known."""

    at: dict[str, float] = msgspec.field(default_factory=dict)
    silent: dict[AgentId, Silence] = msgspec.field(default_factory=dict)


def begin(root: str, settings: Settings, now: datetime) -> None:
    """Start a process that does what is due, unless a daemon does it. Waits for nothing."""
    every = health_rules.rounds(settings)
    if not every or not _is_due(root, max(every.values()), now.timestamp()):
        return
    if daemon_state.is_running(root) or load(root) is None:  # a daemon does it, or counting starts
        save(root, Rounds(at={name: now.timestamp() + pause for name, pause in every.items()}))
        return
    import subprocess  # most ticks begin nothing

    with suppress(OSError):  # if no process can be started, agents cannot be woken either, which is reported
        # -P: import nothing from the current folder, which agents may write to.
        subprocess.Popen(  # noqa: S603 - this Python and a module of ours, no shell
            [sys.executable, "-P", "-m", "claw_files.daemon.rounds", root],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )


def load(root: str) -> Rounds | None:
    """The stored state, or None."""
    return SharedCache(root, FOLDER).known(NAME, Rounds)


def save(root: str, rounds: Rounds) -> None:
    """Keep it; nothing is lost with it."""
    SharedCache(root, FOLDER).keep(NAME, rounds)
    with suppress(OSError):
        os.utime(os.path.join(root, _PATH), (min(rounds.at.values()),) * 2)


def _is_due(root: str, longest: float, now: float) -> bool:
    try:
        return health_rules.is_due(os.stat(os.path.join(root, _PATH)).st_mtime, longest, now)
    except OSError:
        return True
