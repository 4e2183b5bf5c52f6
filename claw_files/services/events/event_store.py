"""The files of events: new/ holds what arrived, cur/ what was accepted, done/ and failed/ what is over.

The name of an accepted event says its type and key, so one that arrives again is known by its name alone.
"""

from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from claw_files.core.digest import digest
from claw_files.core.errors import CannotWrite, Conflict, NotFound, UsageError
from claw_files.core.event import FILE_BYTES, MOST_WAITING, EmitReceipt, Event, EventName, EventsFull, is_type
from claw_files.core.journal_events import JournalEvent
from claw_files.core.model import Audit
from claw_files.core.text import safe
from claw_files.formats import event_file
from claw_files.storage.workspace import Workspace
from claw_files.system.randomness import token

BOXES = ("new", "cur", "done", "failed")
NEW, CUR, DONE, FAILED = (f"events/{box}" for box in BOXES)


class EventStore:
    """Keeps events. Whatever it says was kept survives a crash of the machine."""

    def __init__(self, workspace: Workspace) -> None:
        self._ws = workspace

    def emit(self, event: Event) -> EmitReceipt:
        """Keep the event in events/new/, durably. One whose type and key are known is not written again.

        Raises UsageError for a type that is none and for more than 1 MiB, InvalidFile for what is not of JSON,
        EventsFull (Busy) while too many wait.
        """
        return self.emit_many((event,))[0]

    def emit_many(self, events: Iterable[Event]) -> list[EmitReceipt]:
        """The same for several, in order. What was kept before one was refused stays kept."""
        room = MOST_WAITING - self.waiting()
        receipts = list[EmitReceipt]()
        for event in events:
            receipt = self._emit(event, room)
            room -= not receipt.is_known
            receipts.append(receipt)
        return receipts

    def _emit(self, event: Event, room: int) -> EmitReceipt:
        if not is_type(event.type):
            raise UsageError(f"{safe(event.type, 60)!r} is no type of events: use letters, digits, '_', '-' and '.'")
        name = EventName(mark=event.mark if event.key is not None else token(8), type=event.type)
        if known := self.known(name):
            return EmitReceipt(name=known, is_known=True)
        raw = event_file.render(event)
        event_file.parse(raw, str(name))  # what could not be read again is refused now
        if len(raw) > FILE_BYTES:
            raise UsageError(f"the event has {len(raw):,} bytes; an event may have {FILE_BYTES:,}: name a file instead")
        if room <= 0:
            raise EventsFull(MOST_WAITING - room)
        audit = Audit(JournalEvent.EVENT, key=str(name), why=f"{event.type} from {safe(event.source or 'here', 80)}")
        # What somebody else wrote in the meantime stays: it is the same event.
        self._ws.files.commit(f"{NEW}/{name}", lambda there: raw if there is None else there, self._ws.line(audit))
        return EmitReceipt(name=str(name))

    def known(self, name: EventName) -> str | None:
        """The name of a file that has this event already, in any box; None for a new one."""
        return next((path.rpartition("/")[2] for path in self.find(name)), None)

    def is_taken(self, name: EventName) -> bool:
        """Whether the event was accepted before, whatever became of it."""
        return any(not path.startswith(NEW) for path in self.find(name))

    def find(self, name: EventName) -> Iterator[str]:
        """The paths of files with this event."""
        names = [str(replace(name, ending=ending)) for ending in ("json", "md")]
        return (path for box in BOXES for it in names if self._ws.files.stamp(path := f"events/{box}/{it}"))

    def waiting(self) -> int:
        """How many events wait to be handled: two listings. Those of schedules are few, and others may keep them."""
        names = (name for box in (NEW, CUR) for name in self._ws.files.names(box))
        return sum(not name.startswith("schedule.") for name in names)

    def is_full(self) -> bool:
        """Whether so many wait that no more are taken."""
        return self.waiting() >= MOST_WAITING

    def refuse(self, record: bytes, reason: str, source: str) -> str:
        """Set aside a record of `source` that cannot be an event, with the reason; its name in events/failed/."""
        name = f"{digest(record)}.{digest(source.encode())[:8]}.refused"
        self._say_why(name, f"from {source}: {reason}")
        audit = Audit(JournalEvent.EVENT_FAILED, key=name, why=safe(reason))
        self._ws.files.commit(f"{FAILED}/{name}", lambda there: there or record[:FILE_BYTES], self._ws.line(audit))
        return name

    def fail(self, path: str, name: str, reason: str) -> str:
        """Move an event to events/failed/ under that name, or a free one, with the reason beside it."""
        if self._ws.files.stamp(f"{FAILED}/{name}"):
            name = f"{token(4)}.{name}"
        # The reason first: a crash in between leaves a reason without a file, never a file without a reason.
        self._say_why(name, reason)
        audit = Audit(JournalEvent.EVENT_FAILED, key=name, why=safe(reason))
        try:
            self._ws.files.move(path, f"{FAILED}/{name}", self._ws.line(audit))
        except Conflict:  # what bears the name is no file: a link that failed before
            return self.fail(path, f"{token(4)}.{name}", reason)
        except (CannotWrite, NotFound):
            self._ws.files.remove(f"{FAILED}/{name}.reason", None)
            raise
        return name

    def _say_why(self, name: str, reason: str) -> None:
        text = f"{safe(reason)}\n".encode()
        self._ws.files.commit(f"{FAILED}/{name}.reason", lambda _: text, None)

    def put_away(self, path: str, name: str, audit: Audit) -> None:
        """Move an event that was handled to events/done/, where its name is the memory of its key."""
        try:
            self._ws.files.move(path, f"{DONE}/{name}", self._ws.line(audit))
        except Conflict:  # somebody put a copy there
            self._again(path, name, audit)

    def again(self, path: str, name: EventName) -> None:
        """Move an event that arrived again to events/done/, as `NAME.again`."""
        self._again(path, str(name), Audit(JournalEvent.EVENT_AGAIN, key=str(name), why=safe(path, 200)))

    def _again(self, path: str, name: str, audit: Audit) -> None:
        target = f"{name}.again"
        target = f"{name}.{token(4)}.again" if self._ws.files.stamp(f"{DONE}/{target}") else target
        self._ws.files.move(path, f"{DONE}/{target}", self._ws.line(audit))
