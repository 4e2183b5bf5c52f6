"""Planner of workflows: one action for each run with an ended step, or past its time."""

from collections.abc import Iterator
from datetime import datetime

from msgspec.structs import replace

from claw_files.core.keys import wide_key
from claw_files.core.workflow import RunRecord, Step, StepState, Workflow
from claw_files.policy.snapshot import Act, Action, Snapshot
from claw_files.policy.workflow_plan import RunAct, RunAction, advance, next_due, wanted

MOST_BEGINS = 20  # steps and items that begin in one tick, so that nothing else waits long; the next tick goes on


def plan_workflows(snap: Snapshot, now: datetime) -> Iterator[Action]:
    """What each run does: its new record, what follows from it, and when it is looked at again."""
    for run in snap.runs:
        record = run.record if run.state.is_closed else advance(run, now)
        todo = list(wanted(run, record))
        ends = next((it.state for it in todo if it.act is RunAct.FINISH), run.state if run.state.is_closed else None)
        if ends and record.outcome is None and not record.is_resumed:
            record = replace(record, ended=now, outcome=ends)
        begins = [it for it in todo if it.act is RunAct.BEGIN][MOST_BEGINS:]
        todo = [it for it in todo if it not in begins]
        goes_on = begins or any(it.act is RunAct.FREEZE for it in todo)  # the items begin when they are written down
        at = now if goes_on else next_due(replace(run, record=record))
        is_over = run.state.is_closed or any(it.act is RunAct.FINISH for it in todo)
        if record != run.record or todo or (at != run.look_at and not is_over):
            details = {"run": run, "record": record, "todo": tuple(todo)}
            why = "; ".join(map(_told, todo[:5])) or "it waits for its steps"
            key = wide_key(run.id, "workflow")
            yield Action(act=Act.WORKFLOW, task=run.id, key=key, why=why, at=at, details=details)


def _told(one: RunAction) -> str:
    return f"{one.act} {one.task or one.step}"


def workflows_due(snap: Snapshot, now: datetime) -> Iterator[datetime]:
    """When something of a run is over although no file changes."""
    yield from (at for run in snap.runs if (at := next_due(run)))


def waits_for(workflow: Workflow, record: RunRecord, step: Step) -> str:
    """Why a step has no task now: what it waits for, or why nobody does it any more."""

    def state(name: str) -> StepState:
        return record.steps.get(name) or StepState()

    own = state(step.name)
    left = [f"{it.step}{' = ' if it.words else ''}{'|'.join(it.words)}" for it in step.after if not state(it.step).word]
    if own.word:
        return f"the step ended: {own.word}{', ' if own.why else ''}{own.why}"
    if record.stops:
        return f"it will not begin: {record.stops}"
    if left:
        return f"waits for {(' or ' if step.is_any else ', ').join(left)}"
    return f"waits for its turn: {own.done} of {own.total} done" if own.total else "begins with the next heartbeat"
