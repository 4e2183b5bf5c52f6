"""What the journal tells about one task, for its dead letter and for `explain`."""

from datetime import datetime, timedelta

import msgspec

from claw_files.core import text
from claw_files.core.errors import ClawError
from claw_files.core.model import Task, TaskId
from claw_files.storage.workspace import Workspace
from claw_files.system.paths import JOURNAL_BYTES, journal_paths

DAYS = 14
LINES = 200
HOLD = "hold"  # what the journal calls the ticking of a box by a command, until its move is made
_ON_THE_LINE = (HOLD, "watch", "unwatch", "extend", "delegate", "claim")


def lines(ws: Workspace, task: TaskId, since: datetime | None) -> list[dict[str, str]]:
    """The journal's lines on the task, oldest first; at most `LINES`, of at most `DAYS` days."""
    now = ws.clock.now()
    first = max(since or now - timedelta(days=DAYS), now - timedelta(days=DAYS))
    found: list[dict[str, str]] = []
    for path in journal_paths(first, now):
        try:
            raw = ws.files.read(path, JOURNAL_BYTES).data
        except ClawError:
            continue
        found += _of(raw, task)
    return found[-LINES:]


def is_held(ws: Workspace, task: TaskId) -> bool:
    """Whether the box of the task's line was ticked by a command, which has not unticked it or taken the line out."""
    found = (facts.get("action") for facts in reversed(lines(ws, task, None)))
    return next((action for action in found if action in _ON_THE_LINE), None) == HOLD


def _of(raw: bytes, task: TaskId) -> list[dict[str, str]]:
    found = []
    needle = f'"task":"{task}"'.encode()
    for line in raw.splitlines():
        if needle in line:
            try:
                found.append(msgspec.json.decode(line, type=dict[str, str | None]))
            except msgspec.MsgspecError:
                continue  # a torn last line
    return [{key: value for key, value in facts.items() if value} for facts in found]


def of_task(ws: Workspace, task: Task) -> str:
    """The task's history as Markdown."""
    rows = [
        f"- {facts.get('timestamp', '?')} {facts.get('action', '?')}"
        + (f" ({facts['agent']})" if "agent" in facts else "")
        + (f": {text.safe(facts['why'], limit=500)}" if "why" in facts else "")
        for facts in lines(ws, task.id, task.created)
    ]
    return "## History\n\n" + "\n".join(rows)
