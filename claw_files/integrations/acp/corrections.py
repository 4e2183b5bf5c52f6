"""Corrections into a run that is going on: its client looks into steer.md, and says how much of it the session has."""

import os
from collections.abc import Callable
from datetime import timedelta
from time import monotonic, sleep

from claw_files.core.errors import Refused
from claw_files.core.model import Run
from claw_files.integrations.acp.run_record import STEER, Stage, read

NOW, WHEN_READY = "now", "when its session is ready"
BETWEEN_SECONDS = 0.05


def correct(
    root: str,
    run: Run,
    patience: timedelta = timedelta(seconds=3),
    pause: Callable[[float], None] = sleep,
) -> str | None:
    """When the run's session sees what was written into its steer.md just now; None where it does not say in time.

    Args:
        root: where the run's folder lies, absolute.

    Raises Refused when the run's last turn is over: the correction reached nobody.
    """
    folder = os.path.join(root, "runs", run.id)
    size, until = os.stat(os.path.join(folder, STEER)).st_size, monotonic() + patience.total_seconds()
    while True:
        record = read(folder)
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
