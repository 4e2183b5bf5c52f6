"""A run of a workflow with scripted endings: what would be done in which order, by whom, and when. Pure.

The same planner decides as in a real run; only the tasks are played.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final

import msgspec
from msgspec.structs import replace

from claw_files.core.model import AgentId, State, TaskId, Value
from claw_files.core.workflow import RunRecord, Step, Workflow
from claw_files.policy.workflow_plan import (
    RunAct,
    RunAction,
    StepTask,
    WorkflowRun,
    advance,
    next_due,
    wanted,
)

USUAL: Final = timedelta(minutes=1)  # how long a step takes of which nothing is known, within its deadline
_MOST_ROUNDS: Final = 100_000


class Script(Value, frozen=True):
    """How the steps end."""

    says: Mapping[str, tuple[str, ...]] = msgspec.field(default_factory=dict)  # the answers of a step, pass by pass
    fails: Mapping[str, frozenset[int]] = msgspec.field(default_factory=dict)  # items that fail; 0: the step itself
    silent: frozenset[str] = frozenset()  # steps whose time passes without an answer
    takes: Mapping[str, timedelta] = msgspec.field(default_factory=dict)


class Played(Value, frozen=True):
    """One thing that happened in a dry run."""

    at: datetime
    action: RunAction


class DryRun(Value, frozen=True):
    """A dry run as a whole."""

    played: tuple[Played, ...]
    record: RunRecord
    state: State  # of the run at its end; in progress where something waits for ever
    end: datetime


def dry_run(run: WorkflowRun, script: Script, now: datetime) -> DryRun:
    """The actions of the run from `now` on, with each step taking its usual time."""
    return _Play(run, script, now).all()


class _Play:
    def __init__(self, run: WorkflowRun, script: Script, now: datetime) -> None:
        self._run, self._script, self._now = run, script, now
        self._ends: dict[TaskId, tuple[datetime, StepTask]] = {}
        self._begun: dict[str, int] = {}  # how often a step without items was begun
        self._played: list[Played] = []

    def all(self) -> DryRun:
        for _ in range(_MOST_ROUNDS):
            self._run = replace(self._run, record=advance(self._run, self._now))
            actions = list(wanted(self._run, self._run.record))
            for action in actions:
                self._do(action)
            if self._run.state.is_closed or (not actions and not self._wait()):
                break
        return DryRun(played=tuple(self._played), record=self._run.record, state=self._run.state, end=self._now)

    def _do(self, action: RunAction) -> None:
        tasks, step = dict(self._run.tasks), self._run.workflow.step(action.step)
        if action.act not in (RunAct.CLOSE, RunAct.MOVE):
            self._played.append(Played(at=self._now, action=action))
        if action.act in (RunAct.FINISH, RunAct.MOVE):
            self._run = replace(self._run, state=action.state or State.DONE)
        elif action.act in (RunAct.CANCEL, RunAct.CLOSE) and action.task:
            tasks.pop(action.task, None)
            self._ends.pop(action.task, None)
        elif action.act is RunAct.FREEZE:
            self._run = replace(self._run, totals={**self._run.totals, action.step: 0})
        elif action.task and step:
            tasks[action.task] = StepTask(id=action.task, state=State.IN_PROGRESS)
            if step.name not in self._script.silent:
                usual = min(USUAL, step.deadline.length / 2) if step.deadline else USUAL
                length = self._script.takes.get(step.name, usual)
                self._ends[action.task] = (self._now + length, self._ending(action, step))
        self._run = replace(self._run, tasks=tasks)

    def _ending(self, action: RunAction, step: Step) -> StepTask:
        id = action.task or TaskId("")
        if action.act is RunAct.ASK:
            return StepTask(id=id, state=State.DONE, answer=self._said(f"{step.name}-ask", "stop"))
        if action.number in self._script.fails.get(step.name, ()):
            return StepTask(id=id, state=State.DEAD, why="as the script says")
        return StepTask(id=id, state=State.DONE, answer=self._said(step.name, step.choices[0] if step.choices else ""))

    def _said(self, name: str, usual: str) -> str | None:
        """The next answer of the script; its last one again where there are no more."""
        said, number = self._script.says.get(name, ()), self._begun.get(name, 0)
        self._begun[name] = number + 1
        return (said[min(number, len(said) - 1)] if said else usual) or None

    def _wait(self) -> bool:
        """Let the time pass until something ends; False where nothing will."""
        due = next_due(self._run)
        at = min((*(end for end, _ in self._ends.values()), *((due,) if due else ())), default=None)
        if at is None:
            return False
        self._now = max(self._now, at)
        over = [task for task, (end, _) in self._ends.items() if end <= self._now]
        self._run = replace(self._run, tasks={**self._run.tasks, **{it: self._ends.pop(it)[1] for it in over}})
        return True


def not_begun(workflow: Workflow, people: frozenset[AgentId], totals: Mapping[str, int]) -> WorkflowRun:
    """A run of the workflow that has not begun."""
    return WorkflowRun(id=TaskId("TC-1"), workflow=workflow, record=RunRecord(), tasks={}, totals=totals, people=people)


def lines(run: DryRun) -> Iterator[str]:
    """One line for each thing that would happen, for people."""
    for played in run.played:
        action = played.action
        yield f"{played.at:%H:%M} {action.act} {action.task or action.step}" + (f": {action.why}" if action.why else "")
