"""Something that happened, as a value: one file in `events/`, which starts what its type is handled by."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from claw_files.core.digest import digest
from claw_files.core.errors import Busy, ClawError
from claw_files.core.lazy_regex import pattern
from claw_files.core.model import Value

FILE_BYTES = 1 << 20  # of one event
MOST_WAITING = 10_000  # events; more are refused until some are handled
KEY_LETTERS = 500
_TYPE = pattern(r"(?=.{1,64}$)[A-Za-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*")
_NAME = pattern(r"(?P<mark>[0-9a-f]{16})\.(?P<type>.+)\.(?P<ending>json|md)")


class Event(Value, frozen=True):
    """One event. With a key it counts once, however often it arrives; without one, each file counts."""

    type: str
    key: str | None = None
    fields: dict[str, Any] = msgspec.field(default_factory=dict)  # data, of what JSON has
    text: str = ""
    source: str | None = None

    @property
    def mark(self) -> str:
        """16 hexadecimal digits of type and key: the same for an event that arrives again."""
        return digest(f"{self.type}\0{self.key}".encode("utf-8", "surrogatepass"))


class EventName(Value, frozen=True):
    """The file name of an accepted event, or of one by clawfiles: `3f0c2a...e1.customer_query.json`."""

    mark: str
    type: str
    ending: str = "json"

    @classmethod
    def parse(cls, name: str) -> "EventName | None":
        """The name in parts; None for any other name."""
        found = _NAME.fullmatch(name)
        return cls(**found.groupdict()) if found and is_type(found["type"]) else None

    def __str__(self) -> str:
        return f"{self.mark}.{self.type}.{self.ending}"


class SourceMark(Value, frozen=True):
    """How far a source was read, and how its polls went: `sources/NAME.md`. Instants are aware, UTC."""

    polled: datetime | None = None  # when the newest poll began
    good: datetime | None = None  # when the newest one that went well ended
    failures: int = 0  # polls, since then; one that is running counts, until it has said how it ended
    since: datetime | None = None  # when the first of them began
    problem: str = ""
    cursor: str = ""  # JSON


class EmitReceipt(Value, frozen=True):
    """The path of an event; `is_known`: it existed before, and starts nothing."""

    name: str
    is_known: bool = False

    @property
    def mark(self) -> str:
        """By which commands call it."""
        return self.name.partition(".")[0]


class AcceptedEvent(Value, frozen=True):
    """An event that waits to be started: its file in events/cur/."""

    name: str
    type: str
    since: datetime


class EventQueue(Value, frozen=True):
    """The events of a workspace that are not over."""

    arriving: Mapping[str, datetime] = {}  # paths of files to accept, and when each may be read
    accepted: tuple[AcceptedEvent, ...] = ()

    def ready(self, now: datetime) -> tuple[str, ...]:
        """The events that may be accepted now, in order."""
        return tuple(path for path, at in self.arriving.items() if at <= now)


class EventsFull(Busy):
    """Too many events wait to be handled; nothing was written. Send the event again later."""

    code, exit_status = "events-full", 5

    def __init__(self, waiting: int) -> None:
        ClawError.__init__(self, waiting)
        self.waiting = waiting

    def __str__(self) -> str:
        return (
            f"{self.waiting:,} events wait to be handled, and no more are taken; send the event again later, and "
            "see `clawfiles event list` for what waits"
        )


def is_type(text: str) -> bool:
    """Whether the text can be the type of an event: letters, digits, `_`, `-`, and dots between them."""
    return _TYPE.fullmatch(text) is not None


def value_at(fields: Mapping[str, Any], path: str) -> object:
    """The value at a path such as "data.id"; None without one."""
    found: object = fields
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found
