"""Loads the snapshot of one tick: the evidence for each ledger line, and everything else."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache

from claw_files.core import text
from claw_files.core.event import EventQueue
from claw_files.core.journal_events import JournalEvent
from claw_files.core.keys import run_for
from claw_files.core.model import AgentId, AgentKind, Box, Entry, Kind, Message, State, Task
from claw_files.formats.journal import Line
from claw_files.policy.dispatch_queue import QueuedMessage, plan_waits
from claw_files.policy.resilience import RunOutcome
from claw_files.policy.snapshot import MonthSpending, Snapshot, TaskEvidence
from claw_files.services.events import source_runs
from claw_files.services.events.event_queue import queue
from claw_files.services.events.event_store import EventStore
from claw_files.services.evidence import agent_load, schedule_events
from claw_files.services.evidence.run_outcomes import Endings, outcomes, started
from claw_files.services.evidence.task_evidence import EvidenceReader
from claw_files.services.people import notifications
from claw_files.services.people.notifications import Outbox
from claw_files.services.tasks.session_turns import is_turn
from claw_files.services.workflows.catalog import WorkflowCatalog
from claw_files.services.workflows.runs import RunLoader
from claw_files.storage.workspace import Workspace


class SnapshotLoader:
    """Reads the workspace for one tick; writes nothing, except for quarantining unreadable inbox files."""

    def __init__(
        self,
        workspace: Workspace,
        evidence: EvidenceReader,
        others: "Callable[[], Sequence[SnapshotLoader]]" = tuple,
        outbox: "Outbox | None" = None,
    ) -> None:
        """`others` load the workspaces under the same limits: compartments, or the outer workspace."""
        self._ws = workspace
        self._evidence = evidence
        self._others = others
        self._outbox = outbox
        self._endings = Endings(workspace)
        self._types = WorkflowCatalog(workspace).types
        self._listed = evidence.list_or_report
        self._runs = RunLoader(workspace, self._listed)

    def snapshot(self, entries: Iterable[Entry]) -> Snapshot:
        """Everything that `plan_tick` wants to know now."""
        self._evidence.renew()
        looks = tuple(self._evidence.look(entry) for entry in entries)
        return self.around(looks)

    def around(self, looks: tuple[TaskEvidence, ...], shared: bool = True) -> Snapshot:
        """The snapshot for these looks, with what is `shared`: inboxes, schedules, the backlog.

        `plan_line` asks for none of that, and a full inbox must not be read again for every line.
        """
        settings = self._ws.settings
        waiting, others = self.waiting() if shared else (), self._others()
        failed = any(look.task and look.task.state is State.FAILED for look in looks)
        ready = self._ready(looks) if shared and settings.heartbeat.auto else ()
        journal = self._journals() if failed or waiting else []  # for breakers and the spawn rate; else nobody asks
        elsewhere = tuple(it for other in others for it in other.waiting()) if waiting else ()
        names = cache(self._ws.files.names)
        events = self._events(names) if shared and self._outbox else EventQueue()
        runs = tuple(self._runs.runs(looks, self._ws.clock.now())) if shared else ()  # before `faults`
        return Snapshot(
            settings=settings,
            looks=looks,
            told=self._ws.told(),
            live=self._evidence.live(),
            elsewhere=tuple(run for other in others for run in other._evidence.live()),
            waiting=waiting,
            waiting_elsewhere=elsewhere,
            caused={it.origin: self._ws.caused(it.origin) for it in (*waiting, *elsewhere) if it.follows},
            outcomes=outcomes(journal),
            tried={
                look.entry.task: self._evidence.tried(look.task)
                for look in looks
                if look.task and look.task.attempt > 1
            },
            ready=ready,
            loads=agent_load.loads(
                self._ws, self._evidence.live, (*(look.task for look in looks if look.task), *ready)
            ),
            marks=schedule_events.marks(self._ws, names) if shared else {},
            held=(held := self._held() if shared else {}),
            closed=tuple(self._closed(held)),
            outbox=tuple(self._listed(self._outbox.posts)) if shared and self._outbox else (),
            spent=self._spent(looks, waiting) if settings.budgets.is_set else None,
            spawned=tuple(it.at for it in journal if it.action == JournalEvent.WAKE and settings.is_worker(it.agent)),
            started=started(journal),
            events=events,
            faults=(*self._listed(lambda: schedule_events.faults(self._ws, names, events)), *self._evidence.problems)
            if shared
            else (),
            events_full=bool(shared and settings.sources)
            and any(self._listed(lambda: [EventStore(self._ws).is_full()])),
            sources=source_runs.marks(self._ws) if shared else {},
            runs=runs,
        )

    def _events(self, names: Callable[[str], list[str]]) -> EventQueue:
        found = self._listed(lambda: [queue(self._ws, names, self._types)])
        return found[0] if found else EventQueue()

    def waits(self) -> tuple[QueuedMessage, ...]:
        """The messages that wait for a wake now, oldest first, with the queue ahead."""
        return plan_waits(self.around(()), self._ws.clock.now())

    def _spent(self, looks: tuple[TaskEvidence, ...], waiting: tuple[Message, ...]) -> MonthSpending | None:
        """The cost of the month, if work waits that would cost more; otherwise nothing is read."""
        waits = any(
            (look.box is Box.NEW and look.message and self._ws.settings.is_woken(look.message.to))
            or (look.task and look.task.state is State.FAILED)
            for look in looks
        )
        if not (waiting or waits or self._ws.settings.heartbeat.auto):
            return None
        from claw_files.services.accounting.spend import Spending

        return Spending(self._ws).now()

    def waiting(self) -> tuple[Message, ...]:
        """Messages in new/ of agents that are woken by a command and whose run does not exist yet, oldest first."""
        found = (message for message, is_begun in self._new_messages() if not is_begun)
        return tuple(message for message in found if not self._is_too_early(message))

    def _is_too_early(self, message: Message) -> bool:
        """Whether a predecessor of its task was reopened after the message was sent."""
        if message.task is None or message.kind is not Kind.TASK or not message.definition.get("after"):
            return False
        task = self._ws.known(message.task)
        return task is not None and bool(self._evidence.blockers(task))

    def begun(self) -> tuple[Message, ...]:
        """Messages in new/ whose run was started by a tick that died before moving them."""
        return tuple(message for message, is_begun in self._new_messages() if is_begun)

    def _new_messages(self) -> Iterable[tuple[Message, bool]]:
        for agent in self._ws.settings.agents.values():
            if not agent.traits.is_woken or agent.kind is AgentKind.HUMAN or not self._is_here(agent.name):
                continue
            for message in self._new_of(agent.name):
                if is_turn(message):  # the tick hands it to its session, in its order
                    continue
                is_begun = message.run or self._ws.files.stamp(f"runs/{run_for(message)}/run.md")
                yield agent_load.with_model(self._ws, message), is_begun is not None

    def _held(self) -> dict[AgentId, tuple[Message, ...]]:
        agents = self._ws.settings.agents.values()
        people = [agent.name for agent in agents if agent.kind is AgentKind.HUMAN and self._is_here(agent.name)]
        return {person: tuple(self._new_of(person)) for person in people}

    def _closed(self, held: Mapping[AgentId, tuple[Message, ...]]) -> Iterator[tuple[AgentId, str, str]]:
        """The file channels that take nothing, of people for whom something waits: person, channel, why."""
        for person in (person for person, waiting in held.items() if waiting):
            for channel in self._ws.settings.agents[person].channels:
                if why := notifications.channel_problem(self._ws.files, channel):
                    yield person, channel, why

    def _is_here(self, agent: AgentId) -> bool:
        return self._ws.mailbox(agent) is self._ws

    def _new_of(self, agent: AgentId) -> list[Message]:
        return self._listed(lambda: self._ws.messages_in(agent, Box.NEW))

    def _ready(self, looks: tuple[TaskEvidence, ...]) -> tuple[Task, ...]:
        """Tasks for `auto`: unassigned in backlog, routed, with all predecessors done; best first."""
        watched = {look.entry.task for look in looks}
        found = []
        for row in self._ws.rows():
            if row.folder != "status" or row.error or row.state != State.BACKLOG or row.assignee is not None:
                continue
            task = self._ws.in_force(row.task())
            is_free = task.state is State.BACKLOG and task.assignee is None and task.id not in watched
            if is_free and task.type in self._ws.settings.routes and not self._evidence.blockers(task):
                found.append(task)
        oldest = datetime.min.replace(tzinfo=UTC)
        return tuple(sorted(found, key=lambda t: (text.rank(t.priority), t.created or oldest, t.id)))

    def outcomes(self) -> dict[AgentId, tuple[RunOutcome, ...]]:
        """The ends of each agent's work in the last two days, oldest first; True: success."""
        return outcomes(self._journals())

    def _journals(self) -> list[Line]:
        """The lines of today and yesterday about runs and their ends, here and in all other places."""
        others = self._others()
        found = [*self._endings.of_two_days(), *(line for other in others for line in other._endings.of_two_days())]
        return sorted(found, key=lambda line: line.at) if others else found
