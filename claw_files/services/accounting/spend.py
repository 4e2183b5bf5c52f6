"""Spending, read from the journal day by day, with a cache for unchanged days."""

from collections.abc import Callable, Collection, Iterator
from datetime import UTC, date, datetime, timedelta

from claw_files import __version__
from claw_files.core.errors import ClawError
from claw_files.core.journal_events import JournalEvent
from claw_files.core.model import AgentId, TaskId, Value
from claw_files.formats import journal
from claw_files.formats.journal import Line
from claw_files.policy import budgets, costs
from claw_files.policy.costs import By
from claw_files.policy.snapshot import MonthSpending
from claw_files.storage.workspace import Workspace
from claw_files.system.paths import JOURNAL_BYTES

_KEPT = "spending"
_NEEDLES = tuple(f'"action":"{event}"'.encode() for event in (JournalEvent.USAGE, JournalEvent.WAKE))


class DaySpending(Value, frozen=True):
    """The runs and costs in one day's journal."""

    stamp: tuple[int, int, int]  # of the file: time, size, inode
    lines: tuple[Line, ...] = ()
    broken: int = 0  # lines that could not be read


class BillReport(Value, frozen=True):
    """A bill, and its uncertainties."""

    bill: costs.Bill
    broken: int = 0  # lines of the journal that could not be read
    unread: tuple[str, ...] = ()  # days of the journal that could not be read


class Spending:
    """Reads the journal; writes only its cache."""

    def __init__(self, workspace: Workspace) -> None:
        self._ws = workspace
        self._unread: list[str] = []

    def now(self) -> MonthSpending | None:
        """The cost of this month so far, here and in siblings; None without a budget."""
        if not self._ws.settings.budgets.is_set:
            return None
        month = costs.month_of(self._ws.clock.now(), self._ws.zone)
        places = (self, *(Spending(other) for other in self._ws.siblings.others()))
        found = (line for place in places for day in place._days_of(month) for line in day.lines)
        return costs.spent(found, month, self._ws.zone)

    def without_money(self) -> tuple[AgentId, ...]:
        """The agents whose budget is used up."""
        return budgets.without_money(self._ws.settings, self.now())

    def billed(
        self, by: By, month: str | None, workflow_of: Callable[[TaskId], str | None] = lambda _: None
    ) -> BillReport:
        """The bill of a month ("2026-03", in the workspace's zone), or of all months."""
        self._unread = []
        days = list(self._days_of(month))
        lines = [line for day in days for line in day.lines]
        bill = costs.bill(lines, by, month, self._ws.zone, self._ws.settings.budgets, workflow_of)
        return BillReport(bill=bill, broken=sum(day.broken for day in days), unread=tuple(self._unread))

    def by_group(self, groups: Callable[[TaskId], Collection[str]], since: datetime | None = None) -> dict[str, float]:
        """The reported cost of the tasks of each group."""
        first = since.astimezone(UTC).date() if since else date.min
        days = self._read(first)
        found = dict[str, float]()
        for task, cost in costs.of_tasks(line for day in days for line in day.lines).items():
            for group in groups(task):
                found[group] = round(found.get(group, 0.0) + cost, 6)
        return found

    def keys(self, since: datetime) -> set[str | None]:
        """The keys of all usage that was noted since."""
        days = self._read(since.astimezone(UTC).date())
        return {line.key for day in days for line in day.lines if line.usage}

    def _days_of(self, month: str | None) -> list[DaySpending]:
        """The days that may belong to the month: those of UTC, and one more at each end."""
        if month is None:
            return list(self._read(date.min))
        first = date(int(month[:4]), int(month[5:7]), 1)
        last = (first + timedelta(days=31)).replace(day=1)
        return list(self._read(first - timedelta(days=1), last))

    def _read(self, first: date, last: date = date.max) -> Iterator[DaySpending]:
        head = f"{__version__} 2\n".encode()
        kept = self._ws.cache.known(_KEPT, dict[str, DaySpending], head) or {}
        seen: dict[str, DaySpending] = {}
        for name in self._ws.files.all_names("audit", first.isoformat()[:7]):
            day = _date(name)
            if day is not None and first <= day <= last and (found := self._day(name, kept.get(name))):
                seen[name] = found
                yield found
        if any(kept.get(name) != day for name, day in seen.items()):
            self._ws.cache.keep(_KEPT, kept | seen, head)

    def _day(self, name: str, kept: DaySpending | None) -> DaySpending | None:
        stamp = self._ws.files.stamp(f"audit/{name}")
        if stamp and kept and kept.stamp == (stamp.mtime_ns, stamp.size_bytes, stamp.inode):
            return kept
        try:
            content = self._ws.files.read(f"audit/{name}", JOURNAL_BYTES)
        except ClawError:
            self._unread.append(name.removesuffix(".jsonl"))
            return None
        found = content.stamp
        return read_day(content.data, (found.mtime_ns, found.size_bytes, found.inode))


def read_day(raw: bytes, stamp: tuple[int, int, int]) -> DaySpending:
    """The costs in a day's journal; broken lines are counted."""
    lines, broken = journal.lines_of(raw, _NEEDLES)
    mine = tuple(line for line in lines if line.key and (line.usage or line.action == JournalEvent.WAKE))
    return DaySpending(stamp=stamp, lines=mine, broken=broken)


def _date(name: str) -> date | None:
    try:
        return date.fromisoformat(name.removesuffix(".jsonl")) if name.endswith(".jsonl") else None
    except ValueError:
        return None
