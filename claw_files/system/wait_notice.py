"""Prints what a command waits for, once it has waited for a moment."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

AFTER_SECONDS = 2.0
say: Callable[[str], None] | None = None  # set by the command line


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Print what the block waits for, and until when, unless it ends before."""
    if say is None:
        yield
        return
    import threading  # by now there is time for it

    timer = threading.Timer(AFTER_SECONDS, say, (f"waiting {what}",))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
