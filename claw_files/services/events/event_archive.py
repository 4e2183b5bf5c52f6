"""Events as commands see them: listed with what became of them, and handled once more."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from itertools import count

from msgspec.structs import replace

from claw_files.core.errors import ClawError, Conflict, NotFound
from claw_files.core.event import FILE_BYTES, EmitReceipt, Event, EventName
from claw_files.core.journal_events import JournalEvent
from claw_files.core.model import Audit, Value
from claw_files.core.text import safe
from claw_files.formats import event_file
from claw_files.services.events.event_store import EventPlace, EventStore

_BOXES = {"waiting": ("cur", "new"), "failed": ("failed",), "done": ("done",)}


class ListedEvent(Value, frozen=True):
    """An event, and what became of it."""

    mark: str  # or the whole name of a file that was not accepted
    type: str
    key: str | None
    status: str
    at: datetime
    reason: str | None


class EventArchive(EventStore):
    """The store, with what only commands need."""

    def listed(self, status: str, limit: int) -> list[ListedEvent]:
        """The newest events of that status, oldest first."""
        found = [(stat[1], box, stat[0]) for box in _BOXES[status] for stat in self._ws.files.survey(f"events/{box}")]
        kept = [(at, EventPlace(box=box, name=name)) for at, box, name in sorted(found) if _is_event(name, status)]
        return [self._listed(place, status) for _, place in kept[-limit:]]

    def _listed(self, place: EventPlace, status: str) -> ListedEvent:
        name, stamp = EventName.parse(place.name), self._ws.files.stamp(place.path)
        event, reason = Event(type=name.type if name else ""), None
        with suppress(ClawError):
            event = self._read(place)
        with suppress(ClawError):
            raw = self._ws.files.read(f"{place.path}.reason").data if place.box == "failed" else b""
            reason = raw.decode("utf-8", "replace").strip() or None
        at = stamp.mtime if stamp else self._ws.clock.now()
        mark = name.mark if name else place.name
        return ListedEvent(mark=mark, type=event.type, key=event.key, status=status, at=at, reason=reason)

    def _read(self, place: EventPlace) -> Event:
        name = EventName.parse(place.name)
        event = event_file.parse(self._ws.files.read_live(place.path, FILE_BYTES).data, place.name)
        return replace(event, type=name.type) if name else event

    def replay(self, id: str) -> EmitReceipt:
        """Emit the event that has been handled, or failed, once more; what had failed counts as handled then.

        Raises NotFound, Conflict where several are called so, InvalidFile for what is no event, EventsFull.
        """
        place = self._place(id)
        event = self._read(place)
        base = event.key or place.name.partition(".")[0]
        again = (replace(event, key=f"{base}.r{number}") for number in count(1))
        fresh = next(it for it in again if not self.known(EventName(mark=it.mark, type=it.type)))
        receipt = self.emit(fresh)
        if place.box == "failed":
            audit = Audit(JournalEvent.EVENT_DONE, key=place.name, why=f"replayed as {receipt.name}")
            self.put_away(place.path, place.name, audit)
            self._ws.files.remove(f"{place.path}.reason", None)
        return receipt

    def _place(self, id: str) -> EventPlace:
        found = [it for it in self._over() if it.name == id or (len(id) > 3 and it.name.startswith(id))]
        if not found:
            raise NotFound("event", id[:80], "`clawfiles event list --failed` and `--done` list those that are over")
        if len({it.name for it in found}) > 1:
            names = ", ".join(safe(it.name, 80) for it in found[:5])
            raise Conflict(f"{len(found)} events are called {id[:80]!r}: name one of {names}")
        return found[0]

    def _over(self) -> Iterator[EventPlace]:
        for box in ("failed", "done"):
            names = self._ws.files.names(f"events/{box}")
            yield from (EventPlace(box=box, name=name) for name in names if _is_event(name))


def _is_event(name: str, status: str = "") -> bool:
    """Whether it is an event's file; of due times only those that failed are told of, and none is emitted again."""
    return name.endswith((".json", ".md", ".refused")) and (status == "failed" or not name.startswith("schedule."))
