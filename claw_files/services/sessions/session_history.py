"""The record of a session: messages, output, results, ends of runs, and moves of its task."""

from datetime import UTC, datetime

from msgspec.structs import replace

from claw_files.config import RUNTIMES
from claw_files.core import text as words
from claw_files.core.errors import ClawError
from claw_files.core.model import AgentId, Run, RunId, TaskId, Value
from claw_files.policy.session_view import Session
from claw_files.processes.process_runner import ProcessRunner
from claw_files.services.evidence.run_logs import LOG_BYTES
from claw_files.services.sessions.session_list import Sessions
from claw_files.services.tasks import task_history as history
from claw_files.services.tasks.checkpoints import Checkpoints
from claw_files.storage.workspace import Workspace

_FILES = (  # of a run's folder: what its record calls them; of a log the end is worth more than the beginning
    ("message", "message.md"),
    ("steer", "steer.md"),
    ("stdout", "stdout.log"),
    ("stderr", "stderr.log"),
    ("partial", "partial.md"),
)
_AT_START = ("message",)
_ENDS = ("stdout", "stderr")
_FIRST = datetime.min.replace(tzinfo=UTC)


class HistoryRecord(Value, frozen=True):
    """One thing of a session, raw: message, steer, stdout, stderr, partial, result, run or move."""

    type: str
    at: datetime | None  # aware, UTC
    text: str
    source: str  # the path of its file
    run: RunId | None = None
    task: TaskId | None = None
    size_bytes: int = 0  # of all of it
    cut: bool = False  # `text` is not all of it


class History(Value, frozen=True):
    """The newest records of a session, oldest first."""

    session: Session
    records: tuple[HistoryRecord, ...] = ()
    left_out: int = 0  # older ones


class Records:
    """Reads; never writes."""

    def __init__(
        self, workspace: Workspace, runtime: ProcessRunner, sessions: Sessions, checkpoints: Checkpoints
    ) -> None:
        self._ws = workspace
        self._runtime = runtime
        self._sessions = sessions
        self._checkpoints = checkpoints

    def history(self, viewer: AgentId | None, name: str, limit: int, cap_bytes: int) -> History:
        """The records of the session with that key, run, number, task, label or agent.

        Args:
            limit: records at most, the newest.
            cap_bytes: of all texts together; what does not fit any more is cut, and what is older left out.

        Raises what `Sessions.one` raises.
        """
        session = self._sessions.told(self._sessions.one(viewer, name), 0)
        found = self._found(session, limit)
        kept = _within(found[-limit:], cap_bytes)
        return History(session=session, records=tuple(kept), left_out=len(found) - len(kept))

    def _found(self, session: Session, limit: int) -> list[HistoryRecord]:
        """Its records, oldest first; of the newest `limit` runs, as each has several."""
        runs = [run for name in session.runs[-limit:] if (run := self._runtime.look(name))]
        found = [record for run in runs for record in self._of_run(run)]
        if session.runtime and not RUNTIMES[session.runtime].is_woken:
            found += self._messages(session, limit)
        if session.label and (result := self._result(session)):
            found.append(result)
        since = min((run.started for run in runs if run.started), default=None)
        for task in dict.fromkeys([run.task for run in runs] or [session.task]):
            found += self._moves(task, since) if task else []
        return sorted(found, key=lambda record: record.at or _FIRST)

    def _of_run(self, run: Run) -> list[HistoryRecord]:
        found = []
        for what, name in _FILES:
            at = run.started if what in _AT_START else None
            if record := self._file(what, f"runs/{run.id}/{name}", run, at):
                found.append(record)
        if record := self._file("run", f"runs/{run.id}/run.md", run, run.ended):
            found.append(record)
        return found

    def _file(self, what: str, path: str, run: Run | None, at: datetime | None) -> HistoryRecord | None:
        """The content of one file; empty if it is missing or empty."""
        try:
            content = self._ws.files.read(path, LOG_BYTES)
        except ClawError:
            return None
        if not content.data:
            return None
        text, size = _text(content.data), len(content.data)
        record = HistoryRecord(type=what, at=at or content.stamp.mtime, text=text, source=path, size_bytes=size)
        return replace(record, run=run.id, task=run.task) if run else record

    def _result(self, session: Session) -> HistoryRecord | None:
        assert session.label
        run = self._runtime.look(session.run) if session.run else None
        try:
            found = self._checkpoints.result(session.label, session.run)
        except ClawError:
            return None  # unreadable: it shows in the log of the run alone
        return self._file("result", self._checkpoints.worker_path(session.label), run, None) if found else None

    def _messages(self, session: Session, limit: int) -> list[HistoryRecord]:
        filed = self._sessions.filed(session, limit)
        records = [(self._file("message", path, None, message.sent), message) for path, message in filed]
        return [replace(record, task=message.task) for record, message in records if record]

    def _moves(self, task: TaskId, since: datetime | None) -> list[HistoryRecord]:
        """The journal's lines about the task: its moves and decisions."""
        return [_move(task, facts) for facts in history.lines(self._ws, task, since)]


def _move(task: TaskId, facts: dict[str, str]) -> HistoryRecord:
    who, why = facts.get("actor") or facts.get("agent") or "-", facts.get("why", "")
    stamp = facts.get("timestamp", "")
    text = f"{facts.get('action', '?')} by {who}: {why}"
    at, source = words.parse_instant(stamp), f"audit/{stamp[:10]}.jsonl"
    return HistoryRecord(type="move", at=at, text=text, source=source, task=task)


def _text(raw: bytes) -> str:
    """The bytes as text; invalid UTF-8 is escaped."""
    return raw.decode("utf-8", "backslashreplace")


def _within(records: list[HistoryRecord], cap_bytes: int) -> list[HistoryRecord]:
    """The newest records that fit, the last one shortened."""
    kept, left = list[HistoryRecord](), cap_bytes
    for record in reversed(records):
        if left <= 0:
            break
        kept.append(_cut(record, left))
        left -= _cost(record.text)
    return kept[::-1]


def _cost(text: str) -> int:
    """The size of the text as JSON, where quotes, line breaks and controls are escaped."""
    return len(words.wire_json(text).encode()) - 2


def _cut(record: HistoryRecord, left_bytes: int) -> HistoryRecord:
    """The record with as much of its text as fits."""
    raw, text = record.text.encode("utf-8", "backslashreplace"), record.text
    size = len(raw)
    while (cost := _cost(text)) > left_bytes:
        size = size * left_bytes // cost
        part = raw[len(raw) - size :] if record.type in _ENDS else raw[:size]
        text = part.decode("utf-8", "ignore")
    return record if text is record.text else replace(record, text=text, cut=True)
