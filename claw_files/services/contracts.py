"""What a spawn asks for, and what must hold before a worker is started for it."""

from datetime import datetime, timedelta

from msgspec.structs import replace

from claw_files.config import Settings
from claw_files.errors import Refused
from claw_files.model import AgentId, AgentKind, RunId, Size, State, Stay, Task, TaskId, Value
from claw_files.rules import flows, routing
from claw_files.rules.pools import Loads
from claw_files.workspace import Workspace


class SpawnOrder(Value, frozen=True):
    """The contract of a spawn; label and size are required, cleanup is always keep."""

    text: str
    label: str | None = None
    size: str | None = None
    worker: AgentId | None = None
    task: TaskId | None = None
    timeout: timedelta | None = None
    model: str | None = None
    cwd: str | None = None
    group: str | None = None
    group_size: int | None = None
    attempts: int | None = None
    type: str | None = None
    mode: str = "run"
    runtime: str | None = None
    sandbox: str = "inherit"
    thread: bool = False
    cache: bool = True  # False: have it done, whatever was answered before


class Delegated(Value, frozen=True):
    """What `delegate` and `spawn` answer."""

    task: TaskId
    agent: AgentId
    check: datetime
    message: str | None = None  # its id; None where nothing was sent
    warning: str | None = None
    label: str | None = None
    run: RunId | None = None
    cached: TaskId | None = None  # the earlier task whose result it has already: nothing was sent, nothing runs


class Contract(Value, frozen=True):
    """An order that was accepted, and where in the tree its task belongs."""

    order: SpawnOrder
    label: str
    size: Size
    spawner: AgentId
    within: TaskId | None = None  # the task in whose run it was spawned
    asked: str | None = None  # the mark of its question, where the route keeps answers

    @property
    def timeout(self) -> timedelta:
        """How long one run of it may take."""
        return self.order.timeout or self.size.limit

    def on(self, task: Task) -> Task:
        """The task with the contract."""
        order = self.order
        return replace(
            task,
            label=self.label,
            size=self.size,
            timeout=self.timeout,
            spawner=self.spawner,
            # Where it is spawned counts: whoever gives its run to tasks that others made is bounded all the same.
            parent=self.within if self.within not in (None, task.id) else task.parent,
            model=order.model or task.model,
            cwd=order.cwd,
            sandbox="require" if order.sandbox == "require" else None,
            group=order.group,
            group_size=order.group_size,
            attempts=order.attempts,
            session=Stay.OPEN if order.mode == "session" else None,
            asked=self.asked,
        )


def size_of(text: str) -> Size:
    """The size of that name. Raises Refused."""
    try:
        return Size(text.upper())
    except ValueError:
        raise Refused(
            "spawn-contract", f"size {text[:20]!r} is none of S, M, L", "S 300 s, M 600 s, L 1200 s"
        ) from None


def worker_of(settings: Settings, order: SpawnOrder, loads: Loads) -> AgentId:
    """Who is to do it: who is named, who the route names, or the only worker there is. Raises Refused.

    Of a route's agents the first worker is meant: the others are messaged.
    """
    if order.worker:
        return settings.agent(order.worker).name
    named = routing.candidates(settings, order.type, urgent=True, loads=loads) if order.type else ()
    named_workers = [agent for agent in named if settings.agents[agent].kind is AgentKind.WORKER]
    if named:
        return (*named_workers, *named)[0]
    workers = [agent.name for agent in settings.agents.values() if agent.kind is AgentKind.WORKER]
    if len(workers) == 1:
        return workers[0]
    known = ", ".join(workers) or "none"
    raise Refused("spawn-contract", "which worker?", f"say --worker NAME (there are: {known})")


def check_label(ws: Workspace, label: str, task: TaskId | None) -> None:
    """One open task for each label, and one open session: its result file has one writer."""
    for row in ws.rows():
        is_gone = row.error or row.state in (State.DEAD, State.CANCELLED)
        other = None if is_gone else ws.in_force(row.task())
        if other and other.label == label and other.id != task and flows.is_open(other):
            right = f"choose another label, or speak to it: `clawfiles sessions send {label} TEXT`"
            right = right if other.session and other.session is Stay.OPEN else "choose another label"
            raise Refused("one writer per file", f"label {label!r} is in use by {other.id}", right)


def check_group(ws: Workspace, group: str | None, by: AgentId) -> None:
    """A group has one report: what came later under its name would be reported to nobody."""
    if group and ws.told().get(f"{by}/group.{group}.report"):
        raise Refused("groups", f"group {group!r} has had its report", "choose another name")
