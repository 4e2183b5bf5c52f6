"""Explains a task's state and what happens next, by the rules of the tick."""

from datetime import datetime

from msgspec.structs import replace

from claw_files.core.errors import ClawError, InvalidFile, NotFound
from claw_files.core.model import AgentKind, Box, Entry, Liveness, Message, Run, State, Task, TaskId, Value
from claw_files.policy import budgets, dispatch_queue, quiet_hours
from claw_files.policy.acknowledgement import Trace, traces
from claw_files.policy.dispatch_queue import plan_waits
from claw_files.policy.forecast import foresee, what_next
from claw_files.policy.line_planner import plan_line
from claw_files.policy.liveness import liveness
from claw_files.policy.rule_context import breaker_of, case_of
from claw_files.policy.snapshot import Action, Predecessor, standing_of
from claw_files.services.evidence.task_evidence import EvidenceReader
from claw_files.services.heartbeat.snapshot_loader import SnapshotLoader
from claw_files.services.workflows.catalog import step_to_come
from claw_files.storage.workspace import Workspace


class Explanation(Value, frozen=True):
    """All facts about a task for one screen. Instants are aware, UTC."""

    task: Task  # in the state that is in force
    conflict: str | None = None  # a word in the file that does not count, and why
    liveness: Liveness | None = None
    waits_for: tuple[Predecessor, ...] = ()  # tasks that must be done first
    not_ready: str | None = None  # why it cannot be claimed now
    entry: Entry | None = None
    message: Message | None = None
    box: Box | None = None
    run: Run | None = None
    wait: dispatch_queue.QueuedMessage | None = (
        None  # of its message, where its agent is woken by us and has not been yet
    )
    traces: tuple[Trace, ...] = ()  # traces of this attempt, newest first
    now: tuple[Action, ...] = ()  # the actions of a tick now
    waiting: str = ""  # why it would do nothing
    next_at: datetime | None = None  # when it does something next, if nothing changes before; never a past time
    coming: tuple[Action, ...] = ()  # what that is
    next_rule: str = ""  # the same in words; of `now`, where there is something to do now
    breaker: str = "closed"  # of the agent that has it
    breaker_until: datetime | None = None  # when an open one becomes half-open
    told_at: datetime | None = None  # when the quiet hours end that hold `brief` back
    reviewer: str | None = None
    budget: str | None = None  # why the agent that has it gets no new work this month
    brief: tuple[str, ...] = ()  # announcements that quiet hours hold back


class Explainer:
    """Reads; never writes."""

    def __init__(self, workspace: Workspace, snapshots: SnapshotLoader, evidence: EvidenceReader) -> None:
        self._ws = workspace
        self._snapshots, self._evidence = snapshots, evidence

    def explain(self, task_id: TaskId) -> Explanation:
        """The facts about the task. Raises NotFound, InvalidFile, CannotRead."""
        entry = self._ws.entry(task_id)
        try:
            self._ws.load(task_id)  # for its errors, which evidence reports in another way
        except NotFound:
            if entry and (gone := self._evidence.look(entry)).gone:
                raise InvalidFile(gone.path, "gone", "it is missing; put it back, or remove its ledger line") from None
            if found := step_to_come(self._ws, task_id):
                return Explanation(task=found[0], not_ready=found[1], next_rule=found[1])
            raise
        snap = replace(self._snapshots.snapshot(self._ws.entries()), outcomes=self._snapshots.outcomes())
        now = self._ws.clock.now()
        look = next((it for it in snap.looks if it.entry.task == task_id), None) if entry else None
        look = look or self._evidence.look(Entry(task=task_id))
        case = case_of(look, snap, now)
        look = case.look
        blockers = self._evidence.blockers(case.task)
        planned = foresee(snap, now, task_id)
        wait = next((it for it in plan_waits(snap, now) if look.message and it.message.id == look.message.id), None)
        coming = None if planned else what_next(snap, now, task_id)
        breaker = breaker_of(snap, case.task.assignee, now)
        held, until = self._brief(task_id, now)
        return Explanation(
            task=case.task,
            conflict=case.standing.conflict,
            liveness=liveness(look, snap, now) if case.task.state is State.IN_PROGRESS else None,
            waits_for=blockers,
            not_ready=_not_ready(case.task, blockers, now),
            entry=entry,
            message=look.message,
            box=look.box,
            run=look.run,
            wait=wait,
            traces=traces(look, case.agent, case.is_woken) if look.message or look.read else (),
            now=planned,
            waiting=getattr(plan_line(look, snap, now), "why", "") if entry and not planned else "",
            next_at=coming.at if coming else None,
            coming=coming.actions if coming else (),
            next_rule=_told(planned or (coming.actions if coming else ()), case.task, entry),
            breaker=breaker.state,
            breaker_until=breaker.until,
            reviewer=case.reviewer,
            budget=budgets.used_up(self._ws.settings, snap.spent, case.agent),
            brief=held,
            told_at=until,
        )

    def _brief(self, task: TaskId, now: datetime) -> tuple[tuple[str, ...], datetime | None]:
        """The announcements about the task that quiet hours hold back, and the end of the quiet hours."""
        settings, held, ends = self._ws.settings, list[str](), list[datetime]()
        for person in (agent.name for agent in settings.agents.values() if agent.kind is AgentKind.HUMAN):
            try:
                about = [m for m in self._ws.messages_in(person, Box.NEW) if m.task == task]
            except ClawError:
                continue
            held += [f"{person}: {message.body}" for message in about]
            end = quiet_hours.held_until(settings, person, now) if about else None
            ends += [end] if end else []
        return tuple(held), min(ends, default=None)


def _told(actions: tuple[Action, ...], task: Task, entry: Entry | None) -> str:
    if actions:
        return "; ".join(f"{action.act} {action.agent or ''}".rstrip() + f": {action.why}" for action in actions)
    if entry:
        return "nothing until something changes"
    return f"nothing: it is {task.state}" if task.state.is_closed else "no ledger line, so no heartbeat checks it"


def _not_ready(task: Task, blockers: tuple[Predecessor, ...], now: datetime) -> str | None:
    if task.state is not State.BACKLOG:
        return f"it is {task.state.replace('_', ' ')}"
    if blockers:
        return f"it depends on {standing_of(blockers)}"
    if task.not_before and now < task.not_before:
        return "its retry delay is not over"
    return f"it is delegated to {task.assignee}" if task.assignee else None
