"""Short-lived cache of parsed texts: one command reads the same file several times."""

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Final, ParamSpec, TypeVar, cast

KEPT: Final = 32
LONGEST: Final = 1 << 14  # bytes or characters; longer texts are parsed again, to limit memory

P = ParamSpec("P")
R = TypeVar("R")


def lately(reading: Callable[P, R]) -> Callable[P, R]:
    """The same function with a cache of its last results by its arguments; errors are not cached.

    Its arguments must be hashable, the first is the text, and its results must not be changed.
    """
    remembered = cast("Callable[P, R]", lru_cache(KEPT)(reading))

    @wraps(reading)
    def read(*args: P.args, **kwargs: P.kwargs) -> R:
        text = args[0]
        assert isinstance(text, (bytes, str)), "the text comes first"
        return remembered(*args, **kwargs) if len(text) <= LONGEST else reading(*args, **kwargs)

    return read
