"""The message record of a run, `openclaw.json`, written before the message is sent."""

import os
from collections.abc import Iterator
from contextlib import suppress

from claw_files.core.keys import Key
from claw_files.integrations.openclaw.delivery_check import SendRecord
from claw_files.processes.run_client import read_record

NAME = "openclaw.json"
MOST = 50  # runs of a task that are looked through


def read(folder: str) -> SendRecord | None:
    """The record from before the send of the run's message; None without one, or if it is unreadable."""
    return read_record(folder, NAME, SendRecord)


def recorded(runs: str, task: str, but: str, session: str) -> Iterator[SendRecord]:
    """The sends of earlier runs of the task into the session, without a known end, newest first."""
    with suppress(OSError):
        names = sorted(
            (name for name in os.listdir(runs) if Key.parse(name).name == task.lower() and name != but), reverse=True
        )
        for name in names[:MOST]:
            sent = read(os.path.join(runs, name))
            if sent is not None and sent.state != "done" and sent.session == session:
                yield sent
