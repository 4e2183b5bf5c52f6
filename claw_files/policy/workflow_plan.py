"""What a run of a workflow does next. Pure: the same record, tasks and time give the same answer.

A tick takes three steps, each of which may be cut off and done again: `advance` says what the record becomes, the
record is written, and `wanted` says which tasks there have to be, or no longer. So a step is never begun twice: its
task's id follows from the run, the step, the pass and the item, and making a task that is there makes nothing.
"""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Final

from msgspec.structs import replace

from claw_files.core.model import AgentId, State, TaskId, Value
from claw_files.core.workflow import (
    DONE,
    ENDED,
    FAILED,
    HAND_ON,
    SKIPPED,
    Condition,
    OnFailure,
    Pass,
    RunRecord,
    Step,
    StepState,
    Workflow,
)
from claw_files.policy.workflow_checks import before

MOST_IN_A_ROW: Final = 10  # items of a map that fail before the rest is given up
ASK_WORDS: Final = ("again", "go on", "stop")
GO_ON: Final = "go on"


class StepTask(Value, frozen=True):
    """The task of a step or an item as the kernel has it."""

    id: TaskId
    state: State
    is_accepted: bool = True  # verified, reviewed; a task that is done counts only then
    answer: str | None = None  # the word of who did it
    why: str = ""

    @property
    def is_final(self) -> bool:
        return self.state in (State.DEAD, State.CANCELLED) or (self.state is State.DONE and self.is_accepted)


class WorkflowRun(Value, frozen=True):
    """One run with all that the planner looks at."""

    id: TaskId
    workflow: Workflow
    record: RunRecord
    tasks: Mapping[TaskId, StepTask]  # of its steps, those that have a line in the ledger
    totals: Mapping[str, int] = {}  # how many items were written down for a map
    state: State = State.IN_PROGRESS  # of the run's own task
    people: frozenset[AgentId] = frozenset()
    version: int | None = None
    spent: float = 0.0  # by its tasks, as far as it was looked up
    most_tasks: int = 20_000
    look_at: datetime | None = None  # when it is looked at again, as its ledger line says


class RunAct(StrEnum):
    FREEZE = "freeze"  # write the items of a map down
    BEGIN = "begin"  # make the task of a step or an item, and hand it out
    ASK = "ask"  # a person decides how to go on after a failure
    CANCEL = "cancel"  # a task that nobody needs any more
    CLOSE = "close"  # take the line of a counted task out
    MOVE = "move"  # the run's own task begins, is blocked, or goes on
    FINISH = "finish"  # the run's own task ends


class RunAction(Value, frozen=True):
    act: RunAct
    task: TaskId | None = None
    step: str = ""
    number: int = 0  # of the item, from 1
    hop: int = 1
    state: State | None = None  # that a run ends in
    why: str = ""


def task_of(run: TaskId, step: str, state: StepState, number: int = 0, suffix: str = "") -> TaskId:
    """The id of the task of a step, an item or a hop; the middle is a hash where it would be too long."""
    tail = "".join(
        (
            f"-{number}" if number else "",
            f"-h{state.hop}" if state.hop > 1 else "",
            suffix,
            f"-p{state.pass_number}" if state.pass_number > 1 else "",
        )
    ).upper()
    name = f"{run}-{step.upper()}{tail}"
    if len(name) <= 64:
        return TaskId(name)
    return TaskId(f"{run}-{hashlib.sha256(step.encode()).hexdigest()[:12].upper()}{tail}")


def money_task(run: TaskId, record: RunRecord) -> TaskId:
    """The question to a person whose answer lets the run spend more; no step's name begins with a digit."""
    return TaskId(f"{run}-{record.grants + 1}-ASK")


def open_tasks(run: TaskId, step: Step, state: StepState) -> list[TaskId]:
    """The tasks of a step that are at work, or have to be."""
    if state.is_asked:
        return [task_of(run, step.name, state, suffix="-ask")]
    if not state.is_open:
        return []
    return [task_of(run, step.name, state, number) for number in (state.open if step.is_map else (0,))]


# --- what the record becomes


