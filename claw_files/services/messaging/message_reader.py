"""Reads messages for their receivers: text counts as its sender's only if the journal has it.

Text of agents that may not give work is marked in the file when it is sent. This module checks at each reading that
clawfiles delivered the file unchanged, because any process can write a file with `from: sam`.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache
from typing import Final

from msgspec.structs import replace

from claw_files.core.journal_events import JournalEvent
from claw_files.core.model import AgentId, Message
from claw_files.formats import journal
from claw_files.services.messaging import prompt_templates
from claw_files.storage.inboxes import fingerprint
from claw_files.storage.workspace import Workspace
from claw_files.system import journal_files
from claw_files.system.paths import journal_path

UNKNOWN: Final = AgentId("unknown writer")  # it has a space, so no agent is called so


def reader_of(workspace: Workspace) -> "MessageReader":
    """A reader for one pass over the inboxes of a workspace."""

    def read(agent: AgentId, path: str) -> bytes:
        return journal_files.read(workspace.mailbox(agent).files, path)

    return MessageReader(read, workspace.clock.now())


class MessageReader:
    """Looks messages up in the journal; each day is read at most once, and only if there is a message."""

    def __init__(self, read: Callable[[AgentId, str], bytes], now: datetime) -> None:
        """`read` returns the journal at a path, in the place of an agent's inbox; empty without one."""
        self._now, self._read = now, (once := cache(read))
        self._hashes = cache(lambda *place: {rest[:16] for rest in once(*place).split(b'"message_hash":"')[1:]})

    def as_read(self, message: Message) -> Message:
        """The message; if the journal does not know it, as data of an unknown writer."""
        if self.knows(message):
            return message
        return replace(message, sender=UNKNOWN, body=prompt_templates.unknown(message), body_file=None)

    def knows(self, message: Message) -> bool:
        """Whether the journal of the day of sending, the next day or today has the message unchanged.

        A line without `message_hash`, as other programs may write one, counts by its sender, receiver and key.
        """
        sent, wanted = message.sent or self._now, fingerprint(message).encode()
        days = dict.fromkeys(journal_path(at) for at in (sent, sent + timedelta(days=1), self._now))
        is_known = any(wanted in self._hashes(message.to, day) for day in days)
        return is_known or _is_plainly_sent(message, [self._read(message.to, day) for day in days])


def _is_plainly_sent(message: Message, journals: list[bytes]) -> bool:
    needle = f'"{message.key}"'.encode()
    texts = (line for raw in journals if needle in raw for line in raw.splitlines() if needle in line)
    about = [it for it in map(journal.parse, texts) if it and (it.key, it.agent) == (message.key, message.to)]
    is_sent = any(it.action == JournalEvent.SEND and it.actor == message.sender for it in about)
    return is_sent and not any(it.message_hash for it in about)
