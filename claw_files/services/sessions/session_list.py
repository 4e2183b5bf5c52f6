"""Lists sessions: agent, start, task and last output, computed from runs, inboxes and status files."""

from collections.abc import Iterable
from contextlib import suppress
from heapq import nlargest

from msgspec.structs import replace

from claw_files.config import Agent
from claw_files.core import text as words
from claw_files.core.errors import BadId, ClawError, Refused
from claw_files.core.keys import key_of
from claw_files.core.model import AgentId, AgentKind, Box, Message, Result, Run, RunId, State, Task, TaskId, Value
from claw_files.policy import authority
from claw_files.policy import session_view as sessions
from claw_files.policy.dispatch_queue import QueuedMessage
from claw_files.policy.session_view import Session, SessionEvidence, SessionFilter, Spoken
from claw_files.processes.process_runner import ProcessRunner
from claw_files.services.evidence.run_logs import last_bytes
from claw_files.services.heartbeat.snapshot_loader import SnapshotLoader
from claw_files.services.messaging.message_reader import reader_of
from claw_files.services.tasks.checkpoints import Checkpoints
from claw_files.storage.workspace import Workspace

RUNS = 1000  # the newest that are read for a list; live ones besides
TEXT = 400  # characters of a message in a list
Key = tuple[AgentId, str | None]  # agent and label, which identify a session


class SessionListing(Value, frozen=True):
    """The matching sessions, and the number of further ones."""

    sessions: tuple[Session, ...] = ()
    more: int = 0


