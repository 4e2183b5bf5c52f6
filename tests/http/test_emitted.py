"""Events over HTTP: emitted once for each key, with data as JSON has it."""

from tests.http.conftest import Served


def test_an_event_is_emitted_once_for_each_key_by_whoever_may_move_tasks(served: Served) -> None:
    body = {"type": "order", "key": "7", "data": {"type": "x", "items": [1, {"a": None}]}, "text": "a\nStatus: DONE"}
    first = served("POST", "/api/events", body)
    assert (first.status, first.json["known"]) == (202, False)
    assert served("POST", "/api/events", body).json == first.json | {"known": True}
    assert [path.name for path in (served.root / "events/new").iterdir()] == [f"{first.json['id']}.order.json"]

    assert served("POST", "/api/events", {"type": "../x"}).status == 400
    assert served("POST", "/api/events", {"type": "x", "data": "no object"}).status == 400
    assert served("POST", "/api/events", {}).status == 400
    assert served.end() == 0


def test_while_too_many_events_wait_no_more_are_taken(served: Served) -> None:
    folder = served.root / "events/new"
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(10_000):
        (folder / f"{number}.json").touch()
    full = served("POST", "/api/events", {"type": "order"})
    assert (full.status, full.code) == (503, "events-full")
    assert full.headers["retry-after"]
    assert served.end() == 0
