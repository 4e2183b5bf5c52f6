"""The session of a run, `acp.json`, and the session that the agent's next run continues."""

import os
from collections.abc import Callable
from datetime import timedelta
from enum import StrEnum
from time import monotonic, sleep

from claw_files.core.errors import Refused
from claw_files.core.model import Run, Value
from claw_files.processes import NOW
from claw_files.processes.run_client import read_record
from claw_files.system.private_files import load_file

NAME, STEER = "acp.json", "steer.md"
STEER_BYTES = 1 << 20
WHEN_READY = "when its session is ready"
BETWEEN_SECONDS = 0.05


class Stage(StrEnum):
    """The stages of a run."""

    STARTING = "starting"  # no session yet: a correction waits until there is one
    READY = "ready"
    ENDING = "ending"  # nothing is taken any more


class AcpRecord(Value, frozen=True):
    """The run's session, for people and for corrections."""

    stage: Stage = Stage.STARTING
    session: str = ""
    program: str = ""
    taken: int = 0  # bytes of steer.md that the session has


def correct(
    root: str,
    run: Run,
    patience: timedelta = timedelta(seconds=3),
    pause: Callable[[float], None] = sleep,
) -> str | None:
    """When the run's session sees the text just written to its steer.md; None if it does not answer in time.

    Args:
        root: where the run's folder lies, absolute.

    Raises Refused when the run's last turn is over: the correction reached nobody.
    """
    folder = os.path.join(root, "runs", run.id)
    size, until = os.stat(os.path.join(folder, STEER)).st_size, monotonic() + patience.total_seconds()
    while True:
        record = read_record(folder, NAME, AcpRecord)
        if record is None or record.stage is Stage.STARTING:
            return WHEN_READY
        if record.taken >= size:
            return NOW
        if monotonic() > until:
            break
        pause(BETWEEN_SECONDS)
    if record.stage is Stage.ENDING:
        raise Refused(
            "not at work", f"the last turn of {run.id} is over", f'`clawfiles send {run.agent} "TEXT"` wakes it'
        )
    return None


def corrections(folder: str, taken: int) -> tuple[str, int]:
    """The text of steer.md after its first `taken` bytes, and its size in bytes."""
    try:
        raw = load_file(os.path.join(folder, STEER), STEER_BYTES) or b""
    except OSError:
        return "", taken
    return raw[taken:].decode("utf-8", "replace").strip(), max(len(raw), taken)
