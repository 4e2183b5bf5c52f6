"""What `clawfiles.toml` says of events: what starts by their types, and for how long their keys are remembered."""

from collections.abc import Mapping
from datetime import timedelta

from claw_files.core.model import Value


class EventHandler(Value, frozen=True):
    """What an event of a type starts: at most one of `spawn`, `task` and `workflow`, beside workflows that name it."""

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
    """What events start, by their types."""

    keep: timedelta = timedelta(days=30)  # so long, at least, the key of one is remembered
    handlers: Mapping[str, EventHandler] = {}
