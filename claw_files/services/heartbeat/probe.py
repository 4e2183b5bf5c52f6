"""Probe: gives an agent a small test task, and reports each step of its reaction.

The task goes the way of every other: status file, message, wake. It has no line in the ledger, so no tick follows it;
in the end it is closed and archived, whatever came of it.
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from msgspec.structs import replace

from claw_files.config import Agent
from claw_files.core import text as words
from claw_files.core.errors import ClawError, Refused
from claw_files.core.journal_events import JournalEvent, Reason
from claw_files.core.keys import run_id, task_key
from claw_files.core.model import AgentKind, Audit, Box, Entry, Run, Size, State, Task, TaskId, Value
from claw_files.policy import budgets, dispatch_queue, probes
from claw_files.policy.snapshot import TaskEvidence
from claw_files.processes import AgentRuntime
from claw_files.processes.process_runner import ProcessRunner
from claw_files.services.delegation.delegation import Delegations
from claw_files.services.evidence.run_logs import last_bytes
from claw_files.services.evidence.task_evidence import EvidenceReader
from claw_files.services.heartbeat.heartbeat import Heartbeat
from claw_files.services.heartbeat.snapshot_loader import SnapshotLoader
from claw_files.services.tasks.checkpoints import Checkpoints
from claw_files.services.tasks.lifecycle import TaskService
from claw_files.storage.workspace import Workspace
from claw_files.system.clock import awaited
from claw_files.system.randomness import token

POLL_SECONDS = 0.2
WAKE_SECONDS = 1.0  # between two tries to wake it
LAST_LINES = 5  # of what it said instead
TO_END = timedelta(seconds=10)  # time limit for a run that was asked to stop
TITLE = "Probe: show that you act when you are woken"
BODY = (
    "This is a probe, not real work. First report that it is in progress, then immediately that it is done, both in\n"
    "the way described below. Read and change nothing else."
)


class ProbeStep(Value, frozen=True):
    """One thing that happened, and how long after the message was sent."""

    after: timedelta
    what: str


class ProbeResult(Value, frozen=True):
    """The result of a probe."""

    agent: str
    acts: bool
    steps: tuple[ProbeStep, ...] = ()
    said: str = ""  # the last lines of its output, where it did not act
    exit: int | None = None
    advice: tuple[str, ...] = ()
    task: TaskId | None = None  # None: nothing was sent
    acknowledged: timedelta | None = None
    done: timedelta | None = None


class Prober:
    """Runs one probe at a time; `progress` gets each step as it happens."""

    def __init__(
        self,
        workspace: Workspace,
        runtime: ProcessRunner,
        snapshots: SnapshotLoader,
        evidence: EvidenceReader,
        heartbeat: Heartbeat,
        delegations: Delegations,
        tasks: TaskService,
        checkpoints: Checkpoints,
        runtime_of: Callable[[Agent], AgentRuntime],
    ) -> None:
        self._ws = workspace
        self._runtime = runtime
        self._snapshots, self._evidence = snapshots, evidence
        self._heartbeat = heartbeat
        self._delegations = delegations
        self._tasks = tasks
        self._checkpoints = checkpoints
        self._runtime_of = runtime_of
        self.progress: Callable[[ProbeStep], None] = lambda _: None
        self._me = workspace.settings.coordinator
        self._steps: list[ProbeStep] = []
        self._began = self._next_wake = 0.0

    def probe(self, name: str, patience: timedelta) -> ProbeResult:
        """Probe `name`, for at most `patience`. Raises NotFound, Refused for people."""
        agent = self._ws.settings.agent(name)
        if agent.kind is AgentKind.HUMAN:
            raise Refused("probe", f"{agent.name} is a person; only agents can be probed", "ask them")
        if not agent.traits.is_woken:
            return self._look_at_inbox(agent)
        self._close_old(agent)
        self._steps, self._began, self._next_wake = [], self._ws.clock.monotonic(), 0.0
        answer = self._runtime_of(agent).probe(agent, self._tell)
        if answer.problem:
            self._tell(answer.problem)
            return ProbeResult(agent=agent.name, acts=False, steps=tuple(self._steps), advice=answer.advice)
        task = self.send(agent, patience)
        found = None
        try:
            found = self._watch(agent, task, patience)
        finally:
            # An agent that acted ends by itself, and reports its usage only then.
            self._close(task, TO_END if found and found.acts else timedelta(0))
        why = f"{'acts' if found.acts else 'does not act'}: {self._steps[-1].what}"
        audit = Audit(JournalEvent.PROBE, task=task, agent=agent.name, model=agent.model, key=task.lower(), why=why)
        self._ws.note(replace(audit, reason=Reason.ACTS if found.acts else Reason.ACTS_NOT))
        return found

    # --- an agent that looks for itself

    def _look_at_inbox(self, agent: Agent) -> ProbeResult:
        """Check the inbox of an agent that clawfiles does not wake, without sending a probe."""
        unread = self._ws.messages_in(agent.name, Box.NEW)
        now, patience = self._ws.clock.now(), self._ws.settings.heartbeat.ack
        late = [message for message in unread if message.sent and now - message.sent > patience]
        lies = _unread(len(unread), len(late))
        what = f"clawfiles does not wake {agent.name}, so no probe was sent; {lies}"
        program = f"check that its program runs `clawfiles inbox --agent {agent.name}` regularly"
        advice = (
            f"{program}: messages wait in inbox/{agent.name}/new/",
            f"or let clawfiles wake it: `command = [...]` in [agents.{agent.name}]",
        )
        return ProbeResult(
            agent=agent.name, acts=not late, steps=(ProbeStep(after=timedelta(0), what=what),), advice=advice
        )

    # --- sending

    def send(self, agent: Agent, patience: timedelta) -> TaskId:
        now = self._ws.clock.now().replace(microsecond=0)
        task = Task(
            id=probes.probe_id(agent.name, int(token(4), 16)), title=TITLE, type=probes.TYPE, assignee=agent.name
        )
        task = replace(task, requested_by=self._me, attempts=1, created=now, updated=now)
        if agent.kind is AgentKind.WORKER:
            limit = max(patience, timedelta(seconds=1))
            task = replace(task, label=task.id.lower(), size=Size.S, timeout=limit, spawner=self._me)
        audit = Audit(JournalEvent.TASK_NEW, task=task.id, agent=agent.name, actor=self._me, why=TITLE)
        self._ws.create(task, audit, BODY)
        self._delegations.deliver(task.id, agent.name, self._me)
        self._tell(f"{task.id} was sent to {agent.name}")
        return task.id

    # --- watching

    def _watch(self, agent: Agent, task: TaskId, patience: timedelta) -> ProbeResult:
        limit = patience.total_seconds()
        run, seen = None, State.BACKLOG
        acknowledged: timedelta | None = None
        while True:
            run = run or self._wake(agent, task)
            look = self._look(agent, task)
            state = self._state(look)
            if run is not None and state not in (State.BACKLOG, seen):
                acknowledged = acknowledged or self._elapsed()
                self._tell(f"it says {state.replace('_', ' ')}")
                seen = state
            is_done = state in (State.DONE, State.REVIEW)
            is_over = look.run is not None and not look.run.alive and look.run.ended is not None
            if is_done or is_over or state in (State.FAILED, State.BLOCKED) or self._seconds() >= limit:
                break
            self._ws.clock.sleep(POLL_SECONDS)
        return self._found(agent, look, state, acknowledged)

    def _wake(self, agent: Agent, task: TaskId) -> Run | None:
        """The probe's run, once it exists; the tick may also wake other agents."""
        first = run_id(task_key(Task(id=task)), 1)
        run = self._runtime.look(first)
        if run is None and self._seconds() >= self._next_wake:
            self._next_wake = self._seconds() + WAKE_SECONDS
            self._heartbeat.wake()
            run = self._runtime.look(first)
        if run is not None:
            self._tell(f"run {run.id} was started")
        return run

    def _look(self, agent: Agent, task: TaskId) -> TaskEvidence:
        self._evidence.forget()
        return self._evidence.look(Entry(task=task, agent=agent.name))

    def _state(self, look: TaskEvidence) -> State:
        """The agent's state for the task: from the status file, its own file, or a worker's result."""
        if look.task is None:
            return State.BACKLOG
        if look.task.label:
            return look.result.status if look.result else State.BACKLOG
        state = self._ws.in_force(look.task).state
        return look.reports[-1].state if state is State.BACKLOG and look.reports else state

    def _found(self, agent: Agent, look: TaskEvidence, state: State, acknowledged: timedelta | None) -> ProbeResult:
        run, elapsed = look.run, self._elapsed()
        acts = state in (State.DONE, State.REVIEW)
        self._tell(probes.verdict(agent.name, run, state) if not acts else f"{agent.name} acts")
        return ProbeResult(
            agent=agent.name,
            acts=acts,
            steps=tuple(self._steps),
            said="" if acts else self._said(run),
            exit=run.exit if run else None,
            advice=() if acts else self._advice(agent, run, state),
            task=look.entry.task,
            acknowledged=acknowledged,
            done=elapsed if acts else None,
        )

    def _said(self, run: Run | None) -> str:
        """The last lines of the run's output, also of a live run."""
        if run is None:
            return ""
        if run.ended:
            return _last(run.tail)
        logs = (last_bytes(self._ws, run.id, log) for log in ("stdout.log", "stderr.log"))
        return _last(b"\n".join(filter(None, logs)).decode("utf-8", "replace"))

    def _advice(self, agent: Agent, run: Run | None, state: State) -> tuple[str, ...]:
        return probes.advice(agent.name, run, state) if run else (self._why_asleep(agent),)

    # --- why it was not woken

    def _why_asleep(self, agent: Agent) -> str:
        """Why the message still waits, by the rules of the dispatch queue."""
        snap, now = self._snapshots.around(()), self._ws.clock.now()
        if why := budgets.used_up(snap.settings, snap.spent, agent.name):
            return why
        mine = (wait for wait in dispatch_queue.plan_waits(snap, now) if wait.message.to == agent.name)
        held = next((wait for wait in mine if wait.held_by and probes.is_probe(wait.message.task)), None)
        if held is None:
            return "nothing woke it: `clawfiles heartbeat --json` says what a tick does now"
        return f"its message {dispatch_queue.sentence(held, self._ws.when)}: try again then, or with more --patience"

    # --- the end

    def _close(self, task: TaskId, leave: timedelta = timedelta(0)) -> None:
        """Stop the run, finish the message, close the task and archive it.

        Args:
            leave: how long its run may go on by itself.
        """
        self._wait_for_end(task, leave)
        for run in self._runtime.live():
            if run.task == task:
                self._runtime.stop(run.id)
        self._wait_for_end(task, TO_END)
        audit = Audit(JournalEvent.PROBE_OVER, task=task, actor=self._me, why="the probe is over")
        with suppress(ClawError):
            loaded = self._ws.load(task)
            if not self._ws.in_force(loaded.task).state.is_closed:
                self._tasks.cancel(task, self._me, "the probe is over")
            self._ws.put_away(task_key(loaded.task), self._me, audit.why)
            if loaded.task.label:
                self._checkpoints.set_aside(loaded.task.label, self._me)
        if entry := self._ws.entry(task):
            self._ws.replace_entry(entry, None, audit)
        with suppress(ClawError):
            month = f"{self._ws.clock.now().astimezone(self._ws.zone):%Y-%m}"
            self._ws.move(self._ws.load(task), f"status/archive/{month}", audit)
            self._ws.claims.forget(task)

    def _wait_for_end(self, task: TaskId, patience: timedelta) -> None:
        """Wait until all runs have ended, because they could write the status file again."""
        runs = self._runtime.live
        awaited(self._ws.clock, lambda: all(run.task != task for run in runs()), patience.total_seconds())

    def _close_old(self, agent: Agent) -> None:
        """Close the tasks of killed probes."""
        mine = probes.stem(agent.name)
        for folder, name in list(self._ws.task_ids()):
            task = TaskId(name.removesuffix(".md").upper())
            if folder == "status" and name.lower().startswith(mine) and probes.is_probe(task):
                self._close(task)

    def _tell(self, what: str) -> None:
        step = ProbeStep(after=self._elapsed(), what=what)
        self._steps.append(step)
        self.progress(step)

    def _elapsed(self) -> timedelta:
        return timedelta(seconds=round(self._seconds(), 1))

    def _seconds(self) -> float:
        return self._ws.clock.monotonic() - self._began


def _unread(unread: int, late: int) -> str:
    if not unread:
        return "its inbox is empty"
    return f"{unread} unread in its inbox, {late} of them for longer than an acknowledgement may take"


def _last(text: str) -> str:
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    return words.safe("\n".join(lines[-LAST_LINES:]), limit=2000, lines=True)
