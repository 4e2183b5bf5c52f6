"""Successors of a task that has just ended, if they have no line in the ledger."""

from collections.abc import Callable, Iterator

from claw_files.core.journal_events import JournalEvent
from claw_files.core.keys import task_key
from claw_files.core.model import Audit, Kind, State, Task, TaskId
from claw_files.policy import dependents, transitions
from claw_files.policy.rule_context import mark
from claw_files.policy.snapshot import MOST_BEFORE, Predecessor
from claw_files.services.messaging.mailbox import Mailbox
from claw_files.storage.workspace import Workspace


class Successors:
    """Blocks or releases successors, and notifies their requesters, once each."""

    def __init__(
        self, workspace: Workspace, messages: Mailbox, blockers: Callable[[Task], tuple[Predecessor, ...]]
    ) -> None:
        self._ws, self._messages, self._blockers = workspace, messages, blockers
        self._tick = transitions.Actor(id=workspace.settings.coordinator, coordinator=True, tick=True)

    def follow(self, ended: TaskId) -> None:
        """Handle all successors of the task; repeating it notifies nobody twice."""
        for task in list(self._of(ended)):
            unmet = self._blockers(task)
            lost = [it for it in unmet if it.is_over]
            if lost:
                self._block(task, lost)
            elif not unmet:
                self._go_on(task)

    def _of(self, ended: TaskId) -> Iterator[Task]:
        lines = {entry.task for entry in self._ws.entries()}
        for row in self._ws.rows():
            if row.folder == "status" and row.is_bound and row.state in (State.BACKLOG, State.BLOCKED):
                task = self._ws.in_force(row.task())
                is_waiting = task.state is State.BACKLOG or transitions.is_held(task)
                if ended in task.after[:MOST_BEFORE] and task.id not in lines and is_waiting:
                    yield task

    def _block(self, task: Task, lost: list[Predecessor]) -> None:
        why, now = dependents.reason(lost), self._ws.clock.now()
        if task.state is State.BACKLOG:
            audit = Audit(JournalEvent.BLOCK, task=task.id, agent=task.assignee, actor=self._tick.id, why=why)
            self._ws.update(task.id, lambda found: transitions.block(found, self._tick, now, why), audit)
        self._tell(task, f"after.{mark(why)}", dependents.question(task, lost), Kind.QUESTION)

    def _go_on(self, task: Task) -> None:
        why, now = "the tasks it depends on are done", self._ws.clock.now()
        if task.state is State.BLOCKED:
            audit = Audit(JournalEvent.UNBLOCK, task=task.id, agent=task.assignee, actor=self._tick.id, why=why)
            self._ws.update(task.id, lambda found: transitions.resume(found, self._tick, now), audit)
        if dependents.has_nobody(task, self._ws.settings):
            self._tell(task, "ready", dependents.ready(task), Kind.ANNOUNCE)

    def _tell(self, task: Task, what: str, text: str, kind: Kind) -> None:
        who, key = dependents.asked_by(task, self._ws.settings), task_key(task, what)
        audit = Audit(JournalEvent.TELL, task=task.id, agent=who, actor=self._tick.id, key=key, why=text)
        self._messages.tell(key, who, text, kind, task.id, audit, short="needs a look")
