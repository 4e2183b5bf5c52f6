"""The contract of a spawn, and the checks before its worker is started."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from claw_files.config import Settings
from claw_files.core import text as words
from claw_files.core.errors import ClawError, Conflict, MoveRefused, Refused
from claw_files.core.keys import Key, task_key
from claw_files.core.model import (
    AFTER_LIMIT,
    AgentId,
    AgentKind,
    Entry,
    Result,
    Run,
    RunId,
    Size,
    State,
    Stay,
    Task,
    TaskId,
    Value,
)
from claw_files.formats.checkpoints import parse_result
from claw_files.policy import flow_tree, routing
from claw_files.policy.delegation import SpawnOrder
from claw_files.policy.flow_tree import Caller
from claw_files.policy.result_reuse import fingerprint
from claw_files.policy.snapshot import FilePlace, Predecessor
from claw_files.services.evidence.predecessors import check_no_circle
from claw_files.storage.workspace import Loaded, Workspace

if TYPE_CHECKING:  # read when an agent is chosen
    from claw_files.services.delegation.agent_selection import AgentSelection


class DelegationResult(Value, frozen=True):
    """The result of `delegate` and `spawn`."""

    task: TaskId
    agent: AgentId
    check: datetime
    message: str | None = None  # its id; None where nothing was sent
    warning: str | None = None
    label: str | None = None
    run: RunId | None = None
    waits_for: tuple[Predecessor, ...] = ()  # what it comes after, where that is not done: nothing was sent yet
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

    def line(self, ws: Workspace, worker: AgentId) -> Entry:
        """The ledger line of a task that bears it."""
        at = words.next_look(ws.clock.now(), self.timeout + AFTER_LIMIT)
        spawner = self.spawner if self.spawner != ws.settings.coordinator else None
        return Entry(task=self.order.task or TaskId(""), agent=worker, spawner=spawner, at=at)

    def put_on(self, ws: Workspace, task: Task, worker: AgentId) -> Task:
        """The task with the contract, unless it is somebody's; typed again after a crash, it changes nothing.

        Raises what `check_free` raises.
        """
        after = self.on(task)
        if task.assignee != worker or after != task:
            check_free(ws, task)
        return after

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
            attempts=order.attempts or task.attempts,
            session=Stay.OPEN if order.mode == "session" else None,
            asked=self.asked,
        )


def size_of(text: str) -> Size:
    """The size of that name. Raises Refused."""
    try:
        return Size(text.upper())
    except ValueError:
        raise Refused("spawn-contract", f"size {text[:20]!r} is not S, M or L", "S 300 s, M 600 s, L 1200 s") from None


def own_terms(settings: Settings, task: Task) -> tuple[str, Size]:
    """The label and size of a task that goes to a worker though nobody spawned one."""
    route = settings.route(task.type)
    return words.label(task.id.lower()), task.size or (route and route.size) or Size.M


def worker_of(settings: Settings, order: SpawnOrder, choosing: "AgentSelection | None") -> AgentId:
    """The worker: the named one, the route's, or the only one. Raises Refused.

    Of a route's agents the first worker with money is meant: the others are messaged.
    """
    if order.worker:
        return settings.agent(order.worker).name
    loads = choosing.loads(order.type) if choosing else {}
    named = routing.candidates(settings, order.type, urgent=True, loads=loads) if order.type else ()
    named_workers = [agent for agent in named if settings.agents[agent].kind is AgentKind.WORKER]
    if named:
        poor = choosing.without_money() if choosing and len(named_workers) > 1 else {}
        return (*(agent for agent in named_workers if agent not in poor), *named_workers, *named)[0]
    workers = [agent.name for agent in settings.agents.values() if agent.kind is AgentKind.WORKER]
    if len(workers) == 1:
        return workers[0]
    known = ", ".join(workers) or "none"
    raise Refused("spawn-contract", "clawfiles.toml has several workers", f"pass --worker NAME (one of: {known})")


def check_label(ws: Workspace, label: str, task: TaskId | None) -> None:
    """One task for each label until all is told of it, and one open session: its result file has one writer."""
    entries = ws.entries()
    lines = {entry.task for entry in entries}
    for other in _of_label(ws, label, entries):
        if other.label != label or other.id == task or other.state in (State.DEAD, State.CANCELLED):
            continue
        if other.id in lines or (flow_tree.is_open(other) and not flow_tree.is_stillborn(other, has_line=False)):
            right = "choose another label"
            if other.session is Stay.OPEN:
                right += f", or speak to it: `clawfiles sessions send {label} TEXT`"
            elif other.state.is_closed:
                right += ", or wait until a tick has told of it"
            raise Refused("one writer per file", f"the label {label!r} is in use by {other.id}", right)


def _of_label(ws: Workspace, label: str, entries: tuple[Entry, ...]) -> Iterator[Task]:
    """The possible owners of the label: workers with a ledger line, and the task of the result file.

    An open session without a line has left a result. All tasks are looked at only where that does not lead to one.
    """
    others = {name for name, agent in ws.settings.agents.items() if agent.kind is not AgentKind.WORKER}
    loaded = (_load(ws, entry.task) for entry in entries if entry.agent not in others)
    yield from (found.task for found in loaded if found)
    path = f"checkpoints/subagent-{words.label(label)}.md"
    if ws.files.stamp(path) is None:
        return
    with suppress(ClawError):
        result = parse_result(ws.files.read(path).data, path)
        task = result.task or (TaskId(Key.parse(result.run).name.upper()) if result.run else None)
        if (found := _load(ws, task) if task else None) and found.task.label == label:
            if found.place is not FilePlace.ARCHIVE:
                yield found.task
            return
    yield from (ws.in_force(row.task()) for row in ws.rows() if not row.error)


def _load(ws: Workspace, task: TaskId) -> Loaded | None:
    """The task in force; None where it cannot be read, and then it has no label that anybody knows."""
    try:
        loaded = ws.load(task)
    except ClawError:
        return None
    return replace(loaded, task=ws.in_force(loaded.task))


def terms_for(ws: Workspace, task: Task, agent: AgentId, spawner: AgentId) -> tuple[dict[str, Any], timedelta]:
    """The missing terms of a task for `agent`, and its check time: a worker has a contract.

    Raises Refused where its label is taken.
    """
    if ws.settings.agent(agent).kind is not AgentKind.WORKER:
        return {}, ws.settings.heartbeat.check[0]
    label, size = own_terms(ws.settings, task)
    limit = task.timeout or (task.size or size).limit
    if task.label:
        return {}, limit + AFTER_LIMIT
    check_label(ws, label, task.id)
    return {"label": label, "size": size, "timeout": limit, "spawner": spawner}, limit + AFTER_LIMIT


def check_free(ws: Workspace, task: Task) -> None:
    """Raises AlreadyClaimed, MoveRefused, Conflict or Refused for a task that somebody has, or that nobody can do."""
    if task.state is State.IN_PROGRESS:
        raise ws.already_claimed(task)
    if task.state is not State.BACKLOG:
        raise MoveRefused(
            "transitions", f"{task.id} is {task.state}, not in backlog", f"see `clawfiles explain {task.id}`"
        )
    if is_sent(ws, task):
        raise Conflict(f"{task.id} is delegated to {task.assignee} already", task.assignee)
    check_no_circle(ws, task)


def is_sent(ws: Workspace, task: Task) -> bool:
    """Whether the message of the task's present attempt was sent to somebody whom the configuration names."""
    to = task.assignee
    return bool(to and to in ws.settings.agents and ws.find_message(to, task_key(task)))


