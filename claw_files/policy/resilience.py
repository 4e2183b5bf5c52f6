"""Retries: backoff, circuit breaker and rate, all computed from the journal and not stored."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Literal

from claw_files.core.digest import digest
from claw_files.core.model import Task, TaskId, Value

_LONGEST = timedelta(days=1)
_SECOND = timedelta(seconds=1)
_JITTER_BYTES = 4


class RunOutcome(Value, frozen=True):
    """The end of one run of an agent, from the journal."""

    at: datetime
    is_good: bool
    task: TaskId | None = None


class Breaker(Value, frozen=True):
    """Whether an agent may be woken: closed yes, open no, half-open for one attempt."""

    state: Literal["closed", "open", "half-open"]
    until: datetime | None = None  # of an open one: when it becomes half-open
    failures: int = 0  # tasks that failed in a row


def backoff(base: timedelta, failures: int, jitter: float = 0.0) -> timedelta:
    """The pause before the attempt after `failures` failures: base, 2 base, 4 base, ..., growing up to a day.

    Args:
        failures: in all; 0 needs no pause.
        jitter: 0 to 1: up to a quarter of the pause is added, so that many do not come back at once. It only ever
            adds: nothing is tried before its time.
    """
    if failures <= 0:
        return timedelta(0)
    doublings = min(failures - 1, 17)  # more of ten years would overflow a timedelta
    pause: timedelta = min(base * (1 << doublings), max(base, _LONGEST))
    return pause + pause * (0.25 * min(max(jitter, 0.0), 1.0))


def retry_pause(base: timedelta, task: Task) -> timedelta:
    """The pause before a failed task's next attempt, counted from its `updated`, with its jitter.

    Tasks that failed together get different pauses. A task gets the same one whenever it is asked for: the jitter is a
    hash of its id and its failures. A time without a fraction was cut to the second where it was written, so that
    second counts as not over.
    """
    failures = max(task.failures, 1)
    drawn = int(digest(f"{task.id}.{failures}".encode(), _JITTER_BYTES), 16) / 256**_JITTER_BYTES
    is_cut = base and task.updated and task.updated.microsecond == 0
    return backoff(base, failures, drawn) + (_SECOND if is_cut else timedelta(0))


def breaker(outcomes: Sequence[RunOutcome], limit: int, pause: timedelta, now: datetime) -> Breaker:
    """The breaker after these outcomes of an agent, in the order they happened.

    `limit` tasks that failed with no success in between open it. A task counts once, however often it was tried: its
    own retries say nothing about the agent's other work; a failure that names no task counts for itself. After `pause`
    the breaker is half-open: the next outcome closes it or opens it anew.
    A failure dated further ahead than `pause`, because a clock was set back, holds nothing up. What is said changes at
    the instants last - pause and last + pause, and `breakers_due` counts on that.
    """
    failed = list(takewhile(lambda outcome: not outcome.is_good, reversed(outcomes)))  # since the last success
    row = len({outcome.task for outcome in failed if outcome.task}) + sum(not outcome.task for outcome in failed)
    if not row or row < limit:
        return Breaker(state="closed", failures=row)
    last = outcomes[-1].at
    if not -pause <= now - last < pause:
        return Breaker(state="half-open", failures=row)
    return Breaker(state="open", until=last + pause, failures=row)


def rate_free_at(times: Iterable[datetime], limit_count: int, per: timedelta, now: datetime) -> datetime:
    """When the rate allows one more: `now`, or later.

    Times ahead of `now` by more than `per`, from before a clock was set back, do not count.
    """
    recent = sorted(at for at in times if -per <= now - at < per)
    return recent[-limit_count] + per if len(recent) >= limit_count else now
