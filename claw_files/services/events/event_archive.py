"""Events as commands see them: listed with what became of them, and handled once more."""

from contextlib import suppress
from datetime import UTC, datetime
from itertools import count
from typing import Any

from msgspec.structs import replace

from claw_files.core.errors import ClawError, Conflict, NotFound
from claw_files.core.event import FILE_BYTES, EmitReceipt, Event, EventName
from claw_files.core.journal_events import JournalEvent
from claw_files.core.model import Audit
from claw_files.core.text import safe
from claw_files.formats import event_file
from claw_files.services.events.event_store import DONE, FAILED, EventStore
from claw_files.system.files import Survey

_BOXES = {"waiting": ("cur", "new"), "failed": ("failed",), "done": ("done",)}


class EventArchive(EventStore):
    """The store, with what only commands need."""

    def listed(self, status: str, limit: int) -> list[dict[str, Any]]:
        """The newest events of that status, oldest first: id, type, key, status, at and reason of each."""
        found = [(mtime, f"events/{box}/{name}") for box in _BOXES[status] for name, mtime, *_ in self._survey(box)]
        kept = [(mtime, path) for mtime, path in sorted(found) if _is_event(path, status)]
        return [self._listed(path, mtime, status) for mtime, path in kept[-limit:]]

    def _survey(self, box: str) -> list[Survey]:
        return self._ws.files.survey(f"events/{box}")

    def _listed(self, path: str, mtime_ns: int, status: str) -> dict[str, Any]:
        file, reason = path.rpartition("/")[2], None
        name = EventName.parse(file)
        event = Event(type=name.type if name else "")
        if not file.endswith(".refused"):  # the bytes of a record, whatever they look like
            with suppress(ClawError):
                event = self._read(path)
        with suppress(ClawError):
            reason = self._ws.files.read(f"{path}.reason").data.decode("utf-8", "replace").strip()
        facts = {"id": name.mark if name else file, "type": event.type, "key": event.key}
        return facts | {"status": status, "at": datetime.fromtimestamp(mtime_ns / 10**9, UTC), "reason": reason}

    def _read(self, path: str) -> Event:
        name = EventName.parse(path.rpartition("/")[2])
        event = event_file.parse(self._ws.files.read_live(path, FILE_BYTES).data, path)
        return replace(event, type=name.type) if name and event.type == name.mark else event  # it says no type itself

    def replay(self, id: str) -> EmitReceipt:
        """Emit the event that has been handled, or failed, once more; what had failed counts as handled then.

        Raises NotFound, Conflict where several are called so, InvalidFile for what is no event, EventsFull.
        """
        path = self._path(id)
        event, name = self._read(path), path.rpartition("/")[2]
        again = (replace(event, key=f"{event.key or name.partition('.')[0]}.r{number}") for number in count(1))
        receipt = self.emit(next(it for it in again if not self.known(EventName(mark=it.mark, type=it.type))))
        if path.startswith(FAILED):
            self.put_away(path, name, Audit(JournalEvent.EVENT_DONE, key=name, why=f"replayed as {receipt.name}"))
            self._ws.files.remove(f"{path}.reason", None)
        return receipt

    def _path(self, id: str) -> str:
        over = ((box, name) for box in (FAILED, DONE) for name in self._ws.files.names(box) if _is_event(name))
        found = {name: f"{box}/{name}" for box, name in over if id in (name, name.partition(".")[0])}
        if not found:
            raise NotFound("event", id[:80], "`clawfiles event list --failed` and `--done` list those that are over")
        if len(found) > 1:
            names = ", ".join(safe(name, 80) for name in list(found)[:5])
            raise Conflict(f"{len(found)} events are called {id[:80]!r}: name one of {names}")
        return next(iter(found.values()))


def _is_event(path: str, status: str = "") -> bool:
    """Whether it is an event's file; of due times only those that failed are told of, and none is emitted again."""
    is_due_time = path.rpartition("/")[2].startswith("schedule.")
    return path.endswith((".json", ".md", ".refused")) and (status == "failed" or not is_due_time)
