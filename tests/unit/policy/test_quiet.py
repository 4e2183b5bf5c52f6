"""Quiet hours are what a person reads on the clock, whatever the clocks do that night."""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claw_files import config
from claw_files.core.model import AgentId
from claw_files.policy import quiet_hours
from tests.proofs import often

ZONES = [
    "Australia/Lord_Howe",  # half an hour of daylight saving
    "Antarctica/Troll",  # two hours
    "Pacific/Apia",
    "Asia/Kathmandu",  # 5:45
    "Europe/Berlin",
    "America/Los_Angeles",
]
MINUTE = timedelta(minutes=1)
NIGHT = (time(22), time(7))
EARLY = (time(3), time(8))
BERLIN = ZoneInfo("Europe/Berlin")
WINDOW_SETS = [
    (EARLY,),
    (NIGHT,),
    ((time(2), time(2, 30)),),
    ((time(2, 15), time(4)),),
    ((time(0), time(2, 20)), (time(2, 20), time(2, 45))),
    ((time(23), time(1)), (time(1, 30), time(2))),
]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def reads_quiet(now: datetime, windows: tuple[config.Window, ...], zone: ZoneInfo) -> bool:
    """Written apart from the code under test: minutes on the clock, in a set."""
    there = now.astimezone(zone)
    return there.hour * 60 + there.minute in minutes_in(windows)


@cache
def minutes_in(windows: tuple[config.Window, ...]) -> frozenset[int]:
    """The minutes of a day, counted from midnight, that lie in the windows."""
    minutes = set[int]()
    for start, end in windows:
        first, last = start.hour * 60 + start.minute, end.hour * 60 + end.minute
        minutes |= {m % 1440 for m in range(first, last + (1440 if last < first else 0))}
    return frozenset(minutes)


def minutes_of(start: datetime, end: datetime) -> Iterator[datetime]:
    while start < end:
        yield start
        start += MINUTE


def check_backwards(start: datetime, end: datetime, windows: tuple[config.Window, ...], zone: ZoneInfo) -> int:
    """Compare every minute with the reading, from the end, where the next free minute is already known."""
    free, quiet_minutes = None, 0
    for now in reversed(list(minutes_of(start, end))):
        if not reads_quiet(now, windows, zone):
            assert quiet_hours.until(now, windows, zone) is None, now
            free = now
        elif free is not None:
            assert quiet_hours.until(now, windows, zone) == free, now
            quiet_minutes += 1
    return quiet_minutes


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("windows", WINDOW_SETS, ids=str)
def test_quiet_ends_at_the_first_minute_that_reads_free_around_every_change_of_clocks(
    zone: str, windows: tuple[config.Window, ...]
) -> None:
    there = ZoneInfo(zone)
    changes = [*quiet_hours.changes(at("2026-01-01"), at("2028-01-01"), there), at("2026-06-01T18:00")]
    half = timedelta(hours=14)

    # On a night whose clocks skip the window there is no quiet minute; on the one in June there is.
    assert sum(check_backwards(change - half, change + half, windows, there) for change in changes)


@pytest.mark.slow
@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("windows", WINDOW_SETS, ids=str)
def test_quiet_ends_at_the_first_minute_that_reads_free_in_every_minute_of_two_years(
    zone: str, windows: tuple[config.Window, ...]
) -> None:
    start = at("2026-01-01")
    assert check_backwards(start, start + timedelta(days=often(730)), windows, ZoneInfo(zone)) > often(10_000)


@given(
    now=st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)).map(lambda naive: naive.replace(tzinfo=UTC)),
    zone=st.sampled_from(ZONES).map(ZoneInfo),
    windows=st.lists(st.tuples(st.times(), st.times()), max_size=3).map(tuple),
)
def test_the_end_is_never_inside_and_nothing_before_it_is_free(
    now: datetime, zone: ZoneInfo, windows: tuple[config.Window, ...]
) -> None:
    end = quiet_hours.until(now, windows, zone)

    assert (end is not None) == quiet_hours.is_quiet(now, windows, zone)
    if end and end - now < timedelta(days=2):
        assert end > now
        assert not quiet_hours.is_quiet(end, windows, zone)
        for step in range(1, 50):
            assert quiet_hours.is_quiet(now + (end - now) * step / 50, windows, zone)


@pytest.mark.parametrize("zone", ZONES)
def test_the_changes_of_the_clocks_are_found_to_the_second(zone: str) -> None:
    there, second = ZoneInfo(zone), timedelta(seconds=1)
    for change in quiet_hours.changes(at("2026-01-01"), at("2028-01-01"), there):
        assert (change - second).astimezone(there).utcoffset() != change.astimezone(there).utcoffset()
    assert len(list(quiet_hours.changes(at("2026-01-01"), at("2028-01-01"), BERLIN))) == 4


def test_a_window_over_midnight_is_one_stretch() -> None:
    assert quiet_hours.until(at("2026-03-07T21:00"), (NIGHT,), BERLIN) == at("2026-03-08T06:00")
    assert quiet_hours.until(at("2026-03-08T05:59:59"), (NIGHT,), BERLIN) == at("2026-03-08T06:00")
    assert quiet_hours.until(at("2026-03-08T06:00"), (NIGHT,), BERLIN) is None


def test_windows_that_adjoin_or_overlap_end_together() -> None:
    windows = ((time(3), time(5)), (time(5), time(6)), (time(5, 30), time(8)))

    assert quiet_hours.until(at("2026-03-07T02:30"), windows, BERLIN) == at("2026-03-07T07:00")


def test_a_window_in_the_hour_that_exists_twice_is_quiet_both_times() -> None:
    window = ((time(2, 15), time(2, 45)),)

    assert quiet_hours.until(at("2026-10-25T00:20"), window, BERLIN) == at("2026-10-25T00:45")
    assert quiet_hours.until(at("2026-10-25T00:50"), window, BERLIN) is None
    assert quiet_hours.until(at("2026-10-25T01:20"), window, BERLIN) == at("2026-10-25T01:45")


def test_a_window_whose_end_is_skipped_ends_when_the_clocks_are_changed() -> None:
    window = ((time(1), time(2, 30)),)

    assert quiet_hours.until(at("2026-03-29T00:30"), window, BERLIN) == at("2026-03-29T01:00")


def test_a_window_that_starts_where_it_ends_is_empty() -> None:
    assert quiet_hours.until(at("2026-03-07T04:00"), ((time(4), time(4)),), ZoneInfo("UTC")) is None


def test_windows_over_the_whole_day_do_not_hang() -> None:
    now = at("2026-03-07T04:00")

    assert quiet_hours.until(now, ((time(0), time(12)), (time(12), time(0))), BERLIN) == now + timedelta(days=2)


def test_an_agent_has_its_own_windows_beside_the_workspaces() -> None:
    settings = config.parse(
        b'[workspace]\ncoordinator = "sam"\n[agents.sam]\nquiet_hours = ["22:00-23:00"]\n[agents.ann]\n'
        b'[quiet_hours]\nwindows = ["03:00-08:00"]\n'
    )

    assert quiet_hours.windows_of(settings) == quiet_hours.windows_of(settings, AgentId("ann")) == (EARLY,)
    assert quiet_hours.windows_of(settings, AgentId("sam")) == (EARLY, (time(22), time(23)))
    assert quiet_hours.windows_of(settings, AgentId("nobody")) == (EARLY,)
