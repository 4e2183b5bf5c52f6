"""Runs schedules. A due time becomes one file in events/, whose name records that it happened."""

from datetime import datetime

from claw_files.config import Schedule
from claw_files.core import text as words
from claw_files.core.errors import Busy, CannotWrite, ClawError
from claw_files.core.journal_events import JournalEvent
from claw_files.core.model import Audit, Task, TaskId
from claw_files.formats.workflow_file import name_of
from claw_files.policy import scheduled_tasks as rules
from claw_files.services.events.event_store import DONE, NEW, EventStore
from claw_files.services.events.task_starter import TaskStarter
from claw_files.services.evidence.schedule_events import parse
from claw_files.services.workflows.catalog import WorkflowCatalog
from claw_files.services.workflows.runs import begin
from claw_files.storage.workspace import Workspace


class Schedules:
    """Turning due times into tasks, workers and runs, each exactly once."""

    def __init__(self, workspace: Workspace, starter: TaskStarter, workflows: WorkflowCatalog) -> None:
        self._ws, self._starter, self._workflows = workspace, starter, workflows

    def arm(self, key: str, why: str) -> None:
        """Write down that counting starts or ends now."""
        audit = Audit(JournalEvent.EVENT, key=key, why=why, actor=self._ws.settings.coordinator)
        self._ws.files.commit(f"events/done/{key}.md", lambda raw: raw or f"{why}\n".encode(), self._ws.line(audit))

    def emit(self, key: str, name: str, rule: str | None) -> None:
        """Write the event of one due time; its effects follow from its name, so repeating it is harmless.

        `rule` is given where no name says yet by which one is counted: then one does from here on.
        """
        schedule = self._ws.settings.schedules[name]
        audit = Audit(JournalEvent.EVENT, key=key, why=f"schedule {name}", actor=self._ws.settings.coordinator)
        text = f"---\ntype: {schedule.event or 'schedule'}\nschedule: {name}\n---\n".encode()
        self._ws.files.commit(f"events/new/{key}.md", lambda raw: raw or text, self._ws.line(audit))
        if rule:
            self.arm(f"{key}.{rule}", "counting continues")

    def handle(self) -> list[str]:
        """Handle the schedule events in events/new, and finish them; returns their keys.

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
            except ClawError as wrong:  # kept for the next tick; later events must not wait
                failed.append(wrong)
        if failed:
            raise failed[0]
        return handled

    def _handle(self, name: str, schedule: Schedule, at: datetime) -> None:
        audit = Audit(JournalEvent.EVENT_DONE, key=name.removesuffix(".md"), actor=self._ws.settings.coordinator)
        try:
            if schedule.spawn:
                self._spawn(schedule, at)
            elif schedule.task:
                self._task(schedule, at)
            elif schedule.workflow:
                self._workflow(schedule, at, schedule.workflow)
        except (CannotWrite, Busy):
            raise
        except ClawError as wrong:
            EventStore(self._ws).fail(f"{NEW}/{name}", name, str(wrong))
        else:
            self._ws.files.move(f"{NEW}/{name}", f"{DONE}/{name}", self._ws.line(audit))

    def _spawn(self, schedule: Schedule, at: datetime) -> None:
        from claw_files.policy.delegation import SpawnOrder

        by, wrong, jobs = schedule.combine or self._ws.settings.coordinator, list[ClawError](), rules.jobs(schedule)
        group = f"{schedule.name}-{at:%Y%m%dT%H%M%SZ}".lower()
        for job in jobs:
            task = Task(id=self._id(schedule, at, job.label), title=job.title, type=schedule.type)
            order = SpawnOrder(text=job.text or job.title, label=job.label, group=group, group_size=len(jobs))
            try:
                self._starter.spawn(task, order, job.worker or "", by, "schedule")
            except ClawError as refused:  # an item whose label is in use does not block the others
                wrong.append(refused)
                self._starter.drop(task.id, f"its due time was dropped: {refused}", by)
        if wrong:
            raise wrong[0]

    def _task(self, schedule: Schedule, at: datetime) -> None:
        for job in rules.jobs(schedule):
            task = Task(id=self._id(schedule, at, job.label), title=job.title, type=schedule.type)
            self._starter.delegate(task, job.text, self._ws.settings.coordinator, "schedule")

    def _workflow(self, schedule: Schedule, at: datetime, name: str) -> None:
        flow = self._workflows.sound(name)
        for job in rules.jobs(schedule):
            given = (("text", schedule.text[0]), *schedule.given) if schedule.text else schedule.given
            values = {name_of(key): value.replace("{item}", job.item) for key, value in given}
            id = self._id(schedule, at, job.label)
            begin(self._ws, flow, self._workflows.copies(flow, name), values, self._ws.settings.coordinator, id=id)

    def _id(self, schedule: Schedule, at: datetime, label: str) -> TaskId:
        prefix = self._ws.settings.workspace.prefix
        text = "-".join(part for part in (prefix, schedule.name, f"{at:%Y%m%dT%H%M}", label) if part)
        return words.task_id(rules.bounded(text))
