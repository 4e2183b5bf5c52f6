"""Tasks whose ids follow from what starts them, a due time or an event: begun twice, each is there once."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from msgspec.structs import replace

from claw_files.core.errors import Conflict
from claw_files.core.journal_events import JournalEvent
from claw_files.core.model import AgentId, Audit, Size, Task, TaskId
from claw_files.policy import transitions
from claw_files.policy.delegation import SpawnOrder
from claw_files.storage.workspace import Workspace

if TYPE_CHECKING:  # most ticks start nothing
    from claw_files.services.delegation.delegation import Delegations


class TaskStarter:
    """Makes tasks and hands them out."""

    def __init__(self, workspace: Workspace, delegations: "Callable[[], Delegations]") -> None:
        self._ws, self._delegations = workspace, delegations

    def delegate(self, task: Task, text: str, by: AgentId, why: str) -> None:
        """Make the task and delegate it, unless that was begun."""
        self.create(task, text, by, why)
        if self._is_to_begin(task.id):
            self._delegations().delegate(task.id, by)

    def spawn(self, task: Task, order: SpawnOrder, worker: str, by: AgentId, why: str) -> None:
        """Make the task and spawn its worker, an agent or whoever the type's route names, unless that was begun."""
        settings = self._ws.settings
        type = task.type or worker
        self.create(replace(task, type=type), order.text, by, why)
        if self._is_to_begin(task.id):
            agent = AgentId(worker) if worker in settings.agents else None
            routed = type if type in settings.routes else None
            size = order.size or str(self._size(type))
            self._delegations().spawn(replace(order, task=task.id, worker=agent, type=routed, size=size), by)

    def create(self, task: Task, text: str, by: AgentId, why: str) -> None:
        """Make the task, unless it is there."""
        now = self._ws.clock.now()
        task = replace(task, requested_by=by, created=now, updated=now)
        try:
            if self._ws.find(task.id) is None:
                self._ws.create(task, Audit(JournalEvent.TASK_NEW, task=task.id, actor=by, why=why), text)
        except Conflict:
            return  # a crashed tick made it

    def drop(self, task_id: TaskId, why: str, by: AgentId) -> None:
        """Cancel a task that could not be begun: in backlog, nobody would look at it any more."""
        now = self._ws.clock.now()
        audit = Audit(JournalEvent.CANCEL, task=task_id, actor=by, why=why)
        actor = transitions.Actor(id=by, coordinator=True, tick=True)
        self._ws.update(
            task_id, lambda task: transitions.cancel(task, actor, self._ws.next_generation(task), now, why), audit
        )

    def _is_to_begin(self, task_id: TaskId) -> bool:
        return self._ws.entry(task_id) is None and not self._ws.load(task_id).task.state.is_closed

    def _size(self, label: str) -> Size:
        route = self._ws.settings.route(label)
        return route.size if route and route.size else Size.M
