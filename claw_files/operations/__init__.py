"""Operations: everything that can be requested through the shell, HTTP, MCP or a sandbox's socket.

`core.operation_table` has a row for each, from which the interfaces are made; `dispatch.perform` is the one way to
perform one by its name. A new operation is a function and a row, and nothing else.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any


def load(target: str) -> Callable[..., Any]:
    """The object of "module:name": a module of this room, or with a room's name of another one."""
    module, _, name = target.partition(":")
    room = "claw_files" if "." in module else __package__
    found: Callable[..., Any] = getattr(import_module(f"{room}.{module}"), name)
    return found
