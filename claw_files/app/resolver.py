"""The one door to compartments: the workspace of a task, inbox or agent, and what the caller may see.

Operations, interfaces and the daemon ask here. A service gets the workspace it acts on, and never learns of the others.
"""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from claw_files.app.context import OUTSIDE, Site
from claw_files.core.errors import NotFound, Refused
from claw_files.core.model import AgentId, AgentKind, Entry, Run, Task, TaskId
from claw_files.policy import authority
from claw_files.storage.places import FOLDER, Siblings
from claw_files.storage.task_index import IndexRow
from claw_files.storage.workspace import Workspace

if TYPE_CHECKING:
    from claw_files.services.compartments.compartments import MovingIn

PATIENCE = timedelta(seconds=10)  # for the lock of the numbers
P = TypeVar("P", bound=Site)


class Resolver(Siblings[Workspace], Generic[P]):
    """Finds the workspace to act in. If no agent has a compartment, that is always this one."""

    def __init__(self, here: P, run_of: Callable[[Task, Entry | None], Run | None]) -> None:
        """`run_of` finds runs in the workspace around the compartments."""
        self._here, self._run_of, self.is_closed = here, run_of, bool(here.home)
        self._hidden = frozenset(here.compartmental) - {here.caller}

    # --- the workspaces there are

    def everywhere(self) -> list[P]:
        """This workspace and the compartments in it."""
        return [self._here, *self.inner()]

    def inner(self) -> list[P]:
        """The compartments in this workspace; a compartment has none."""
        return [] if self.is_closed else self.beside()

    def beside(self) -> list[P]:
        """Every other workspace under the same configuration."""
        here, folder = self._here, os.path.join(self._here.base, FOLDER)
        there = (here.at(agent) for agent in here.compartmental if os.path.isdir(os.path.join(folder, agent)))
        return [it for it in (here.outer, *there) if it is not here]

    def others(self) -> list[Workspace]:
        return [it.workspace for it in self.beside()]

    def numbering(self) -> AbstractContextManager[None]:
        agents = self._here.compartmental
        return self._here.locks.hold("numbers", PATIENCE, "clawfiles") if agents else nullcontext()

    # --- where the work of an agent lies

    def of(self, agent: AgentId | None) -> P:
        """The workspace of a task that is given to the agent."""
        is_worker = agent is not None and self._here.settings.agents[agent].kind is AgentKind.WORKER
        return self._here if agent is None or is_worker else self._home_of(agent)

    def _home_of(self, agent: AgentId) -> P:
        return self._here.at(agent if agent in self._here.compartmental else OUTSIDE)

    def inbox_of(self, agent: AgentId) -> Workspace | None:
        return self._home_of(agent).workspace if self._leaves(agent) else None

    def _leaves(self, agent: AgentId) -> bool:
        """Whether the agent's files are elsewhere; a compartment has those of its agent and of workers."""
        if not self.is_closed:
            return agent in self._here.compartmental
        from claw_files.policy import visibility

        return not visibility.is_inside(self._here.settings, self._here.home, agent)

    def discloses(self, holder: AgentId | None, to: AgentId) -> bool:
        is_own = holder == to or holder not in self._here.compartmental
        return is_own and not (self.is_closed and self._leaves(to))

    def check_handover(self, task: Task, agent: AgentId) -> None:
        if self.is_closed and self._leaves(agent):
            right = f'`clawfiles task new "TITLE" --to {agent}` makes one for {agent}'
            raise Refused("compartments", f"{task.id} is in a compartment and cannot be delegated outside it", right)

    @cached_property
    def moving(self) -> "MovingIn | None":
        """Moves tasks into compartments; None without any."""
        here = self._here
        if not here.compartmental:
            return None
        from claw_files.services.compartments.compartments import MovingIn

        return MovingIn(here.outer.workspace, self._run_of, lambda it: here.at(it).workspace, here.compartmental)

    def fetch(self, task: TaskId, agent: AgentId, held: bool = False) -> bool:
        return bool(self.is_closed and self.moving and self.moving.fetch(task, self._here.home, held))

    # --- where a task lies

    def find(self, task: TaskId) -> P:
        """The workspace that has the task's file: this one, or from a compartment the one around it."""
        here = self._here
        is_outside = self.is_closed and not here.workspace.find(task) and here.outer.workspace.find(task)
        return here.outer if is_outside else here

    def to_see(self, task: TaskId, by_line: bool = False) -> P:
        """The workspace for reading the task. Raises NotFound if the caller must not know of the task.

        With `by_line`, a ledger line that names a hidden agent is enough.
        """
        place = self.find(task)
        if self._is_hidden(place, task, by_line):
            raise _not_found(task)
        return place

    def to_act(self, task: TaskId, by: AgentId | None = None) -> P:
        """The workspace in which the caller, or `by`, acts on the task; if it `is_blind`, the answer has no details.

        Raises NotFound for a task in a compartment that is not the business of who acts.
        """
        place = self.find(task)
        for inner in self.inner():
            if not place.workspace.find(task) and inner.workspace.find(task):
                if not self._may_decide(inner, task, by):
                    raise _not_found(task)
                return inner
        if self._is_hidden(place, task) and not self._may_decide(place, task, by):
            raise _not_found(task)
        return place

    def to_take(self, task: TaskId, to: AgentId | None = None) -> P:
        """As `to_act`, for a caller that takes the task or assigns it, and therefore may see it.

        Raises NotFound in another agent's compartment, unless the task is for that agent.
        """
        place = self.to_act(task)
        if place.is_blind and to != place.home:
            raise _not_found(task)
        return place

    def _may_decide(self, place: P, task: TaskId, by: AgentId | None) -> bool:
        """Whether the caller may decide about the task in any place: a boss or its requester."""
        by, found = by or self._here.actor, place.workspace.known(task)
        return authority.is_boss(self._here.settings, by) or (found is not None and found.requested_by == by)

    # --- what the caller may see

    def _is_hidden(self, place: P, task: TaskId, by_line: bool = False) -> bool:
        """Whether the caller must not know of the task, in itself or by its line."""
        if not self._hidden:
            return False
        found, line = place.workspace.known(task), place.workspace.entry(task)
        return bool((found and self._hides(found, line)) or (by_line and line and line.agent in self._hidden))

    def _hides(self, task: Task, line: Entry | None) -> bool:
        """Whether the task belongs to a hidden agent; without an assignee, its line counts."""
        return bool(self._hidden & {task.assignee or (line and line.agent), task.spawner})

    @cached_property
    def _lines(self) -> dict[TaskId, Entry]:
        return {entry.task: entry for entry in reversed(self._here.workspace.entries())}

    def shows(self, row: IndexRow) -> bool:
        if not self._hidden:
            return True
        # The name of an unreadable file identifies its task.
        task = Task(id=TaskId(row.name.removesuffix(".md").upper())) if row.error else row.task()
        return not self._hides(task, self._lines.get(task.id))

    def shows_line(self, line: dict[str, Any]) -> bool:
        """Whether the caller may know of that line of the journal."""
        who = {line.get(key) for key in ("agent", "actor", "parent_agent")}
        return not self._hidden or not (self._hidden & who or line.get("task") in self._hidden_tasks)

    @cached_property
    def _hidden_tasks(self) -> set[str]:
        """The tasks of hidden agents: those in compartments, and those ever assigned to these agents."""
        ws = self._here.workspace
        found = {row.id for row in ws.rows() if not row.error and self._hides(row.task(), None)}
        names = {name.removesuffix(".md").upper() for it in self.others() for _, name in it.task_ids()}
        return {*found, *names, *(task for agent in self._hidden for task in ws.tasks_given(agent))}


def _not_found(task: TaskId) -> NotFound:
    return NotFound("task", task, "`clawfiles task list` lists all tasks")
