"""The settings of events: where they come from, what they start, and how long their keys are remembered."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final, Literal

from claw_files.core.model import Value


class EventHandler(Value, frozen=True):
    """The handler of an event type: at most one of `spawn`, `task` and `workflow`, besides workflows that name it."""

    event: str  # the type
    spawn: tuple[str, ...] = ()
    task: str | None = None
    workflow: str | None = None
    text: str | None = None  # the instructions
    type: str | None = None  # of the new tasks
    given: tuple[tuple[str, str], ...] = ()  # of an input, or a name in the text, the field that it takes
    at_once: int = 5
    priority: str | None = None


class EventSettings(Value, frozen=True):
    """The handlers of events, by their types."""

    keep: timedelta = timedelta(days=30)  # so long, at least, the key of one is remembered
    handlers: Mapping[str, EventHandler] = {}

    def of(self, type: str) -> EventHandler:
        """The configuration of the type, or an empty one."""
        return self.handlers.get(type) or EventHandler(event=type)


class Source(Value, frozen=True):
    """A source of events: exactly one of `command`, `sql` and `files` is set."""

    name: str
    key: tuple[str, ...]  # fields of a record that together make it count once
    every: timedelta = timedelta(minutes=5)
    type: str | None = None  # of its events; None: its name
    limit: timedelta = timedelta(minutes=2)
    env: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    sql: str | None = None
    url_env: str | None = None
    cursor: tuple[str, ...] = ()  # columns
    start: tuple[str | int | float, ...] = ()  # the cursor of the first poll
    overlap: timedelta = timedelta(minutes=10)
    files: str | None = None  # a pattern
    by: Literal["time", "content"] = "time"


class Webhook(Value, frozen=True):
    """The sender of events to `POST /hooks/NAME`, and how it signs them."""

    name: str
    scheme: str  # a name in WEBHOOK_SCHEMES
    secret_env: tuple[str, ...]  # variables of the server; two while the secret is changed
    type: str | None = None  # of its events; None: as the request says
    header: str = ""  # of the signature, with scheme hmac
    key: str | None = None  # the field that makes an event count once; None: as the scheme has it


WEBHOOK_SCHEMES: Final = ("github", "stripe", "slack", "standard", "zendesk", "hmac")
