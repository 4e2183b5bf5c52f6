"""Reading the journal: its last lines, and those that come."""

import json
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

from claw_files.errors import ClawError
from claw_files.system.clock import Clock
from claw_files.system.files import Files
from claw_files.system.paths import JOURNAL_BYTES

POLL_SECONDS = 0.5


class Journal:
    """The files in audit/, one a day."""

    def __init__(
        self,
        files: Files,
        clock: Clock,
        hidden: frozenset[str] = frozenset(),
        tasks: Callable[[], set[str]] = set,
    ) -> None:
        """`hidden` are agents in whose compartment nobody may look, `tasks` finds what theirs are."""
        self._files = files
        self._clock = clock
        self._hidden = hidden
        self._find_tasks = tasks

    @cached_property
    def _hidden_tasks(self) -> set[str]:
        return self._find_tasks()

    def last(self, limit: int, task: str | None = None) -> list[dict[str, Any]]:
        """The last `limit` lines, oldest first; of one task when asked. Torn lines are left out."""
        found: list[dict[str, Any]] = []
        for name in reversed(self._days()):
            lines = self._lines(name, task)
            found = lines[-(limit - len(found)) :] + found
            if len(found) >= limit:
                break
        return found

    def follow(self, limit: int, task: str | None = None) -> Iterator[dict[str, Any]]:
        """The last `limit` lines, then every line that comes, for as long as it is asked; none between is lost."""
        days = self._days()
        seen = {name: len(self._lines(name, task)) for name in days[-1:]}
        newest = self._lines(days[-1], task)[: seen[days[-1]]] if days else []
        earlier = [line for name in days[-8:-1] for line in self._lines(name, task)] if len(newest) < limit else []
        yield from [*earlier, *newest][-limit:]
        while True:
            for name in self._days()[-2:]:  # the day may have changed between two looks
                if name not in seen and seen and name < max(seen):
                    continue
                lines = self._lines(name, task)
                yield from lines[seen.get(name, 0) :]
                seen[name] = len(lines)
            self._clock.sleep(POLL_SECONDS)

    def _days(self) -> list[str]:
        return [name for name in self._files.names("audit") if name.endswith(".jsonl")]

    def _lines(self, name: str, task: str | None) -> list[dict[str, Any]]:
        try:
            raw = self._files.read(f"audit/{name}", JOURNAL_BYTES).data
        except ClawError:  # doctor names it
            return []
        lines = (_decoded(line) for line in raw.split(b"\n"))
        shown = [line for line in lines if line and task in (None, line.get("task"))]
        return [line for line in shown if not self._is_hidden(line)] if self._hidden else shown

    def _is_hidden(self, line: dict[str, Any]) -> bool:
        who = {line.get(key) for key in ("agent", "actor", "parent_agent")}
        return bool(self._hidden & who) or line.get("task") in self._hidden_tasks


def _decoded(line: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
