"""Each due time once: over downtime, clock steps and changes of the clocks."""

from datetime import UTC, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from claw_files.core.keys import topic_key
from claw_files.policy import due_times, quiet_hours
from tests.proofs import examples

BERLIN = ZoneInfo("Europe/Berlin")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")
ZONES = [
    *(BERLIN, LORD_HOWE, ZoneInfo("Antarctica/Troll"), ZoneInfo("America/Los_Angeles")),
    *(ZoneInfo("Asia/Kathmandu"), ZoneInfo("Pacific/Apia"), ZoneInfo("UTC")),
]
FIXED = ["30 2 * * *", "45 8 * * 1-5", "0,30 1-3 * * *", "0 0 1 * *", "15 2 L * *", "0 9 * * MON#1"]
WILD = ["*/30 * * * *", "0 * * * *", "10 */2 * * *", "*/20 1-3 * * *"]
MINUTE = timedelta(minutes=1)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def all_due(cron: str, zone: ZoneInfo, start: datetime, end: datetime) -> list[datetime]:
    """Every due time after `start` and up to `end`, step by step."""
    found, now = list[datetime](), start
    while (coming := due_times.next_due(cron, zone, now)) and coming <= end:
        found.append(coming)
        now = coming
    return found


def by_the_minute(cron: str, zone: ZoneInfo, start: datetime, end: datetime) -> list[datetime]:
    """The same for a line by real time, in the plainest way: look at the clock each minute."""
    from cronsim import CronSim

    readings, naive = set[datetime](), CronSim(cron, start.replace(tzinfo=None) - timedelta(days=2))
    while (reading := next(naive)) < end.replace(tzinfo=None) + timedelta(days=2):
        readings.add(reading)
    count = int((end - start) / MINUTE)
    every = (start + n * MINUTE for n in range(1, count + 1))
    return [now for now in every if now.astimezone(zone).replace(tzinfo=None) in readings]


@pytest.mark.parametrize("zone", ZONES, ids=str)
@pytest.mark.parametrize("cron", FIXED)
def test_a_fixed_time_is_due_once_for_each_of_its_readings_that_a_day_has(cron: str, zone: ZoneInfo) -> None:
    from cronsim import CronSim

    start, end = at("2026-02-01"), at("2026-12-01")
    found = all_due(cron, zone, start, end)

    assert found == sorted(set(found))
    readings = list[datetime]()
    for reading in CronSim(cron, start.astimezone(zone).replace(tzinfo=None)):
        if reading > end.astimezone(zone).replace(tzinfo=None):
            break
        readings.append(reading)
    kept = [now.astimezone(zone).replace(tzinfo=None) for now in found]
    skipped = sorted(set(readings) - set(kept))
    for reading in skipped:  # it does not exist that night; its stand-in is the end of the gap
        there = reading.replace(tzinfo=zone)
        assert there.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != reading
        assert any(timedelta(0) < other - reading <= timedelta(hours=2) for other in kept)
    assert len(kept) == len(set(kept))  # never twice in the hour that exists twice


@pytest.mark.parametrize("zone", ZONES, ids=str)
@pytest.mark.parametrize("cron", WILD)
def test_a_line_by_real_time_is_due_whenever_the_clock_reads_it(cron: str, zone: ZoneInfo) -> None:
    for start in (at("2026-03-05"), at("2026-03-28"), at("2026-04-03"), at("2026-10-02"), at("2026-10-24")):
        end = start + timedelta(days=4)

        assert all_due(cron, zone, start, end) == by_the_minute(cron, zone, start, end)


@pytest.mark.parametrize("zone", ZONES, ids=str)
@pytest.mark.parametrize("cron", FIXED + WILD)
def test_looking_back_and_looking_ahead_agree(cron: str, zone: ZoneInfo) -> None:
    random = Random(f"{cron} {zone}")
    for _ in range(40):
        now = at("2026-03-01") + random.randrange(0, 600 * 24 * 3600) * timedelta(seconds=1)
        ahead = due_times.next_due(cron, zone, now)
        assert ahead is not None
        assert ahead > now
        assert due_times.last_due(cron, zone, ahead) == ahead
        back = due_times.last_due(cron, zone, ahead - timedelta(seconds=1))
        assert back is not None
        assert back <= now
        assert due_times.next_due(cron, zone, back) == ahead


@pytest.mark.parametrize("zone", ZONES[:4], ids=str)
@pytest.mark.parametrize("cron", ["30 2 * * *", "50 * * * *", "0,30 1-3 * * *"])
def test_around_a_change_of_clocks_the_last_due_time_is_the_latest_that_came(cron: str, zone: ZoneInfo) -> None:
    for change in quiet_hours.changes(at("2026-01-01"), at("2027-01-01"), zone):
        came = all_due(cron, zone, change - timedelta(days=2), change + timedelta(hours=6))
        for minutes in range(-240, 300, 7):
            now = change + minutes * MINUTE
            assert due_times.last_due(cron, zone, now) == max(due for due in came if due <= now)