def check_group(ws: Workspace, group: str | None, by: AgentId) -> None:
    """A group has one report: what came later under its name would be reported to nobody."""
    if group and ws.told().get(f"{by}/group.{group}.report"):
        raise Refused("groups", f"group {group!r} has already been reported", "choose another name")


class SpawnTerms(Value, frozen=True):
    """Terms of an order that depend on its worker."""

    model: str | None = None  # that its run will work with
    asked: str | None = None  # the mark of its question, where the route keeps answers
    earlier: tuple[Task, Result] | None = None  # the task that answers it already


def terms_of(
    ws: Workspace, order: SpawnOrder, worker: AgentId, choosing: "Callable[[], AgentSelection] | None" = None
) -> SpawnTerms:
    """The terms of the order. Work on a task that exists has no answer yet, whatever its text.

    Nor has a session: it is spoken to again, and its answer to a later message answers no spawn.
    """
    settings, own = ws.settings, ws.load(order.task).task if order.task else None
    if own:
        return SpawnTerms(model=routing.model_for(settings, worker, own.type, order.model or own.model))
    model, route = routing.model_for(settings, worker, order.type, order.model), settings.route(order.type)
    if route is None or route.cache is None or order.mode == "session":
        return SpawnTerms(model=model)
    asked = fingerprint(order.text, worker, model, order.cwd, order.type)
    earlier = choosing().caching.earlier(asked, route) if choosing and order.cache else None
    return SpawnTerms(model=model, asked=asked, earlier=earlier)


