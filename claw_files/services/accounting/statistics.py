"""Statistics of some days of the journal (`policy.work_statistics`), with facts of tasks and runs."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from claw_files.core.errors import ClawError, NotFound
from claw_files.core.model import RunId, TaskId, Value
from claw_files.formats import journal
from claw_files.formats.journal import Line
from claw_files.policy import work_statistics as stats
from claw_files.policy.work_statistics import Stats
from claw_files.processes.process_runner import ProcessRunner
from claw_files.storage.workspace import Workspace
from claw_files.system.paths import JOURNAL_BYTES, journal_paths

BEFORE = timedelta(days=14)  # of the journal that are read before, for what began there
MOST_RUNS = 5000  # whose end is looked up


class StatisticsReport(Value, frozen=True):
    """The statistics, and their basis."""

    since: datetime
    until: datetime
    stats: Stats
    reasons: dict[str, int]  # how runs ended, and how often
    broken: int = 0  # lines of the journal that could not be read
    unread: tuple[str, ...] = ()  # days of the journal that could not be read


class Statistics:
    """Reads; never writes."""

    def __init__(self, workspace: Workspace, runtime: ProcessRunner) -> None:
        self._ws = workspace
        self._runtime = runtime
        self._broken = 0
        self._unread: list[str] = []

    def told(self, length: timedelta) -> StatisticsReport:
        """The statistics of the last `length`."""
        now = self._ws.clock.now()
        since = now - length
        self._broken, self._unread = 0, []
        lines = list(self._lines(since - BEFORE, now))
        types = self._types({line.task for line in lines if line.task})
        settings = self._ws.settings
        reviewed = {route.type for route in settings.routes.values() if route.review != "none"}
        checked = {route.type for route in settings.routes.values() if route.verify}
        found = stats.fold(lines, since, now, types, reviewed, checked)
        return StatisticsReport(
            since=since,
            until=now,
            stats=found,
            reasons=self._reasons(found.runs),
            broken=self._broken,
            unread=tuple(self._unread),
        )

    def _lines(self, first: datetime, now: datetime) -> Iterator[Line]:
        for path in journal_paths(first, now):
            try:
                raw = self._ws.files.read(path, JOURNAL_BYTES).data
            except NotFound:
                continue
            except ClawError:
                self._unread.append(path.removeprefix("audit/").removesuffix(".jsonl"))
                continue
            lines, broken = journal.lines_of(raw)
            self._broken += broken
            yield from lines

    def _types(self, tasks: set[TaskId]) -> dict[TaskId, str]:
        """The type of each task that has one; the archive is read file by file for those that lie there."""
        rows = {row.id: row.type for row in self._ws.rows() if not row.error}
        found: dict[TaskId, str] = {}
        for task in tasks:
            known = None if task in rows else self._ws.known(task)
            if kind := known.type if known else rows.get(task):
                found[task] = kind
        return found

    def _reasons(self, runs: tuple[str, ...]) -> dict[str, int]:
        counts: dict[str, int] = {}
        for name in runs[-MOST_RUNS:]:
            reason = self._reason(name)
            counts[reason] = counts.get(reason, 0) + 1
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

    def _reason(self, name: str) -> str:
        """How a run ended in a few words: what could not start is one reason, whatever the program's name."""
        try:
            run = self._runtime.look(RunId(name))
        except (ClawError, OSError, ValueError):
            run = None
        if run is None:
            return "gone"
        if run.alive:
            return "alive"
        reason = (run.reason or "unknown").partition(":")[0]
        return f"{reason} (exit {run.exit})" if reason == "exited" and run.exit else reason
