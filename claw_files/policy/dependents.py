"""Tasks with predecessors: sent when all are done, blocked when one has ended otherwise."""

from collections.abc import Sequence

from claw_files.config import Settings
from claw_files.core import text
from claw_files.core.model import AgentId, State, Task
from claw_files.policy.rule_context import Decision, RuleContext, WaitReason, mark
from claw_files.policy.snapshot import Act, Predecessor, standing_of
from claw_files.policy.transitions import is_held


def comes_after(case: RuleContext) -> Decision | None:
    """Wait until all predecessors are done; blocked if one cannot be done, and backlog again when it can.

    A file that is missing may be gone for a moment only: it counts at the check time of the line.
    """
    held, unmet = is_held(case.task), case.look.before
    lost = [it for it in unmet if it.is_over or (it.is_missing and (held or case.due))]
    if held and not lost:
        return (case.act(Act.UNBLOCK, "a task that it depends on is open again", what="after"),)
    if held:
        what = f"after.{mark(case.task.reason or '')}"
        return case.escalate(what, question(case.task, lost), start=case.requester)
    if case.task.state is not State.BACKLOG or not unmet:
        return None
    if lost and not case.is_running:
        return (case.act(Act.BLOCK, reason(lost), what="after"),)
    return WaitReason(f"it waits for {standing_of(unmet)}")


def reason(lost: Sequence[Predecessor]) -> str:
    """The reason of a blocked task; `is_held` recognises these words."""
    return f"it depends on {standing_of(lost[:3])}"


def question(task: Task, lost: Sequence[Predecessor]) -> str:
    """The question to the requester of a blocked task."""
    first, name = lost[0], text.file_name(task.id)
    # After the delivery, the definition binds the holder.
    where = f"status/{name}" + (f" and definitions/{name}" if task.generation else "")
    back = f", or retry it: `clawfiles requeue {first.task}`" if first.state is State.DEAD else ""
    return (
        f"{task.id} ({text.said(task.title)}) is blocked: {reason(lost)}. "
        f"Take {first.task} out of `after` in {where}, or `clawfiles cancel {task.id}`{back}."
    )


# --- without a line in the ledger


def has_nobody(task: Task, settings: Settings) -> bool:
    """Whether a ready task gets no agent automatically."""
    return task.assignee is None and not (settings.heartbeat.auto and task.type in settings.routes)


def ready(task: Task) -> str:
    """The notice to the requester of a ready task."""
    return (
        f"{task.id} ({text.said(task.title)}) is ready: the tasks it depends on are done. It has no agent: "
        f"`clawfiles delegate {task.id} --to AGENT`, or `clawfiles claim {task.id}`."
    )


def asked_by(task: Task, settings: Settings) -> AgentId:
    """The requester that reads messages; the coordinator for an unknown requester or a worker."""
    who = task.spawner or task.requested_by or settings.coordinator
    return who if who in settings.agents and not settings.is_worker(who) else settings.coordinator
