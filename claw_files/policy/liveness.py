"""Liveness: the state of a task's holder, in one word."""

from datetime import datetime

from claw_files.core.keys import Key
from claw_files.core.model import Liveness, Run
from claw_files.policy.snapshot import Snapshot, TaskEvidence


def liveness(look: TaskEvidence, snap: Snapshot, now: datetime) -> Liveness:
    """The holder's liveness in one word. Times in the future count as now."""
    run = current_run(look)
    if run and run.alive:
        return Liveness.WORKING
    if look.task and look.task.label and look.result and run and look.result.run in (None, run.id):
        return Liveness.REPORTED_UNDELIVERED
    if run and run.ended:
        return Liveness.DEAD
    word = last_word(look, now)
    if word and now - word < snap.settings.heartbeat.silent:
        return Liveness.WORKING
    lease = look.task.lease if look.task else None
    ends = [t for t in (lease, word + snap.settings.heartbeat.lease if word else None) if t]
    return Liveness.QUIET if ends and now < max(ends) else Liveness.SUSPECT


def last_word(look: TaskEvidence, now: datetime) -> datetime | None:
    """The agent's newest sign of life; never later than now."""
    signs = [look.last_word, look.task.updated if look.task else None, look.run.started if look.run else None]
    known = [sign for sign in signs if sign]
    return min(max(known), now) if known else None


def current_run(look: TaskEvidence) -> Run | None:
    """The run of the entry's task, alive or ended; None if the newest run belongs to other work.

    A reviewer's run, or one that answers a question, is another agent's. What ended before the task was taken away
    from its agent, with a newer generation, is old news; what a nudge or a question about unclear words
    woke ends without having been the work.
    """
    run, task = look.run, look.task
    if run is None or task is None:
        return run
    if task.assignee not in (None, run.agent):
        return None
    taken = task.assignee is None and run.generation is not None and task.generation > run.generation
    return None if not run.alive and (taken or Key.parse(run.key).what in ("nudge", "unclear")) else run
