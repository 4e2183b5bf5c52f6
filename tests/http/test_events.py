"""Server-sent events: each line of the journal once, in order, to whom may see it, also after a break."""

import json
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection, HTTPResponse
from typing import Any

import pytest

from claw_files.testing.patience import until


class Stream:
    """One listener."""

    def __init__(self, response: HTTPResponse) -> None:
        self._response = response
        self.last = ""

    def next(self) -> dict[str, Any]:
        """The next event's line of the journal."""
        found: dict[str, str] = {}
        while True:
            line = self._response.readline().decode()
            assert line, "the stream ended"
            if line == "\n" and "data" in found:
                self.last = found["id"]
                assert found["event"] == "journal"
                return dict(json.loads(found["data"]))
            name, _, value = line.rstrip("\n").partition(": ")
            found[name] = value

    def ends(self) -> bool:
        """Whether nothing but the end comes."""
        while line := self._response.readline():
            if line.strip():
                return False
        return True


@contextmanager
def asking(served, by: str = "peter", query: str = "", **headers: str) -> Iterator[HTTPResponse]:
    """What is answered to a listener."""
    connection = HTTPConnection("127.0.0.1", served.port, timeout=30)
    sent = served.bearer(by) | {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request("GET", f"/api/events{query}", headers=sent)
    with closing(connection), closing(connection.getresponse()) as response:
        yield response


@contextmanager
def listening(served, by: str = "peter", query: str = "", **headers: str) -> Iterator[Stream]:
    with asking(served, by, query, **headers) as response:
        assert response.status == 200, response.read()
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["cache-control"] == "no-store"
        assert response.readline() == b"retry: 1000\n"
        yield Stream(response)


def test_new_journal_lines_are_sent_to_all_listeners(served) -> None:
    served.task("Before")
    with listening(served) as one, listening(served, "iris") as other:
        task = served.task("After", type="bug")
        served("PATCH", f"/api/tasks/{task}", {"status": "in_progress"})
        served.shell("done", task, by="peter")

        [day] = (served.root / "audit").iterdir()
        written = [json.loads(line) for line in day.read_text().splitlines()][1:]
        assert [line["action"] for line in written][-1] == "done"
        for stream in (one, other):
            assert [stream.next() for _ in written] == written


def test_after_a_break_nothing_is_missing_and_nothing_comes_twice(served) -> None:
    with listening(served) as stream:
        for number in range(3):
            served.task(f"Before {number}")
        assert stream.next()["task"] == "TC-1"
        last = stream.last
    for number in range(3):
        served.task(f"Meanwhile {number}")
    with listening(served, Last_Event_ID=last) as stream:
        served.task("Afterwards")
        assert [stream.next()["task"] for _ in range(6)] == [f"TC-{n}" for n in range(2, 8)]


def test_one_task_can_be_listened_to(served) -> None:
    first, second = served.task(type="bug"), served.task(type="bug")
    with listening(served, query=f"?task={second}") as stream:
        served("PATCH", f"/api/tasks/{first}", {"status": "in_progress"})
        served("PATCH", f"/api/tasks/{second}", {"status": "in_progress"})
        assert stream.next()["task"] == second


def test_events_of_a_compartment_are_told_inside_alone(served) -> None:
    served.task("Before")
    with listening(served, "iris") as outside, listening(served, "shield") as inside:
        hidden = served.task("Secret", "shield", to="shield")
        served("PATCH", f"/api/tasks/{hidden}", {"status": "in_progress"}, "shield")
        [day] = (served.root / "audit").iterdir()  # a line from before it was a compartment, say
        with day.open("a") as journal:
            journal.write('{"timestamp": "2026-03-07T08:45:00Z", "action": "claim", "agent": "shield"}\n')
        served.task("Open")

        told = outside.next()
        assert (told["action"], told["task"]) == ("task new", served("GET", "/api/tasks").json["tasks"][-1]["id"])
        assert inside.next()["task"] == hidden


@pytest.mark.parametrize("last", ["x", "2026-03-07", "2026-03-07.-1", "../../etc.1", "2026-03-07.1x"])
def test_an_event_id_that_is_none_is_wrong_use(board, last: str) -> None:
    answer = board("GET", "/api/events", Last_Event_ID=last)
    assert (answer.status, answer.code) == (400, "bad-value")


def test_an_agent_without_the_journal_right_gets_no_events(served) -> None:
    answer = served("GET", "/api/events", by="reader", Last_Event_ID="2026-03-07.0")

    assert (answer.status, answer.json["error"]["rule"]) == (403, "profiles.readonly")
    assert served("GET", "/api/tasks", by="reader").status == 200


def test_listening_needs_a_token_and_ends_with_it(served) -> None:
    assert served("GET", "/api/events", by=None).status == 401
    with listening(served) as stream:
        served.shell("token", "peter", "--revoke")
        served.task("Not for peter any more")
        assert stream.ends()


def test_streams_end_when_the_server_does(served) -> None:
    with listening(served) as one, listening(served, "iris") as other:
        start = time.monotonic()
        assert served.end(signal.SIGTERM) == 0
        assert time.monotonic() - start < 10
        assert one.ends() and other.ends()
    assert served.complaints == ""


def test_listeners_that_leave_make_room_for_others(served) -> None:
    """Also whoever leaves without a word, and without a traceback."""
    for _ in range(20):
        with listening(served):
            pass
    until(lambda: _listens(served), "there is room")
    assert served.complaints == ""


def _listens(served) -> bool:
    with asking(served) as response:
        return response.status == 200


def test_there_are_at_most_sixteen_streams(served) -> None:
    with ExitStack() as opened:
        found = [opened.enter_context(asking(served)) for _ in range(17)]
        assert [response.status for response in found] == [200] * 16 + [503]
        assert served("GET", "/api/tasks").status == 200
