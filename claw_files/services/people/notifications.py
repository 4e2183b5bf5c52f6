"""Notifications of people: announcements outside quiet hours, one brief at their end, each item once.

A message to a person waits in their new/. Handing it over marks the channel in the message, so that a crash between
two channels repeats neither. A `file:` channel gets an item exactly once, because the item's key stands in its text;
for others a post is written into the outbox, once, and the sender, a process of its own (`claw_files.app.sender`),
delivers it at least once: a slow service keeps no tick waiting. A delivered post lies in `outbox/sent/`.
"""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, tzinfo

from msgspec.structs import replace

import claw_files
from claw_files.config.channels import CAP_BYTES, FILE, are_local, named
from claw_files.core import text as words
from claw_files.core.digest import digest
from claw_files.core.errors import CannotRead, ClawError, NotFound
from claw_files.core.journal_events import JournalEvent
from claw_files.core.model import AgentId, Audit, Box, KeyText, Kind, Message, Post
from claw_files.formats import briefs, choices
from claw_files.formats import posts as forms
from claw_files.policy import delivery as posts
from claw_files.policy import quiet_hours
from claw_files.services.messaging.message_reader import reader_of
from claw_files.storage.workspace import Workspace
from claw_files.system.files import Files
from claw_files.system.processes import SystemProcesses

_BODY_LETTERS, _TITLE_LETTERS = 3_000, 80  # outside of the workspace: services cut at lengths of their own


class ChannelItem:
    """An item for a channel: its key, its text, and its messages, which a person may answer."""

    def __init__(self, key: str, text: str, about: Sequence[Message], critical: bool = False) -> None:
        self.key, self.text, self.about, self.critical = key, text, about, critical


def item_of(message: Message, zone: tzinfo) -> ChannelItem:
    """A message for a person: time, sender, text. Its text cannot imitate another item."""
    when = words.render_local(message.sent, zone) if message.sent else "some time"
    mark = "CRITICAL " if message.critical else ""
    reply = f' (answer: `clawfiles answer {message.id} "TEXT"`)' if choices.is_question(message) else ""
    body = words.inert(words.safe(message.body, limit=4_000, lines=True)).strip().replace("\n", "\n  ")
    return ChannelItem(str(message.key), f"{mark}{when}, {message.sender}: {body}{reply}", [message], message.critical)


def write_to_file(files: Files, channel: str, item: ChannelItem) -> None:
    """Append the item to the file of a `file:` channel; an item whose key exists is not added again."""
    path = channel.removeprefix(FILE)
    mark = f"<!-- {item.key} -->"
    try:
        if mark.encode() in files.read(path, cap_bytes=CAP_BYTES).data:
            return
    except NotFound:
        pass
    lines = [f"- {item.text} {mark}", *(f"  {line}" for it in item.about for line in choices.offered(it))]
    files.append(path, "".join(f"{line}\n" for line in lines).encode("utf-8", "replace"))


def channel_problem(files: Files, channel: str) -> str:
    """Why a `file:` channel accepts nothing; "" if it does. The file's content is not read."""
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
    """The item as a post: short, with its key and the commands that answer it."""
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


FOLDER, SENT, FAILED = "outbox", "outbox/sent", "outbox/failed"
LOCK = "outbox"
MOST = 1_000  # posts that one pass processes


class Outbox:
    """Queues posts, selects the due ones, and records their results."""

    def __init__(self, workspace: Workspace) -> None:
        self._ws = workspace

    @property
    def is_used(self) -> bool:
        """Whether any person has a channel outside of the workspace."""
        return not all(are_local(agent.channels) for agent in self._ws.settings.agents.values())

    def queue(self, person: AgentId, channel: str, item: ChannelItem) -> None:
        """Write the item's post for the channel, unless it exists."""
        name = digest(f"{person} {channel} {item.key}".encode())
        id = f"{person}.{channel}.{name}"
        # A tick may repeat the item after a crash: a post that was sent or abandoned keeps its name.
        if any(self._ws.files.stamp(f"{folder}/{id}.md") for folder in (FOLDER, SENT, FAILED)):
            return
        raw = forms.render(replace(post_of(item, person, id, channel), queued=self._now()))
        self._ws.files.commit(f"{FOLDER}/{id}.md", lambda there: raw if there is None else there, None)

    def posts(self) -> list[Post]:
        """The undelivered posts; an unreadable file is omitted."""
        found = []
        for name in self._ws.files.names(FOLDER)[:MOST]:
            if not name.endswith(".md"):
                continue
            try:
                found.append(forms.parse(self._ws.files.read(f"{FOLDER}/{name}").data, f"{FOLDER}/{name}"))
            except ClawError:
                continue  # removed meanwhile, or foreign
        return found

    def ready(self, all_posts: Sequence[Post]) -> list[Post]:
        """The posts due now, in order."""
        return posts.ready(self._ws.settings, all_posts, self._ws.clock.now())

    def start(self, processes: SystemProcesses, env: Mapping[str, str]) -> str | None:
        """Start a sender if there are posts and none is running; returns the error, in one sentence."""
        try:
            if self.is_used and self.ready(self.posts()) and not self._ws.locks.is_held(LOCK):
                program = os.path.join(os.path.dirname(os.path.abspath(claw_files.__file__)), "app", "sender.py")
                # Detached from a run that may have started this heartbeat, because its end would stop the sender.
                mine = {name: value for name, value in env.items() if not name.startswith("CLAWFILES_")}
                processes.detach([sys.executable, "-I", "-X", "utf8", program, self._ws.base], mine, ())
        except (ClawError, OSError) as wrong:
            return f"the sender was not started: {wrong}"
        return None

    # --- how it went

    def begun(self, post: Post) -> Post:
        """Record a try before it starts, so that a killed sender does not repeat it at once."""
        after = replace(post, tried=self._now())
        self.save(after)
        return after

    def delivered(self, post: Post) -> None:
        """Record that every address of the channel has the post."""
        self._shift(post, SENT, self._audit(JournalEvent.DELIVERED, post, post.channel))

    def failed(self, post: Post, reason: str) -> Post:
        """Count the failure, and return the post."""
        after = replace(post, tries=post.tries + 1, tried=self._now(), reason=reason)
        # Journal only the first failure; the post counts the others, and `alert` reports them.
        news = self._audit(JournalEvent.NOT_DELIVERED, post, f"{post.channel}: {reason}")
        self.save(after, None if post.tries else news)
        return after

    def save(self, post: Post, audit: Audit | None = None) -> None:
        """Write a changed post; a removed one is not created again."""

        def change(raw: bytes | None) -> bytes:
            if raw is None:
                raise NotFound("post", post.id)
            return forms.render(post)

        self._ws.files.commit(f"{FOLDER}/{post.id}.md", change, self._ws.line(audit) if audit else None)

    def give_up(self, id: str, why: str) -> None:
        """Set a post aside that its channel has not taken for too long."""
        post = forms.parse(self._ws.files.read(f"{FOLDER}/{id}.md").data, f"{FOLDER}/{id}.md")
        self._shift(post, FAILED, self._audit(JournalEvent.GAVE_UP, post, f"{post.channel}: {why}"))

    def _now(self) -> datetime:
        return self._ws.clock.now().replace(microsecond=0)

    def _shift(self, post: Post, folder: str, audit: Audit) -> None:
        self._ws.files.move(f"{FOLDER}/{post.id}.md", f"{folder}/{post.id}.md", self._ws.line(audit))

    def _audit(self, action: JournalEvent, post: Post, why: str) -> Audit:
        return Audit(action, agent=post.to, key=post.key, why=why)


