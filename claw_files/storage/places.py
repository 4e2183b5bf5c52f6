"""What a workspace knows of the others under the same configuration: compartments, or what lies around one."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from claw_files.core.model import AgentId, TaskId

if TYPE_CHECKING:
    from claw_files.storage.workspace import Workspace

FOLDER = "compartments"


class Places:
    """Of a workspace without compartments, the usual case: everything is here."""

    is_closed = False  # whether this is a compartment, of which nothing is told outside

    def inbox_of(self, agent: AgentId) -> "Workspace | None":
        """The other workspace in which the agent's inbox lies; None where it lies here."""
        return None

    def has_tasks_of(self, agent: AgentId) -> bool:
        """Whether the agent's tasks lie here."""
        return True

    def others(self) -> "Sequence[Workspace]":
        """The workspaces whose tasks are numbered together with those here."""
        return ()

    def numbering(self) -> AbstractContextManager[None]:
        """Held while a number is drawn, so that no two places give the same one."""
        return nullcontext()

    def fetch(self, task: TaskId, agent: AgentId, held: bool = False) -> bool:
        """Move the task in here from outside, where that was begun; False where there is nothing to be moved.

        Args:
            agent: whose it is to be.
            held: whether the caller holds the task's lock outside.

        Raises Conflict when it is somebody else's meanwhile, Busy.
        """
        return False
