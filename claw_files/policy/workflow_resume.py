"""How a run that has ended goes on: what failed begins anew, and what ended well keeps its result. Pure."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from msgspec.structs import replace

from claw_files.core.workflow import FAILED, Pass, RunRecord, StepState, Workflow
from claw_files.policy.workflow_checks import before


def unfinished(workflow: Workflow, record: RunRecord) -> list[str]:
    """The steps that failed, or were at work when the run ended."""
    states = ((step.name, record.steps.get(step.name)) for step in workflow.steps)
    return [name for name, state in states if state and (state.word == FAILED or state.is_open)]


def resumed(
    workflow: Workflow, record: RunRecord, starts: list[str], failed: Mapping[str, tuple[int, ...]], now: datetime
) -> RunRecord:
    """The record with which the run goes on: these steps and all below them in a new pass, the rest as it is.

    Args:
        failed: of maps, the items that are begun again; those that succeeded keep their results.
    """
    number = max((it.number for it in record.passes), default=1) + 1
    again = {name for name, earlier in before(workflow).items() if {name, *earlier}.intersection(starts)}
    steps = dict(record.steps)
    for name in again:
        was, fresh = record.steps.get(name), StepState(pass_number=number)
        if was and name in failed:
            kept = {"items_of": was.items_of or was.pass_number, "total": was.total, "next": was.next, "done": was.done}
            fresh = replace(fresh, since=now, left=failed[name], **kept)
        steps[name] = fresh
    new = RunRecord(started=record.started, version=record.version, made=record.made, grants=record.grants)
    passes = (*record.passes, Pass(number=number, step=starts[0] if starts else "-", by="-"))
    started = now if record.is_over else record.started
    return replace(new, steps=steps, passes=passes, first=record.first, started=started, is_resumed=True)


def misfits(old: Workflow, new: Workflow, record: RunRecord) -> Iterator[str]:
    """Why the resumed run cannot follow `new`: steps that keep a result and are gone, or make something else."""
    for name in (name for name, state in record.steps.items() if state.word not in (None, FAILED)):
        was, step = old.step(name), new.step(name)
        if step is None:
            yield f"`{name}` keeps its result and is gone"
        elif was and step.makes != was.makes:
            yield f"`{name}` keeps its result and makes something else"
