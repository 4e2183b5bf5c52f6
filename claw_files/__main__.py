"""`python -m claw_files`, and the entry point of the installed program."""

import gc
from typing import NoReturn


def start() -> NoReturn:
    """Run the command line of this process."""
    # Loading modules makes many objects and no garbage: looking for some again and again is a tenth of a short command.
    gc.set_threshold(50_000)
    from claw_files.cli import main

    main()


if __name__ == "__main__":
    start()
