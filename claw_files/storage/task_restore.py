"""Restores lost keys of a status file from definition, message and claim log."""

from contextlib import suppress
from typing import TYPE_CHECKING

from msgspec.structs import replace

from claw_files.core import text as words
from claw_files.core.errors import ClawError, Conflict, NotFound
from claw_files.core.journal_events import JournalEvent
from claw_files.core.keys import task_key
from claw_files.core.model import AgentId, Audit, Entry, Kind, Message, State, Task, TaskId
from claw_files.formats import definitions, status
from claw_files.formats.definitions import Definition
from claw_files.formats.vocabulary import Vocabulary
from claw_files.policy import manual_edits, routing
from claw_files.policy.transitions import is_held
from claw_files.storage import task_recall
from claw_files.storage.inboxes import Inboxes


class DefinitionStore(Inboxes):
    """The part of a workspace that is about definitions, and about status files that agents have written over."""

    vocabulary: Vocabulary

    if TYPE_CHECKING:  # the ledger is the workspace's

        def entry(self, task: TaskId) -> Entry | None: ...

    def is_reviewed(self, task: Task) -> bool:
        """Whether the route requires a review, and a reviewer other than the holder exists."""
        return routing.reviewer(self.settings, task.type, task.assignee) is not None

    # --- reading

    def definition(self, task: TaskId) -> Definition | None:
        """The task's definition; None if none was written. Raises InvalidFile, CannotRead."""
        for path in (definitions.path_of(task), definitions.archived_path_of(task)):
            with suppress(NotFound):
                return definitions.parse(self.files.read(path).data, path)
        return None

    def restored(self, task: Task) -> Task:
        """`task` with everything restored that an agent removed or changed without right: its definition binds.

        An intact file, which says what we wrote last, is taken as it is.
        """
        return self._with(task, None if _is_intact(task) else self._binding(task))

    def shown(self, task: Task) -> Task:
        """As `restored`, for lists: more is read only if the file is not intact, or may be an older copy."""
        if not _is_intact(task):
            bound = self.bound(task)
            return task_recall.claimed(self, bound) if bound.recorded is None else bound
        if task.recorded is not State.BACKLOG:
            return task
        given = self.claims.given(task.id)
        is_older = given.highest > task.generation or given.is_spent(given.highest)
        return task_recall.fenced(self, task) if is_older else task

    def bound(self, task: Task) -> Task:
        """`task` with its definition in effect, even if its file is intact."""
        known = self._binding(task)
        return self._bind(task, known) if known else task

    def _binding(self, task: Task) -> Definition | None:
        known = self._known(task.id)
        return None if known and self._may_redefine(task) else known

    def _known(self, task: TaskId) -> Definition | None:
        with suppress(ClawError):  # doctor names one that cannot be read; the message's copy counts meanwhile
            return self.definition(task)
        return None

    def _with(self, task: Task, known: Definition | None) -> Task:
        bound = self._bind(task, known) if known else task
        return task_recall.fenced(self, bound) if task.recorded is not None else self._recovered(bound, known)

    def _recovered(self, task: Task, known: Definition | None) -> Task:
        """`task`, whose file lost its record, with the facts of message and claim log."""
        entry, given = self.entry(task.id), self.claims.given(task.id)
        owner = given.owner(given.highest) if entry else None
        if owner and task.assignee not in (owner, *self.settings.agents):
            task = replace(task, assignee=owner)  # `Owner: Jane` in a file of its own form names no agent
        elif task.assignee not in (None, owner) and (found := task_recall.stolen(self, task, given)):
            task = found
        message = self.newest_message(task, entry, owner)
        if message:
            task = given_by(task, message) if known else restore(task, message)
        if owner and given.is_spent(given.highest):  # claimed, perhaps without being delegated
            task = replace(task, assignee=task.assignee or owner, generation=max(task.generation, given.highest))
        return task_recall.claimed(self, task)

    def newest_message(self, task: Task, entry: Entry | None, owner: AgentId | None = None) -> Message | None:
        """The task's message with the highest attempt, for `owner` and the agents in file and line."""
        agents = {agent for agent in (task.assignee, entry and entry.agent, owner) if agent}
        found = (self.latest_message(agent, task.id) for agent in agents)
        return max((message for message in found if message), key=lambda message: message.attempt or 1, default=None)

    def _bind(self, task: Task, known: Definition) -> Task:
        bound = definitions.bind(task, known)
        # An edit of the definition since then is not a change of terms by the holder.
        return replace(bound, overruled=()) if bound.overruled and self._is_newer(task) else bound

    def _is_newer(self, task: Task) -> bool:
        """Whether the definition was written after the status file."""
        asked = self.files.stamp(definitions.path_of(task.id))
        said = self.files.stamp(f"status/{words.file_name(task.id)}")
        return bool(asked and said and asked.mtime_ns > said.mtime_ns)

    def _may_redefine(self, task: Task) -> bool:
        """Whether the status file may still redefine the task: in backlog, neither delivered nor claimed.

        A definition that was edited after it counts, though.
        """
        if not _is_unsent(task) or self._is_newer(task):
            return False
        given = self.claims.given(task.id)
        owner = given.owner(given.highest)
        return not given.is_spent(given.highest) and not (owner and self.latest_message(owner, task.id))

    def text_of(self, task: Task, raw: bytes, path: str) -> tuple[str, bool]:
        """The text that was given for a task; and whether its status file, `raw`, says more, which others wrote."""
        try:
            asked = self.definition(task.id)
        except ClawError:  # doctor names it
            message = self.newest_message(task, self.entry(task.id))
            asked = definitions.of_message(message, task.id) if message else None
        if asked is None:
            return definitions.text_in(raw, path, task.id), False
        return asked.text, definitions.redefined(asked, task, raw, path, self.vocabulary).text != asked.text

    # --- writing

    def define(self, task: Task, text: str, is_new: bool) -> tuple[Task, str]:
        """Write the definition of a task that is about to be made; returns task and text as they are then defined.

        A definition that a crash left without its task is taken as it is, unless the task `is_new`: then its id is
        taken, too. Raises Conflict, InvalidFile, CannotRead.
        """
        known = None if is_new else self.definition(task.id)
        if known:
            return replace(definitions.bind(task, known), overruled=()), known.text
        new = definitions.of(task, text)

        def fresh(raw: bytes | None) -> bytes:
            if raw is not None or self.files.stamp(definitions.archived_path_of(task.id)):
                raise Conflict(f"{task.id} has a definition already")
            return definitions.render(new)

        self.files.commit(definitions.path_of(task.id), fresh, None)
        return task, text

    def asked(self, task: Task, raw: bytes, path: str) -> tuple[Definition | None, Definition | None]:
        """The current definition, and the new one for the status file `raw`, which is about to be written.

        It follows the file as long as that may redefine it. Of a file that somebody made by hand it is what stands
        there; where an agent has written over that, what its message carries. One that cannot be read stays: None.
        """
        try:
            known = self.definition(task.id)
        except ClawError:
            return None, None
        if known:
            new = definitions.redefined(known, task, raw, path, self.vocabulary) if _is_unsent(task) else known
            return known, new if new != known and self._may_redefine(task) else known
        given = self.claims.given(task.id)
        if message := self.newest_message(task, self.entry(task.id), given.owner(given.highest)):
            carried = definitions.of_message(message, task.id)
            return None, carried if task.recorded is None else definitions.of(restore(task, message), carried.text)
        is_lost = task.recorded is None and given.is_spent(given.highest)
        return None, definitions.of(task, "" if is_lost else definitions.text_in(raw, path, task.id))

    def redefine(self, known: Definition | None, asked: Definition, before: Task, after: Task) -> None:
        """Write the definition before the status file, with the terms that a command changes."""
        new = definitions.changed(asked, before, after)
        if new != known:
            self.files.commit(definitions.path_of(after.id), lambda _: definitions.render(new), None)

    def tell_overruled(self, task: Task, audit: Audit) -> None:
        """Notify the monitor once of terms in a status file that the next write restores."""
        from claw_files.policy.rule_context import mark  # hardly ever needed

        why, monitor = manual_edits.overruling(task), self.settings.monitor
        key = task_key(task, f"conflict.{mark(why)}")
        if not (task.overruled or task.stranger) or self.told().get(f"{monitor}/{key}"):
            return
        message = Message(
            id=key,
            key=key,
            kind=Kind.ANNOUNCE,
            sender=self.settings.coordinator,
            to=monitor,
            task=task.id,
            body=f"{task.id}: {why}" if self.siblings.discloses(None, monitor) else f"{task.id} needs a look.",
            sent=self.clock.now().replace(microsecond=0),
        )
        self.deliver(message, replace(audit, action=JournalEvent.CONFLICT, agent=monitor, key=key, why=why))

    def move_definition(self, task: TaskId, to_archive: bool) -> None:
        """Move the definition with its task, into the archive or back; on failure it is found where it is."""
        here, there = definitions.path_of(task), definitions.archived_path_of(task)
        with suppress(ClawError):
            self.files.move(*((here, there) if to_archive else (there, here)), None)


def _is_intact(task: Task) -> bool:
    return task.recorded is not None and task.state is task.recorded


def _is_unsent(task: Task) -> bool:
    """Whether the file is intact and the task was not assigned yet, or is blocked by a predecessor."""
    return task.generation == 0 and _is_intact(task) and (task.state is State.BACKLOG or is_held(task))


def restore(task: Task, message: Message) -> Task:
    """`task` with everything that its message knows and its file does not say any more."""
    return given_by(status.restore(task, message.definition), message)


def given_by(task: Task, message: Message) -> Task:
    """`task` with the message's facts: assignee, attempt, failures, generation."""
    counted = message.definition.get("failures", "0")
    return replace(
        task,
        assignee=task.assignee or message.to,
        attempt=max(task.attempt, message.attempt or 1),
        failures=max(task.failures, int(counted[:9]) if counted.isdecimal() else 0),
        generation=max(task.generation, message.generation or 0),
    )
