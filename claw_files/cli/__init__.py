"""The command line: a command parses, calls one service, shows a view.

`main` is what the installed program runs. Commands are found by a table of names, so that help and completion load
none of them, and a command only itself.
"""

import gc

# Loading modules makes many objects and no garbage: looking for some again and again is a tenth of a short command.
gc.set_threshold(50_000)

from claw_files.cli.door import main, run  # noqa: E402 - the line above is for what is loaded here

__all__ = ["main", "run"]
