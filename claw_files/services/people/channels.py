"""The ways to reach a person: files in the workspace are written here, all others get a post in the outbox.

The text carries its key, so that a repeat is seen, and below it the lines by which a person answers.
"""

from collections.abc import Sequence
from datetime import tzinfo

from claw_files.config.channels import CAP_BYTES, FILE
from claw_files.core import text as words
from claw_files.core.errors import CannotRead, NotFound
from claw_files.core.model import AgentId, KeyText, Message, Post
from claw_files.formats import choices
from claw_files.system.files import Files

_BODY_LETTERS, _TITLE_LETTERS = 3_000, 80  # outside of the workspace: services cut at lengths of their own


class ChannelItem:
    """What is handed over: its key, its text, and the messages it tells of, which a person may answer."""

    def __init__(self, key: str, text: str, about: Sequence[Message], critical: bool = False) -> None:
        self.key, self.text, self.about, self.critical = key, text, about, critical


def item_of(message: Message, zone: tzinfo) -> ChannelItem:
    """A message as a person reads it: when, from whom, what. No line or comment in it reads as another item."""
    when = words.render_local(message.sent, zone) if message.sent else "some time"
    mark = "CRITICAL " if message.critical else ""
    reply = f' (answer: `clawfiles answer {message.id} "TEXT"`)' if choices.is_question(message) else ""
    body = words.inert(words.safe(message.body, limit=4_000, lines=True)).strip().replace("\n", "\n  ")
    return ChannelItem(str(message.key), f"{mark}{when}, {message.sender}: {body}{reply}", [message], message.critical)


def write(files: Files, channel: str, item: ChannelItem) -> None:
    """Add the item to the file of a `file:` channel, with its key; one that holds the key already is left alone."""
    path = channel.removeprefix(FILE)
    mark = f"<!-- {item.key} -->"
    try:
        if mark.encode() in files.read(path, cap_bytes=CAP_BYTES).data:
            return
    except NotFound:
        pass
    lines = [f"- {item.text} {mark}", *(f"  {line}" for it in item.about for line in choices.offered(it))]
    files.append(path, "".join(f"{line}\n" for line in lines).encode("utf-8", "replace"))


def problem(files: Files, channel: str) -> str:
    """Why a `file:` channel takes nothing, "" where it does; what the file holds is not read."""
    path = channel.removeprefix(FILE)
    try:
        if channel.startswith(FILE):
            files.read(path, cap_bytes=0)
    except NotFound:
        return ""  # the first item makes it
    except CannotRead as wrong:
        if wrong.problem != "too-large":
            return wrong.reason
        stamp = files.stamp(path)
        return f"it is larger than {CAP_BYTES >> 20} MiB" if stamp and stamp.size_bytes > CAP_BYTES else ""
    return ""


def post_of(item: ChannelItem, person: AgentId, id: str, channel: str) -> Post:
    """The item as it leaves the workspace: short, with its key and the commands that answer it."""
    tasks = dict.fromkeys(str(it.task) for it in item.about if it.task)
    title = f"{'CRITICAL ' if item.critical else ''}clawfiles{': ' if tasks else ''}{', '.join(tasks)}"
    commands = [line for it in item.about for line in choices.commands(it, person)]
    how = "\n\nTo answer:\n" + "\n".join(commands[:20]) if commands else ""
    body = words.safe(item.text, limit=_BODY_LETTERS, lines=True)
    return Post(
        id=id,
        key=KeyText(item.key),
        to=person,
        channel=channel,
        title=words.safe(title, _TITLE_LETTERS),
        body=f"{body}{how}\n\n[{item.key}]",
        critical=item.critical,
    )
