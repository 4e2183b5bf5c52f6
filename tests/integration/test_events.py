"""Events: kept durably, known by their names, refused while too many wait."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from claw_files.core.errors import Busy, InvalidFile, UsageError
from claw_files.core.event import MOST_WAITING, Event, EventName
from claw_files.formats import event_file
from claw_files.services.events.event_store import EventStore
from tests.support.office import TEAM, Office


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


def store(office: Office) -> EventStore:
    return EventStore(office.app().workspace)


# --- the store


def test_an_event_with_a_key_is_kept_once_wherever_it_lies(office: Office) -> None:
    first = store(office).emit(Event(type="order", key="17", fields={"sum": 3}))

    assert not first.is_known
    for box in ("cur", "done", "failed"):
        assert store(office).emit(Event(type="order", key="17")).is_known
        (office.root / f"events/{box}").mkdir(exist_ok=True)
        next((office.root / "events").glob(f"*/{first.name}")).rename(office.root / f"events/{box}/{first.name}")
    assert store(office).emit(Event(type="order", key="17")).is_known
    assert not store(office).emit(Event(type="query", key="17")).is_known


def test_an_event_without_a_key_counts_each_time(office: Office) -> None:
    receipts = store(office).emit_many([Event(type="ping"), Event(type="ping")])

    assert not any(receipt.is_known for receipt in receipts)
    assert len(office.names("events/new")) == 2


@pytest.mark.parametrize(
    "fields", [{"type": "mail", "key": 1, "event": {"type": "x"}}, {"text": "a\n---\nb"}, {"a": [1, {"b": None}]}, {}]
)
def test_an_event_is_read_as_it_was_written(office: Office, fields: dict[str, Any]) -> None:
    event = Event(type="github.push", key="ab", fields=fields, text="Status: DONE\n```", source="hub")

    name = store(office).emit(event).name

    assert event_file.parse((office.root / "events/new" / name).read_bytes(), name) == event


def test_no_more_events_are_taken_than_may_wait(office: Office) -> None:
    folder = office.root / "events/new"
    folder.mkdir(parents=True)
    for number in range(MOST_WAITING - 1):
        (folder / f"{number}.json").touch()
    (folder / "schedule.report.20260307T074500Z.md").touch()  # another program's: it keeps nothing out

    store(office).emit(Event(type="last", key="1"))

    assert store(office).is_full()
    assert store(office).emit(Event(type="last", key="1")).is_known
    with pytest.raises(Busy) as full:
        store(office).emit(Event(type="more"))
    assert full.value.exit_status == 5


@pytest.mark.parametrize("type", ["", "../x", "a/b", "a b", "a\nb", ".x", "x" * 65, "a..b"])
def test_a_type_that_is_none_is_refused(office: Office, type: str) -> None:
    with pytest.raises(UsageError):
        store(office).emit(Event(type=type))


@pytest.mark.parametrize("fields", [{"x": float("nan")}, {"x": object()}, {"x": "\ud800"}])
def test_fields_that_could_not_be_read_again_are_refused(office: Office, fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidFile):
        store(office).emit(Event(type="x", fields=fields))
    assert not office.names("events/new")


def test_a_large_event_is_refused(office: Office) -> None:
    with pytest.raises(UsageError):
        store(office).emit(Event(type="x", text="x" * (1 << 20)))


def test_what_cannot_be_an_event_is_set_aside_with_its_reason(office: Office) -> None:
    office.write("events/new/odd.json", "{")

    moved = store(office).refuse("odd.json", "it is not JSON")
    record = store(office).refuse(b"\xff", "no key\n\x1b[2J", "desk")

    assert office.read(f"events/failed/{moved}") == "{"
    assert office.read(f"events/failed/{moved}.reason") == "it is not JSON\n"
    assert (office.root / f"events/failed/{record}").read_bytes() == b"\xff"
    assert office.read(f"events/failed/{record}.reason") == "from desk: no key\\x0a\\x1b[2J\n"


def test_a_second_file_of_a_name_replaces_none_in_failed(office: Office) -> None:
    for number in (1, 2):
        office.write("events/new/odd.json", f"{number}")
        store(office).refuse("odd.json", f"reason {number}")

    found = {office.read(f"events/failed/{name}") for name in office.names("events/failed") if "reason" not in name}
    assert found == {"1", "2"}


@pytest.mark.parametrize(
    ("name", "raw", "event"),
    [
        ("order.json", b'{"sum": 3}', Event(type="order", fields={"sum": 3})),
        ("order.2.json", b'{"type": "query", "key": 17}', Event(type="query", key="17")),
        ("a.md", b"---\ntype: order\nsum: 3\n---\nHello\n", Event(type="order", fields={"sum": "3"}, text="Hello")),
        ("note.md", b"Just text\n", Event(type="note", text="Just text")),
        ("x.json", b'{"event": "on", "fields": {}}', Event(type="x", fields={"event": "on", "fields": {}})),
    ],
)
def test_a_dropped_file_is_understood(name: str, raw: bytes, event: Event) -> None:
    assert event_file.parse(raw, name) == event


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[1]", b"\xff", b'{"type": 3}', b'{"key": []}', b'{"key": true}', b'{"text": 3}', b"[" * 99_999]
)
def test_a_file_that_is_no_event_says_why(raw: bytes) -> None:
    with pytest.raises(InvalidFile):
        event_file.parse(raw, "order.json")


def test_a_name_says_mark_and_type() -> None:
    name = EventName.parse("0123456789abcdef.github.push.json")

    assert name == EventName(mark="0123456789abcdef", type="github.push")
    assert str(name) == "0123456789abcdef.github.push.json"
    assert EventName.parse("order.json") is None


def test_a_receipt_is_json(office: Office) -> None:
    name = store(office).emit(Event(type="x", key="1", fields={"a": "\u202e\n"})).name
    assert json.loads(office.read(f"events/new/{name}"))["fields"] == {"a": "\u202e\n"}


# --- accepted, started, put away

HANDLED = f"""{TEAM}
[agents.research]
kind = "worker"
[events.bug_found]
do = {{ task = "Fix what was found", type = "bug", text = "Find the cause." }}
at_once = 2
[events.query]
do = {{ spawn = "research" }}
with = {{ customer = "data.customer" }}
"""
FLOW = """---
starts on: order
inputs: [sum, note = none]
---
## look
- to: peter

