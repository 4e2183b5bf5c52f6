"""Verification: a done task counts once its outputs exist and its route's check has passed."""

from msgspec.structs import replace

from claw_files.config import Settings
from claw_files.core import text
from claw_files.core.errors import BadValue
from claw_files.core.keys import task_key
from claw_files.core.model import DRAINED, AgentId, Run, State, Task
from claw_files.core.workflow import HAND_ON
from claw_files.policy.rule_context import RuleContext, listed
from claw_files.policy.snapshot import FilePlace


def file_of(output: str) -> str | None:
    """The path that a promised output names; None for other text."""
    if output.startswith("file:"):
        return output.removeprefix("file:").lstrip("/")
    return output.removeprefix("./") if output.startswith("./") else None


def chosen(task: Task, said: str | None) -> str | None:
    """The task's choice that was given as its answer; None for anything else."""
    word = " ".join((said or "").lower().split())
    hands_on = word == HAND_ON and task.flow is not None
    return word if word in task.choices or hands_on else None


def checked_answer(task: Task, answer: str | None, summary: str) -> str | None:
    """The given answer. Raises BadValue if it is not one of the task's choices."""
    word = chosen(task, answer or summary)
    if word is None and (answer or task.choices):
        wanted = f"one of {', '.join(task.choices)}" if task.choices else "nothing: the task has no choices"
        raise BadValue("--answer", answer or summary, wanted)
    return word


def verified(task: Task, settings: Settings) -> bool | None:
    """Whether a tick has verified the task, in its effective state; None if there is nothing to verify.

    The key in the file counts only for an end that clawfiles recorded: recording the end clears an older key.
    """
    own = f"./checkpoints/subagent-{task.label}.md"  # of a worker: its result was read before the task was done
    is_promised = bool(_check_of(task, settings)) or any(file_of(it) and it != own for it in task.outputs)
    if task.state is not State.DONE or not is_promised:
        return None
    return task.recorded is State.DONE and task.verified is not None


def wants_check(case: RuleContext) -> bool:
    """Whether the route's check has still to be run."""
    return bool(_check_of(case.task, case.snap.settings)) and _checked_by(case) is None


def _check_of(task: Task, settings: Settings) -> tuple[str, ...]:
    route = settings.route(task.type)
    return route.verify if route and not task.cached_from else ()  # of a copy, the original was checked


def _checked_by(case: RuleContext) -> Run | None:
    """The run of the route's check; one that a stopping daemon ended has checked nothing."""
    run = case.look.verify
    return None if run and not run.alive and run.reason == DRAINED else run


def lacks(case: RuleContext) -> str | None:
    """What a finished task lacks; "" while its check is running; None if nothing is known to be missing."""
    if case.look.missing:
        return f"promised outputs are missing: {listed(case.look.missing)}"
    if case.task.choices and chosen(case.task, case.task.answer or case.task.summary) is None:
        words = ", ".join(case.task.choices)
        return f"its answer is none of {words}: end it with `clawfiles done {case.task.id} --answer WORD`"
    run, check = _checked_by(case), _check_of(case.task, case.snap.settings)
    if run is None or not check:
        return None
    if run.alive or run.ended is None:
        return ""
    if run.exit == 0:
        return None
    tail = f": {text.said(run.tail[-300:])}" if run.tail.strip() else ""
    return f"`{' '.join(check)}` ended with {run.exit}{tail}"


def is_accepted(case: RuleContext) -> bool:
    """Whether a done task keeps its promises, as far as they were checked."""
    return case.look.place is not FilePlace.STATUS or (lacks(case) is None and not wants_check(case))


def redo_of(task: Task) -> str:
    """The suffix of a redo's key: it has the session's turn, so that each turn has its own."""
    return "redo" if task.turn <= 1 else f"turn-{task.turn}.redo"


def was_redone(case: RuleContext) -> bool:
    """Whether a tick reopened this turn in an earlier attempt. In the present one it may have been killed."""
    return was_told_before(case, case.boss, redo_of(case.task))


def was_told_before(case: RuleContext, who: AgentId, what: str) -> bool:
    """Whether the notice was sent for an earlier attempt."""
    numbers = range(max(1, case.task.attempt - 20), case.task.attempt)
    return any(case.was_told(who, task_key(replace(case.task, attempt=number), what)) for number in numbers)
