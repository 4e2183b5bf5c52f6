"""A brief: the announcements that quiet hours held back, with their delivery to each channel.

The file is Markdown for people; each item ends in a comment with its key and its channels, which is the memory that
makes the delivery happen once.
"""

import re
from collections.abc import Sequence
from datetime import datetime, tzinfo

from claw_files.core import text as words
from claw_files.core.digest import digest as short
from claw_files.core.lazy_regex import pattern
from claw_files.core.model import AgentId, Message
from claw_files.formats import choices

_ITEM = pattern(r"^- (?P<text>.*) <!-- key: (?P<key>[^ ]+)(?P<channels>(?: [^ ]+=[^ ]+)*) -->$", re.MULTILINE)


def item(message: Message, most: int = 300) -> str:
    """The text of a message on one line."""
    return words.inert(words.safe(" ".join(message.body.split()), limit=most))


def add(
    raw: bytes | None,
    key: str,
    end: datetime,
    zone: tzinfo,
    held: Sequence[Message],
    waiting: Sequence[Message],
    person: AgentId,
) -> bytes:
    """The brief's file with these items, and the messages that still need an answer; existing items are not changed."""
    text = (raw or b"").decode("utf-8", "replace")
    if not text:
        text = f"# Brief for {person}, {words.render_local(end, zone)}\n\n## Held back\n"
        still = [f"- {item(m)} (`clawfiles inbox done {m.id}`)\n{_offered(m)}" for m in waiting]
        if still:
            text = text.replace("\n\n## Held", "\n\n## Still waiting for you\n" + "".join(still) + "\n## Held")
    known = {found["key"] for found in _ITEM.finditer(text)}
    for message in held:
        if message.key in known:
            continue
        when = words.render_local(message.sent, zone) if message.sent else "some time"
        line = item(message, 2_000)
        text += f"- {when}, {message.sender}: {line} <!-- key: {message.key} -->\n{_offered(message)}"
    return text.encode()


def _offered(message: Message) -> str:
    return "".join(f"  {choice}\n" for choice in choices.offered(message))


def undelivered(raw: bytes, channel: str) -> list[str]:
    """Keys of the items that the channel has not had."""
    name, items = _channel(channel), _ITEM.finditer(raw.decode("utf-8", "replace"))
    return [found["key"] for found in items if f" {name}=" not in found["channels"]]


def mark(raw: bytes, channel: str, keys: Sequence[str], now: datetime) -> bytes:
    """The file with the time at which the channel had these items."""
    name, when = _channel(channel), words.render_instant(now)

    def stamped(found: re.Match[str]) -> str:
        if found["key"] not in keys or f" {name}=" in found["channels"]:
            return found[0]
        return f"- {found['text']} <!-- key: {found['key']}{found['channels']} {name}={when} -->"

    return _ITEM.sub(stamped, raw.decode("utf-8", "replace")).encode()


def excerpt(raw: bytes, keys: Sequence[str]) -> str:
    """The heading and these items for a channel: one entry, its lines indented below it."""
    text = raw.decode("utf-8", "replace")
    items = [f"  - {found['text']}" for found in _ITEM.finditer(text) if found["key"] in keys]
    return "\n".join([text.partition("\n")[0].lstrip("# "), *_still(text), *items])


def _still(text: str) -> list[str]:
    lines = text.partition("## Still waiting for you\n")[2].partition("\n\n")[0].splitlines()
    return [f"  - still waiting: {line[2:]}" for line in lines if line.startswith("- ")]


def text(raw: bytes) -> str:
    """The brief for a person, without the comments."""
    shown = re.sub(r" <!-- key: .*? -->$", "", raw.decode("utf-8", "replace"), flags=re.MULTILINE)
    return re.sub(rf" {choices.MARK}", "", shown)


def digest(keys: Sequence[str]) -> str:
    """A short name for a set of items, the same for the same items."""
    return short("\n".join(keys).encode(), 4)


def _channel(channel: str) -> str:
    return re.sub(r"[^A-Za-z0-9:./_-]", "_", channel)
