"""The dry run of a tick: its actions now, and the next actions by the clock alone.

`foresee` follows the steps of a tick as far as their effect is plain from what was read: a date or check time in the
ledger, a recorded move by hand, a carried report, a notice. After any other step the tick reads again.
"""

from datetime import datetime

from msgspec.structs import replace

from claw_files.core.event import EventQueue
from claw_files.core.model import Box, Report, TaskId, Value, Verb
from claw_files.policy import manual_edits
from claw_files.policy.heartbeat_plan import next_due, plan_tick
from claw_files.policy.line_planner import first_lines, plan_line
from claw_files.policy.rule_context import case_of
from claw_files.policy.snapshot import TELLS, Act, Action, NotedMarks, Snapshot, TaskEvidence, ToldMark

ROUNDS = 6  # planning an entry anew after acting on it: fail, retry, deliver are three
STEPS = 200  # instants that are looked at for what comes next
_TELLS = (Act.CONFLICT, *TELLS)
TIMES = (Act.DATE, Act.EXTEND, Act.WAIT_UNTIL)


class NextAction(Value, frozen=True):
    """The next action of a tick, if nothing changes before."""

    at: datetime
    actions: tuple[Action, ...]


class Simulation(Value, frozen=True):
    """The actions from one instant to another."""

    start: datetime
    until: datetime  # as far as it was followed
    ticks: tuple[NextAction, ...]
    problems: tuple[str, ...] = ()
    cut: str = ""  # why it was not followed further


def foresee(snap: Snapshot, now: datetime, only: TaskId | None = None) -> tuple[Action, ...]:
    """The actions of a tick now, in order; with `only`, those about that task."""
    done, looks, told = list[Action](), list[TaskEvidence](), NotedMarks(snap.told)
    first = set(map(id, first_lines(snap)))
    for look in snap.looks:
        if id(look) in first and only in (None, look.entry.task):
            steps, look = _followed(look, replace(snap, told=told), now)
            done += steps
            told.found |= {f"{it.agent}/{it.key}": ToldMark(box=Box.NEW, sent=now) for it in steps if it.act in _TELLS}
        looks.append(look)
    after = replace(snap, looks=tuple(looks), told=told)
    done += [action for action in plan_tick(after, now) if not action.is_of_line]
    return tuple(done) if only is None else tuple(it for it in done if _concerns(it, only, snap))


def _concerns(action: Action, task: TaskId, snap: Snapshot) -> bool:
    """Whether the action is about the task, a brief or a group's report that tells of it included."""
    if action.task == task:
        return True
    if action.act is Act.BRIEF and action.agent:
        ids = action.details["ids"]
        return any(message.id in ids and message.task == task for message in snap.held.get(action.agent, ()))
    return task in action.details.get("tasks", {}).values()


def _followed(look: TaskEvidence, snap: Snapshot, now: datetime) -> tuple[list[Action], TaskEvidence]:
    """The steps for one line, and its look behind them; after a step whose effect is not plain there is none more."""
    done = list[Action]()
    for _ in range(ROUNDS):
        fresh = [step for step in plan_line(look, snap, now) if not any(is_same(step, other) for other in done)]
        done += fresh
        for step in fresh:
            after = _carried_out(step, look, snap, now)
            if after is None:
                return done, look
            look = after
        if not fresh:
            break
    return done, look


def is_same(one: Action, other: Action) -> bool:
    """Whether both are the same decision."""
    return (one.act, one.task, one.key, one.agent) == (other.act, other.task, other.key, other.agent)


def _carried_out(step: Action, look: TaskEvidence, snap: Snapshot, now: datetime) -> TaskEvidence | None:
    """The look after the step; None where only a new look at the workspace can tell."""
    if step.act in _TELLS:
        return look
    if step.act in TIMES:
        verb = Verb.WAIT if step.act is Act.WAIT_UNTIL else Verb.CHECK
        agent = look.entry.agent or step.agent
        return replace(look, entry=replace(look.entry, at=step.at, verb=verb, dated=True, agent=agent))
    if look.task is None or step.act not in (Act.RECORD, Act.CARRY):
        return None
    case, lasting = case_of(look, snap, now), snap.settings.heartbeat.lease
    generation = (look.message.generation or 0) if look.message else 0
    if step.act is Act.RECORD:
        task = replace(case.task, assignee=look.task.assignee or step.agent)
        standing = manual_edits.ManualEdit(state=case.task.state, moved=True)
        return replace(look, task=manual_edits.record(task, standing, generation, now, lasting))
    report: Report = step.details["report"]
    known = snap.settings.agents.get(report.author)
    task = manual_edits.carry(case.task, report, known, generation, now, lasting, bool(case.reviewer))
    return replace(look, task=replace(task, recorded=task.state))


def what_next(snap: Snapshot, now: datetime, task: TaskId) -> NextAction | None:
    """The next action for a task without an action now; None: nothing by the clock alone."""
    mine = next((look for look in snap.looks if look.entry.task == task), None)
    near = tuple(look for look in snap.looks if mine and _is_near(look, mine))
    # Due times of schedules, and events, concern other tasks; there may be one each minute.
    around = replace(snap, looks=near, settings=replace(snap.settings, schedules={}), events=EventQueue())
    at = next_due(around, now)
    for _ in range(STEPS):
        if at is None:
            break
        if actions := foresee(around, at, task):
            return NextAction(at=at, actions=actions)
        at = next_due(around, at)
    return None


def _is_near(look: TaskEvidence, mine: TaskEvidence) -> bool:
    """Whether the plan for a line asks about the other: of the same task, agent or group."""
    if look.entry.task == mine.entry.task:
        return True
    if look.task is None or mine.task is None:
        return False
    agent = mine.task.assignee or mine.entry.agent
    return look.task.assignee == agent or (mine.task.group is not None and look.task.group == mine.task.group)
