"""The file of an event: JSON, or Markdown with front matter. By hand it is flat; clawfiles' has an envelope.

    {"type": "customer_query", "key": "17", "customer": "Ada"}
    {"event": {"type": "customer_query", "key": "17", "source": "desk"}, "fields": {"type": "mail"}, "text": "..."}

The envelope keeps the fields apart from what describes the event, whatever they are called.
"""

from typing import Any

import msgspec

from claw_files.core.errors import InvalidFile
from claw_files.core.event import KEY_LETTERS, Event, is_type
from claw_files.core.text import safe, wire_json
from claw_files.formats import frontmatter

_ABOUT, _OWN = ("type", "key", "source"), ("type", "key", "text")


def parse(raw: bytes, path: str) -> Event:
    """The event in a file. Raises InvalidFile (problem "event") with the reason."""
    name = path.rpartition("/")[2]
    content = _markdown(raw, path) if name.endswith(".md") else _json(raw, path)
    about, fields = content.get("event"), content.get("fields")
    if not isinstance(about, dict) or not isinstance(fields, dict):
        fields = {key: value for key, value in content.items() if key not in _OWN}
        about = {key: value for key, value in content.items() if key in _OWN}
    type, key = about.get("type") or name.partition(".")[0], about.get("key")
    if not isinstance(type, str) or not is_type(type):
        raise _wrong(path, f"{safe(str(type), 60)!r} is no type: use letters, digits, '_', '-' and '.', at most 64")
    if isinstance(key, bool) or not isinstance(key, str | int | None) or len(str(key)) > KEY_LETTERS:
        raise _wrong(path, f"`key` has to be a text of at most {KEY_LETTERS} letters, or a number")
    text, source = content.get("text") or "", about.get("source") or None
    if not isinstance(text, str) or not isinstance(source, str | None):
        raise _wrong(path, "`text` and `source` have to be texts")
    return Event(type=type, key=None if key in (None, "") else str(key), fields=fields, text=text, source=source)


def render(event: Event) -> bytes:
    """The event as clawfiles writes it. Raises InvalidFile for fields that are not JSON."""
    about = {name: getattr(event, name) for name in _ABOUT if getattr(event, name) is not None}
    text = {"text": event.text} if event.text else {}
    try:
        return f"{wire_json({'event': about, 'fields': event.fields, **text})}\n".encode()
    except (TypeError, ValueError, RecursionError) as wrong:
        raise _wrong(event.type, f"its fields are not of JSON: {safe(str(wrong), 200)}") from None


def _json(raw: bytes, path: str) -> dict[str, Any]:
    try:
        content = msgspec.json.decode(raw.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as wrong:
        raise _wrong(path, f"it is not JSON: {safe(str(wrong), 200)}") from None
    if not isinstance(content, dict):
        raise _wrong(path, "it has to be one JSON object, in braces")
    return content


def _markdown(raw: bytes, path: str) -> dict[str, Any]:
    document = frontmatter.parse(raw, path)
    return {**document.meta, "text": document.body.strip("\n")}


def _wrong(path: str, reason: str) -> InvalidFile:
    return InvalidFile(path, "event", reason)
