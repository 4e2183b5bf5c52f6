"""What reaches people: announcements outside the quiet hours, one brief when they end. Each item once.

A message to a person waits in their new/. Handing it over marks the channel in the message, so that a crash between
two channels repeats neither. A `file:` channel gets an item exactly once, because the item's key stands in its text;
for others a post is written into the outbox, once, and the sender delivers it at least once.
"""

from collections.abc import Callable
from datetime import datetime

from msgspec.structs import replace

from claw_files.config.channels import FILE, named
from claw_files.core import text as words
from claw_files.core.errors import ClawError, NotFound
from claw_files.core.journal_events import JournalEvent
from claw_files.core.model import AgentId, Audit, Box, Kind, Message
from claw_files.formats import briefs
from claw_files.policy import quiet_hours
from claw_files.services.messaging.message_reader import reader_of
from claw_files.services.people import channels
from claw_files.services.people.channels import ChannelItem
from claw_files.services.people.outbox import Outbox
from claw_files.storage.workspace import Workspace

WAITS_FOR_REPLY = (Kind.QUESTION, Kind.TASK)  # stays in cur/ and in each brief until the person finishes it


class Notifications:
    """Handing messages to people."""

    def __init__(self, workspace: Workspace, outbox: Outbox) -> None:
        self._ws, self._outbox = workspace, outbox

    def announce(self, person: AgentId, id: str) -> None:
        """Hand one message to every channel of the person; then it leaves new/."""
        message = self._ws.read_message(person, Box.NEW, id)
        item = channels.item_of(reader_of(self._ws).as_read(message), self._ws.zone)

        def hand_over(channel: str) -> None:
            nonlocal message
            if channel not in message.channels:
                self._hand_over(person, channel, item)
                message = self._mark(message, channel)

        self._to_each_channel(person, hand_over)
        audit = Audit(JournalEvent.ANNOUNCE, task=message.task, agent=person, key=message.key, why="handed over")
        self._leave_new(message, audit)

    def _to_each_channel(self, person: AgentId, hand_over: Callable[[str], None]) -> None:
        """Call `hand_over` with the name of each channel; what fails at one is raised when all have been tried."""
        wrong: ClawError | None = None
        for channel in named(self._ws.settings.agent(person).channels):
            try:
                hand_over(channel)
            except ClawError as failed:
                wrong = wrong or failed
        if wrong:
            raise wrong

    def _leave_new(self, message: Message, audit: Audit) -> None:
        """Move a message that was handed over: to cur/, where it waits for a reply, else to done/."""
        target = Box.CUR if message.kind in WAITS_FOR_REPLY else Box.DONE
        self._ws.shift(message.to, message.id, Box.NEW, target, audit)

    def _hand_over(self, person: AgentId, channel: str, item: ChannelItem) -> None:
        if channel.startswith(FILE):
            channels.write(self._ws.files, channel, item)
        else:
            self._outbox.queue(person, channel, item)

    def _mark(self, message: Message, channel: str) -> Message:
        now = words.render_instant(self._ws.clock.now())
        marked = replace(message, channels={**message.channels, channel: now})
        audit = Audit(JournalEvent.HANDED_OVER, task=message.task, agent=message.to, key=message.key, why=channel)
        self._ws.rewrite(marked, Box.NEW, audit)
        return marked

    def brief(self, person: AgentId, key: str, end: datetime, ids: list[str]) -> str:
        """Write the brief with what was held back, deliver it to each channel once, finish its messages.

        Returns the brief's path. Repeating it after a crash delivers only what was not delivered.
        """
        path = self.path(person, end)
        held = [m for m in (self._held(person, id) for id in ids) if m is not None]
        waiting = list(map(reader_of(self._ws).as_read, self._ws.messages_in(person, Box.CUR)))
        why = f"{len(held)} items held back until {end:%H:%M} UTC"
        audit = Audit(JournalEvent.BRIEF, agent=person, key=key, why=why)
        text = ""

        def write(raw: bytes | None) -> bytes:
            nonlocal text
            new = briefs.add(raw, key, end, self._ws.zone, held, waiting, person)
            text = briefs.text(new)
            return new

        self._ws.files.commit(path, write, self._ws.line(audit))
        self._to_each_channel(person, lambda channel: self._deliver_brief(path, channel, key, audit, held))
        for message in held:
            self._leave_new(message, replace(audit, key=message.key))
        return path

    def give_up(self, id: str, why: str) -> None:
        """Set a post aside that a channel of the person does not take."""
        self._outbox.give_up(id, why)

    def _deliver_brief(self, path: str, channel: str, key: str, audit: Audit, held: list[Message]) -> None:
        """Hand over the items that this channel has not had, then mark them in the brief's own file."""
        raw = self._ws.files.read(path).data
        fresh = briefs.undelivered(raw, channel)
        if not fresh:
            return
        about = [message for message in held if str(message.key) in fresh]
        item = ChannelItem(f"{key}.{briefs.digest(fresh)}", briefs.excerpt(raw, fresh), about)
        self._hand_over(AgentId(str(audit.agent)), channel, item)
        note = replace(audit, action=JournalEvent.BRIEF_HANDED_OVER, why=channel)
        now = self._ws.clock.now()
        self._ws.files.commit(path, lambda there: briefs.mark(there or raw, channel, fresh, now), self._ws.line(note))

    def _held(self, person: AgentId, id: str) -> Message | None:
        try:
            return reader_of(self._ws).as_read(self._ws.read_message(person, Box.NEW, id))
        except NotFound:
            return None  # a crashed brief has finished it already

    def path(self, person: AgentId, end: datetime) -> str:
        """Where the brief of that day lies: with several people, one file each."""
        people = [agent.name for agent in self._ws.settings.agents.values() if self._ws.settings.is_human(agent.name)]
        day = f"{end.astimezone(self._ws.zone):%Y-%m-%d}"
        return f"briefs/{day}.md" if people[:1] == [person] else f"briefs/{day}-{person}.md"

    def read(self, person: AgentId, day: datetime) -> str:
        """The text of the brief of a day, today's with what is held back now.

        Raises NotFound when there was nothing to tell.
        """
        held = self._held_now(person) if self.path(person, day) == self.path(person, self._ws.clock.now()) else ""
        try:
            text = briefs.text(self._ws.files.read(self.path(person, day)).data)
        except NotFound:
            if not held:
                raise NotFound("brief", f"{day:%Y-%m-%d}", "nothing was held back that night") from None
            return held
        return f"{text}\n{held}" if held else text

    def _held_now(self, person: AgentId) -> str:
        """What the quiet hours hold back at this moment; "" outside of them, or where nothing is."""
        settings, now = self._ws.settings, self._ws.clock.now()
        until = quiet_hours.held_until(settings, person, now)
        new = map(reader_of(self._ws).as_read, self._ws.messages_in(person, Box.NEW) if until else ())
        held = [m for m in new if quiet_hours.held_until(settings, person, now, m.critical)]
        if until is None or not held:
            return ""
        lines = [f"- {m.sender}: {briefs.item(m)}" for m in held]
        return "\n".join([f"## Held back until {self._ws.when(until)}", *lines, ""])
