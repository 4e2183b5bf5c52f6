"""What led to what: the root message of each task, and the runs that a root message has caused (decision 0031)."""

from contextlib import suppress

from claw_files.core import text
from claw_files.core.errors import ClawError
from claw_files.core.keys import key_in, task_key
from claw_files.core.model import Message, RunId, State, Task, TaskId
from claw_files.storage.places import Siblings
from claw_files.system.files import Files

FOLDER, MARKS = "wakes", "wakes/tasks"


class WakeCauses:
    """The part of a workspace that is about root messages.

    `cause` is the root message of the run that this process is part of; a tick forgets it, whoever called it.
    """

    files: Files
    siblings: Siblings["WakeCauses"]
    cause: str | None = None

    def root_of(self, task: TaskId) -> str | None:
        """The root message of what a run did with the task last; None where no run did, or by its own message."""
        with suppress(ClawError):
            return text.key(self.files.read(f"{MARKS}/{task.lower()}").data.decode("utf-8", "replace").strip())
        return None

    def mark(self, task: Task) -> None:
        """Write down, before a run's move is saved, that what the tick does about the task follows from its cause."""
        cause = self.cause
        if cause is None or task.state is State.IN_PROGRESS or key_in(cause) == task_key(task):
            return
        if self.root_of(task.id) != cause:
            self.files.commit(f"{MARKS}/{task.id.lower()}", lambda _: f"{cause}\n".encode(), None)

    @property
    def _shared(self) -> Files:
        """Where runs are counted: once for all siblings, in the one that is not closed."""
        return self.siblings.others()[0].files if self.siblings.is_closed else self.files

    def caused(self, root: str) -> int:
        """How many runs the root message has caused, its own included."""
        with suppress(ClawError):
            return 1 + len(set(self._shared.read(f"{FOLDER}/{root}").data.splitlines()))
        return 1

    def count(self, message: Message, run: RunId) -> None:
        """Write down the run that a message is about to cause, where it is not the first of its root."""
        if message.follows:
            self._shared.append(f"{FOLDER}/{message.origin}", f"{run}\n".encode())
