"""What an agent can ask for, whatever door it comes through: `CALLS` by name, and `perform`.

A door fixes who acts and hands over a name and arguments as they came; everything else is checked here, once for all
doors. The modules that operations share with the command line (`operations.task_moves`, `operations.handing_work`)
load nothing of the table, so the names are looked up at their first use.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from claw_files.operations.table import CALLS, Call, perform

__all__ = ["CALLS", "Call", "perform"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(name)
    from claw_files.operations import table

    return getattr(table, name)