def advance(run: WorkflowRun, now: datetime) -> RunRecord:
    """The record at `now`: what has ended is counted, and what may begin is noted as begun."""
    return _Advance(run, now).record()


class _Advance:
    def __init__(self, run: WorkflowRun, now: datetime) -> None:
        self._run, self._now, self._workflow = run, now, run.workflow
        started = run.record.started or now
        self._record = replace(run.record, started=started, version=run.version, is_resumed=False)
        self._before = before(run.workflow)

    def record(self) -> RunRecord:
        limit, started = self._workflow.within, self._record.started
        if limit and started and self._now >= started + limit and not self._record.is_over:
            self._record = replace(self._record, is_over=True, stops="its time is over")
        asked = self._run.tasks.get(money_task(self._run.id, self._record)) if self._record.is_out else None
        if asked and asked.is_final:
            grants = self._record.grants + (asked.answer == GO_ON)
            stops = "" if grants > self._record.grants else "its money is used up"
            self._record = replace(self._record, is_out=False, grants=grants, stops=self._record.stops or stops)
        while not self._record.is_over:
            was = self._record
            for step in self._workflow.steps:
                self._look(step)
            if self._record == was:
                break
        return self._record

    def _state(self, step: str) -> StepState:
        return self._record.steps.get(step) or StepState()

    def _put(self, step: str, **changes: object) -> None:
        state = replace(self._state(step), **changes)
        self._record = replace(self._record, steps=self._record.steps | {step: state})

    def _end(self, step: Step, word: str, why: str = "") -> None:
        state = self._state(step.name)
        self._put(step.name, word=word, why=why, since=self._now, began=state.began or state.since)
        if word != FAILED or self._is_handled(step):
            return
        if step.if_fails is OnFailure.GO_ON:
            self._put(step.name, is_forgiven=True)
        elif step.if_fails is OnFailure.ASK:
            self._put(step.name, is_asked=True)
        else:
            self._record = replace(self._record, stops=self._record.stops or f"{step.name} failed: {why}")

    def _is_handled(self, step: Step) -> bool:
        """Whether another step waits for the failure of this one."""
        conditions = (it for other in self._workflow.steps for it in other.after if it.step == step.name)
        return any(FAILED in it.words or ENDED in it.words for it in conditions)

    def _look(self, step: Step) -> None:
        state = self._state(step.name)
        if state.is_asked:
            self._answer(step, state)
        elif state.word is None and state.since is None:
            self._begin(step)
        elif state.is_open and step.is_map:
            self._count(step, state)
        elif state.is_open:
            self._close(step, state)

    def _answer(self, step: Step, state: StepState) -> None:
        """What the person who was asked after a failure has decided."""
        asked = self._run.tasks.get(task_of(self._run.id, step.name, state, suffix="-ask"))
        if asked is None or not asked.is_final:
            return
        if asked.answer == "again":
            self._go_back(step.name, step.name)
        elif asked.answer == "go on":
            self._put(step.name, is_asked=False, is_forgiven=True)
        else:
            self._put(step.name, is_asked=False)
            self._record = replace(self._record, stops=f"{step.name} failed: {state.why}")

    # --- may it begin?

    def _begin(self, step: Step) -> None:
        verdict = self._may_begin(step)
        if verdict is None or self._record.stops:
            return
        if verdict:
            self._end(step, SKIPPED, verdict)
        elif step.again:
            self._loop(step)
        elif step.is_map:
            total = len(step.to_each) if step.to_each else self._run.totals.get(step.name)
            self._put(step.name, total=total, since=self._now)
        elif self._takes_room(step):
            self._put(step.name, since=self._now)

    def _may_begin(self, step: Step) -> str | None:
        """ "" if it may, the reason if it is skipped, None while it waits."""
        found = [self._fits(it) for it in step.after]
        if not found or (step.is_any and "yes" in found):
            return ""
        if "wait" in found:
            return None
        if (step.is_any or "no" not in found) and "yes" in found:
            return ""
        what = next((it for it, fits in zip(step.after, found, strict=True) if fits != "yes"), step.after[0])
        return f"{what.step} ended with {self._state(what.step).word}"

    def _fits(self, condition: Condition) -> str:
        state = self._state(condition.step)
        if state.word is None or state.is_asked:
            return "wait"
        if condition.words:
            return "yes" if state.word in condition.words or ENDED in condition.words else "no"
        if state.word == SKIPPED:
            return "left out"
        return "no" if state.word == FAILED and not state.is_forgiven else "yes"

    def _takes_room(self, step: Step) -> bool:
        """Whether one more task may begin, which counts it."""
        spend, record = self._workflow.spend, self._record
        if not self._has_room(step):
            return False
        if record.made >= self._run.most_tasks:
            self._record = replace(record, stops=f"it has made {record.made} tasks, the most there may be of one run")
        elif spend is not None and self._run.spent >= spend * (1 + record.grants):
            self._record = replace(record, is_out=True)
        else:
            self._record = replace(record, made=record.made + 1)
        return self._record.made > record.made

    def _has_room(self, step: Step) -> bool:
        """Whether one more task may be open; people hold no room."""
        if step.to and step.to[0] in self._run.people:
            return True
        held = 0
        for other in self._workflow.steps:
            state = self._state(other.name)
            is_human = bool(other.to) and other.to[0] in self._run.people
            held += 0 if is_human else len(state.open) if other.is_map else state.is_open
        return held < self._workflow.at_once

    def _loop(self, step: Step) -> None:
        if (again := step.again) is None:
            return
        passes = [it.by for it in self._record.passes]
        since = max((at for at, by in enumerate(passes) if by == "-"), default=0)  # when it was resumed
        if passes[since:].count(step.name) >= again.most:
            self._end(step, FAILED, f"it went back {'once' if again.most == 1 else f'{again.most} times'} already")
        else:
            self._go_back(again.step, step.name)

    def _go_back(self, start: str, by: str) -> None:
        """From `start` on, all begins anew; the rest keeps its result."""
        number = max((it.number for it in self._record.passes), default=1) + 1
        fresh = {name: StepState(pass_number=number) for name in self._before if start in {name, *self._before[name]}}
        passes = (*self._record.passes, Pass(number=number, step=start, by=by))
        said = {name: word for name in fresh if (word := self._state(name).word)}
        self._record = replace(
            self._record, passes=passes, steps=self._record.steps | fresh, first=said | self._record.first
        )

    # --- has it ended?

    def _close(self, step: Step, state: StepState) -> None:
        task = self._run.tasks.get(task_of(self._run.id, step.name, state))
        if task and task.is_final:
            self._ended(step, state, task)
        elif step.deadline and state.since and self._now >= state.since + step.deadline.length:
            self._end(step, step.deadline.word or FAILED, "its time is over")

    def _ended(self, step: Step, state: StepState, task: StepTask) -> None:
        if task.state is not State.DONE:
            self._end(step, FAILED, task.why or task.state.value)
        elif task.answer == HAND_ON and state.hop < len(step.to):
            self._put(step.name, hop=state.hop + 1, since=self._now, began=state.began or state.since)
        elif step.choices and task.answer not in step.choices:
            self._end(step, FAILED, f"the answer is none of {', '.join(step.choices)}")
        else:
            self._end(step, task.answer if step.choices and task.answer else DONE)

    def _count(self, step: Step, state: StepState) -> None:
        if state.total is None:  # the items are not written down yet
            if (total := self._run.totals.get(step.name)) is None:
                return
            state = replace(state, total=total)
        total, enough = state.total or 0, step.enough.of(state.total or 0)
        for number in state.open:
            task = self._run.tasks.get(task_of(self._run.id, step.name, state, number))
            if task and task.is_final:
                left = tuple(it for it in state.open if it != number)
                if task.state is State.DONE:
                    state = replace(state, open=left, done=state.done + 1, in_a_row=0)
                else:
                    state = replace(state, open=left, failed=state.failed + 1, in_a_row=state.in_a_row + 1)
        self._record = replace(self._record, steps=self._record.steps | {step.name: state})
        is_hopeless = total - state.failed < enough or state.in_a_row >= MOST_IN_A_ROW
        rest = total - state.next + 1 + len(state.left)
        while not is_hopeless and not self._record.stops and rest > 0 and self._takes_room(step):
            number, rest = state.left[0] if state.left else state.next, rest - 1
            fresh = {"left": state.left[1:], "next": max(state.next, number + 1)}
            state = replace(state, open=(*state.open, number), **fresh)
            self._record = replace(self._record, steps=self._record.steps | {step.name: state})
        if step.deadline and state.since and self._now >= state.since + step.deadline.length:
            self._end(step, step.deadline.word or FAILED, f"its time is over: {state.done} of {total} succeeded")
        elif not state.open and (is_hopeless or self._record.stops or rest <= 0):
            is_good = state.done >= enough and (total > 0 or "enough" in step.lines)
            more = f", {rest} not begun" if rest > 0 else ""
            self._end(step, DONE if is_good else FAILED, f"{state.done} of {total} succeeded{more}")


