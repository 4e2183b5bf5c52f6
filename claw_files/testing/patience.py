"""Waiting in tests: for a condition, however slow the machine is, never for a fixed time."""

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")

PATIENCE_SECONDS = 120.0  # much longer than anything takes; a test that waits for it fails


def until(
    seen: Callable[[], Found],
    what: str,
    *,
    seconds: float = PATIENCE_SECONDS,
    between: Callable[[], object] = lambda: None,
) -> Found:
    """What `seen` finds, once it finds something; `what` says what that would be.

    A file or process that is not there (yet, or any more, when it was listed a moment ago) means: look again. `between`
    is called before each further look. AssertionError with `what` after so many seconds.
    """
    end = time.monotonic() + seconds
    gone: OSError | None = None
    while True:
        try:
            if found := seen():
                return found
        except (FileNotFoundError, ProcessLookupError) as error:
            gone = error
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds:g} s: {what}") from gone
        between()
        time.sleep(0.02)
