"""The output of a run so far; run.md has the last lines of an ended run, too."""

from claw_files.core.model import RunId
from claw_files.storage.workspace import Workspace
from claw_files.system.files import read_or_empty

LOG_BYTES = 2 << 20  # logs are kept to half of that
END_BYTES = 4096


def last_bytes(ws: Workspace, run: RunId, log: str = "stdout.log") -> bytes:
    """The end of one of the run's logs; empty if it is missing or unreadable."""
    return read_or_empty(ws.files, f"runs/{run}/{log}", LOG_BYTES)[-END_BYTES:]
