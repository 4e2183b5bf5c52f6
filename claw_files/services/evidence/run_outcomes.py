"""How runs began and ended, as the journal tells it: what breakers and rates are derived from."""

from datetime import datetime, timedelta
from zlib import crc32

import msgspec

from claw_files.core.errors import ClawError
from claw_files.core.model import AgentId, Audit, Value
from claw_files.policy.probes import is_probe
from claw_files.policy.resilience import RunOutcome
from claw_files.storage.workspace import Workspace
from claw_files.system.paths import JOURNAL_BYTES, journal_paths

WENT_WELL = frozenset({"done", "review", "finish", "approve"})
SECOND = timedelta(seconds=1)
_INTERESTING = (b'"fail"', b'"wake"', b'"done"', b'"review"', b'"finish"', b'"approve"')


class _Day(Value, frozen=True):
    """What was read of one day's journal: its first bytes, and the lines in them that matter."""

    size_bytes: int = 0
    checksum: int = 0
    lines: tuple[tuple[datetime, Audit], ...] = ()


class Endings:
    """Reads the journal of one workspace; who asks again has only what is new parsed."""

    def __init__(self, workspace: Workspace) -> None:
        self._ws = workspace
        self._days: dict[str, _Day] = {}

    def of_two_days(self) -> list[tuple[datetime, Audit]]:
        """The decisions of today and yesterday about runs and their ends, oldest first."""
        now = self._ws.clock.now()
        paths = journal_paths(now - timedelta(days=1), now)
        self._days = {path: self._day(path) for path in paths}
        return [line for path in paths for line in self._days[path].lines]

    def _day(self, path: str) -> _Day:
        try:
            raw = self._ws.files.read(path, JOURNAL_BYTES).data
        except ClawError:
            return _Day()
        before, view, end = self._days.get(path, _Day()), memoryview(raw), raw.rfind(b"\n") + 1
        if crc32(view[: before.size_bytes]) != before.checksum:  # somebody changed what was only to grow
            before = _Day()
        fresh = view[before.size_bytes : end]
        lines = [line for text in bytes(fresh).splitlines() if (line := _journal_line(text))]
        return _Day(size_bytes=end, checksum=crc32(fresh, before.checksum), lines=(*before.lines, *lines))


def _journal_line(text: bytes) -> tuple[datetime, Audit] | None:
    """When a line about a run or its end was written, and the line; None for any other."""
    if not any(word in text for word in _INTERESTING):
        return None
    try:
        facts = msgspec.json.decode(text)
        return datetime.fromisoformat(facts.pop("timestamp")), msgspec.convert(facts, Audit)
    except (ValueError, KeyError, AttributeError, msgspec.MsgspecError):
        return None


def outcomes(journal: list[tuple[datetime, Audit]]) -> dict[AgentId, tuple[RunOutcome, ...]]:
    """How each agent's work ended, oldest first: what its breaker is derived from."""
    found: dict[AgentId, list[RunOutcome]] = {}
    for at, line in journal:
        if line.agent and not is_probe(line.task) and (line.action == "fail" or line.action in WENT_WELL):
            outcome = RunOutcome(at=at, is_good=line.action != "fail", task=line.task)
            found.setdefault(line.agent, []).append(outcome)
    return {agent: tuple(ends) for agent, ends in found.items()}


def started(journal: list[tuple[datetime, Audit]]) -> dict[str, tuple[datetime, ...]]:
    """When runs were started with each model: what its rate is derived from."""
    found: dict[str, list[datetime]] = {}
    for at, line in journal:
        if line.action == "wake" and line.model:
            found.setdefault(line.model, []).append(at + SECOND)  # lines have whole seconds: it was before the next
    return {model: tuple(times) for model, times in found.items()}
