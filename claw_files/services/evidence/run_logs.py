"""The output of a run so far; run.md has the last lines of an ended run, too."""

from contextlib import suppress

from claw_files.core.errors import ClawError
from claw_files.core.model import RunId
from claw_files.storage.workspace import Workspace

LOG_BYTES = 2 << 20  # logs are kept to half of that
END_BYTES = 4096


def last_bytes(ws: Workspace, run: RunId, log: str = "stdout.log") -> bytes:
    """The end of one of the run's logs; empty if it is missing or unreadable."""
    with suppress(ClawError):
        return ws.files.read(f"runs/{run}/{log}", LOG_BYTES).data[-END_BYTES:]
    return b""
