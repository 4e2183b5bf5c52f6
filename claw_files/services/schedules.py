"""What happens by the clock. A due time becomes one file in events/, whose name is the memory that it happened."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from claw_files import words
from claw_files.config import Schedule
from claw_files.errors import ClawError, Conflict
from claw_files.model import AgentId, Audit, Size, Task, TaskId
from claw_files.workspace import Workspace

if TYPE_CHECKING:  # most ticks find nothing due
    from claw_files.services.delegations import Delegations

BOXES = ("new", "done", "failed")
FORM = "%Y%m%dT%H%M%SZ"


class Schedules:
    """Turning due times into tasks and workers, each exactly once."""

    def __init__(self, workspace: Workspace, delegations: "Callable[[], Delegations]") -> None:
        self._ws = workspace
        self._delegations = delegations

    def marks(self) -> dict[str, datetime]:
        """The last occurrence of each schedule that became an event."""
        if not self._ws.settings.schedules:
            return {}
        marks: dict[str, datetime] = {}
        for box in BOXES:
            for name in self._ws.files.names(f"events/{box}"):
                found = _parse(name)
                if found and (found[0] not in marks or marks[found[0]] < found[1]):
                    marks[found[0]] = found[1]
        return marks

    def arm(self, key: str) -> None:
        """Write down that counting starts now."""
        self._ws.files.folder("events/done")
        audit = Audit(action="event", key=key, why="counting starts", actor=self._ws.settings.coordinator)
        self._ws.files.commit(
            f"events/done/{key}.md", lambda raw: raw or b"counting starts here\n", self._ws.line(audit)
        )

    def emit(self, key: str, name: str) -> None:
        """Write the event of one due time; what it starts follows from it, however often that is begun."""
        schedule = self._ws.settings.schedules[name]
        self._ws.files.folder("events/new")
        audit = Audit(action="event", key=key, why=f"schedule {name}", actor=self._ws.settings.coordinator)
        text = f"---\ntype: {schedule.event or 'schedule'}\nschedule: {name}\n---\n".encode()
        self._ws.files.commit(f"events/new/{key}.md", lambda raw: raw or text, self._ws.line(audit))

    def has_begun(self) -> bool:
        """Whether an event of a schedule was written and not yet acted on."""
        schedules = self._ws.settings.schedules
        names = self._ws.files.names("events/new") if schedules else []
        found = [schedules.get(parsed[0]) for name in names if (parsed := _parse(name))]
        return any(schedule is not None and not schedule.event for schedule in found)

    def handle(self) -> list[str]:
        """Start what the schedule events in events/new ask for, and finish them; returns their keys.

        Task ids follow from the due time, so that an event begun twice makes its tasks once.
        """
        if not self._ws.settings.schedules:
            return []
        handled = []
        for name in self._ws.files.names("events/new"):
            found = _parse(name)
            schedule = self._ws.settings.schedules.get(found[0]) if found else None
            if found is None or schedule is None or schedule.event:
                continue
            handled.append(name)
            with suppress(ClawError):  # it stays, and is tried again at the next tick; those behind it must not wait
                self._handle(name, schedule, found[1])
        return handled

    def _handle(self, name: str, schedule: Schedule, at: datetime) -> None:
        audit = Audit(action="event done", key=name.removesuffix(".md"), actor=self._ws.settings.coordinator)
        box = "done"
        try:
            if schedule.spawn:
                self._spawn(schedule, at)
            elif schedule.task:
                self._task(schedule, at)
        except ClawError as wrong:
            box, audit = "failed", Audit(action="event failed", key=audit.key, actor=audit.actor, why=str(wrong))
        self._ws.files.folder(f"events/{box}")
        self._ws.files.move(f"events/new/{name}", f"events/{box}/{name}", self._ws.line(audit))

    def _spawn(self, schedule: Schedule, at: datetime) -> None:
        from claw_files.services.contracts import SpawnOrder

        by = schedule.combine or self._ws.settings.coordinator
        for label in schedule.spawn:
            task_id = self._id(schedule, at, label)
            self._create(task_id, f"{schedule.name}: {label}", label, by)
            order = SpawnOrder(
                text=label,
                label=label,
                size=str(self._size(label)),
                worker=AgentId(label) if label in self._ws.settings.agents else None,
                type=label if label in self._ws.settings.routes else None,
                task=task_id,
                group=f"{schedule.name}-{at:%Y%m%dT%H%M%SZ}".lower(),
                group_size=len(schedule.spawn),
            )
            if self._ws.entry(task_id) is None and not self._is_over(task_id):
                self._delegations().spawn(order, by)

    def _task(self, schedule: Schedule, at: datetime) -> None:
        by = self._ws.settings.coordinator
        task_id = self._id(schedule, at, "")
        self._create(task_id, schedule.task or schedule.name, None, by)
        if self._ws.entry(task_id) is None and not self._is_over(task_id):
            self._delegations().delegate(task_id, by)

    def _create(self, task_id: TaskId, title: str, type: str | None, by: AgentId) -> None:
        now = self._ws.clock.now()
        task = Task(id=task_id, title=title, type=type, requested_by=by, created=now, updated=now)
        try:
            if self._ws.find(task_id) is None:
                self._ws.create(task, Audit(action="task new", task=task_id, actor=by, why="schedule"))
        except Conflict:
            return  # a crashed tick made it

    def _is_over(self, task_id: TaskId) -> bool:
        return self._ws.load(task_id).task.state.is_closed

    def _size(self, label: str) -> Size:
        route = self._ws.settings.route(label)
        return route.size if route and route.size else Size.M

    def _id(self, schedule: Schedule, at: datetime, label: str) -> TaskId:
        prefix = self._ws.settings.workspace.prefix
        text = "-".join(part for part in (prefix, schedule.name, f"{at:%Y%m%dT%H%M}", label) if part)
        return words.task_id(text[:64])


def _parse(name: str) -> tuple[str, datetime] | None:
    """Schedule and due time of an event file "schedule.NAME.20260307T074500Z.md"."""
    parts = name.removesuffix(".md").split(".")
    if len(parts) < 3 or parts[0] != "schedule":
        return None
    try:
        return ".".join(parts[1:-1]), datetime.strptime(parts[-1], FORM).replace(tzinfo=UTC)
    except ValueError:
        return None
