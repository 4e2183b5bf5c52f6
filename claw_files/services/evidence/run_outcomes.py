"""Starts and ends of runs, read from the journal, for breakers and rates."""

from datetime import datetime, timedelta
from zlib import crc32

from claw_files.core.journal_events import JournalEvent
from claw_files.core.model import AgentId, Value
from claw_files.formats import journal
from claw_files.formats.journal import Line
from claw_files.policy.probes import is_probe
from claw_files.policy.resilience import RunOutcome
from claw_files.storage.workspace import Workspace
from claw_files.system import journal_files
from claw_files.system.paths import journal_paths

STARTED = frozenset({JournalEvent.WAKE})
WENT_WELL = frozenset({JournalEvent.DONE, JournalEvent.REVIEW, JournalEvent.FINISH, JournalEvent.APPROVE})
WENT_WRONG = frozenset({JournalEvent.FAIL})
SECOND = timedelta(seconds=1)
_NEEDLES = tuple(f'"{event}"'.encode() for event in STARTED | WENT_WELL | WENT_WRONG)


class _Day(Value, frozen=True):
    """The state of reading one day's journal: its first bytes, and its relevant lines."""

    size_bytes: int = 0
    checksum: int = 0
    lines: tuple[Line, ...] = ()


class Endings:
    """Reads the journal of one workspace; a repeated call parses only new lines."""

    def __init__(self, workspace: Workspace) -> None:
        self._ws = workspace
        self._days: dict[str, _Day] = {}

    def of_two_days(self) -> list[Line]:
        """The lines of today and yesterday about runs and their ends, oldest first."""
        now = self._ws.clock.now()
        paths = journal_paths(now - timedelta(days=1), now)
        self._days = {path: self._day(path) for path in paths}
        return [line for path in paths for line in self._days[path].lines]

    def _day(self, path: str) -> _Day:
        raw = journal_files.read(self._ws.files, path)
        before, view, end = self._days.get(path, _Day()), memoryview(raw), raw.rfind(b"\n") + 1
        if crc32(view[: before.size_bytes]) != before.checksum:  # the append-only journal was edited
            before = _Day()
        fresh = view[before.size_bytes : end]
        lines, _ = journal.lines_of(bytes(fresh), _NEEDLES)
        return _Day(size_bytes=end, checksum=crc32(fresh, before.checksum), lines=(*before.lines, *lines))


def outcomes(lines: list[Line]) -> dict[AgentId, tuple[RunOutcome, ...]]:
    """The ends of each agent's work, oldest first, for its breaker."""
    found: dict[AgentId, list[RunOutcome]] = {}
    for line in lines:
        # A line without a state is about a message: a review request does not finish anything.
        if line.agent and line.after and not is_probe(line.task) and line.action in WENT_WELL | WENT_WRONG:
            outcome = RunOutcome(at=line.at, is_good=line.action in WENT_WELL, task=line.task)
            found.setdefault(line.agent, []).append(outcome)
    return {agent: tuple(ends) for agent, ends in found.items()}


def started(lines: list[Line]) -> dict[str, tuple[datetime, ...]]:
    """The starts of runs per model, for its rate."""
    found: dict[str, list[datetime]] = {}
    for line in lines:
        if line.action in STARTED and line.model:
            found.setdefault(line.model, []).append(line.at + SECOND)  # lines have whole seconds: before the next
    return {model: tuple(times) for model, times in found.items()}
