"""What a run's folder says about its message: `openclaw.json`, written before it is sent; and `usage.json`."""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import msgspec

from claw_files.core.keys import Key
from claw_files.integrations.openclaw.delivery_check import SendRecord
from claw_files.processes.supervisor import write_durably

NAME = "openclaw.json"
RECORD_BYTES = 1 << 14
MOST = 50  # runs of a task that are looked through


def write(folder: str, name: str, facts: dict[str, Any]) -> None:
    """Write the file so that it survives a power cut."""
    write_durably(folder, name, json.dumps(facts) + "\n")


def read(folder: str) -> SendRecord | None:
    """What was written before the run's message was sent; None where nothing was, or it cannot be read."""
    with suppress(OSError, msgspec.MsgspecError, ValueError):
        fd = os.open(os.path.join(folder, NAME), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(fd, "rb") as file:
            return msgspec.json.decode(file.read(RECORD_BYTES), type=SendRecord)
    return None


def recorded(runs: str, task: str, but: str, session: str) -> Iterator[SendRecord]:
    """What earlier runs of the task sent into the session and did not see the end of, newest first."""
    with suppress(OSError):
        names = sorted(
            (name for name in os.listdir(runs) if Key.parse(name).name == task.lower() and name != but), reverse=True
        )
        for name in names[:MOST]:
            sent = read(os.path.join(runs, name))
            if sent is not None and sent.state != "done" and sent.session == session:
                yield sent
