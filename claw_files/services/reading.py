"""Messages as their receivers may take them: only what the journal knows counts as its sender's words.

Words of agents who may not give work are marked when they are sent, in the file itself. Here is checked, each time one
is read, that we delivered the file as it stands: anybody can write a file that says `from: sam`.
"""

from contextlib import suppress
from datetime import timedelta

import msgspec
from msgspec.structs import replace

from claw_files.errors import ClawError
from claw_files.model import AgentId, Message
from claw_files.services import texts
from claw_files.system.paths import JOURNAL_BYTES, journal_path
from claw_files.workspace import Workspace
from claw_files.workspace.inboxes import fingerprint


class Reader:
    """For one look into an inbox: the journal of a day is read once, and only where there is a message."""

    def __init__(self, workspace: Workspace) -> None:
        self._ws = workspace
        self._days: dict[tuple[AgentId, str], bytes] = {}

    def as_read(self, message: Message) -> Message:
        """The message, its text marked as data of an unknown writer where the journal does not know it."""
        return message if self.knows(message) else replace(message, body=texts.unknown(message))

    def knows(self, message: Message) -> bool:
        """Whether the journal of the day it was sent, of the next, or of today says that we delivered it as it stands.

        A line without `message_hash`, as other programs may write one, counts by its sender, receiver and key.
        """
        now = self._ws.clock.now()
        sent = message.sent or now
        days = dict.fromkeys(journal_path(at) for at in (sent, sent + timedelta(days=1), now))
        wanted = f'"message_hash":"{fingerprint(message)}"'.encode()
        journals = [self._journal(message.to, day) for day in days]
        return any(wanted in raw for raw in journals) or self._is_plainly_sent(message, journals)

    @staticmethod
    def _is_plainly_sent(message: Message, journals: list[bytes]) -> bool:
        needle, lines = f'"{message.key}"'.encode(), list[dict[str, object]]()
        for raw in journals:
            for line in raw.splitlines() if needle in raw else ():
                with suppress(msgspec.MsgspecError):
                    if needle in line and isinstance(facts := msgspec.json.decode(line), dict):
                        lines.append(facts)
        about = [it for it in lines if it.get("key") == message.key and it.get("agent") == message.to]
        sent = [it for it in about if it.get("action") == "send" and it.get("actor") == message.sender]
        return bool(sent) and not any(it.get("message_hash") for it in about)

    def _journal(self, agent: AgentId, path: str) -> bytes:
        if (agent, path) not in self._days:
            self._days[agent, path] = b""
            with suppress(ClawError):
                self._days[agent, path] = self._ws.home(agent).files.read(path, JOURNAL_BYTES).data
        return self._days[agent, path]