# --- which tasks there have to be


def wanted(run: WorkflowRun, record: RunRecord) -> Iterator[RunAction]:
    """What is to be done so that tasks and record agree; nothing where they do.

    Args:
        record: as `advance` gave it, written already.
    """
    is_ending = record.is_over or run.state.is_closed
    needed = set[TaskId]() if is_ending else {action.task for action in _open(run, record) if action.task}
    for task in run.tasks.values():
        if task.id not in needed:
            act = RunAct.CLOSE if task.is_final or task.state.is_closed else RunAct.CANCEL
            yield RunAction(act=act, task=task.id)
    if is_ending:
        if not run.state.is_closed:
            yield RunAction(act=RunAct.FINISH, task=run.id, state=State.DEAD, why=record.stops)
        return
    for action in _open(run, record):
        if action.act is RunAct.FREEZE or action.task not in run.tasks:
            yield action
    if not needed and not any(True for _ in _open(run, record)):
        state = State.DEAD if record.stops else State.DONE
        yield RunAction(act=RunAct.FINISH, task=run.id, state=state, why=record.stops or outcome(run.workflow, record))
        return
    is_asked = record.is_out or any(it.is_asked for it in record.steps.values())
    state = State.BLOCKED if is_asked else State.IN_PROGRESS
    if run.state is not state:
        yield RunAction(act=RunAct.MOVE, task=run.id, state=state, why="a person is asked" if is_asked else "")


