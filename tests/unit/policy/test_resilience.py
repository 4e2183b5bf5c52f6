"""Pauses, breakers and rates follow from what happened."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claw_files.core.model import State, Task, TaskId
from claw_files.policy.resilience import RunOutcome, backoff, breaker, rate_free_at, retry_pause

NOW = datetime(2026, 3, 7, 12, tzinfo=UTC)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
PAUSE = timedelta(minutes=10)


def failures(*minutes_ago: int) -> list[RunOutcome]:
    """One failure each of as many tasks."""
    return [ended(False, NOW - minutes * MINUTE, f"TC-{n}") for n, minutes in enumerate(minutes_ago)]


def ended(is_good: bool, at: datetime = NOW, task: str | None = None) -> RunOutcome:
    return RunOutcome(at=at, is_good=is_good, task=TaskId(task) if task else None)


def failed(id: str, failures: int = 1, updated: datetime = NOW) -> Task:
    return Task(id=TaskId(id), state=State.FAILED, failures=failures, updated=updated)


def test_the_pause_is_two_then_four_then_eight_seconds() -> None:
    assert [backoff(2 * SECOND, n) for n in (0, 1, 2, 3)] == [n * SECOND for n in (0, 2, 4, 8)]


@given(base=st.timedeltas(timedelta(0), timedelta(days=3650)), count=st.integers(0, 10_000), jitter=st.floats(0, 1))
def test_jitter_only_adds_and_at_most_a_quarter(base: timedelta, count: int, jitter: float) -> None:
    plain = backoff(base, count)

    assert plain <= backoff(base, count, jitter) <= plain * 1.25 + timedelta(microseconds=1)
    assert count == 0 or min(base, plain) == base
    assert plain <= max(base, timedelta(days=1))


def test_fewer_failures_in_a_row_than_the_limit_leave_it_closed() -> None:
    assert breaker([], 3, PAUSE, NOW).state == "closed"
    assert breaker(failures(3, 2), 3, PAUSE, NOW).state == "closed"
    with_success = [*failures(5, 4), ended(True, NOW - 3 * MINUTE), *failures(2, 1)]
    assert breaker(with_success, 3, PAUSE, NOW).failures == 2


def test_failures_in_a_row_open_it_for_the_pause_then_it_is_half_open() -> None:
    outcomes = failures(5, 4, 3)

    found = breaker(outcomes, 3, PAUSE, NOW)
    assert (found.state, found.until, found.failures) == ("open", NOW + 7 * MINUTE, 3)
    assert breaker(outcomes, 3, PAUSE, NOW + 7 * MINUTE).state == "half-open"


def test_the_attempt_while_half_open_closes_it_or_opens_it_anew() -> None:
    outcomes = failures(60, 59, 58)

    assert breaker([*outcomes, ended(True)], 3, PAUSE, NOW).state == "closed"
    assert breaker([*outcomes, ended(False)], 3, PAUSE, NOW).until == NOW + PAUSE


def test_a_task_counts_once_in_the_breaker_however_often_it_failed() -> None:
    alone = [ended(False, NOW - n * MINUTE, "TC-1") for n in (9, 8, 7, 6, 5)]

    assert breaker(alone, 3, PAUSE, NOW).state == "closed"
    assert breaker(alone, 3, PAUSE, NOW).failures == 1
    mixed = [*alone, ended(False, NOW - 2 * MINUTE, "TC-2"), ended(False, NOW - MINUTE, "TC-1")]
    assert breaker(mixed, 3, PAUSE, NOW).state == "closed"
    assert breaker([*mixed, ended(False, NOW, "TC-3")], 3, PAUSE, NOW).state == "open"


def test_failures_that_name_no_task_count_each() -> None:
    assert breaker([ended(False)] * 3, 3, PAUSE, NOW).failures == 3


@given(number=st.integers(1, 10_000), count=st.integers(1, 12), microsecond=st.integers(0, 999_999))
def test_a_retry_is_never_early_though_the_time_of_the_failure_was_cut_to_the_second(
    number: int, count: int, microsecond: int
) -> None:
    """The failure happened at a fraction of a second, of which the file keeps nothing."""
    happened = NOW.replace(microsecond=microsecond)
    task = failed(f"TC-{number}", count, NOW)

    due = NOW + retry_pause(3 * SECOND, task)

    assert due - happened >= backoff(3 * SECOND, count)
    assert due - NOW <= backoff(3 * SECOND, count, 1.0) + SECOND
    assert retry_pause(3 * SECOND, task) == retry_pause(3 * SECOND, task)


def test_of_many_retries_none_is_early_though_each_task_failed_at_the_end_of_a_second() -> None:
    happened = NOW.replace(microsecond=999_999)

    assert all(NOW + retry_pause(3 * SECOND, failed(f"TC-{n}")) - happened >= 3 * SECOND for n in range(200))


def test_tasks_that_failed_together_are_not_tried_again_together() -> None:
    together = {retry_pause(2 * SECOND, failed(f"TC-{number}")) for number in range(50)}

    assert len(together) == 50
    assert max(together) - min(together) > 0.4 * SECOND


def test_a_backoff_of_nothing_waits_for_nothing() -> None:
    assert retry_pause(timedelta(0), failed("TC-1")) == timedelta(0)


def test_a_clock_that_was_set_back_by_a_day_does_not_keep_it_open() -> None:
    assert breaker(failures(*[-24 * 60] * 3), 3, PAUSE, NOW).state == "half-open"


def test_the_rate_allows_the_limit_in_any_stretch_of_its_length() -> None:
    times = [NOW - 50 * SECOND, NOW - 10 * SECOND]

    assert rate_free_at(times, 3, MINUTE, NOW) == NOW
    assert rate_free_at(times, 2, MINUTE, NOW) == NOW + 10 * SECOND
    assert rate_free_at(times, 2, MINUTE, NOW + 10 * SECOND) == NOW + 10 * SECOND
    assert rate_free_at(times, 1, MINUTE, NOW) == NOW + 50 * SECOND  # more than the limit: it was lowered meanwhile
    assert rate_free_at([NOW + timedelta(days=1)] * 9, 1, MINUTE, NOW) == NOW  # a clock that was set back


@given(
    gaps=st.lists(st.integers(0, 40), min_size=1, max_size=60),
    limit=st.integers(1, 5),
)
def test_taking_whatever_is_allowed_never_exceeds_the_rate(gaps: list[int], limit: int) -> None:
    now, taken = NOW, list[datetime]()
    for gap in gaps:
        now += gap * SECOND
        free = rate_free_at(taken, limit, MINUTE, now)
        if free == now:
            taken.append(now)
        else:
            assert rate_free_at(taken, limit, MINUTE, free) == free

    for first, last in zip(taken, taken[limit:], strict=False):
        assert last - first >= MINUTE


@pytest.mark.parametrize("limit", [1, 2])
def test_the_breaker_of_a_first_success_is_closed(limit: int) -> None:
    assert breaker([ended(True)], limit, PAUSE, NOW).state == "closed"
