"""Unfinished predecessors of a task, for lists and commands; a tick uses `task_evidence`."""

from collections.abc import Iterable
from typing import Final, Protocol

from claw_files.config import Settings
from claw_files.core.errors import ClawError
from claw_files.core.model import State, Task, TaskId
from claw_files.policy import manual_edits
from claw_files.policy.manual_edits import ManualEdit
from claw_files.policy.snapshot import MOST_BEFORE, Predecessor

_MOST: Final = 50  # tasks that say by hand that they have begun, and are looked at for one that comes after them


class _Loaded(Protocol):
    @property
    def task(self) -> Task: ...


class TaskPlace(Protocol):
    """The part of a workspace that is needed here."""

    settings: Settings

    def find(self, task: TaskId) -> object: ...
    def load(self, task: TaskId) -> _Loaded: ...
    def standing(self, task: Task, known: dict[TaskId, State]) -> ManualEdit: ...


def open_before(places: Iterable[TaskPlace], task: Task, known: dict[TaskId, State]) -> tuple[Predecessor, ...]:
    """The tasks that `task` comes after and that are not done.

    Args:
        known: the state in force of tasks that say by hand that they have begun, as far as it was looked at: while one
            of them is looked at it is in backlog, which ends a circle.
    """
    known[task.id], found = State.BACKLOG, tuple(places)
    return tuple(before for it in task.after[:MOST_BEFORE] if (before := _open(found, it, known)))


def _open(places: tuple[TaskPlace, ...], task_id: TaskId, known: dict[TaskId, State]) -> Predecessor | None:
    place = next((it for it in places if it.find(task_id)), None)
    if place is None:
        return Predecessor(task=task_id, is_missing=True)
    from claw_files.policy.verification import verified  # few tasks come so far

    try:
        task = place.load(task_id).task
    except ClawError:
        return Predecessor(task=task_id)
    state = known.get(task_id) or (State.BACKLOG if len(known) > _MOST else place.standing(task, known).state)
    if manual_edits.is_begun(task):
        known[task_id] = state
    is_done = state is State.DONE and verified(task, place.settings) is not False
    return None if is_done else Predecessor(task=task_id, state=state)
