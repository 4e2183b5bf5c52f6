"""Medians of repeated calls, and the table that shows them as ratios."""

import statistics
import time
from collections.abc import Callable, Sequence

Act = Callable[[], object]


def median(act: Act, times: int = 20) -> float:
    """The median time of `act` in seconds; the first call is not counted."""
    act()
    return statistics.median(taken(act, times))


def taken(act: Act, times: int) -> list[float]:
    """How long each of `times` calls took, in seconds."""
    found = []
    for _ in range(times):
        start = time.perf_counter()
        act()
        found.append(time.perf_counter() - start)
    return found


def table(title: str, unit: str, rows: Sequence[tuple[str, float]]) -> None:
    """Print the rows in milliseconds, each with its ratio to the first."""
    print(f"\n{title:<58}{'median':>12}{'x ' + unit:>18}")
    for name, seconds in rows:
        print(f"  {name:<56}{seconds * 1e3:>9.2f} ms{seconds / rows[0][1]:>17.2f}")