class SpawnerIdentity:
    """Looks at where a spawn comes from, and whether it may be."""

    def __init__(self, workspace: Workspace, runs: Callable[[], Sequence[Run]] = tuple) -> None:
        """`runs` gives the live runs that the calling process is part of, the innermost first."""
        self._ws = workspace
        self._runs = runs

    def caller(self, by: AgentId, inside: TaskId | None) -> Caller:
        """The caller with the name `by`.

        Args:
            inside: what the variables say. Where a run is found, that one counts instead.
        """
        runs = self._runs()
        named = [self.find(inside)] if inside and not runs else []
        tasks = [task for task in (*map(self._task_of, runs), *named) if task]
        kinds = {self._ws.settings.agents[run.agent].kind for run in runs if run.agent in self._ws.settings.agents}
        is_worker = AgentKind.WORKER in {*kinds, self._ws.settings.agent(by).kind}
        deepest = max(tasks, key=self._depth, default=None)
        return Caller(
            by=by,
            within=deepest.id if deepest else None,
            depth=max(self._depth(deepest) if deepest else 0, int(is_worker)),
            in_run=bool(runs or inside),
            stopped=self._stopped(tasks),
        )

    def check(self, caller: Caller, more: int = 1) -> None:
        """Raises Refused where the caller may not spawn so many more."""
        settings = self._ws.settings
        children = 0
        if flow_tree.is_bounded(settings, caller):
            # What is open has a ledger line: to read every task would cost more with each that lies in status/.
            watched = map(self.find, dict.fromkeys(entry.task for entry in self._ws.entries()))
            children = sum(1 for task in watched if task and flow_tree.is_child(task, caller))
        flow_tree.check_spawn(settings, caller, children, more)

    def find(self, task: TaskId) -> Task | None:
        """The task in force, wherever it lies; None for one that is gone or cannot be read."""
        try:
            return self._ws.in_force(self._ws.load_anywhere(task).task)
        except ClawError:
            return None

    def _depth(self, task: Task) -> int:
        return flow_tree.depth(task, self.find)

    def _task_of(self, run: Run) -> Task | None:
        """The task of the run; for a run that was only notified of a task, the agent's own task above."""
        task = self.find(run.task) if run.task else None
        if task is None or (task.assignee == run.agent and Key.parse(run.key).is_attempt):
            return task
        ours = (it for it in flow_tree.above(task, self.find) if it.assignee == run.agent and not it.state.is_closed)
        return next(ours, None)

    def _stopped(self, tasks: Iterable[Task]) -> TaskId | None:
        lines = (it for task in tasks for it in (task, *flow_tree.above(task, self.find)))
        return next((it.id for it in lines if it.state is State.CANCELLED), None)
