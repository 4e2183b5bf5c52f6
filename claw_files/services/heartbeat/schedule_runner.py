"""What happens by the clock. A due time becomes one file in events/, whose name is the memory that it happened."""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from msgspec.structs import replace

from claw_files.config import Schedule
from claw_files.core import text as words
from claw_files.core.errors import Busy, CannotWrite, ClawError, Conflict
from claw_files.core.journal_events import JournalEvent
from claw_files.core.model import AgentId, Audit, Size, Task, TaskId
from claw_files.policy import scheduled_tasks as rules
from claw_files.policy import transitions
from claw_files.services.evidence.schedule_events import parse
from claw_files.storage.workspace import Workspace

if TYPE_CHECKING:  # most ticks find nothing due
    from claw_files.services.delegation.delegation import Delegations


class Schedules:
    """Turning due times into tasks and workers, each exactly once."""

    def __init__(self, workspace: Workspace, delegations: "Callable[[], Delegations]") -> None:
        self._ws = workspace
        self._delegations = delegations

    def arm(self, key: str, why: str) -> None:
        """Write down that counting starts or ends now."""
        audit = Audit(JournalEvent.EVENT, key=key, why=why, actor=self._ws.settings.coordinator)
        self._ws.files.commit(f"events/done/{key}.md", lambda raw: raw or f"{why}\n".encode(), self._ws.line(audit))

    def emit(self, key: str, name: str, rule: str | None) -> None:
        """Write the event of one due time; what it starts follows from it, however often that is begun.

        `rule` is given where no name says yet by which one is counted: then one does from here on.
        """
        schedule = self._ws.settings.schedules[name]
        audit = Audit(JournalEvent.EVENT, key=key, why=f"schedule {name}", actor=self._ws.settings.coordinator)
        text = f"---\ntype: {schedule.event or 'schedule'}\nschedule: {name}\n---\n".encode()
        self._ws.files.commit(f"events/new/{key}.md", lambda raw: raw or text, self._ws.line(audit))
        if rule:
            self.arm(f"{key}.{rule}", "counting continues")

    def handle(self) -> list[str]:
        """Start what the schedule events in events/new ask for, and finish them; returns their keys.

        Task ids follow from the due time, so that an event begun twice makes its tasks once. Raises what kept the first
        of those from it that stay there.
        """
        if not self._ws.settings.schedules:
            return []
        handled, failed = list[str](), list[ClawError]()
        for name in self._ws.files.names("events/new"):
            found = parse(name)
            schedule = self._ws.settings.schedules.get(found.name) if found else None
            if found is None or schedule is None or schedule.event or found.what:
                continue
            handled.append(name)
            try:
                self._handle(name, schedule, found.at)
            except ClawError as wrong:  # it stays, and is tried again at the next tick; those behind it must not wait
                failed.append(wrong)
        if failed:
            raise failed[0]
        return handled

    def _handle(self, name: str, schedule: Schedule, at: datetime) -> None:
        audit = Audit(JournalEvent.EVENT_DONE, key=name.removesuffix(".md"), actor=self._ws.settings.coordinator)
        box = "done"
        try:
            if schedule.spawn:
                self._spawn(schedule, at)
            elif schedule.task:
                self._task(schedule, at)
        except (CannotWrite, Busy):
            raise
        except ClawError as wrong:
            box, audit = "failed", replace(audit, action=JournalEvent.EVENT_FAILED, why=str(wrong))
        self._ws.files.move(f"events/new/{name}", f"events/{box}/{name}", self._ws.line(audit))

    def _spawn(self, schedule: Schedule, at: datetime) -> None:
        from claw_files.policy.delegation import SpawnOrder

        by, settings = schedule.combine or self._ws.settings.coordinator, self._ws.settings
        jobs, wrong = rules.jobs(schedule), list[ClawError]()
        for job in jobs:
            task_id, type = self._id(schedule, at, job.label), schedule.type or job.worker or ""
            self._create(task_id, job, type, by)
            order = SpawnOrder(
                text=job.text or job.title,
                label=job.label,
                size=str(self._size(type)),
                worker=AgentId(job.worker) if job.worker in settings.agents else None,
                type=type if type in settings.routes else None,
                task=task_id,
                group=f"{schedule.name}-{at:%Y%m%dT%H%M%SZ}".lower(),
                group_size=len(jobs),
            )
            try:
                if self._is_to_begin(task_id):
                    self._delegations().spawn(order, by)
            except ClawError as refused:  # one whose label is in use keeps nobody from the other items
                wrong.append(refused)
                self._drop(task_id, str(refused), by)
        if wrong:
            raise wrong[0]

    def _drop(self, task_id: TaskId, why: str, by: AgentId) -> None:
        """Cancel the task of a due time that could not be begun: in backlog, nobody would look at it any more."""
        why, now = f"its due time was dropped: {why}", self._ws.clock.now()
        audit = Audit(JournalEvent.CANCEL, task=task_id, actor=by, why=why)
        actor = transitions.Actor(id=by, coordinator=True, tick=True)
        self._ws.update(
            task_id, lambda task: transitions.cancel(task, actor, self._ws.next_generation(task), now, why), audit
        )

    def _task(self, schedule: Schedule, at: datetime) -> None:
        by = self._ws.settings.coordinator
        for job in rules.jobs(schedule):
            task_id = self._id(schedule, at, job.label)
            self._create(task_id, job, schedule.type, by)
            if self._is_to_begin(task_id):
                self._delegations().delegate(task_id, by)

    def _create(self, task_id: TaskId, job: rules.ScheduledTask, type: str | None, by: AgentId) -> None:
        now = self._ws.clock.now()
        task = Task(id=task_id, title=job.title, type=type, requested_by=by, created=now, updated=now)
        try:
            if self._ws.find(task_id) is None:
                self._ws.create(task, Audit(JournalEvent.TASK_NEW, task=task_id, actor=by, why="schedule"), job.text)
        except Conflict:
            return  # a crashed tick made it

    def _is_to_begin(self, task_id: TaskId) -> bool:
        return self._ws.entry(task_id) is None and not self._ws.load(task_id).task.state.is_closed

    def _size(self, label: str) -> Size:
        route = self._ws.settings.route(label)
        return route.size if route and route.size else Size.M

    def _id(self, schedule: Schedule, at: datetime, label: str) -> TaskId:
        prefix = self._ws.settings.workspace.prefix
        text = "-".join(part for part in (prefix, schedule.name, f"{at:%Y%m%dT%H%M}", label) if part)
        return words.task_id(rules.bounded(text))
