"""Reuse of results: the earlier spawn with the same question, and how its result ends a new one."""

from datetime import datetime, timedelta

from msgspec.structs import replace

from claw_files.config import Route
from claw_files.core.digest import digest
from claw_files.core.model import AgentId, Result, State, Task


def fingerprint(text: str, worker: AgentId, model: str | None, cwd: str | None, task_type: str | None) -> str:
    """The digest of a question: its text, worker, model, working folder and type."""
    parts = (text.strip(), worker, model or "", cwd or "", task_type or "")
    return digest("".join(f"{len(part)}:{part}" for part in parts).encode("utf-8", "backslashreplace"))


def may_answer(task: Task, asked: str, route: Route, now: datetime) -> bool:
    """Whether the task was the same question, and was done by a run of its own within the route's `cache` time.

    A result dated ahead is not reused: that costs a run, but a wrong answer would cost more.
    """
    if task.state is not State.DONE or task.asked != asked or task.cached_from or not task.completed or not route.cache:
        return False
    return timedelta(0) <= now - task.completed < route.cache


def answered(task: Task, earlier: Task, path: str, earlier_path: str, now: datetime, generation: int) -> Task:
    """The task done with the earlier result.

    Args:
        path: of its own result, a copy of what lies at `earlier_path`.
    """
    outputs = dict.fromkeys((f"./{path}", *(it for it in earlier.outputs if it != f"./{earlier_path}")))
    found = {"cached_from": earlier.id, "assignee": earlier.assignee, "summary": earlier.summary}
    ends = {"state": State.DONE, "outputs": tuple(outputs), "completed": now, "updated": now}
    return replace(task, generation=generation, **found, **ends)


def copied(result: Result, task: Task, earlier: Task) -> Result:
    """The earlier result under the new task's label, marked; its run is still the original one.

    What it used is left out: that was paid for once.
    """
    assert task.label is not None
    return replace(result, label=task.label, task=task.id, cached_from=earlier.id, usage={})
