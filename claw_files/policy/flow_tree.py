"""Flows as trees: parents, depth, the receiver of a result, and the order of cancelling.

What leads up from a task is its `parent`, which people and agents can write: a circle ends where it closes, and
nothing here recurses, so that no chain is too long.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from claw_files.config import Settings
from claw_files.core.errors import Refused
from claw_files.core.model import AgentId, RunId, State, Stay, Task, TaskId, Value

Find = Callable[[TaskId], Task | None]
Live = Callable[[TaskId], RunId | None]  # the run of a task that is at work
MOST = 1000  # steps up: what is longer was made by hand


def above(task: Task, find: Find) -> Iterator[Task]:
    """The tasks in whose runs it was created, nearest first; ends at a missing task or a cycle."""
    seen = {task.id}
    while task.parent and task.parent not in seen and len(seen) < MOST:
        seen.add(task.parent)
        found = find(task.parent)
        if found is None:
            return
        task = found
        yield task


def depth(task: Task, find: Find) -> int:
    """The number of spawns above it, including its own: 0 for a delegated task, 1 for its worker."""
    found, is_below = 0, False
    for it in reversed((task, *above(task, find))):
        found += bool(it.label or (it.flow and is_below and not it.workflow))
        if it.workflow and not it.flow:  # the steps of a run that hangs below a task are one deeper than that
            is_below = it.parent is not None
    return found


# --- what may still be spawned


class Caller(Value, frozen=True):
    """The caller of a spawn, as far as it is known."""

    by: AgentId  # the name it gave
    within: TaskId | None = None  # the task in whose run it is
    depth: int = 0  # how many spawns lead to it
    in_run: bool = False  # whether it is part of a run at all
    stopped: TaskId | None = None  # a task above it that was cancelled


def check_spawn(settings: Settings, caller: Caller, children: int, more: int = 1) -> None:
    """Raises Refused if the caller may not spawn so many more.

    Args:
        children: how many of its own are open.
    """
    limits = settings.limits
    if caller.stopped:
        message = f"{caller.stopped} was cancelled, so it cannot spawn more tasks"
        raise Refused("flows", message, "end your run; a new task starts a new flow")
    if caller.depth >= limits.depth:
        where = f"within {caller.within}" if caller.within else f"by {caller.by}"
        message = f"a spawn {where} would be {caller.depth + 1} levels deep, and limits.depth is {limits.depth}"
        raise Refused("depth", message, "describe the needed work in your result; your spawner decides")
    if children + more > limits.children and is_bounded(settings, caller):
        owner = caller.within or caller.by
        wish = f", which leaves no room for {more}" if more > 1 else ""
        message = f"{owner} has {children} open spawns, and limits.children is {limits.children}{wish}"
        right = "wait until one has ended, or cancel one (`clawfiles flow list`, `clawfiles flow cancel TASK`)"
        raise Refused("children", message, right)


def is_bounded(settings: Settings, caller: Caller) -> bool:
    """Whether `limits.children` holds: not for the coordinator and people outside of any run."""
    return caller.in_run or not (caller.by == settings.coordinator or settings.is_human(caller.by))


def is_child(task: Task, caller: Caller) -> bool:
    """Whether it is an open spawn or run of the caller's task; for one without a task, of its session."""
    if not (task.label or task.workflow) or task.state.is_closed:
        return False
    asked = task.spawner or task.requested_by
    return task.parent == caller.within if caller.within else task.parent is None and asked == caller.by


# --- trees


class Member(Value, frozen=True):
    """One task of a flow."""

    task: Task
    parent: TaskId | None = None  # in this flow; None for what stands at its top
    depth: int = 0


class Flow(Value, frozen=True):
    """One tree of spawned work. Members in order: parents before children, oldest first."""

    id: str  # the task at its top; or the group's name, where several stand there
    members: tuple[Member, ...] = ()
    group: str | None = None
    spawner: AgentId | None = None  # who asked for it

    @property
    def is_open(self) -> bool:
        """Whether something can still happen to it automatically, or it accepts messages."""
        return any(is_open(member.task) for member in self.members)


def is_open(task: Task) -> bool:
    """Whether it can be ended: not closed, or its session still accepts messages."""
    return not task.state.is_closed or (task.session is Stay.OPEN and task.state is State.DONE)


def is_stillborn(task: Task, has_line: bool) -> bool:
    """Whether a spawn crashed before its ledger line: it has no effect and counts towards no limit."""
    return task.state is State.BACKLOG and task.assignee is None and not has_line


def order(task: TaskId) -> tuple[int, str]:
    """Sorts TC-9 before TC-10."""
    return len(task), task