Look at {sum} and {note}
"""


def handled(tmp_path: Path) -> Office:
    office = Office(tmp_path / "sam", HANDLED)
    office.write("workflows/orders.md", FLOW)
    return office


def drop(office: Office, name: str, text: str) -> None:
    office.write(f"events/{name}", text)
    office.settle()


def tasks(office: Office) -> list[str]:
    return [name for name in office.names("status") if name.startswith("tc-")]


def test_a_dropped_file_starts_what_its_type_is_handled_by(tmp_path: Path) -> None:
    office = handled(tmp_path)
    drop(office, "bug_found.json", '{"page": "/pay", "text": "It shows two charges"}')
    drop(office, "new/a.md", "---\ntype: order\nsum: 3\n---\n")
    drop(office, "new/query.1.json", '{"data": {"customer": "Ada"}}')
    office.clock.advance(timedelta(seconds=3))

    ticked = office.tick()

    assert not ticked.problems
    assert {name.rsplit("-", 1)[0] for name in tasks(office)} == {"tc-bug_found", "tc-orders", "tc-query"}
    (bug,) = [name for name in tasks(office) if "bug" in name]
    task = office.task(bug.removesuffix(".md").upper())
    assert task.assignee == "peter" and task.event and task.event.endswith(".bug_found")
    assert "> " in office.read(f"status/{bug}") and "two charges" in office.read(f"status/{bug}")
    assert sorted(name.partition(".")[2] for name in office.names("events/done")) == [
        "bug_found.json",
        "order.md",
        "query.json",
    ]
    assert office.names("events/new") == office.names("events/cur") == office.names("events/failed") == []
