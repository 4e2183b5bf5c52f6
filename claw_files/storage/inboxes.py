"""Inboxes: messages delivered in the Maildir way, found by key, read, moved, quarantined; and root messages.

The root message of each task, and the runs that a root message has caused, are looked up here (decision 0031).
"""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import count

from msgspec.structs import replace

from claw_files.config import Settings
from claw_files.core import text
from claw_files.core import text as words
from claw_files.core.digest import digest
from claw_files.core.errors import CannotRead, ClawError, Conflict, InvalidFile, NotFound
from claw_files.core.journal_events import JournalEvent
from claw_files.core.keys import answer_key, attempt_in, is_sent_by, key_in, task_key
from claw_files.core.model import AgentId, Audit, Box, Kind, Message, Note, RunId, State, Task, TaskId
from claw_files.formats import journal, messages
from claw_files.policy import payload_sizes
from claw_files.policy.snapshot import ToldMark, ToldMarks
from claw_files.storage.locks import Claims
from claw_files.storage.places import Siblings
from claw_files.system.clock import Clock
from claw_files.system.files import Files, read_or_empty
from claw_files.system.paths import journal_path

FOLDER, MARKS = "wakes", "wakes/tasks"


class WakeCauses:
    """The part of a workspace that is about root messages.

    `cause` is the root message of the run that this process is part of; a tick forgets it, whoever called it.
    """

    files: Files
    siblings: Siblings["WakeCauses"]
    cause: str | None = None

    def root_of(self, task: TaskId) -> str | None:
        """The root message of the last action on the task by a run; None if no run acted, or by its own message."""
        with suppress(ClawError):
            return text.key(self.files.read(f"{MARKS}/{task.lower()}").data.decode("utf-8", "replace").strip())
        return None

    def mark(self, task: Task) -> None:
        """Record the root of a run's action before it is saved, so that the tick's messages about the task have it."""
        cause = self.cause
        if cause is None or task.state is State.IN_PROGRESS or key_in(cause) == task_key(task):
            return
        if self.root_of(task.id) != cause:
            self.files.commit(f"{MARKS}/{task.id.lower()}", lambda _: f"{cause}\n".encode(), None)

    @property
    def _shared(self) -> Files:
        """The workspace in which wakes are counted for all siblings: the one that is not a compartment."""
        return self.siblings.others()[0].files if self.siblings.is_closed else self.files

    def caused(self, root: str) -> int:
        """The number of runs that the root message has caused, including its own."""
        return 1 + len(set(read_or_empty(self._shared, f"{FOLDER}/{root}").splitlines()))

    def count(self, message: Message, run: RunId) -> None:
        """Record the run that a message is about to cause, if it is not the first of its root."""
        if message.follows:
            self._shared.append(f"{FOLDER}/{message.origin}", f"{run}\n".encode())


YOUNG = timedelta(seconds=2)  # an unreadable file younger than this is being written
ASIDE_AT_ONCE = 500
NAME_BYTES = 200  # of a name in quarantine/, which gets an ending as well
MAILDIR = ("tmp", *Box)  # tmp is for people and scripts that deliver by hand; our own temporary files lie elsewhere


def fingerprint(message: Message) -> str:
    """The parts of a message that must not change: sender, receiver, kind and text."""
    text = message.body.replace("\r", "").strip()
    facts = (message.sender, message.to, message.kind.value, message.key, message.body_file or "", text)
    return digest("\n".join(facts).encode("utf-8", "backslashreplace"))


