"""One tick: read, decide, act. Cron, the daemon and `--wait` all use it.

`plan_tick` decides everything. Each entry is planned once more under its task's lock before it is acted on, because
commands and agents go on working meanwhile. No lock is held while a process runs or an agent answers.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from msgspec.structs import replace

from claw_files.core.errors import Busy, ClawError
from claw_files.core.journal_events import JournalEvent
from claw_files.core.model import AgentId, Audit, Run, TaskId, Value
from claw_files.policy.dispatch_queue import plan_wakes
from claw_files.policy.forecast import ROUNDS, foresee, is_same
from claw_files.policy.heartbeat_plan import plan_tick
from claw_files.policy.line_planner import plan_line
from claw_files.policy.snapshot import Act, Action, Snapshot, TaskEvidence
from claw_files.processes import LOST
from claw_files.processes.process_runner import ProcessRunner
from claw_files.services.accounting.unbilled_runs import is_due, marks
from claw_files.services.admin.unwritable_files import PRIVATE, sentence, unwritable
from claw_files.services.evidence import schedule_events
from claw_files.services.evidence.task_evidence import EvidenceReader
from claw_files.services.evidence.unreadable_files import emptied
from claw_files.services.heartbeat.schedule_runner import Schedules
from claw_files.services.heartbeat.snapshot_loader import SnapshotLoader
from claw_files.storage.workspace import Workspace

if TYPE_CHECKING:
    from claw_files.services.accounting.usage_recorder import UsageRecorder
    from claw_files.services.admin.month_mover import MonthMover
    from claw_files.services.compartments.compartments import MovingIn
    from claw_files.services.heartbeat.action_executor import ActionExecutor
    from claw_files.services.people.approvals import Choices

AT_ONCE = timedelta(0)
ENDS = (Act.CLOSE, Act.UNWATCH, Act.TURN, Act.FAIL, Act.AGAIN, Act.DEAD_LETTER)  # an attempt, or the look at it
PATIENCE = timedelta(seconds=5)
EVENTS = (Act.EVENT_ACCEPT, Act.EVENT_START)
STARTS = (Act.WAKE, Act.VERIFY, Act.EVENT_START, Act.POLL)
Done = TypeVar("Done")


class TickResult(Value, frozen=True):
    """The result of one tick."""

    at: datetime
    coordinator: AgentId
    epoch: str | None
    actions: tuple[Action, ...] = ()
    entries: int = 0
    woken: tuple[AgentId, ...] = ()
    busy: str | None = None  # another tick was running; it named itself
    hidden: bool = False  # whether there was something to do in a compartment
    problems: tuple[str, ...] = ()  # what could not be done now, and is tried again at the next tick
    faults: tuple[str, ...] = ()  # folders that could not be looked into; all that was decided was done without them
    unclear: int = 0  # tasks and lines with words that were not understood; counted in a dry run


class Heartbeat:
    """The tick as a service."""

    def __init__(
        self,
        workspace: Workspace,
        runtime: ProcessRunner,
        evidence: EvidenceReader,
        snapshots: SnapshotLoader,
        make_acting: "Callable[[], ActionExecutor]",
        schedules: Schedules,
        afterwards: Callable[[], str | None] | None = None,
        moving: "MovingIn | None" = None,
        inner: "Callable[[], Sequence[Heartbeat]]" = tuple,
        choices: "Choices | None" = None,
    ) -> None:
        """One workspace, followed by its compartments.

        Args:
            afterwards: what follows a tick without its lock; it answers with what went wrong.
            moving: moves in what lies outside of a compartment and belongs in it.
            inner: the heartbeats of the compartments.
            choices: what people decide by ticking a box.
        """
        self._ws, self._choices, self._afterwards = workspace, choices, afterwards
        self._moving = moving
        self._inner = inner
        self._runtime = runtime
        self._evidence, self._snapshots = evidence, snapshots
        self._make_acting = make_acting
        self._schedules = schedules
        self._problems: list[str] = []
        self.starts = True  # False while a daemon is draining: no tick of it starts a run
        self.seen: Snapshot | None = None  # what the last tick saw, for whoever asks what comes next

    def _followers(self) -> "list[Heartbeat]":
        """The heartbeats of the compartments, with the same options."""
        found = list(self._inner())
        for one in found:
            one.starts, one._ws.epoch = self.starts, self._ws.epoch
        return found

    def take_seen(self) -> "list[Snapshot]":
        """The snapshots of the last tick, this place first, then the compartments; empty the second time."""
        beats = [self, *self._inner()]
        found = [beat.seen for beat in beats if beat.seen is not None]
        for beat in beats:
            beat.seen = None
        return found

    @property
    def name(self) -> str:
        """The path of its workspace from the folder of the configuration; "." for the workspace itself."""
        return os.path.relpath(self._ws.root, self._ws.base)

    @cached_property
    def _acting(self) -> "ActionExecutor":
        """Created on demand: most ticks find nothing, and cron starts one every minute."""
        return self._make_acting()

    def tick(self) -> TickResult:
        """Decide and act once, here and in the compartments. A second tick at the same time answers with `busy`."""
        return self._guarded(lambda: self._and_inside(self._act(None), Heartbeat.tick))

    def tick_after_message(self) -> TickResult:
        """As `tick`, if a new message is the only change: its agent is woken before the ledger is evaluated."""
        return self._guarded(lambda: self._and_inside(self._act(None, self._wake_at_once), Heartbeat.tick))

    def tick_task(self, task: TaskId) -> TickResult:
        """Decide and act for one task's line alone, and wake waiting agents."""
        return self._guarded(lambda: self._act(task))

    def preview(self) -> TickResult:
        """The actions of `tick`, without any write, not even crash recovery."""
        return self._guarded(lambda: self._and_inside(self._foresee(), Heartbeat.preview))

    def _guarded(self, walk: Callable[[], TickResult]) -> TickResult:
        """The result of `walk`; empty if no lock can be taken, because the live runs are unknown then."""
        self._evidence.problems.clear()
        self._ws.cause = None  # in whose run it ticks is chance
        closed = unwritable(self._ws.root, self._ws.settings.agents, self._ws.clock.now())
        ticked = self._ticked((), 0) if PRIVATE in closed else walk()
        if closed:
            ticked = replace(ticked, problems=(*ticked.problems, sentence(closed, self._ws.root)))
        return ticked

    def _and_inside(self, ticked: TickResult, walk: "Callable[[Heartbeat], TickResult]") -> TickResult:
        """`ticked` with the results of the compartments, without their tasks."""
        inside = [(one, walk(one)) for one in self._followers()]
        hidden = any(it.actions or it.hidden for _, it in inside)
        problems = [_hidden_problem(one, it) for one, it in inside if it.problems]
        faults = [_hidden_problem(one, it) for one, it in inside if it.faults and not it.problems]
        more = {"problems": (*ticked.problems, *problems), "faults": (*ticked.faults, *faults)}
        return replace(ticked, hidden=hidden, **more) if inside else ticked

    def _foresee(self) -> TickResult:
        snap = self._see(None)
        if why := emptied(self._ws, snap.looks):
            return self._ticked((), len(snap.looks), why)
        planned = tuple(filter(self._may, foresee(snap, self._ws.clock.now())))
        unclear = sum(bool(look.entry.unclear or (look.task and look.task.unclear)) for look in snap.looks)
        return replace(self._ticked(planned, len(snap.looks)), woken=(), unclear=unclear)

    def _act(self, only: TaskId | None, first: Callable[[], Iterable[Action]] = tuple) -> TickResult:
        self._problems = []
        ticked = self._locked(only, tuple(first()))
        wrong = self._afterwards() if self._afterwards else None
        return replace(ticked, problems=(*ticked.problems, wrong)) if wrong else ticked

    def _locked(self, only: TaskId | None, woken: tuple[Action, ...]) -> TickResult:
        # Planned once without the lock: most ticks find nothing, and need not wait for a tick that works.
        snap, planned = self._plan(only)
        why = emptied(self._ws, snap.looks)
        if why or not (planned or self._problems or self._is_left_over()):
            return self._ticked(woken, len(snap.looks), why)
        try:
            with self._ws.ticking.hold("tick", AT_ONCE, "clawfiles heartbeat"):
                return self._tick(only, woken)
        # Another tick does the work: its answer counts for both. A busy lock of a task is a problem, and is raised.
        except Busy as busy:
            if busy.what != "tick":
                raise
            return replace(self._ticked(woken, 0), busy=busy.holder or "another process")

    def _tick(self, only: TaskId | None, woken: tuple[Action, ...]) -> TickResult:
        """One tick under its lock, step by step."""
        # Before the plan is made: a half-done write or a lost run would be taken for the truth.
        self.recover()
        self._note_usage()
        done = [*woken, *self._take_choices()]
        snap, planned = self._plan(only)
        if why := emptied(self._ws, snap.looks):
            return self._ticked(tuple(done), len(snap.looks), why)
        self._act_around_lines(self._act_on_lines(snap, planned, only, done), only, done)
        self._safely("events", self._schedules.handle)
        # Last: agents start with everything in place that this tick decided.
        done += self._wake()
        if only is None:
            self._tidy()
        return self._ticked(tuple(done), len(snap.looks), *dict.fromkeys(self._problems))

    def _take_choices(self) -> list[Action]:
        """Carry out ticked choices. First, because the effects of an approval belong to this tick."""
        return (self._safely("choices", self._choices.take) or []) if self._choices else []

    def _act_on_lines(
        self, snap: Snapshot, planned: tuple[Action, ...], only: TaskId | None, done: list[Action]
    ) -> tuple[Action, ...]:
        """Act on each line that has something to do, then on lines that waited for those; what is planned after that.

        The plan is made again once something was done: groups, people and waiting lines hear of that in this tick.
        """
        left, waited = list(_tasks(planned)), {look.entry.task for look in snap.looks if look.before}
        while left:
            for task in left:
                self._safely(f"{task}", self._act_on, task, done)
            waited.difference_update(left)
            if done:
                _, planned = self._plan(only)
            left = [task for task in _tasks(planned) if task in waited]
        return planned

    def _act_around_lines(self, planned: Sequence[Action], only: TaskId | None, done: list[Action]) -> None:
        """Carry out what the other planners decided, apart from wakes. What arrived in events/ is accepted first."""
        for act in EVENTS:  # each is followed by a new plan: a run that an event begins has its first step in this tick
            found = [it for it in planned if it.act is act]
            self._carry_out(found, done)
            planned = self._plan(only)[1] if found else planned
        self._carry_out((it for it in planned if not it.is_of_line and it.act not in (Act.WAKE, *EVENTS)), done)

    def _carry_out(self, actions: Iterable[Action], done: list[Action]) -> None:
        for action in actions:
            if self._safely(f"{action.act} {action.key}", self._acting.act, action, None):
                done.append(action)

    def _tidy(self) -> None:
        if self._tidying.is_due():
            busy = [run.id for run in self._runtime.live()] + (marks(self._ws).names() or [])
            self._safely("tidying", self._tidying.tidy, busy)

    def _plan(self, only: TaskId | None) -> tuple[Snapshot, tuple[Action, ...]]:
        snap = self._see(only)
        return snap, tuple(filter(self._may, plan_tick(snap, self._ws.clock.now())))

    def _see(self, only: TaskId | None) -> Snapshot:
        self.seen = self._snapshots.snapshot([entry for entry in self._ws.entries() if only in (None, entry.task)])
        return self.seen

    def _ticked(self, actions: tuple[Action, ...], entries: int, *problems: str | None) -> TickResult:
        return TickResult(
            at=self._ws.clock.now(),
            coordinator=self._ws.settings.coordinator,
            epoch=self._ws.epoch,
            actions=actions,
            entries=entries,
            woken=tuple(dict.fromkeys(a.agent for a in actions if a.act is Act.WAKE and a.agent)),
            problems=tuple(filter(None, problems)),
            faults=tuple(self._evidence.problems.values()),
        )

    def _is_left_over(self) -> bool:
        """Whether something was left half done, by a crash or between two ticks."""
        parts: tuple[MonthMover | MovingIn | Choices | None, ...] = (self._tidying, self._moving, self._choices)
        if any(part.is_due() for part in parts if part):
            return True
        if self._ws.files.has_leftovers():
            return True
        live = self._runtime.live()
        if any(run.reason == LOST or not run.alive for run in live) or is_due(self._ws, live):
            return True
        return bool(self._snapshots.begun()) or schedule_events.has_begun(self._ws)

    def recover(self) -> None:
        """Complete writes after a crash, and end runs without a supervisor."""
        self._safely("recover", self._ws.files.recover)
        self._safely("adopt", self._ws.files.adopt)
        self._safely("pending", self._ws.locks.drop_notes)
        for run in self._runtime.live():
            if run.reason == LOST or not run.alive:
                self._safely(f"run {run.id}", self._end_lost, run)
        for move in self._moving.moves() if self._moving else ():
            self._safely("compartments", move)

    def _end_lost(self, run: Run) -> None:
        if self._runtime.end_lost(run.id):
            self._ws.note(Audit(JournalEvent.RUN_LOST, task=run.task, agent=run.agent, key=run.id, why="no supervisor"))

    def _safely(self, what: str, step: Callable[..., Done], *args: object) -> Done | None:
        """One bad file or busy lock must not keep the rest from being served; the next tick tries again."""
        try:
            return step(*args)
        except (ClawError, OSError) as wrong:
            self._problems.append(f"{what}: {wrong}")
            return None

    def _act_on(self, task: TaskId, done: list[Action]) -> None:
        """Plan the entry again under its task's lock and act, until nothing is left to do for now."""
        with self._ws.locks.hold(task.lower(), PATIENCE, f"heartbeat: {task}"):
            # One action may make the next one right: record, then verify, then close. The bound ends a loop of rules.
            for _ in range(ROUNDS):
                look, steps = self._plan_again(task)
                fresh = [step for step in steps if not any(is_same(step, earlier) for earlier in done)]
                if any(step.act in ENDS for step in fresh):  # before: without its line nobody looks again
                    self._safely(f"usage of {task}", self._usages.note_task, look)
                acted = [step for step in fresh if self._may(step) and self._acting.act(step, look)]
                done += acted
                if not acted:
                    return

    def _may(self, step: Action) -> bool:
        return self.starts or step.act not in STARTS

    def _plan_again(self, task: TaskId) -> tuple[TaskEvidence | None, tuple[Action, ...]]:
        entry = self._ws.entry(task)
        if entry is None:
            return None, ()
        # The list of runs is read again: a run may have ended while the lock was waited for.
        self._evidence.forget()
        look = self._evidence.look(entry)
        # The other lines as the tick saw them: whether its agent is at something else is asked of them.
        looks = [it if it.entry.task != task else look for it in (self.seen.looks if self.seen else ())]
        snap = replace(self._snapshots.around((look,), shared=False), looks=tuple(looks) or (look,))
        return look, plan_line(look, snap, self._ws.clock.now())

    @property
    def _tidying(self) -> "MonthMover":
        from claw_files.services.admin.month_mover import MonthMover

        return MonthMover(self._ws)

    @cached_property
    def _usages(self) -> "UsageRecorder":
        from claw_files.services.accounting.usage_recorder import UsageRecorder

        return UsageRecorder(self._ws, self._runtime)

    def _note_usage(self) -> None:
        """Before the plan, because a workflow's run reads the cost of its steps when it counts them."""
        self._safely("usage", self._usages.note_ended)
        for look in self.seen.looks if self.seen else ():
            if look.task and look.task.flow and look.task.state.is_closed:
                self._safely(f"usage of {look.task.id}", self._usages.note_task, look)

    # --- waking

    def wake(self) -> tuple[AgentId, ...]:
        """Wake agents with waiting messages, unless a tick is running: for commands that have just sent one.

        In compartments, too; who was woken there is not in the answer.
        """
        woken = tuple(action.agent for action in self._wake_at_once() if action.agent)
        for one in self._followers():
            one.wake()
        return woken

    def _wake_at_once(self) -> list[Action]:
        self._ws.cause = None
        try:
            with self._ws.ticking.hold("tick", AT_ONCE, "clawfiles send"):
                return self._wake()
        except Busy:
            return []

    def _wake(self) -> list[Action]:
        self._evidence.forget()
        self._safely("usage", self._usages.note_ended)
        for message in self._snapshots.begun():
            self._safely(f"message {message.id}", self._acting.launcher.read, message)
        if not self.starts:
            return []
        snap: Snapshot = self._snapshots.around(())
        planned = plan_wakes(snap, self._ws.clock.now())
        messages = {(message.to, str(message.key)): message for message in snap.waiting}
        return [
            action
            for action in planned
            if action.agent
            and self._safely(f"wake {action.agent}", self._acting.launcher.wake, messages[action.agent, action.key])
        ]


def _hidden_problem(one: Heartbeat, ticked: TickResult) -> str:
    home, count = one.name.rpartition("/")[2], len(ticked.problems) + len(ticked.faults)
    return f"{one.name}: {count} problems; `clawfiles heartbeat --agent {home}` names them"


def _tasks(planned: Sequence[Action]) -> Iterable[TaskId]:
    """The tasks whose lines have something to be done, each once, in order."""
    return dict.fromkeys(action.task for action in planned if action.task and action.is_of_line)
