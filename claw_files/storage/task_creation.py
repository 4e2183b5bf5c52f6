"""Creates tasks: the definition, the ledger line of the assignee, the status file, in this order."""

from collections.abc import Callable
from contextlib import nullcontext, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from claw_files.core import text
from claw_files.core.errors import ClawError, Conflict
from claw_files.core.journal_events import JournalEvent
from claw_files.core.model import Audit, Entry, Task, TaskId
from claw_files.formats import definitions, status
from claw_files.formats.vocabulary import Vocabulary
from claw_files.policy import payload_sizes
from claw_files.storage import task_recall
from claw_files.storage.locks import Locks
from claw_files.storage.task_restore import DefinitionStore

PATIENCE = timedelta(seconds=10)


class TaskCreation(DefinitionStore):
    """The part of a workspace that makes tasks."""

    locks: Locks

    if TYPE_CHECKING:  # these are the workspace's

        def find(self, task: TaskId) -> Any: ...
        def load(self, task: TaskId) -> Any: ...
        def in_force(self, task: Task) -> Task: ...
        def next_number(self) -> int: ...
        def put_entry(self, entry: Entry, audit: Audit) -> None: ...
        def replace_entry(self, old: Entry, new: Entry | None, audit: Audit) -> None: ...

    def create_numbered(
        self,
        task: Task,
        audit: Audit,
        body: str = "",
        line: Entry | None = None,
        prepare: Callable[[TaskId], None] = lambda _: None,
        made: TaskId | None = None,
    ) -> Task:
        """Create the task under the next free number, or complete an earlier try with the audit's key.

        Its lock keeps a tick away that finds its `line` before the file. `prepare` writes what has to be there first.
        Raises Conflict when no number is free.

        Args:
            made: the task that an earlier try has begun, where the caller knows.
        """
        made = made or task_recall.made_under(self, audit.key)
        # All places share one series of numbers: an id must not exist in a compartment as well.
        with self.siblings.numbering():
            for number in range(self.next_number(), 1 << 31):
                id = made or text.task_id(f"{self.settings.workspace.prefix}-{number}")
                task, audit = replace(task, id=id), replace(audit, task=id)
                entry = replace(line, task=id) if line else None
                turn = self.locks.hold(id.lower(), PATIENCE, f"{audit.actor}: {audit.action}")
                with turn if line else nullcontext():
                    if made and self.find(made):
                        return self.in_force(self.load(made).task)
                    if not made and (self.find(id) or self.definition(id)):
                        continue  # taken by another process, whose files must not be overwritten
                    prepare(id)
                    with suppress(Conflict):  # another process took the number meanwhile
                        return self.create(task, audit, body, is_new=made is None, line=entry)
        raise Conflict("no task number is free")

    def create(self, task: Task, audit: Audit, body: str = "", is_new: bool = False, line: Entry | None = None) -> Task:
        """Write the definition, then `line`, then the status file. Raises Conflict when the task exists.

        With the line, a tick creates the file of a defined task, so that its agent is notified in any case.

        Args:
            is_new: False goes on where a crash came between them: what is defined already is made.
        """
        path = f"status/{text.file_name(task.id)}"
        _new_file(task, body, path, self.vocabulary)  # refuse an unwritable task before it is defined
        if self.files.stamp(path):
            raise Conflict(f"{task.id} exists already")
        task, body = self.define(task, body, is_new)

        def fresh(raw: bytes | None) -> bytes:
            if raw is not None:
                raise Conflict(f"{task.id} exists already")
            return _new_file(task, body, path, self.vocabulary)

        try:
            self.mark(task)
            if line and self.entry(task.id) is None:
                told = replace(audit, action=JournalEvent.DELEGATE, agent=line.agent, why=f"delegated to {line.agent}")
                self.put_entry(line, told)
            self.files.commit(path, fresh, self.line(replace(audit, after=task.state)))
        except ClawError as error:  # a Conflict: the file was created by hand meanwhile, and is not the defined task
            entry = self.entry(task.id) if line else None
            if is_new and (isinstance(error, Conflict) or not (entry or getattr(error, "unknown", False))):
                self.files.remove(definitions.path_of(task.id), None)
                if entry:
                    self.replace_entry(entry, None, replace(audit, action=JournalEvent.UNWATCH))
            raise
        return task


def _new_file(task: Task, body: str, path: str, vocabulary: Vocabulary) -> bytes:
    new = status.edit(None, None, task, path)
    new = status.append(new, body, path, vocabulary) if body else new
    payload_sizes.check_file(len(new), path)
    return new
