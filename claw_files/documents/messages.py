"""Messages: one Markdown file each, front matter and the text for its receiver."""

from typing import Final

from claw_files import words
from claw_files.documents.records import Record
from claw_files.documents.records import render as _render
from claw_files.errors import InvalidFile
from claw_files.model import Key, Kind, Message, RunId

_SILENT: Final = frozenset({"NO_REPLY", "HEARTBEAT_OK", "REPLY_SKIP", "ANNOUNCE_SKIP"})


def parse(raw: bytes, path: str) -> Message:
    """The message; keys we do not know are ignored, as a later version may write them.

    Raises InvalidFile: as `frontmatter.parse` does, missing-key (id, key, kind, from, to) and bad-value.
    """
    record = Record(raw, path)
    for key in ("id", "key", "kind", "from", "to"):
        record.needed(key)
    sender, to, kind = record.agent("from"), record.agent("to"), record.read("kind", _kind)
    if sender is None or to is None or kind is None:  # needed() has seen to it, and the type checker has not
        raise InvalidFile(path, "missing-key", "the front matter is not complete", 1)
    return Message(
        id=record.read("id", lambda text: words.key(text, "message id")) or "",
        key=Key(record.read("key", words.key) or ""),
        kind=kind,
        sender=sender,
        to=to,
        body=record.body,
        task=record.task("task"),
        chain=record.agents("chain"),
        attempt=record.number("attempt"),
        generation=record.number("generation"),
        sent=record.instant("sent"),
        sends=record.number("sends") or 1,
        ack_by=record.instant("ack_by"),
        reply_to=record.agent("reply_to"),
        in_reply_to=record.text("in_reply_to"),
        critical=(record.text("critical") or "").lower() in ("true", "yes"),
        status_hash=record.text("status_hash"),
        definition=record.mapping("task_definition"),
        body_file=record.text("body_file"),
        channels=record.mapping("channels"),
        run=RunId(record.read("run", lambda text: words.key(text, "run id")) or "") or None,
        root=record.read("root", lambda text: words.key(text, "message id")),
    )


def _kind(text: str) -> Kind:
    try:
        return Kind(text.lower())
    except ValueError:
        raise ValueError(f"one of {', '.join(Kind)}") from None


def render(message: Message) -> bytes:
    """The message's file. `parse` reads it back, but for line endings and empty lines at the end of the body."""
    values = {
        "id": message.id,
        "key": message.key,
        "kind": message.kind.value,
        "from": message.sender,
        "to": message.to,
        "task": message.task,
        "chain": message.chain,
        "attempt": message.attempt,
        "generation": message.generation,
        "sent": message.sent,
        "sends": message.sends if message.sends > 1 else None,
        "ack_by": message.ack_by,
        "reply_to": message.reply_to,
        "in_reply_to": message.in_reply_to,
        "critical": True if message.critical else None,
        "status_hash": message.status_hash,
        "body_file": message.body_file,
        "channels": message.channels,
        "run": message.run,
        "root": message.root,
        "task_definition": message.definition,
    }
    return _render(values, message.body)


def is_silent(text: str) -> bool:
    """Whether the whole text is one of OpenClaw's words for "nothing to say". They are read, never written."""
    return text.strip().strip("*_`.\"'! ").upper().replace(" ", "_") in _SILENT
