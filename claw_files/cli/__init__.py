"""The command line: a command parses, calls one service, shows a view.

`main` is what the installed program runs. Commands are found by a table of names, so that help and completion load
none of them, and a command only itself.
"""

from claw_files.cli.entry_point import main, run

__all__ = ["main", "run"]
