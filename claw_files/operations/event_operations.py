"""The operations on events."""

from typing import TYPE_CHECKING, Annotated

from claw_files.operations.fields import (
    JSON_ONLY,
    SHELL_ONLY,
    UNLISTED,
    Count,
    File,
    Flag,
    Name,
    Names,
    Object,
    Shell,
    Text,
)
from claw_files.operations.reply import Reply

if TYPE_CHECKING:
    from claw_files.app.wiring import App


def emit(
    app: "App",
    type: Name,
    *,
    key: Name | None = None,
    text: Text = "",
    data: Annotated[Object | None, JSON_ONLY, UNLISTED] = None,  # an object of any fields, which not every model takes
    fields: Annotated[Names, Shell("-w,--with")] = (),
    file: Annotated[File, SHELL_ONLY] = "",
) -> Reply:
    """Emit an event; prints its id. The heartbeat starts what handles its type.

    Args:
        key: The event counts once for each key, however often it is emitted.
        text: A text that goes with it.
        fields: A field: customer=Ada; may repeat.
        file: A file with the fields, JSON, or Markdown with front matter; - reads standard input.

    Example:
        clawfiles event emit customer_query --key 17 -w customer=Ada --agent sam
    """
    from msgspec.structs import replace

    from claw_files.core.errors import UsageError
    from claw_files.core.event import Event, is_type
    from claw_files.formats import event_file

    given = [pair.partition("=") for pair in fields]
    if wrong := next((pair for pair, (_, equals, _) in zip(fields, given, strict=True) if not equals), None):
        raise UsageError(f"the field {wrong[:80]!r} should read FIELD=VALUE")
    if not is_type(type):
        raise UsageError(f"{type!r} is no type of events: use letters, digits, '_', '-' and '.'")
    ending = "json" if file.lstrip().startswith("{") else "md"
    event = event_file.parse(file.encode(), f"{type}.{ending}") if file.strip() else Event(type=type)
    more = (data or {}) | {name: value for name, _, value in given}
    event = replace(event, type=type, key=key or event.key, text=text or event.text, fields=event.fields | more)
    receipt = app.events.emit(replace(event, source=event.source or app.actor))
    told = f"{receipt.mark}  known already: nothing starts" if receipt.is_known else receipt.mark
    where = "name it in [events] of clawfiles.toml, or in `starts on` of a workflow"
    warning = None if type in app.workflows.types() else f"nothing handles events of type `{type}`: {where}"
    return Reply(lambda: {"id": receipt.mark, "known": receipt.is_known}, lambda: told, warning)


def list_events(app: "App", *, failed: Flag = False, done: Flag = False, limit: Count = 100) -> Reply:
    """List the events that wait to be handled, oldest first.

    Args:
        failed: Those that could not be handled, with the reason.
        done: Those that were handled.
        limit: So many at most, the newest.

    Example:
        clawfiles event list --failed
    """
    from claw_files.presentation.views import rows_text

    found = app.events.listed("failed" if failed else "done" if done else "waiting", limit)
    keys = ("id", "type", "key", "status")
    rows = [(*(it[key] or "" for key in keys), app.when(it["at"]), it["reason"] or "") for it in found]
    return Reply(lambda: {"events": found}, lambda: rows_text(rows) or "no events")


def replay(app: "App", id: Name) -> Reply:
    """Handle an event once more: it is emitted as a new one, with a key of its own. Prints the new id.

    Example:
        clawfiles event replay 3f0c2a9912345678 --agent sam
    """
    _ = app.actor
    receipt = app.events.replay(id)
    return Reply(lambda: {"id": receipt.mark, "known": receipt.is_known}, lambda: receipt.mark)
