"""When sources are polled, what their records become, and where the next poll begins."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from claw_files import config
from claw_files.core.errors import InvalidConfig
from claw_files.core.event import SourceMark
from claw_files.core.keys import topic_key
from claw_files.core.model import AgentId, KeyText, Kind, Message, Run, RunId
from claw_files.policy import source_rules as rules
from claw_files.policy.dispatch_queue import plan_waits
from claw_files.policy.snapshot import Snapshot
from tests.each import each

NOW = datetime(2026, 3, 7, 8, 45, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SETTINGS = config.parse(b"""
[workspace]
coordinator = "sam"
monitor = "sentry"
[agents.sam]
[agents.sentry]
[agents.coder]
command = ["coder"]
[limits]
runs = 1
[sources.orders]
every = "5m"
command = ["orders"]
[sources.daily]
every = "1d"
files = "drop/*"
""")


def snap(**marks: SourceMark) -> Snapshot:
    return Snapshot(settings=SETTINGS, sources={"daily": SourceMark(polled=NOW), **marks})


def planned(snapshot: Snapshot, now: datetime = NOW) -> list[str]:
    return [f"{it.act} {it.details.get('source', it.agent)}" for it in rules.plan_sources(snapshot, now)]


def run(source: str) -> Run:
    key = topic_key("source", source, NOW)
    return Run(id=RunId(f"{key}-s1"), agent=AgentId(f"source-{source}"), key=key, alive=True)


def test_a_source_is_polled_at_once_and_then_after_its_interval() -> None:
    assert planned(snap()) == ["poll orders"]
    polled = snap(orders=SourceMark(polled=NOW))
    assert planned(polled, NOW + 5 * MINUTE - timedelta(seconds=1)) == []
    assert planned(polled, NOW + 5 * MINUTE) == ["poll orders"]
    assert min(rules.sources_due(polled, NOW)) == NOW + 5 * MINUTE


def test_a_running_poll_is_alone_and_a_full_house_has_none() -> None:
    assert planned(replace(snap(), live=(run("orders"),))) == []
    assert planned(replace(snap(), live=(run("daily"),))) == ["poll orders"]
    assert planned(replace(snap(), events_full=True)) == []


def test_a_poll_takes_no_place_from_agents() -> None:
    assert rules.is_poll(run("orders"))
    assert not rules.is_poll(replace(run("orders"), key=topic_key("health", "orders", NOW)))
    words = Message(id="m", key=KeyText("m"), kind=Kind.ANNOUNCE, sender=AgentId("sam"), to=AgentId("coder"), sent=NOW)
    waiting = replace(snap(), live=(run("orders"),), waiting=(words,))
    assert [it.held_by for it in plan_waits(waiting, NOW)] == [None]
    other = replace(run("orders"), agent=AgentId("peter"), key=KeyText("tc-1.1"))
    assert [it.held_by for it in plan_waits(replace(waiting, live=(other,)), NOW)] == ["limits.runs"]


def test_the_pause_doubles_up_to_an_hour_and_is_never_shorter_than_the_interval() -> None:
    found = []
    for failures in range(8):
        mark = SourceMark(polled=NOW, failures=failures, since=NOW)
        found.append((min(rules.sources_due(snap(orders=mark), NOW)) - NOW) // MINUTE)
    assert found == [5, 10, 20, 40, 60, 60, 60, 60]
    daily = SourceMark(polled=NOW, failures=9, since=NOW)
    assert max(rules.sources_due(snap(daily=daily), NOW)) == NOW + timedelta(days=1)


def test_the_monitor_hears_of_the_third_failure_in_a_row_and_not_while_it_may_still_end_well() -> None:
    for failures, told in ((2, []), (3, ["escalate sentry"]), (9, ["escalate sentry"])):
        failing = snap(orders=SourceMark(polled=NOW, failures=failures, since=NOW, problem="no"))
        assert planned(failing) == told
        assert planned(replace(failing, live=(run("orders"),))) == []


def test_a_clock_that_was_ahead_silences_no_source() -> None:
    assert planned(snap(orders=SourceMark(polled=NOW + timedelta(days=400)))) == ["poll orders"]
    assert planned(snap(orders=SourceMark(polled=NOW + MINUTE))) == []


SOURCE = SETTINGS.sources["orders"]
RECORDS = [  # a record, the key of its event or None
    ({"id": 1}, "1"),
    ({"id": "a/b\n"}, "a/b\n"),
    ({"id": 0}, "0"),
    ({"id": ""}, None),
    ({"id": None}, None),
    ({"id": True}, None),
    ({"id": 1.5}, None),
    ({"id": [1]}, None),
    ({}, None),
    ({"id": "x" * 500}, "x" * 500),
    ({"id": "x" * 501}, None),
    (None, None),
]


@each("fields, key", RECORDS)
def test_a_record_counts_by_its_key_or_not_at_all(fields: dict[str, Any] | None, key: str | None) -> None:
    record = rules.SourceRecord(b"", fields)
    if key is not None:
        assert rules.event_of(SOURCE, record).key == key
        return
    with pytest.raises(ValueError):
        rules.event_of(SOURCE, record)


def test_several_fields_are_one_key_that_no_other_values_make() -> None:
    source = replace(SOURCE, key=("a", "b.c"))
    keys = {
        rules.event_of(source, rules.SourceRecord(b"", {"a": a, "b": {"c": c}})).key
        for a, c in (("1", "2:3"), ("1:2", "3"), ("1", "23"), ("12", "3"))
    }
    assert len(keys) == 4
    with pytest.raises(ValueError):
        rules.event_of(source, rules.SourceRecord(b"", {"a": 1}))


def test_only_an_object_with_nothing_else_is_a_cursor() -> None:
    assert rules.parse_line(b'{"cursor": {"at": 1}}') == rules.SourceCursor({"at": 1})
    for line in (b'{"cursor": 1, "id": 2}', b'{"cursor": "' + b"x" * 4096 + b'"}', b'["cursor"]', b"[" * 100_000):
        assert isinstance(rules.parse_line(line), rules.SourceRecord)


EARLIER = [
    ("2026-03-07 10:00:00", "2026-03-07 09:50:00"),
    ("2026-03-07T10:00:00Z", "2026-03-07T09:50:00+00:00"),
    ("2026-03-07T10:00:00.123456+01:00", "2026-03-07T09:50:00.123456+01:00"),
    ("2026-03-07", "2026-03-06T23:50:00"),
    ("0001-01-01", "0001-01-01"),
    ("20260307", "20260307"),
    ("abcd-", "abcd-"),
    ("", ""),
    (17, 17),
]


@each("value, before", EARLIER)
def test_a_time_begins_earlier_by_the_overlap_and_anything_else_as_it_is(value: Any, before: Any) -> None:
    assert rules.earlier(value, timedelta(minutes=10)) == before
    assert rules.earlier(value, timedelta(0)) == value


BAD = [
    ('command = ["x"]\nsql = "select 1"\nurl_env = "U"', "exactly one of command, sql and files"),
    ('every = "5m"', "exactly one of command, sql and files"),
    ('sql = "select 1"', "wants url_env"),
    ('command = ["x"]\ncursor = ["id"]', "goes with sql"),
    ('files = "a"\nenv = ["X"]', "goes with command"),
    ('command = ["x"]\nby = "content"', "goes with files"),
    ('sql = "x"\nurl_env = "U"\ncursor = ["id"]', "one value for each column"),
    ('command = ["x"]\nevery = "10ms"', "a second or more"),
    ('files = "../x"', "inside the workspace"),
    ('files = "/x"', "inside the workspace"),
    ('command = "x"', "never a shell line"),
    ('command = ["x"]\nlimt = "1m"', "did you mean `limit`?"),
]


@each("table, said", BAD)
def test_what_does_not_fit_together_is_named(table: str, said: str) -> None:
    text = f'[workspace]\ncoordinator = "sam"\n[agents.sam]\n[sources.orders]\n{table}\n'
    with pytest.raises(InvalidConfig) as wrong:
        config.parse(text.encode())
    assert said in str(wrong.value)
