"""The siblings of a workspace: the others under the same configuration."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Generic, TypeVar

from claw_files.core.model import AgentId, Task, TaskId
from claw_files.storage.task_index import IndexRow

FOLDER = "compartments"
W_co = TypeVar("W_co", covariant=True)  # the class of the workspaces


class Siblings(Generic[W_co]):
    """The siblings of a workspace without any, the usual case: everything is here."""

    is_closed = False  # whether no sibling may read what lies here

    def inbox_of(self, agent: AgentId) -> W_co | None:
        """The other workspace that has the agent's inbox; None if it is here."""
        return None

    def destination(self, agent: AgentId) -> W_co | None:
        """The workspace to which a task moves when the agent gets it; None if it stays here."""
        return None if self.is_closed else self.inbox_of(agent)

    def discloses(self, holder: AgentId | None, to: AgentId) -> bool:
        """Whether `to` may read the details of a task here that `holder` has."""
        return True

    def check_handover(self, task: Task, agent: AgentId) -> None:
        """Raises Refused for a task that may not be given to the agent from here."""

    def shows(self, row: IndexRow) -> bool:
        """Whether the caller may know of the task in that file."""
        return True

    def others(self) -> Sequence[W_co]:
        """The workspaces that share numbers, budgets and limits with this one."""
        return ()

    def numbering(self) -> AbstractContextManager[None]:
        """A lock while a number is assigned, so that it is unique in all places."""
        return nullcontext()

    def fetch(self, task: TaskId, agent: AgentId, held: bool = False) -> bool:
        """Complete a move of the task into this workspace; False if none was begun.

        Args:
            agent: whose it is to be.
            held: whether the caller holds the task's lock outside.

        Raises Conflict when it is somebody else's meanwhile, Busy.
        """
        return False
