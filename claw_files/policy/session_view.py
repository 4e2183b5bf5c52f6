"""Sessions as a view: the facts of runs, inboxes and status files, as one value per session.

A session is a lane: a named agent's own (`agent:peter:main`), or the one that a worker has for its label
(`agent:research:subagent:email`). Nothing of it is kept anywhere else.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from claw_files.config import Settings
from claw_files.core.errors import NotFound, UsageError
from claw_files.core.model import DRAINED, AgentId, Result, Run, RunId, State, Stay, Task, TaskId, Value
from claw_files.policy.dispatch_queue import QueuedMessage


class SessionKind(StrEnum):
    """The kinds of sessions: a named agent's, a worker's for one label, or another run (a route's check)."""

    MAIN = "main"
    SUBAGENT = "subagent"
    OTHER = "other"


class Status(StrEnum):
    """The status of a session."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    KILLED = "killed"
    TIMEOUT = "timeout"


class Spoken(Value, frozen=True):
    """A message of a session, shortened and escaped."""

    id: str
    kind: str
    sender: AgentId
    to: AgentId
    at: datetime | None
    text: str


class Session(Value, frozen=True):
    """One session as it is shown; the names of the fields are the keys of its JSON. Instants are aware, UTC."""

    key: str
    kind: SessionKind
    agent: AgentId
    number: int | None = None  # the one in its task's id: it never changes
    label: str | None = None
    model: str | None = None
    runtime: str | None = None
    status: Status | None = None  # None: it has done nothing yet
    started: datetime | None = None  # its newest run; where its agent has no runs, when the task was written to last
    ended: datetime | None = None
    updated_at: datetime | None = None
    run: RunId | None = None  # the newest
    task: TaskId | None = None
    title: str | None = None  # the task's
    spawner: AgentId | None = None
    said: str | None = None  # the last output, in one line
    usage: dict[str, str] = msgspec.field(default_factory=dict)  # tokens and cost, as reported
    messages: tuple[Spoken, ...] = ()  # the last ones, oldest first
    stays: Stay | None = None  # of a worker that stays: whether it takes messages
    parent: TaskId | None = None  # the task in whose run it was spawned
    children: tuple[TaskId, ...] = ()  # tasks that were spawned in the runs of its task
    wait: QueuedMessage | None = None  # of the first message that waits for its turn
    runs: tuple[RunId, ...] = ()  # all that are known, oldest first


class SessionEvidence(Value, frozen=True):
    """The facts about one session. Tasks and runs oldest first."""

    agent: AgentId
    label: str | None = None
    tasks: tuple[Task, ...] = ()
    runs: tuple[Run, ...] = ()
    waits: tuple[QueuedMessage, ...] = ()
    result: Result | None = None  # the result of a worker's newest run, until its task has it


# --- one session


def build(settings: Settings, seen: SessionEvidence) -> Session:
    """The session, without the fields that are read only when it is shown (said, usage, messages)."""
    known = settings.agents.get(seen.agent)
    kind = _kind(settings, seen)
    run = seen.runs[-1] if seen.runs else None
    task = _task(seen, run)
    waited = [wait.since for wait in seen.waits if wait.since]
    times = [run.started if run else None, run.ended if run else None, task.updated if task else None, *waited]
    status = status_of(kind, task, run, bool(seen.waits), seen.result)
    began = task.updated if task and status is Status.RUNNING else None
    return Session(
        key=_key(settings, seen, kind),
        kind=kind,
        agent=seen.agent,
        number=number_of(task.id if task else run.task if run else None),
        label=seen.label,
        model=(task.model if task else None) or (known.model if known else None),
        runtime=known.runtime if known else None,
        status=status,
        started=run.started if run else began,
        ended=run.ended if run else task.completed if task else None,
        updated_at=max((at for at in times if at), default=None),
        run=run.id if run else None,
        task=task.id if task else run.task if run else None,
        title=task.title if task else None,
        spawner=(task.spawner or task.requested_by) if task and kind is SessionKind.SUBAGENT else None,
        stays=task.session if task else None,
        parent=task.parent if task else None,
        wait=seen.waits[0] if seen.waits else None,
        runs=tuple(run.id for run in seen.runs),
    )


def _kind(settings: Settings, seen: SessionEvidence) -> SessionKind:
    if settings.is_worker(seen.agent):
        return SessionKind.SUBAGENT
    return SessionKind.MAIN if seen.agent in settings.agents else SessionKind.OTHER


def _key(settings: Settings, seen: SessionEvidence, kind: SessionKind) -> str:
    if kind is SessionKind.MAIN:
        return settings.agents[seen.agent].session
    if kind is SessionKind.SUBAGENT:
        return f"agent:{seen.agent}:subagent:{seen.label}"
    return f"agent:{seen.agent or 'unknown'}:run:{seen.runs[-1].id}"


def _task(seen: SessionEvidence, run: Run | None) -> Task | None:
    """The task that the session is about now: its newest run's, else the newest."""
    mine = [task for task in seen.tasks if run and task.id == run.task]
    found = mine or list(seen.tasks)
    return found[-1] if found else None


def status_of(
    kind: SessionKind, task: Task | None, run: Run | None, waits: bool, result: Result | None = None
) -> Status | None:
    """The status of a session, from its newest run, its task, waiting messages, and its result."""
    if run and run.alive:
        return Status.RUNNING
    if waits:
        return Status.QUEUED
    if task and run is None and task.state is State.IN_PROGRESS:
        return Status.RUNNING  # an agent that looks for itself has no runs
    if task and kind is SessionKind.SUBAGENT:
        return _TOLD.get(task.state) or _without_word(run, result)
    return _how_ended(run) if run else None


_TOLD = {  # of a worker its task tells; failed and in progress go by how its run ended
    State.BACKLOG: Status.QUEUED,
    State.BLOCKED: Status.QUEUED,
    State.REVIEW: Status.DONE,
    State.DONE: Status.DONE,
    State.CANCELLED: Status.KILLED,
}


def _without_word(run: Run | None, result: Result | None) -> Status:
    """The status of a worker without a good result: exit code 0 is not a result."""
    if result is not None and result.status is State.DONE:
        return Status.DONE
    how = _how_ended(run) if run else Status.FAILED
    return Status.FAILED if how is Status.DONE else how


def _how_ended(run: Run) -> Status:
    reasons = {"timed out": Status.TIMEOUT, "stopped": Status.KILLED, DRAINED: Status.KILLED}
    if run.reason in reasons:
        return reasons[run.reason]
    return Status.DONE if run.exit == 0 else Status.FAILED


def number_of(task: TaskId | None) -> int | None:
    """The number by which a worker is steered and killed: that of its task, which no other task gets again."""
    tail = task.rpartition("-")[2] if task else ""
    return int(tail) if tail.isascii() and tail.isdigit() and len(tail) < 10 else None


# --- several


class SessionFilter(Value, frozen=True):
    """Which sessions are asked for."""

    kinds: tuple[SessionKind, ...] = ()  # empty: all
    agent: AgentId | None = None
    active: timedelta | None = None  # running, queued, or changed within
    limit: int = 100


def chosen(sessions: Iterable[Session], wanted: SessionFilter, now: datetime) -> list[Session]:
    """The sessions that match, the most recently changed first; the caller applies the limit."""
    found = [it for it in sessions if not wanted.kinds or it.kind in wanted.kinds]
    found = [it for it in found if wanted.agent in (None, it.agent) and is_active(it, wanted.active, now)]
    return sorted(found, key=lambda it: (it.updated_at is not None, it.updated_at or now, it.key), reverse=True)


def is_active(session: Session, within: timedelta | None, now: datetime) -> bool:
    """Whether the session runs, waits for its turn, or changed within that time."""
    if within is None or session.status in (Status.RUNNING, Status.QUEUED):
        return True
    return session.updated_at is not None and now - session.updated_at <= within


def is_subagent(session: Session) -> bool:
    """Whether `subagents` shows the session: a worker, or a named agent with a live run."""
    return session.kind is SessionKind.SUBAGENT or (session.status is Status.RUNNING and session.run is not None)


def by_start(sessions: Iterable[Session], now: datetime) -> list[Session]:
    """Sessions in the order of their start; those that have not started, last."""
    return sorted(sessions, key=lambda it: (it.started is None, it.started or now, it.key))


_WAYS: tuple[Callable[[Session, str], bool], ...] = (
    lambda it, name: it.key.lower() == name,
    lambda it, name: name in (run.lower() for run in it.runs),
    lambda it, name: name == str(it.number) or (it.task is not None and name == it.task.lower()),
    lambda it, name: it.label is not None and name == it.label.lower(),
    lambda it, name: it.kind is SessionKind.MAIN and name == it.agent,
)


def pick(sessions: Sequence[Session], name: str) -> Session:
    """The session that `name` means: by key, run, number or task, label, or named agent; the first way that finds any.

    Raises NotFound; Usage where it means several.
    """
    low = name.lower()
    for way in _WAYS:
        found = [it for it in sessions if way(it, low)]
        if len(found) > 1:
            keys = ", ".join(f"{it.key} ({it.task or it.agent})" for it in found[:10])
            raise UsageError(f"{name[:80]!r} matches several sessions: {keys}; use the run or the whole key")
        if found:
            return found[0]
    raise NotFound("session", name[:200], "`clawfiles sessions list` lists all sessions")
