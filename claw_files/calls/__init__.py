"""What an agent can ask for, whatever door it comes through: `CALLS` by name, and `perform`.

A door fixes who acts and hands over a name and arguments as they came; everything else is checked here, once for all
doors. Beside the calls stands what they share with the command line (`calls.tasks`, `calls.talk`), which loads
nothing of the table: so the names are looked up when they are first asked for.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from claw_files.calls.table import CALLS, Call, perform

__all__ = ["CALLS", "Call", "perform"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(name)
    from claw_files.calls import table

    return getattr(table, name)