def test_a_time_that_is_skipped_is_due_at_the_end_of_the_gap() -> None:
    assert due_times.last_due("30 2 * * *", BERLIN, at("2026-03-29T12:00")) == at("2026-03-29T01:00")
    assert due_times.last_due("15 2 * * *", LORD_HOWE, at("2026-10-04T00:00")) == at("2026-10-03T15:30")


def test_a_time_that_exists_twice_is_due_the_first_time_only() -> None:
    first = at("2026-10-25T00:30")

    assert all_due("30 2 * * *", BERLIN, at("2026-10-24T12:00"), at("2026-10-25T12:00")) == [first]
    assert due_times.due("30 2 * * *", BERLIN, first, at("2026-10-25T01:30")) == ()


def test_each_half_hour_goes_by_real_time_when_clocks_are_changed() -> None:
    spring = all_due("*/30 * * * *", BERLIN, at("2026-03-29T00:00"), at("2026-03-29T03:00"))
    autumn = all_due("*/30 * * * *", BERLIN, at("2026-10-25T00:00"), at("2026-10-25T03:00"))

    assert [len(spring), len(autumn)] == [6, 6]


def test_nothing_is_owed_before_the_first_start() -> None:
    assert due_times.due("* * * * *", BERLIN, None, at("2026-03-07T12:00")) == ()


def test_the_due_time_itself_counts_and_the_last_one_does_not() -> None:
    due = at("2026-03-09T07:45")

    assert due_times.due("45 8 * * 1-5", BERLIN, due - MINUTE, due) == (due,)
    assert due_times.due("45 8 * * 1-5", BERLIN, due, due) == ()
    assert due_times.due("45 8 * * 1-5", BERLIN, due - MINUTE, due - timedelta(microseconds=1)) == ()


def test_after_downtime_only_the_latest_is_owed() -> None:
    back = at("2026-03-14T12:00")  # a Saturday

    assert due_times.due("45 8 * * 1-5", BERLIN, at("2026-03-02T07:45"), back) == (at("2026-03-13T07:45"),)


def test_skip_owes_nothing_that_is_older_than_the_grace() -> None:
    last, due = at("2026-03-06T07:45"), at("2026-03-09T07:45")
    grace = timedelta(minutes=40)

    assert due_times.due("45 8 * * 1-5", BERLIN, last, due + grace, "skip", grace) == (due,)
    assert due_times.due("45 8 * * 1-5", BERLIN, last, due + grace + MINUTE, "skip", grace) == ()


def test_a_clock_that_is_set_back_owes_nothing_until_it_has_passed_the_last_again() -> None:
    last = at("2026-03-09T07:45")

    assert due_times.due("45 8 * * 1-5", BERLIN, last, last - timedelta(days=30)) == ()
    assert due_times.due("45 8 * * 1-5", BERLIN, last, last + timedelta(days=1)) == (last + timedelta(days=1),)


def test_the_key_names_schedule_and_due_time() -> None:
    due = datetime(2026, 3, 7, 8, 45, tzinfo=BERLIN)

    assert topic_key("schedule", "morning-report", due) == "schedule.morning-report.20260307T074500Z"


@pytest.mark.proof
@settings(max_examples=examples(30), deadline=None)
@given(seed=st.integers(0, 2**32), zone=st.sampled_from(ZONES), cron=st.sampled_from(FIXED))
def test_ticks_at_random_times_act_once_on_the_latest_due_time_before_each(
    seed: int, zone: ZoneInfo, cron: str
) -> None:
    """Two years with downtime up to weeks and a clock that is sometimes set back; only `last` is kept between ticks."""
    random = Random(seed)
    start = now = highest = at("2026-01-01T00:00")
    last, keys, acted = start, list[str](), list[datetime]()
    truth = all_due(cron, zone, start, at("2028-03-01"))
    while now < at("2028-01-01"):
        now += timedelta(seconds=random.choice([60, 1800, 7 * 3600, 30 * 3600, random.randrange(1, 30 * 86_400)]))
        seen = now - timedelta(hours=random.choice([0, 0, 0, 0, 1, 5]))
        highest = max(highest, seen)
        for due in due_times.due(cron, zone, last, seen):
            last = due
            keys.append(topic_key("schedule", "x", due))
            acted.append(due)
        past = [due for due in truth if due <= highest]
        assert not past or acted[-1] == past[-1]

    assert len(keys) == len(set(keys))
    assert set(acted) <= set(truth)


@pytest.mark.proof
@settings(max_examples=examples(30), deadline=None)
@given(seed=st.integers(0, 2**32), zone=st.sampled_from(ZONES), cron=st.sampled_from(WILD))
def test_ticks_closer_than_the_due_times_miss_none(seed: int, zone: ZoneInfo, cron: str) -> None:
    random = Random(seed)
    start = now = last = random.choice([at("2026-03-27"), at("2026-10-24"), at("2026-10-02"), at("2027-04-02")])
    end, acted = start + timedelta(days=3), list[datetime]()
    while now < end:
        now = min(now + timedelta(seconds=random.randrange(1, 1200)), end)
        for due in due_times.due(cron, zone, last, now):
            last = due
            acted.append(due)

    assert acted == all_due(cron, zone, start, end)
