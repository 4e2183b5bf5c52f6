"""Agents that look for themselves: the message lies in their inbox, and that is all."""

from claw_files.core.model import Run, RunId
from claw_files.processes import StartOrder


class InboxRuntime:
    """Starts nothing, so there is nothing to look after."""

    def start(self, order: StartOrder) -> bool:
        """False: delivering the message was the wake."""
        return False

    def look(self, run_id: RunId) -> Run | None:
        """None: it has no runs."""
        return None

    def live(self) -> list[Run]:
        """Nothing."""
        return []

    def stop(self, run_id: RunId, drained: bool = False) -> bool:
        """False: there is nothing to stop."""
        return False

    def lacks_sandbox(self) -> str | None:
        """That there is nothing to put into one."""
        return "clawfiles does not start agents of runtime inbox"

    def end_lost(self, run_id: RunId) -> Run | None:
        """None: nothing was started, nothing can be lost."""
        return None