def forest(tasks: Iterable[Task]) -> tuple[Flow, ...]:
    """The trees of spawned work among these tasks, in the order of their tops.

    A group without a parent task is one flow. A task without spawned work is not a flow.
    """
    known = {task.id: task for task in sorted(tasks, key=lambda it: order(it.id))}
    ups = _ups(known)
    below: dict[TaskId, list[TaskId]] = {}
    for name, up in ups.items():
        if up:
            below.setdefault(up, []).append(name)
    tops: dict[tuple[AgentId | None, str], list[TaskId]] = {}
    for task in (
        known[it] for it, up in ups.items() if up is None and (known[it].label or known[it].workflow or it in below)
    ):
        asked = task.spawner or task.requested_by
        tops.setdefault((asked, task.group) if task.group else (None, f"\0{task.id}"), []).append(task.id)
    return tuple(_flow(found, known, below) for found in tops.values())


def _flow(tops: list[TaskId], known: Mapping[TaskId, Task], below: Mapping[TaskId, list[TaskId]]) -> Flow:
    first = known[tops[0]]
    members, waiting = list[Member](), [Member(task=known[task]) for task in reversed(tops)]
    while waiting:
        member = waiting.pop()
        members.append(member)
        inner = reversed(below.get(member.task.id, []))
        waiting += [Member(task=known[it], parent=member.task.id, depth=member.depth + 1) for it in inner]
    name = first.group or first.id
    return Flow(id=name, members=tuple(members), group=first.group, spawner=first.spawner or first.requested_by)


def _ups(known: Mapping[TaskId, Task]) -> dict[TaskId, TaskId | None]:
    """Each task with its parent, if known; a cycle is cut above its first task."""
    ups: dict[TaskId, TaskId | None] = {
        it.id: it.parent if _hangs(it) and it.parent in known and it.parent != it.id else None for it in known.values()
    }
    settled = set[TaskId]()
    for start in ups:
        path, at = dict[TaskId, None](), start
        while at and at not in settled and at not in path:
            path[at] = None
            at = ups[at] or TaskId("")
        if at and at in path:
            steps = list(path)
            ups[min(steps[steps.index(at) :], key=order)] = None
        settled.update(path)
    return ups


def _hangs(task: Task) -> bool:
    """Whether it belongs to its parent's flow: spawned work, runs of workflows and their steps do."""
    return bool(task.label or task.workflow or task.flow)


def branch(flow: Flow, top: TaskId) -> Flow:
    """The part of a flow below one of its tasks."""
    kept = dict[TaskId, Member]()
    for member in flow.members:
        if member.task.id == top or member.parent in kept:
            kept[member.task.id] = member
    task = kept[top].task
    return Flow(id=top, members=tuple(kept.values()), spawner=task.spawner or task.requested_by)


def plan_end(flow: Flow) -> tuple[Task, ...]:
    """The tasks to end, leaves first: children before parents. Closed ones are skipped.

    Runs of workflows come before all that, from the top: one that goes on would take a step that was ended for failed.
    """
    found = [member.task for member in flow.members if is_open(member.task)]
    return (*(it for it in found if it.workflow), *(it for it in reversed(found) if not it.workflow))


# --- who hears of it


class Asker(Value, frozen=True):
    """The receiver of a result that a worker requested."""

    agent: AgentId
    run: RunId | None = None  # into this run, which is at work; else as a message
    waits: bool = False  # not now: it is between two attempts
    boss: AgentId = AgentId("")  # the first above that is no worker: who hears of trouble
    passed: tuple[AgentId, ...] = ()  # the workers on the way to it, who may have been told already


def asker(settings: Settings, task: Task, find: Find, live: Live) -> Asker | None:
    """The receiver of a task's result if a worker requested it; None for a named agent or a person.

    One level up, to a live requester: a running one gets the result at once, a retried one when it runs again; if it
    has ended, its own requester gets the result, up to the first that is not a worker.
    """
    who = task.spawner or task.requested_by
    if not settings.is_worker(who):
        return None
    hears, passed = dict[str, Any](), list[AgentId]()
    for up in above(task, find):
        worker = up.assignee if settings.is_worker(up.assignee) else who
        assert worker is not None
        passed.append(worker)
        run = live(up.id) if not hears else None
        if not hears and (run or not (up.state.is_closed or up.state is State.REVIEW)):  # it is at work, or will be
            hears = {"agent": worker, "run": run, "waits": run is None}
        who = up.spawner or up.requested_by
        if not settings.is_worker(who):
            break
    boss = who if who in settings.agents and not settings.is_worker(who) else settings.coordinator
    assert boss is not None
    return Asker(boss=boss, passed=tuple(passed), **(hears or {"agent": boss}))
