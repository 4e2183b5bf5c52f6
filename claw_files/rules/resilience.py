"""When to try again: backoff, circuit breaker and rate, each derived from what happened and kept nowhere else."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Literal

from claw_files.model import Value

_LONGEST = timedelta(days=1)


class Breaker(Value, frozen=True):
    """Whether an agent may be woken: closed yes, open no, half-open for one attempt."""

    state: Literal["closed", "open", "half-open"]
    until: datetime | None = None  # of an open one: when it becomes half-open
    failures: int = 0  # in a row


def backoff(base: timedelta, failures: int, jitter: float = 0.0) -> timedelta:
    """The pause before the attempt after `failures` failures: base, 2 base, 4 base, ..., growing up to a day.

    Args:
        failures: in all; 0 needs no pause.
        jitter: random, 0 to 1: up to a quarter of the pause is added, so that many do not come back at once. It only
            ever adds: nothing is tried before its time.
    """
    if failures <= 0:
        return timedelta(0)
    doublings = min(failures - 1, 17)  # more of ten years would overflow a timedelta
    pause: timedelta = min(base * (1 << doublings), max(base, _LONGEST))
    return pause + pause * (0.25 * min(max(jitter, 0.0), 1.0))


def breaker(outcomes: Sequence[tuple[datetime, bool]], limit: int, pause: timedelta, now: datetime) -> Breaker:
    """The breaker after these outcomes of an agent: (when, whether it succeeded), in the order they happened.

    `limit` failures in a row open it. After `pause` it is half-open: the next outcome closes it or opens it anew.
    A failure dated further ahead than `pause`, because a clock was set back, holds nothing up. What is said changes at
    the instants last - pause and last + pause, and `rules.due` counts on that.
    """
    row = _failures_in_a_row(outcomes)
    if not row or row < limit:
        return Breaker(state="closed", failures=row)
    last = outcomes[-1][0]
    if not -pause <= now - last < pause:
        return Breaker(state="half-open", failures=row)
    return Breaker(state="open", until=last + pause, failures=row)


def rate_allows(times: Iterable[datetime], limit_count: int, per: timedelta, now: datetime) -> bool:
    """Whether one more now keeps to `limit_count` in any stretch of `per`; `times` that were, in any order."""
    return rate_free_at(times, limit_count, per, now) <= now


def rate_free_at(times: Iterable[datetime], limit_count: int, per: timedelta, now: datetime) -> datetime:
    """When one more is allowed: `now`, or later.

    Times ahead of `now` by more than `per`, from before a clock was set back, do not count.
    """
    recent = sorted(at for at in times if -per <= now - at < per)
    return recent[-limit_count] + per if len(recent) >= limit_count else now


def _failures_in_a_row(outcomes: Sequence[tuple[datetime, bool]]) -> int:
    row = 0
    for _, succeeded in reversed(outcomes):
        if succeeded:
            break
        row += 1
    return row
