"""The ways to reach a person. `file:PATH` is built in; the text carries its key, so that a repeat is seen."""

from typing import TYPE_CHECKING

from claw_files import words
from claw_files.errors import NotFound, Refused
from claw_files.model import Kind, Message
from claw_files.system.files import Files

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

TAIL_BYTES = 1 << 20


def item(message: Message, zone: "ZoneInfo") -> str:
    """A message as a person reads it: when, from whom, what. No line or comment in it reads as another item."""
    when = words.render_local(message.sent, zone) if message.sent else "some time"
    mark = "CRITICAL " if message.critical else ""
    reply = f' (answer: `clawfiles answer {message.id} "TEXT"`)' if message.kind is Kind.QUESTION else ""
    body = words.safe(message.body, limit=4_000, lines=True).strip().replace("\n", "\n  ")
    body = body.replace("<!--", "<!- -").replace("-->", "- ->")  # a forged key would keep another item away
    return f"{mark}{when}, {message.sender}: {body}{reply}"


def hand_over(files: Files, channel: str, key: str, text: str) -> None:
    """Give `text` to the channel, with its key. A `file:` channel that holds the key already is left alone.

    Raises Refused for a channel of a kind that is not known.
    """
    kind, _, path = channel.partition(":")
    if kind != "file":
        raise Refused("channels", f"channel {channel!r} is not known", 'use "file:PATH"')
    mark = f"<!-- {key} -->"
    try:
        if mark.encode() in files.read(path, cap_bytes=64 * TAIL_BYTES).data:
            return
    except NotFound:
        pass
    files.append(path, f"- {text} {mark}\n".encode("utf-8", "replace"))