class Inboxes(WakeCauses):
    """The part of a workspace that is about messages."""

    clock: Clock
    epoch: str | None
    settings: Settings
    pending: Note
    claims: Claims
    siblings: Siblings["Inboxes"]

    def mailbox(self, agent: AgentId) -> "Inboxes":
        """The workspace that has the agent's inbox: nearly always this one."""
        return self.siblings.inbox_of(agent) or self

    def line(self, audit: Audit, message: Message | None = None) -> bytes:
        """One line of the journal, as JSON with every promised key; of a message that is written, its fingerprint."""
        audit = replace(audit, epoch=audit.epoch or self.epoch)
        return journal.render(audit, self.clock.now(), fingerprint(message) if message else None)

    def note(self, audit: Audit) -> None:
        """Write a decision into the journal that changes no file."""
        self.files.append(journal_path(self.clock.now()), self.line(audit))

    def deliver(self, message: Message, audit: Audit) -> Message:
        """Write the message durably to new/; an existing message with the same id is kept."""
        # The root is inherited in this order: of a reply its own, of a command that of the run that it was typed in.
        root = message.root or self.cause or (self.root_of(message.task) if message.task else None)
        message = replace(message, root=root)
        there = self.mailbox(message.to)
        if there is not self:
            return self._deliver_across(there, message, audit)
        path = f"inbox/{message.to}/{Box.NEW}/{message.id}.md"
        if any(self.files.stamp(f"inbox/{message.to}/{box}/{message.id}.md") for box in (Box.CUR, Box.DONE)):
            return message
        # All boxes at once: a program that watches the inbox sees cur/ and done/ before the first message moves.
        for name in MAILDIR:
            self.files.folder(f"inbox/{message.to}/{name}")
        # People open the file in an editor that may load images or follow links.
        if self.settings.is_human(message.to) and not self.settings.is_human(message.sender):
            message = replace(message, body=words.inert(message.body))
        if message.body_file is None and payload_sizes.way(message.body) is not payload_sizes.PayloadWay.MESSAGE:
            message = self._place_body(message)
        raw = messages.render(message)
        # The file stays if it is there: a delivery that is repeated after a crash must not undo an edit in between.
        self.files.commit(path, lambda there: raw if there is None else there, self.line(audit, message))
        return message

    def _deliver_across(self, there: "Inboxes", message: Message, audit: Audit) -> Message:
        """Deliver into another workspace. The journal outside a compartment gets only the message's key."""
        if not self.siblings.is_closed:
            return there.deliver(message, audit)
        # The reason stays inside: agents outside may read the outer journal.
        if there.files.stamp(f"inbox/{message.to}/{Box.NEW}/{message.id}.md") is None:
            self.note(audit)
        told = Audit(audit.action, task=message.task, agent=message.to, key=message.key)
        return there.deliver(message, replace(told, why="from a compartment"))

    def _place_body(self, message: Message) -> Message:
        path = f"inbox/{message.to}/bodies/{message.id}.md"
        self.files.commit(path, lambda _: message.body.encode("utf-8", "backslashreplace"), None)
        told = f"The text is long ({payload_sizes.kilobytes(message.body)} KB). It is in `{path}`."
        return replace(message, body=told, body_file=path)

    def rewrite(self, message: Message, box: Box, audit: Audit) -> None:
        """Save a changed message in its box. Raises NotFound if it was moved meanwhile.

        The journal gets its fingerprint only if the text is a new one of ours: what somebody forged stays unknown.
        """
        path = f"inbox/{message.to}/{box}/{message.id}.md"
        is_ours = fingerprint(self.read_message(message.to, box, message.id)) != fingerprint(message)

        def change(raw: bytes | None) -> bytes:
            if raw is None:  # writing it again would duplicate it
                raise NotFound("message", message.id)
            return messages.render(message)

        self.mailbox(message.to).files.commit(path, change, self.line(audit, message if is_ours else None))

    def shift(self, agent: AgentId, id: str, source: Box, target: Box, audit: Audit) -> bool:
        """Move a message between boxes; False if it is already in the later one. Raises NotFound."""
        files = self.mailbox(agent).files
        try:
            files.move(f"inbox/{agent}/{source}/{id}.md", f"inbox/{agent}/{target}/{id}.md", self.line(audit))
        except Conflict:  # a resend put it into both: the one in the later box has been read, this one is its double
            files.remove(f"inbox/{agent}/{source}/{id}.md", self.line(audit))
            return False
        return True

    def message_ids(self, agent: AgentId, box: Box, old: bool = False) -> list[str]:
        """Ids of the messages in one box, oldest first; with `old`, also of archived ones."""
        files = self.mailbox(agent).files
        names = (files.all_names if old else files.names)(f"inbox/{agent}/{box}")
        return [name.removesuffix(".md") for name in names if name.endswith(".md")]

    def unread_of(self, agent: AgentId, sender: AgentId) -> int:
        """The number of messages from `sender`, by their names, in the agent's new/: one listing."""
        return sum(is_sent_by(id, sender) for id in self.message_ids(agent, Box.NEW))

    def read_message(self, agent: AgentId, box: Box, id: str) -> Message:
        """One message. Its folder and file name determine its receiver and id, never its content.

        Raises NotFound, InvalidFile, CannotRead.
        """
        path = f"inbox/{agent}/{box}/{id}.md"
        message = messages.parse(self.mailbox(agent).files.read(path).data, path)
        return message if (message.to, message.id) == (agent, id) else replace(message, to=agent, id=id)

    def messages_in(self, agent: AgentId, box: Box) -> list[Message]:
        """The readable messages of one box, oldest first; unreadable ones go to quarantine/."""
        found, aside = [], 0
        for id in self.message_ids(agent, box):
            try:
                found.append(self.read_message(agent, box, id))
            except NotFound:
                continue  # it was moved meanwhile
            except InvalidFile as wrong:
                aside += 1  # of a flood, so many each time: each is made durable, and good messages wait behind it
                if aside <= ASIDE_AT_ONCE and self.mailbox(agent) is self:
                    self._set_aside(f"inbox/{agent}/{box}/{id}.md", wrong)
        return sorted(found, key=lambda m: (m.sent or datetime.min.replace(tzinfo=UTC), m.id))

    def set_aside(self, wrong: InvalidFile) -> None:
        """Set aside an inbox file that could not be parsed."""
        if not isinstance(wrong, CannotRead):
            self._set_aside(wrong.path, wrong)

    def _set_aside(self, path: str, wrong: ClawError) -> None:
        """Move an unreadable inbox file to quarantine/, with the reason; never delete it.

        One that is younger than two seconds stays: somebody is writing it where it lies.
        """
        stamp = self.files.stamp(path)
        # `abs`: a file from a clock that is ahead is young, too, until its time has come.
        if stamp is not None and abs(self.clock.now() - stamp.mtime) < YOUNG:
            return
        with suppress(ClawError):  # doctor names what could not be moved
            name = self._free_name(path.replace("/", "-"))
            audit = Audit(JournalEvent.QUARANTINE, why=str(wrong), key=path)
            # The reason first: a crash in between leaves a reason without a file, never a file without a reason.
            self.files.commit(f"quarantine/{name}.reason", lambda _: f"{words.safe(str(wrong))}\n".encode(), None)
            try:
                self.files.move(path, f"quarantine/{name}", self.line(audit))
            except ClawError:
                self.files.remove(f"quarantine/{name}.reason", None)  # nothing was set aside: no reason for it

    def _free_name(self, wanted: str) -> str:
        """`wanted`, short enough for a file's name, or the first "N.wanted" of which quarantine/ has no reason."""
        raw = wanted.encode("utf-8", "surrogateescape")
        if len(raw) > NAME_BYTES:
            wanted = f"{wanted[:40]}-{digest(raw)}.md"
        names = (f"{number}.{wanted}" if number > 1 else wanted for number in count(1))
        return next(name for name in names if self.files.stamp(f"quarantine/{name}.reason") is None)

    def find_message(self, agent: AgentId, key: str) -> tuple[Message, Box] | None:
        """The message of that key in the agent's inbox; new/ wins over cur/ over done/."""
        # The cheap question first: the ids of most messages are their keys, and listing a large box is slow.
        for box in Box:
            if self.mailbox(agent).files.stamp(f"inbox/{agent}/{box}/{key}.md"):
                return self.read_message(agent, box, key), box
            for id in self.message_ids(agent, box):
                if id.endswith(f"-{key}"):
                    return self.read_message(agent, box, id), box
        return None

    def old_message(self, agent: AgentId, key: str) -> tuple[Message, Box] | None:
        """The message of that key or id among all that are done, also in the archives of months."""
        ids = (id for id in self.message_ids(agent, Box.DONE, old=True) if id == key or id.endswith(f"-{key}"))
        return next(((self.read_message(agent, Box.DONE, id), Box.DONE) for id in ids), None)

    def latest_message(self, agent: AgentId, task: TaskId) -> Message | None:
        """The task message of the agent's newest attempt, in any box."""
        files, low = self.mailbox(agent).files, task.lower()
        names = (name for box in Box for name in files.names(f"inbox/{agent}/{box}") if low in name)
        ids = [name.removesuffix(".md") for name in names if name.endswith(".md")]
        attempts = {key.attempt or 0: id for id in ids if (key := attempt_in(id)) and key.name == task.lower()}
        with suppress(ClawError):
            if attempts and (found := self.find_message(agent, attempts[max(attempts)])):
                return found[0]
        return None

    def tasks_given(self, agent: AgentId) -> set[TaskId]:
        """The tasks that the agent was ever given, by the names of their messages."""
        keys = (attempt_in(id) for box in Box for id in self.message_ids(agent, box, old=True))
        return {TaskId(key.name.upper()) for key in keys if key}

    def is_answered(self, message: Message) -> bool:
        """Whether the message is a question whose answer was sent."""
        asker = message.reply_to or message.sender
        return message.kind is Kind.QUESTION and self.told().get(f"{asker}/{answer_key(message.key)}") is not None

    def finish(self, message: Message, box: Box, actor: AgentId | None, why: str) -> None:
        """Move a message from its box to done/, if it is not there."""
        if box is not Box.DONE:
            done = Audit(JournalEvent.INBOX_DONE, task=message.task, agent=message.to, actor=actor, key=message.key)
            self.shift(message.to, message.id, box, Box.DONE, replace(done, why=why))

    def put_away(self, key: str, actor: AgentId | None, why: str) -> None:
        """Finish the message with that key in every inbox that has it."""
        for agent in map(AgentId, self.files.names("inbox")):
            if found := self.find_message(agent, key):
                self.finish(*found, actor, why)

    def told(self) -> ToldMarks:
        """The notices that agents have, as a view that stats only requested keys."""
        return _ToldView(self)


class _ToldView:
    """Looks for a message file when its key is used; a tick uses only a few."""

    def __init__(self, inboxes: Inboxes) -> None:
        self._inboxes = inboxes

    def get(self, name: str, /) -> ToldMark | None:
        """The mark of the message, by its file's own time."""
        agent, key = name.split("/", 1)
        files = self._inboxes.mailbox(AgentId(agent)).files
        for box in Box:
            if stamp := files.stamp(f"inbox/{agent}/{box}/{key}.md"):
                return ToldMark(box=box, sent=stamp.mtime)
        return None
