"""Reads the journal: its last lines, and new ones as they are written."""

import re
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from claw_files.core.errors import BadValue
from claw_files.core.lazy_regex import pattern
from claw_files.core.model import Value
from claw_files.formats.journal import decode
from claw_files.system import journal_files
from claw_files.system.clock import Clock
from claw_files.system.files import Files

POLL_SECONDS = 0.5
_SUFFIX = ".jsonl"
_POSITION = pattern(r"([0-9]{4}-[0-9]{2}-[0-9]{2}|)\.([0-9]{1,12})", re.ASCII)


class Position(Value, frozen=True):
    """A position between two lines of the journal: a day's file and a byte offset."""

    day: str  # "2026-03-07"; "" is before everything
    offset: int = 0

    def __str__(self) -> str:
        return f"{self.day}.{self.offset}"


def position(text: str) -> Position:
    """The position that `str` made the text of. Raises BadValue."""
    found = _POSITION.fullmatch(text)
    if not found:
        raise BadValue("position", text, "a position in the journal, such as 2026-03-07.1200")
    return Position(day=found[1], offset=int(found[2]))


class Journal:
    """The files in audit/, one per day."""

    def __init__(self, files: Files, clock: Clock, shows: Callable[[dict[str, Any]], object] = bool) -> None:
        """`shows` says of which lines the viewer may know."""
        self._files = files
        self._clock = clock
        self._shows = shows

    def last(self, limit: int, task: str | None = None) -> list[dict[str, Any]]:
        """The last `limit` lines, oldest first, optionally of one task. Truncated lines are omitted."""
        found: list[dict[str, Any]] = []
        for name in reversed(self._days()):
            lines = self._lines(name, task)
            found = lines[-(limit - len(found)) :] + found
            if len(found) >= limit:
                break
        return found

    def follow(self, limit: int, task: str | None = None) -> Iterator[dict[str, Any]]:
        """The last `limit` lines, then every new line, as long as the caller iterates; no line is lost in between."""
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

    def end(self) -> Position:
        """The position after the last line; without a journal, before the first."""
        days = self._days()
        stamp = self._files.stamp(f"audit/{days[-1]}") if days else None
        return Position(day=days[-1].removesuffix(_SUFFIX) if days else "", offset=stamp.size_bytes if stamp else 0)

    def since(self, start: Position, limit: int = 1000) -> list[tuple[Position, dict[str, Any] | None]]:
        """Up to `limit` lines after `start`, oldest first, each with the position after it.

        None stands for a line that is torn, or not to be seen here. One that is still being written counts once it is
        whole.
        """
        found: list[tuple[Position, dict[str, Any] | None]] = []
        for name in self._days():
            day = name.removesuffix(_SUFFIX)
            if day >= start.day and len(found) < limit:
                first = Position(day=day, offset=start.offset if day == start.day else 0)
                found += islice(self._lines_since(name, first), limit - len(found))
        return found

    def _lines_since(self, name: str, start: Position) -> Iterator[tuple[Position, dict[str, Any] | None]]:
        stamp = self._files.stamp(f"audit/{name}")
        if stamp and stamp.size_bytes == start.offset:
            return
        raw = journal_files.read(self._files, f"audit/{name}")
        offset = start.offset if len(raw) >= start.offset else 0  # shorter: the file was replaced
        for part in raw[offset : raw.rfind(b"\n") + 1].split(b"\n")[:-1]:
            offset += len(part) + 1
            line = decode(part)
            yield Position(day=start.day, offset=offset), line if line and self._shows(line) else None

    def _days(self) -> list[str]:
        return [name for name in self._files.all_names("audit") if name.endswith(_SUFFIX)]

    def _lines(self, name: str, task: str | None) -> list[dict[str, Any]]:
        lines = map(decode, journal_files.read(self._files, f"audit/{name}").split(b"\n"))
        return [line for line in lines if line and task in (None, line.get("task")) and self._shows(line)]
