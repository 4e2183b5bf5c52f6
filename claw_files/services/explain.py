"""Why a task stands where it stands, and what happens next: one screen, from the same rules that the tick uses."""

from datetime import datetime

from claw_files.errors import ClawError, NotFound
from claw_files.model import AgentId, AgentKind, Box, Entry, Liveness, Message, Run, State, Task, TaskId, Value
from claw_files.rules import budgets, lanes, resilience, successors, visibility
from claw_files.rules.case import case_of
from claw_files.rules.liveness import liveness
from claw_files.rules.snapshot import Action, Before, Look, Snapshot
from claw_files.rules.tick import plan_line
from claw_files.services.looking import Looking
from claw_files.workspace import Workspace


class Explanation(Value, frozen=True):
    """All that one screen shows about a task. Instants are aware, UTC."""

    task: Task  # in the state that is in force
    conflict: str | None = None  # a word in the file that does not count, and why
    liveness: Liveness | None = None
    waits_for: tuple[Before, ...] = ()  # tasks that must be done first
    not_ready: str | None = None  # why nobody may claim it now
    entry: Entry | None = None
    message: Message | None = None
    box: Box | None = None
    run: Run | None = None
    wait: lanes.Wait | None = None  # of its message, where its agent is woken by us and has not been yet
    waits: str = ""  # the same in a sentence
    now: tuple[Action, ...] = ()  # what a tick would do at this moment
    next_at: datetime | None = None  # when a rule looks at it next, if nothing changes before
    next_rule: str = ""
    breaker: str = "closed"  # of the agent that has it
    reviewer: str | None = None
    budget: str | None = None  # why the agent that has it gets no new work this month
    brief: tuple[str, ...] = ()  # what people will be told about it when their quiet hours end


class Explaining:
    """Reads; never writes."""

    def __init__(self, workspace: Workspace, looking: Looking, hidden: frozenset[AgentId] = frozenset()) -> None:
        self._ws = workspace
        self._hidden = hidden  # agents in whose compartment nobody may look
        self._looking = looking

    def explain(self, task_id: TaskId) -> Explanation:
        """What is known about the task. Raises NotFound, InvalidFile, CannotRead."""
        self._ws.only_looks = True
        loaded = self._ws.load(task_id)  # for its errors, too: a look tells of them in another way
        entry = self._ws.entry(task_id)
        if visibility.hides(self._hidden, loaded.task) or (entry and entry.agent in self._hidden):
            raise NotFound("task", task_id, "`clawfiles task list` shows what there is")
        look = self._looking.look(entry or Entry(task=task_id))
        snap = self._looking.around((look,), shared=False)
        now = self._ws.clock.now()
        case = case_of(look, snap, now)
        look = case.look
        blockers = self._looking.blockers(case.task)
        planned = plan_line(look, snap, now) if entry else ()
        wait = self._wait(look)
        next_at, rule = _next(look, snap, case.task, now) if entry else (None, "no ledger line: nobody looks at it")
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
            waits=lanes.sentence(wait, now) if wait else "",
            now=planned,
            next_at=next_at,
            next_rule=planned[0].why if planned else rule,
            breaker=self._breaker(snap, case.task, now),
            reviewer=case.reviewer,
            budget=budgets.used_up(self._ws.settings, snap.spent, case.agent),
            brief=self._brief(task_id),
        )

    def _wait(self, look: Look) -> lanes.Wait | None:
        if look.message is None or look.box is not Box.NEW:
            return None
        return next((wait for wait in self._looking.waits() if wait.message.id == look.message.id), None)

    def _breaker(self, snap: Snapshot, task: Task, now: datetime) -> str:
        if task.assignee is None:
            return "closed"
        limits = self._ws.settings.limits
        outcomes = self._looking.outcomes().get(task.assignee, ())
        return str(resilience.breaker(outcomes, limits.breaker, limits.breaker_pause, now).state)

    def _brief(self, task: TaskId) -> tuple[str, ...]:
        people = [agent.name for agent in self._ws.settings.agents.values() if agent.kind is AgentKind.HUMAN]
        held: list[str] = []
        for person in people:
            try:
                held += [f"{person}: {m.body}" for m in self._ws.messages_in(person, Box.NEW) if m.task == task]
            except ClawError:
                continue
        return tuple(held)


def _not_ready(task: Task, blockers: tuple[Before, ...], now: datetime) -> str | None:
    if task.state is not State.BACKLOG:
        return f"it is {task.state}"
    if blockers:
        return f"it comes after {successors.listed(blockers)}"
    if task.not_before and now < task.not_before:
        return "its backoff is not over"
    return f"it is delegated to {task.assignee}" if task.assignee else None


def _next(look: Look, snap: Snapshot, task: Task, now: datetime) -> tuple[datetime | None, str]:
    """The next moment at which time alone makes a rule fire, and which one."""
    heartbeat, asker = snap.settings.heartbeat, look.asker
    if asker and asker.waits and task.state.is_closed:
        return None, f"{asker.agent}, which asked for it, is between two attempts: it is told at the next"
    why = budgets.used_up(snap.settings, snap.spent, task.assignee) if task.state is State.BACKLOG else None
    if why:
        return None, f"{why}; it waits for another month or a raised budget"
    if look.before and task.state is State.BACKLOG:
        return None, f"it waits for {successors.listed(look.before)}"
    if task.state is State.BACKLOG and look.message:
        due = look.message.ack_by
        return due, "acknowledgement overdue: send again, or to the next agent"
    if task.state is State.FAILED:
        pause = resilience.retry_pause(heartbeat.backoff, task)
        return (task.updated + pause if task.updated else now), "the backoff is over: next attempt"
    if task.state is State.REVIEW:
        return None, "waits for its reviewer"
    if task.state is State.BLOCKED:
        return look.entry.at, "blocked: waits for an answer, or for somebody to unblock it"
    if look.run and look.run.alive and look.run.started and look.run.timeout:
        return look.run.started + look.run.timeout, "the run's time limit"
    return look.entry.at, "the check time of its ledger line"