class Sessions:
    """Reads; never writes."""

    def __init__(
        self, workspace: Workspace, runtime: ProcessRunner, snapshots: SnapshotLoader, checkpoints: Checkpoints
    ) -> None:
        self._ws = workspace
        self._runtime = runtime
        self._snapshots = snapshots
        self._checkpoints = checkpoints

    def listing(self, viewer: AgentId | None, wanted: SessionFilter, messages: int = 1) -> SessionListing:
        """The sessions that `viewer` may see, the most recently changed first, with their last messages."""
        found = sessions.chosen(self.visible(viewer), wanted, self._ws.clock.now())
        shown = tuple(self.told(it, messages) for it in found[: wanted.limit])
        return SessionListing(sessions=shown, more=len(found) - len(shown))

    def subagents(self, viewer: AgentId | None, wanted: SessionFilter) -> SessionListing:
        """The workers, and the named agents at work in a run, in the order in which they started."""
        now = self._ws.clock.now()
        found = sessions.chosen(filter(sessions.is_subagent, self.visible(viewer)), wanted, now)
        shown = sessions.by_start(found[: wanted.limit], now)
        return SessionListing(sessions=tuple(self.told(it, 0) for it in shown), more=len(found) - len(shown))

    def visible(self, viewer: AgentId | None) -> list[Session]:
        """Every session that `viewer` may see."""
        settings = self._ws.settings
        return [it for it in self.present(viewer) if authority.may_see(settings, viewer, it.agent, it.spawner)]

    def present(self, viewer: AgentId | None) -> list[Session]:
        """Every session that `viewer` may know of, though the session may not be the viewer's business."""
        settings = self._ws.settings
        found = (sessions.build(settings, seen) for seen in self._seen(viewer))
        there = [it for it in found if settings.may_know(viewer, it.spawner)]
        below: dict[TaskId, list[TaskId]] = {}
        for session in there:
            if session.parent and session.task:
                below.setdefault(session.parent, []).append(session.task)
        return [replace(it, children=tuple(below.get(it.task, ()))) if it.task else it for it in there]

    def one(self, viewer: AgentId | None, name: str) -> Session:
        """The session of that key, run, number, task, label or agent.

        Raises NotFound, also where `viewer` may not know of it; Usage where several are meant; Refused where it is not
        the business of `viewer`.
        """
        found = self._pick(viewer, name)
        if not authority.may_see(self._ws.settings, viewer, found.agent, found.spawner):
            raise Refused("who may see", f"{viewer} may not see {found.key}", _ask(found, self._ws))
        return found

    def to_steer(self, by: AgentId, name: str) -> Session:
        """As `one`, for a caller who wants to correct or stop the session."""
        found = self._pick(by, name)
        if not authority.may_steer(self._ws.settings, by, found.agent, found.spawner):
            raise Refused("who may steer", f"{by} may not steer or stop {found.key}", _ask(found, self._ws))
        return found

    def _pick(self, viewer: AgentId | None, name: str) -> Session:
        there = self.present(viewer)
        with suppress(BadId, ClawError):
            return _of_run(sessions.pick(there, name), name)
        return _of_run(sessions.pick(self._with_old_run(there, name, viewer), name), name)

    def _with_old_run(self, there: list[Session], name: str, viewer: AgentId | None) -> list[Session]:
        """The sessions, and that of a run too old for the list."""
        with suppress(BadId):
            run = self._runtime.look(RunId(words.key(name, "run id")))
            if run and run.id not in {known for it in there for known in it.runs}:
                settings = self._ws.settings
                found = [self._seen_of(key, [run], (), ()) for key in [self._key_of(run, {})]]
                return [*there, *(sessions.build(settings, it) for it in found if settings.may_know(viewer, it.agent))]
        return there

    # --- what is seen

    def _seen(self, viewer: AgentId | None) -> list[SessionEvidence]:
        tasks = self._tasks()
        runs: dict[Key, list[Run]] = {}
        for run in self._runs():
            runs.setdefault(self._key_of(run, tasks), []).append(run)
        waits: dict[Key, list[QueuedMessage]] = {}
        for wait in self._snapshots.waits():
            waits.setdefault(self._key_of_message(wait.message, tasks), []).append(wait)
        held: dict[Key, list[Task]] = {}
        for task in tasks.values():
            if task.assignee and (key := self._key_of_task(task)):
                held.setdefault(key, []).append(task)
        mains = [(agent.name, None) for agent in self._ws.settings.agents.values() if agent.kind is AgentKind.NAMED]
        keys = dict.fromkeys([*mains, *runs, *waits, *held])
        found = (self._seen_of(key, runs.get(key, []), held.get(key, ()), waits.get(key, ())) for key in keys)
        return [it for it in found if all(self._ws.settings.may_know(viewer, who) for who in self._behind(it, tasks))]

    def _behind(self, seen: SessionEvidence, tasks: dict[TaskId, Task]) -> set[AgentId | None]:
        """The owner of the session: its agent; for a run without an agent, such as a check, its task's agent."""
        of_tasks = (tasks[run.task].assignee for run in seen.runs if run.task in tasks)
        return {seen.agent} if seen.agent in self._ws.settings.agents else {seen.agent, *of_tasks}

    def _seen_of(
        self, key: Key, runs: list[Run], tasks: Iterable[Task], waits: Iterable[QueuedMessage]
    ) -> SessionEvidence:
        runs.sort(key=lambda run: (run.started is not None, run.started.timestamp() if run.started else 0, run.id))
        ordered = sorted(tasks, key=lambda task: (task.updated.timestamp() if task.updated else 0, task.id))
        agent, label = key
        is_open = bool(ordered) and ordered[-1].state is State.IN_PROGRESS and bool(runs) and not runs[-1].alive
        result = self._result(label, runs[-1].id) if label and is_open else None
        return SessionEvidence(
            agent=agent, label=label, tasks=tuple(ordered), runs=tuple(runs), waits=tuple(waits), result=result
        )

    def _result(self, label: str, run: RunId) -> Result | None:
        with suppress(ClawError):  # unreadable: it left none
            return self._checkpoints.result(label, run)
        return None

    def _tasks(self) -> dict[TaskId, Task]:
        """The tasks of workers, and tasks in progress, in their effective state."""
        rows = [row for row in self._ws.rows() if not row.error]
        found = (self._ws.in_force(row.task()) for row in rows if row.assignee)
        return {task.id: task for task in found if task.label or task.state is State.IN_PROGRESS}

    def _runs(self) -> list[Run]:
        """The newest runs, and all that are alive."""
        names = self._ws.files.names("runs")
        if len(names) > RUNS:
            stamps = ((self._ws.files.stamp(f"runs/{name}/run.md"), name) for name in names)
            names = [name for _, name in nlargest(RUNS, ((stamp.mtime_ns, name) for stamp, name in stamps if stamp))]
        found = {run.id: run for run in self._runtime.live()}
        for name in names:
            if name not in found and (run := self._looked(name)) and run.agent:  # else the folder is foreign
                found[run.id] = run
        return list(found.values())

    def _looked(self, name: str) -> Run | None:
        with suppress(BadId):
            return self._runtime.look(RunId(words.key(name, "run id")))
        return None

    def _key_of(self, run: Run, tasks: dict[TaskId, Task]) -> Key:
        known = self._ws.settings.agents.get(run.agent)
        if known is None:
            return run.agent, str(run.id)  # a session of its own
        return run.agent, self._label(known, run.task, str(run.key), tasks)

    def _key_of_message(self, message: Message, tasks: dict[TaskId, Task]) -> Key:
        return message.to, self._label(self._ws.settings.agents[message.to], message.task, str(message.key), tasks)

    def _key_of_task(self, task: Task) -> Key | None:
        known = self._ws.settings.agents.get(task.assignee) if task.assignee else None
        if known is None or (known.kind is AgentKind.WORKER and not task.label):
            return None
        return known.name, task.label if known.kind is AgentKind.WORKER else None

    def _label(self, agent: Agent, task: TaskId | None, key: str, tasks: dict[TaskId, Task]) -> str | None:
        """The label of a worker's contract, from its task; for a missing task, the name in the key."""
        if agent.kind is not AgentKind.WORKER:
            return None
        found = (tasks.get(task) or self._ws.known(task)) if task else None
        return (found.label if found else None) or key

    # --- what is looked up only for those that are shown

    def told(self, session: Session, messages: int) -> Session:
        """The session with its last output, usage and last `messages`."""
        run = self._runtime.look(session.run) if session.run else None
        result = self._result(session.label, session.run) if session.label and session.run else None
        said = result.body if result else (run.tail or self._printed(run.id)) if run else ""
        return replace(
            session,
            said=_last_line(said),
            usage=dict(result.usage) if result else {},
            messages=tuple(self.spoken(session, messages)) if messages else (),
        )

    def _printed(self, run: RunId) -> str:
        return last_bytes(self._ws, run).decode("utf-8", "replace")

    def spoken(self, session: Session, limit: int) -> list[Spoken]:
        """Its last messages, oldest first, shortened; for a worker only those about its task."""
        found = (m for m in self.messages(session, limit) if session.label is None or m.task == session.task)
        return [
            Spoken(id=m.id, kind=m.kind.value, sender=m.sender, to=m.to, at=m.sent, text=words.safe(m.body, TEXT, True))
            for m in found
        ]

    def messages(self, session: Session, limit: int) -> list[Message]:
        """The newest messages of the agent's inbox, oldest first, in all boxes."""
        return [message for _, message in self.filed(session, limit)]

    def filed(self, session: Session, limit: int) -> list[tuple[str, Message]]:
        """As `messages`, each with its path; for a worker those that name its task."""
        files, ours = self._ws.files, session.task.lower() if session.task and session.label else ""
        surveys = [(row, box) for box in Box for row in files.survey(f"inbox/{session.agent}/{box}")]
        ids = ((mtime, box, name[:-3]) for (name, mtime, *_), box in surveys if name.endswith(".md"))
        mine = (it for it in ids if not ours or key_of(it[2]).name == ours)
        found, reader = [], reader_of(self._ws)
        for _, box, id in sorted(nlargest(limit, mine)):
            with suppress(ClawError):
                message = reader.as_read(self._ws.read_message(session.agent, box, id))
                found.append((f"inbox/{session.agent}/{box}/{id}.md", message))
        return found


def _of_run(session: Session, name: str) -> Session:
    """The session at the time of the given run; else as it is."""
    mine = [run for run in session.runs if run.lower() == name.lower()]
    return replace(session, run=mine[0], runs=(mine[0],)) if mine and mine[0] != session.run else session


def _last_line(text: str) -> str | None:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return words.safe(lines[-1], TEXT) if lines else None


def _ask(session: Session, ws: Workspace) -> str:
    who = [name for name in (session.spawner, ws.settings.coordinator) if name]
    return f"{' or '.join(dict.fromkeys(who))} may"
