"""The journal's history of one task, for its dead letter and for `explain`."""

from datetime import datetime, timedelta

from claw_files.core import text
from claw_files.core.journal_events import JournalEvent as E
from claw_files.core.keys import task_key
from claw_files.core.model import AgentId, Task, TaskId
from claw_files.formats import journal
from claw_files.policy.snapshot import ReadMark
from claw_files.storage.workspace import Workspace
from claw_files.system import journal_files
from claw_files.system.paths import journal_paths

DAYS = 14
LINES = 200
_GIVEN_ANEW = (E.DELEGATE, E.RELEASE, E.REOPEN, E.REQUEUE)
_ON_THE_LINE = (E.HOLD, E.WATCH, E.UNWATCH, E.EXTEND, E.DELEGATE, E.CLAIM)


def lines(ws: Workspace, task: TaskId, since: datetime | None) -> list[dict[str, str]]:
    """The journal's lines on the task, oldest first; at most `LINES`, of at most `DAYS` days."""
    now = ws.clock.now()
    first = max(since or now - timedelta(days=DAYS), now - timedelta(days=DAYS))
    raws = (journal_files.read(ws.files, path) for path in journal_paths(first, now))
    return [line for raw in raws for line in _of(raw, task)][-LINES:]


def is_held(ws: Workspace, task: TaskId) -> bool:
    """Whether a command ticked the box of the task's line, and has neither unticked it nor removed the line."""
    found = (facts.get("action") for facts in reversed(lines(ws, task, None)))
    return next((action for action in found if action in _ON_THE_LINE), None) == E.HOLD


def read_of(ws: Workspace, task: Task, agent: AgentId) -> ReadMark | None:
    """When the agent read the message of the attempt, from the journal, unless the task was assigned again since.

    A message that was moved for a run was not read.
    """
    key = task_key(task)
    for facts in reversed(lines(ws, task.id, task.created)):
        if facts.get("action") in _GIVEN_ANEW:
            return None
        at = text.parse_instant(facts.get("timestamp"))
        if at and (facts.get("action"), facts.get("key"), facts.get("actor")) == (E.INBOX_READ, key, agent):
            return ReadMark(path=journal_paths(at, at)[0], at=at)
    return None


def _of(raw: bytes, task: TaskId) -> list[dict[str, str]]:
    needle = f'"task":"{task}"'.encode()
    found = (journal.decode(line) or {} for line in raw.splitlines() if needle in line)
    texts = ({key: value for key, value in facts.items() if value and isinstance(value, str)} for facts in found)
    return list(filter(None, texts))


def of_task(ws: Workspace, task: Task) -> str:
    """The task's history as Markdown."""
    rows = [
        f"- {facts.get('timestamp', '?')} {facts.get('action', '?')}"
        + (f" ({facts['agent']})" if "agent" in facts else "")
        + (f": {text.safe(facts['why'], limit=500)}" if "why" in facts else "")
        for facts in lines(ws, task.id, task.created)
    ]
    return "## History\n\n" + "\n".join(rows)
