"""Steers a live session: a message that triggers a turn, a correction, the end of its run."""

from collections.abc import Callable

from claw_files.config import Agent
from claw_files.core.errors import Refused, UsageError
from claw_files.core.journal_events import JournalEvent
from claw_files.core.model import AgentId, AgentKind, Audit, Run, RunId, Stay, TaskId, Value
from claw_files.policy import authority, delegation, session_view
from claw_files.policy.session_view import Session, SessionKind, Status
from claw_files.processes import AgentRuntime
from claw_files.processes.process_runner import ProcessRunner
from claw_files.services.messaging.mailbox import Mailbox
from claw_files.services.sessions.session_list import Sessions
from claw_files.storage.workspace import Workspace

NEXT_LOOK = "at its next look"


class SteerResult(Value, frozen=True):
    """The result of `steer`: the correction is durable, and when it takes effect."""

    id: str
    session: Session
    takes_effect: str  # "now", "at its next look" or "when its session is ready"


class KilledRun(Value, frozen=True):
    """One run that was asked to end."""

    key: str
    run: RunId
    agent: AgentId
    task: TaskId | None = None
    number: int | None = None
    label: str | None = None


class Steering:
    """Speaks to sessions in the name of an agent, as far as its rights go."""

    def __init__(
        self,
        workspace: Workspace,
        runtime: ProcessRunner,
        found: Sessions,
        messages: Mailbox,
        runtime_of: Callable[[Agent], AgentRuntime],
    ) -> None:
        self._ws = workspace
        self._runtime = runtime
        self._sessions = found
        self._messages = messages
        self._runtime_of = runtime_of

    # --- a message

    def receiver(self, by: AgentId, name: str) -> AgentId | Session:
        """The receiver of a message to `name`: a named agent, a person, or the session of a worker.

        Of a worker that stays, whether it is at work or not; of any other while it is.

        Raises Refused for a worker that is not at work, with the command that is right; NotFound; Usage.
        """
        if found := self._named(name):
            delegation.check_message(self._ws.settings, found)
            return found
        session = self._sessions.one(by, name)
        if session.kind is SessionKind.MAIN:
            return session.agent
        if session.kind is SessionKind.OTHER:
            raise Refused("spawn-only", f"{session.key} is a check, which does not read messages", "")
        if session.stays is Stay.OPEN and session.task:
            return self._sessions.to_steer(by, name)
        if session.status is not Status.RUNNING:
            raise Refused("spawn-only", _over(session), _instead(session))
        return session

    def _named(self, name: str) -> AgentId | None:
        low, agents = name.lower(), self._ws.settings.agents
        if low in agents:
            return AgentId(low)
        sharing = [it.name for it in agents.values() if it.session.lower() == low and it.kind is AgentKind.NAMED]
        if len(sharing) > 1:
            raise UsageError(f"{name[:80]} is the session of {', '.join(sharing)}; name the agent")
        return sharing[0] if sharing else None

    # --- a correction

    def steer(self, by: AgentId, name: str, text: str) -> SteerResult:
        """Send a correction to the live run of the session only.

        Raises Refused where nothing is, or where it is not the business of `by`; NotFound; Usage.
        """
        session = self._sessions.to_steer(by, name)
        run = self._at_work(session)
        at_work = run.id if run else None
        message = self._messages.correct(by, session.agent, text, session.task, at_work, session.spawner)
        if run is None:
            return SteerResult(id=message.id, session=session, takes_effect=NEXT_LOOK)
        audit = Audit(JournalEvent.STEER, task=run.task, agent=run.agent, actor=by, key=run.id, why="steer.md")
        self._messages.into_run(run.id, message, audit)
        agent = self._ws.settings.agents.get(session.agent)
        when = self._runtime_of(agent).steer(run, message) if agent else None
        return SteerResult(id=message.id, session=session, takes_effect=when or NEXT_LOOK)

    def _at_work(self, session: Session) -> Run | None:
        """The run that is at work; None for an agent without runs that is."""
        run = self._runtime.look(session.run) if session.run else None
        if (run is None and session.status is Status.RUNNING) or (run and run.alive):
            return run
        raise Refused("not at work", _over(session), _instead(session))

    # --- the end

    def kill(self, by: AgentId, name: str) -> tuple[KilledRun, ...]:
        """Ask the run to end, or with "all" every run that `by` may end; returns the runs that were asked.

        Raises Refused where nothing runs, or where it is not the business of `by`; NotFound; Usage.
        """
        if name.lower() == "all":
            return self._kill_all(by)
        session = self._sessions.to_steer(by, name)
        run = self._at_work(session)
        if run is None:
            raise Refused(
                "not a run", f"{session.agent} is not started by clawfiles, so it cannot be stopped", _cancel(session)
            )
        return tuple(filter(None, [self._kill(by, session, run)]))

    def _kill_all(self, by: AgentId) -> tuple[KilledRun, ...]:
        mine = [it for it in self._sessions.visible(by) if self._may(by, it)]
        runs = [(it, self._runtime.look(it.run)) for it in session_view.by_start(mine, self._ws.clock.now()) if it.run]
        return tuple(killed for it, run in runs if run and run.alive and (killed := self._kill(by, it, run)))

    def _may(self, by: AgentId, session: Session) -> bool:
        return authority.may_steer(self._ws.settings, by, session.agent, session.spawner)

    def _kill(self, by: AgentId, session: Session, run: Run) -> KilledRun | None:
        """Ask one run to end; None if it has ended meanwhile."""
        if not self._runtime.stop(run.id):
            return None
        audit = Audit(JournalEvent.KILL, task=run.task, agent=run.agent, actor=by, key=run.id, why=f"stopped by {by}")
        self._ws.note(audit)
        return KilledRun(
            key=session.key, run=run.id, agent=run.agent, task=run.task, number=session.number, label=session.label
        )


def _over(session: Session) -> str:
    if session.status is Status.QUEUED:
        return f"{session.key} has not started yet"
    return f"{session.key} is not running" + (f" (status: {session.status})" if session.status else "")


def _instead(session: Session) -> str:
    """The command that is right for a session that is not at work."""
    if session.status is Status.QUEUED:
        return _cancel(session)
    if session.kind is SessionKind.SUBAGENT:
        again = f'`clawfiles spawn "TASK" --worker {session.agent} --label LABEL --size S|M|L` has more done'
        return f"`clawfiles sessions history {session.key}` shows what it left; {again}"
    return f'`clawfiles send {session.agent} "TEXT"` wakes it'


def _cancel(session: Session) -> str:
    return f"`clawfiles cancel {session.task}` takes its task back" if session.task else ""
