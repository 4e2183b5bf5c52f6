"""Messages between agents and people: send, ask, answer, read, finish. `accepted` means durable in new/."""

from contextlib import suppress
from datetime import datetime, timedelta

from msgspec.structs import replace

from claw_files.core import text as words
from claw_files.core.errors import Conflict, NotFound
from claw_files.core.journal_events import JournalEvent
from claw_files.core.keys import answer_key, letter_id
from claw_files.core.model import AgentId, Audit, Box, KeyText, Kind, Message, RunId, TaskId, Value
from claw_files.formats import messages as forms
from claw_files.policy import delegation, payload_sizes, quiet_hours
from claw_files.policy.authority import may_give_work
from claw_files.services.messaging import prompt_templates
from claw_files.services.messaging.message_reader import reader_of
from claw_files.storage.workspace import Workspace
from claw_files.system.clock import awaited
from claw_files.system.randomness import token


class SendResult(Value, frozen=True):
    """The result of a send: accepted (with the id), deferred (a person's quiet hours), or silent (nothing to say)."""

    status: str
    id: str | None = None
    until: datetime | None = None
    answer: Message | None = None


class Mailbox:
    """Use cases around inboxes, for one acting agent at a time."""

    def __init__(self, workspace: Workspace) -> None:
        self._ws = workspace

    def send(
        self,
        by: AgentId,
        to: AgentId,
        text: str,
        task: TaskId | None = None,
        critical: bool = False,
        kind: Kind = Kind.ANNOUNCE,
        after: Message | None = None,
    ) -> SendResult:
        """Queue a message; returns at once.

        Args:
            after: the message that woke `by`; what goes back to its sender is a reply to it.

        Raises Refused for a spawn-only worker, a body over 1 MB, a reply loop and an inbox that `by` has filled;
        NotFound.
        """
        ws = self._ws
        delegation.check_message(ws.settings, to)
        if forms.is_silent(text):
            return SendResult(status="silent")
        payload_sizes.check(text)
        delegation.check_unread(ws.settings, by, to, ws.unread_of(to, by))
        chain = delegation.check_turn(by, after)
        is_reply = after is not None and to == (after.reply_to or after.sender)
        message = self._compose(by, to, text, kind, task, critical)
        message = replace(message, chain=chain, in_reply_to=after.id if after and is_reply else None)
        why = f"{kind} to {to}" + (", critical" if critical else "")
        message = ws.deliver(message, Audit(JournalEvent.SEND, task=task, agent=to, actor=by, key=message.key, why=why))
        until = self._quiet_until(to, critical)
        return SendResult(status="deferred" if until else "accepted", id=message.id, until=until)

    def ask(
        self, by: AgentId, to: AgentId, question: str, task: TaskId | None = None, after: Message | None = None
    ) -> SendResult:
        """Queue a question; the answer comes to `by` as a message of its own."""
        return self.send(by, to, question, task, kind=Kind.QUESTION, after=after)

    def correct(
        self,
        by: AgentId,
        to: AgentId,
        text: str,
        task: TaskId | None,
        run: RunId | None,
        spawner: AgentId | None = None,
    ) -> Message:
        """Queue a correction for a run, which wakes no agent; without a run, for an agent that polls its inbox."""
        payload_sizes.check(text)
        message = replace(self._compose(by, to, text, Kind.STEER, task, False, spawner), run=run)
        audit = Audit(JournalEvent.STEER, task=task, agent=to, actor=by, key=run or message.key, why=text)
        return self._ws.deliver(message, audit)

    def tell(
        self,
        key: str,
        to: AgentId,
        text: str,
        kind: Kind,
        task: TaskId | None,
        audit: Audit,
        by: AgentId | None = None,
        reply_to: AgentId | None = None,
        critical: bool = False,
        short: str = "needs a look",
        whole: bool = False,
        run: RunId | None = None,
        in_reply_to: str | None = None,
        root: str | None = None,
        holder: AgentId | None = None,
    ) -> Message:
        """Deliver a notice that is sent once: its file is named by its key, so a repeat finds it.

        Args:
            short: after the task's id, all that is told to an agent who may not read the details.
            whole: `to` may read `text`, because the agent of the task chose to ask.
            holder: who has the task.
            run: a run of `to` that is at work: it finds the text in its steer.md, and nobody is woken.
            root: its root message, where the task's does not say.
        """
        ws = self._ws
        if not (whole or ws.siblings.discloses(holder, to)):
            text = f"{task} {short}."
        message = Message(
            id=key,
            key=KeyText(key),
            kind=kind,
            sender=by or ws.settings.coordinator,
            to=to,
            task=task,
            body=prompt_templates.plain(text),
            sent=ws.clock.now().replace(microsecond=0),
            reply_to=reply_to,
            critical=critical,
            run=run,
            in_reply_to=in_reply_to,
            root=root,
        )
        if run:  # first: after the delivery nothing would repeat this step
            self.into_run(run, message, audit)
        return ws.deliver(message, audit)

    def into_run(self, run: RunId, message: Message, audit: Audit) -> None:
        """Add the message to the run's own file, which no other session reads; a repeat changes nothing.

        Raises NotFound for a run that is gone.
        """
        files, head = self._ws.files, f" from {message.sender} ({message.key}):\n\n"
        block = f"- {words.render_instant(self._ws.clock.now())}{head}{message.body}\n\n"
        if files.stamp(f"runs/{run}/run.md") is None:
            raise NotFound("run", run)

        def add(raw: bytes | None) -> bytes:
            there = raw or b""
            return there if head.encode() in there else there + block.encode("utf-8", "backslashreplace")

        files.commit(f"runs/{run}/steer.md", add, self._ws.line(audit))

    def answer(self, by: AgentId, id: str, text: str) -> SendResult:
        """Answer a question from the inbox of `by`, to the agent it names; a silent word ends the conversation."""
        ws = self._ws
        question, box = self._lookup(by, id)
        if forms.is_silent(text):
            self.finish(by, question.id)
            return SendResult(status="silent")
        payload_sizes.check(text)
        to = question.reply_to or question.sender
        key = answer_key(question.key)
        found = ws.find_message(to, key)
        if found and text.strip() not in found[0].body:
            raise Conflict(f"{question.id} already has a different answer; to add to it: `clawfiles send {to} TEXT`")
        why = f"answer to {question.id}"
        audit = Audit(JournalEvent.ANSWER, task=question.task, agent=to, actor=by, key=key, why=why)
        asked, said = prompt_templates.quoted(question.body[:500], to), self._words(by, to, text)
        body = f"Answer from {by} to your question:\n\n{asked}\n\n{said}"
        message = Message(
            id=key,
            key=key,
            kind=Kind.ANSWER,
            sender=by,
            to=to,
            task=question.task,
            body=body,
            chain=delegation.check_turn(by, question),
            sent=ws.clock.now().replace(microsecond=0),
            in_reply_to=question.id,
        )
        ws.deliver(message, audit)
        ws.finish(question, box, by, why)
        return SendResult(status="accepted", id=key)

    def inbox(self, agent: AgentId, peek: bool = False) -> list[Message]:
        """New messages as they may be taken, oldest first; reading moves them to cur/ unless `peek`.

        Of several processes that read at once, each message is in the answer of the one that moved it.
        """
        ws, reader = self._ws, reader_of(self._ws)
        found = ws.messages_in(agent, Box.NEW)
        return [reader.as_read(message) for message in found if peek or self._take(message)]

    def _take(self, message: Message) -> bool:
        """Move a new message to cur/; False if another process was faster."""
        agent = message.to
        audit = Audit(JournalEvent.INBOX_READ, task=message.task, agent=agent, actor=agent, key=message.key, why="read")
        with suppress(NotFound):
            target = Box.DONE if self._ws.is_answered(message) else Box.CUR
            return self._ws.shift(agent, message.id, Box.NEW, target, audit)
        return False

    def finish(self, agent: AgentId, id: str) -> Message:
        """Move a message to done/."""
        message, box = self._lookup(agent, id)
        self._ws.finish(message, box, agent, "finished")
        return message

    def wait_for_answer(self, by: AgentId, sent: SendResult, patience: timedelta) -> SendResult:
        """`sent` with the answer, if it arrives in time; the question stays accepted either way."""

        def answer() -> Message | None:
            there = (message for box in (Box.NEW, Box.CUR, Box.DONE) for message in self._ws.messages_in(by, box))
            return next((message for message in there if message.in_reply_to == sent.id), None)

        found = awaited(self._ws.clock, answer, patience.total_seconds())
        return replace(sent, answer=reader_of(self._ws).as_read(found)) if found else sent

    def _lookup(self, agent: AgentId, id: str) -> tuple[Message, Box]:
        wanted = words.message_id(id)
        found = self._ws.find_message(agent, wanted) or self._ws.old_message(agent, wanted)
        if found is None:
            raise NotFound("message", wanted, f"`clawfiles inbox --agent {agent}` lists them")
        return found

    def _words(self, by: AgentId, to: AgentId, text: str, spawner: AgentId | None = None) -> str:
        """The text of `by` for `to`: unchanged, or marked as data. A person gets any text unchanged."""
        settings = self._ws.settings
        return prompt_templates.by_right(text, by, settings.is_human(to) or may_give_work(settings, by, to, spawner))

    def _compose(
        self,
        by: AgentId,
        to: AgentId,
        text: str,
        kind: Kind,
        task: TaskId | None,
        critical: bool,
        spawner: AgentId | None = None,
    ) -> Message:
        now = self._ws.clock.now()
        name = self._ws.pending.nonce or letter_id(by, now, token(2))
        return Message(
            id=name,
            key=KeyText(name),
            kind=kind,
            sender=by,
            to=to,
            task=task,
            body=self._words(by, to, text, spawner),
            sent=now.replace(microsecond=0),
            reply_to=by,
            critical=critical,
        )

    def _quiet_until(self, to: AgentId, critical: bool) -> datetime | None:
        settings = self._ws.settings
        return quiet_hours.held_until(settings, to, self._ws.clock.now(), critical) if settings.is_human(to) else None