def _open(run: WorkflowRun, record: RunRecord) -> Iterator[RunAction]:
    """What is at work, or has to be."""
    if record.is_out:
        yield RunAction(act=RunAct.ASK, task=money_task(run.id, record), why=f"{run.spent:.2f} are spent")
    for step in run.workflow.steps:
        state = record.steps.get(step.name) or StepState()
        if state.is_asked:
            ask = task_of(run.id, step.name, state, suffix="-ask")
            yield RunAction(act=RunAct.ASK, task=ask, step=step.name, why=state.why)
        elif not state.is_open:
            continue
        elif not step.is_map:
            yield RunAction(act=RunAct.BEGIN, task=task_of(run.id, step.name, state), step=step.name, hop=state.hop)
        elif state.total is None:
            yield RunAction(act=RunAct.FREEZE, step=step.name)
        else:
            for number in state.open:
                task = task_of(run.id, step.name, state, number)
                yield RunAction(act=RunAct.BEGIN, task=task, step=step.name, number=number)


def outcome(workflow: Workflow, record: RunRecord) -> str:
    """What failed, also in part, and what was skipped, by name; "" where all went well."""
    states = record.steps.items()
    parts = [f"{name}: {it.why}" for name, it in states if it.word == DONE and it.failed]
    for word in (FAILED, SKIPPED):
        names = [step.name for step in workflow.steps if (state := record.steps.get(step.name)) and state.word == word]
        parts += [f"{word}: {', '.join(names)}"] if names else []
    return "; ".join(parts)


def next_due(run: WorkflowRun) -> datetime | None:
    """When something of the run is over although no file changes; None where nothing is."""
    record, workflow = run.record, run.workflow
    ends = [record.started + workflow.within] if record.started and workflow.within else []
    for step in workflow.steps:
        state = record.steps.get(step.name)
        if state and state.is_open and step.deadline and state.since:
            ends.append(state.since + step.deadline.length)
    return min(ends, default=None)