WAITS_FOR_REPLY = (Kind.QUESTION, Kind.TASK)  # stays in cur/ and in each brief until the person finishes it


class Notifications:
    """Handing messages to people."""

    def __init__(self, workspace: Workspace, outbox: Outbox) -> None:
        self._ws, self._outbox = workspace, outbox

    def announce(self, person: AgentId, id: str) -> None:
        """Deliver one message to every channel of the person; then move it out of new/."""
        message = self._ws.read_message(person, Box.NEW, id)
        item = item_of(reader_of(self._ws).as_read(message), self._ws.zone)

        def hand_over(channel: str) -> None:
            nonlocal message
            if channel not in message.channels:
                self._hand_over(person, channel, item)
                message = self._mark(message, channel)

        self._to_each_channel(person, hand_over)
        audit = Audit(JournalEvent.ANNOUNCE, task=message.task, agent=person, key=message.key, why="handed over")
        self._leave_new(message, audit)

    def _to_each_channel(self, person: AgentId, hand_over: Callable[[str], None]) -> None:
        """Call `hand_over` with the name of each channel; errors are raised after all were tried."""
        wrong: ClawError | None = None
        for channel in named(self._ws.settings.agent(person).channels):
            try:
                hand_over(channel)
            except ClawError as failed:
                wrong = wrong or failed
        if wrong:
            raise wrong

    def _leave_new(self, message: Message, audit: Audit) -> None:
        """Move a delivered message: to cur/ if it needs a reply, else to done/."""
        target = Box.CUR if message.kind in WAITS_FOR_REPLY else Box.DONE
        self._ws.shift(message.to, message.id, Box.NEW, target, audit)

    def _hand_over(self, person: AgentId, channel: str, item: ChannelItem) -> None:
        if channel.startswith(FILE):
            write_to_file(self._ws.files, channel, item)
        else:
            self._outbox.queue(person, channel, item)

    def _mark(self, message: Message, channel: str) -> Message:
        now = words.render_instant(self._ws.clock.now())
        marked = replace(message, channels={**message.channels, channel: now})
        audit = Audit(JournalEvent.HANDED_OVER, task=message.task, agent=message.to, key=message.key, why=channel)
        self._ws.rewrite(marked, Box.NEW, audit)
        return marked

    def brief(self, person: AgentId, key: str, end: datetime, ids: list[str]) -> str:
        """Write the brief of the held-back messages, deliver it to each channel once, finish its messages.

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
        """The path of the brief of that day: one file per person."""
        people = [agent.name for agent in self._ws.settings.agents.values() if self._ws.settings.is_human(agent.name)]
        day = f"{end.astimezone(self._ws.zone):%Y-%m-%d}"
        return f"briefs/{day}.md" if people[:1] == [person] else f"briefs/{day}-{person}.md"

    def read(self, person: AgentId, day: datetime) -> str:
        """The text of a day's brief; today's includes messages that are held back now.

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
        """The messages that quiet hours hold back now; "" outside of them, or without any."""
        settings, now = self._ws.settings, self._ws.clock.now()
        until = quiet_hours.held_until(settings, person, now)
        new = map(reader_of(self._ws).as_read, self._ws.messages_in(person, Box.NEW) if until else ())
        held = [m for m in new if quiet_hours.held_until(settings, person, now, m.critical)]
        if until is None or not held:
            return ""
        lines = [f"- {m.sender}: {briefs.item(m)}" for m in held]
        return "\n".join([f"## Held back until {self._ws.when(until)}", *lines, ""])
