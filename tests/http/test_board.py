"""The board over HTTP: what the shell does and says, and who may ask."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from claw_files.core.errors import INSTALL

ROOT = Path(__file__).parents[2]


def test_the_two_calls_that_agents_know_claim_and_complete_a_task(served) -> None:
    task = served.task(type="bug")

    claimed = served("PATCH", f"/api/tasks/{task}", {"status": "in_progress", "agent": "Peter"})
    assert (claimed.status, claimed.json["status"], claimed.json["assignee"]) == (200, "in_progress", "peter")
    done = served("PATCH", f"/api/tasks/{task}", {"status": "done", "agent": "Peter"})
    assert (done.status, done.json["status"]) == (200, "done")

    again = served("PATCH", f"/api/tasks/{task}", {"status": "done", "agent": "Peter"})
    assert (again.status, again.code) == (409, "move-refused")


def test_they_work_as_they_stand_where_the_configuration_believes_this_machine(serve) -> None:
    served = serve('[serve]\nauth = "loopback"')
    task = served.shell("task", "new", "A bug", "--type", "bug", by="sam")["id"]

    claimed = served("PATCH", f"/api/tasks/{task}", {"status": "in_progress", "agent": "Peter"}, None)
    done = served("PATCH", f"/api/tasks/{task}", {"status": "done", "agent": "Peter"}, None)

    assert (claimed.status, done.status, done.json["status"]) == (200, 200, "done")
    assert "any local process can act as any agent" in served.complaints
    nameless = served("POST", "/api/tasks", {"title": "Whose?"}, None)
    assert (nameless.status, nameless.code) == (400, "no-agent-named")
    assert served("GET", "/api/tasks", by=None).status == 200
    assert served("GET", "/api/inbox?agent=iris", by=None).json == {"messages": []}


def test_json_is_that_of_the_shell(served) -> None:
    task = served.task("Look at it", type="bug", priority="high", estimate="30m", body="The text.")

    assert served("GET", f"/api/tasks/{task}").json == served.shell("task", "show", task)
    assert served("GET", "/api/tasks").json["tasks"] == served.shell("task", "list")
    lease = served("POST", f"/api/tasks/{task}/claim").json
    assert lease == {
        "task": task,
        "agent": "peter",
        "generation": 1,
        "until": served.shell("task", "show", task)["lease"],
    }


def without_distance(told: dict) -> dict:
    """An error without how long ago its sentence says that something was: a second may pass between two of them."""
    error = told["error"]
    return {"error": error | {"message": re.sub(r" \((now|\d+ s ago)\)", "", error["message"])}}


def test_errors_are_those_of_the_shell(served) -> None:
    task = served.task(type="bug")
    served.shell("claim", task, by="peter")
    for method, path, body, status, command in (
        ("GET", "/api/tasks/TC-99", None, 404, ["task", "show", "TC-99"]),
        ("PATCH", f"/api/tasks/{task}", {"status": "in_progress"}, 409, ["claim", task, "--agent", "iris"]),
        ("PATCH", f"/api/tasks/{task}", {"status": "done"}, 409, ["done", task, "--agent", "iris"]),
        ("POST", f"/api/tasks/{task}/claim", {}, 409, ["claim", task, "--agent", "iris"]),
        ("POST", "/api/claim", {}, 404, ["claim", "--next", "--agent", "iris"]),
        ("POST", "/api/messages", {"to": "nobody", "text": "x"}, 404, ["send", "nobody", "x", "--agent", "iris"]),
    ):  # fmt: skip
        answer = served(method, path, body, "iris")
        assert answer.status == status, answer
        assert without_distance(answer.json) == without_distance(served.shell(*command, ok=False))


@pytest.mark.parametrize(
    ("type", "moves"),
    [
        ("bug", [("in_progress", {}), ("blocked", {"note": "no host"}), ("in_progress", {"note": "it is back"}),
                 ("done", {"note": "fixed", "outputs": ["PR #1"]}), ("backlog", {"note": "not yet"})]),
        ("bug", [("in_progress", {}), ("failed", {"note": "cannot"})]),
        ("bug", [("in_progress", {"generation": None}), ("review", {}), ("cancelled", {"note": "no"})]),
        ("bug", [("in_progress", {}), ("blocked", {"need": {"agent": "iris", "question": "Which?"}})]),
        ("bug", [("in_progress", {}), ("backlog", {"note": "for iris"})]),
    ],
)  # fmt: skip
def test_every_status_is_reached_by_its_move(served, type: str, moves: list[tuple[str, dict[str, Any]]]) -> None:
    task = served.task(type=type)
    for status, more in moves:
        by = {"not yet": "dimitrios", "no": "sam"}.get(more.get("note", ""), "peter")
        moved = served("PATCH", f"/api/tasks/{task}", {"status": status, **more}, by)
        assert (moved.status, moved.json.get("status")) == (200, status), moved


def test_a_review_is_accepted_by_its_reviewer_alone(served) -> None:
    task = served.task(type="reviewed", to="peter")
    served("PATCH", f"/api/tasks/{task}", {"status": "in_progress"})

    in_review = served("PATCH", f"/api/tasks/{task}", {"status": "done"})
    own = served("PATCH", f"/api/tasks/{task}", {"status": "done"})
    accepted = served("PATCH", f"/api/tasks/{task}", {"status": "done"}, "dimitrios")

    assert in_review.json["status"] == "review"
    assert (own.status, own.code) == (409, "move-refused")
    assert accepted.json["status"] == "done"


def test_whoever_replays_its_done_does_not_accept_its_own_work(served) -> None:
    task = served.task(type="reviewed")
    lease = served("POST", f"/api/tasks/{task}/claim", by="sam")
    assert lease.status in (200, 409), lease
    finish = {"status": "done", "generation": 1}
    served("PATCH", f"/api/tasks/{task}", finish, "sam")

    assert served("PATCH", f"/api/tasks/{task}", finish, "sam").status == 409


def test_a_field_that_does_not_go_with_the_status_is_wrong_use(served) -> None:
    task = served.task(type="bug")
    for body in (
        {"status": "in_progress", "outputs": ["x"]},
        {"status": "dead"},
        {"status": "nonsense"},
        {"status": "in_progress", "stauts": "x"},
        {"status": 7},
        {"status": "in_progress", "generation": "1"},
        {"agent": 7},
    ):
        answer = served("PATCH", f"/api/tasks/{task}", body)
        assert (answer.status, "error" in answer.json) == (400, True), (body, answer)
    assert served("GET", f"/api/tasks/{task}").json["status"] == "backlog"


def test_no_caller_acts_as_another_agent(served) -> None:
    task = served.task(type="bug")
    before = served.tree()

    answer = served("PATCH", f"/api/tasks/{task}", {"status": "in_progress", "agent": "peter"}, "iris")

    assert (answer.status, answer.code) == (403, "not-you")
    assert served.tree() == before


def test_a_token_counts_until_it_is_revoked(served) -> None:
    assert served("GET", "/api/tasks").status == 200
    served.shell("token", "peter", "--revoke")
    assert served("GET", "/api/tasks").status == 401


def test_a_revision_that_is_not_the_tasks_any_more_changes_nothing(served) -> None:
    task = served.task(type="bug")
    seen = served("GET", f"/api/tasks/{task}").headers["etag"]
    assert served("GET", f"/api/tasks/{task}", If_None_Match=seen).status == 304

    served.shell("claim", task, by="peter")
    late = served("PATCH", f"/api/tasks/{task}", {"status": "cancelled"}, "sam", If_Match=seen)
    assert (late.status, late.code) == (412, "outdated")
    now = served("GET", f"/api/tasks/{task}", If_None_Match=seen)
    assert (now.status, late.headers["etag"]) == (200, now.headers["etag"])
    assert (
        served("PATCH", f"/api/tasks/{task}", {"status": "cancelled"}, "sam", If_Match=now.headers["etag"]).status
        == 200
    )


def test_one_of_two_changes_of_the_same_revision_wins(served) -> None:
    task = served.task(type="bug")
    served("PATCH", f"/api/tasks/{task}", {"status": "in_progress"})
    seen = served("GET", f"/api/tasks/{task}").headers["etag"]
    for by in ("peter", "iris"):
        served.token(by)
    found: list[int] = []

    def note(by: str) -> None:
        body = {"status": "blocked", "note": f"{by} misses something"}
        found.append(served("PATCH", f"/api/tasks/{task}", body, by, If_Match=seen).status)

    threads = [threading.Thread(target=note, args=(by,)) for by in ("peter", "iris")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [200, 412]


def test_a_request_with_a_key_has_one_effect_however_often_it_is_sent(served) -> None:
    body = {"title": "Once"}
    first = served("POST", "/api/tasks", body, Idempotency_Key="k1")
    again = served("POST", "/api/tasks", body, Idempotency_Key="k1")
    other = served("POST", "/api/tasks", {"title": "Twice"}, Idempotency_Key="k1")
    others = served("POST", "/api/tasks", body, "iris", Idempotency_Key="k1")

    assert (first.status, again.body) == (201, first.body)
    assert (other.status, other.code) == (422, "key-reused")
    assert (others.status, others.json["id"]) == (201, "TC-2")
    assert len(served("GET", "/api/tasks").json["tasks"]) == 2


def test_a_key_answers_nothing_to_a_token_that_is_over(served) -> None:
    shown = served.bearer("peter")
    assert served("POST", "/api/tasks", {"title": "Once"}, Idempotency_Key="k1").status == 201
    served.shell("token", "peter", "--revoke")

    again = served("POST", "/api/tasks", {"title": "Once"}, None, Idempotency_Key="k1", **shown)

    assert (again.status, again.code) == (401, "no-token")


def test_a_failed_request_may_be_repeated_under_its_key(served) -> None:
    early = served("POST", "/api/tasks/TC-1/claim", Idempotency_Key="k")
    served.task(type="bug")
    late = served("POST", "/api/tasks/TC-1/claim", Idempotency_Key="k")

    assert (early.status, late.status) == (404, 200)
    assert served("POST", "/api/tasks/TC-1/claim", Idempotency_Key="k").json == late.json


def test_messages_go_out_are_read_answered_and_put_away(served) -> None:
    sent = served("POST", "/api/messages", {"to": "iris", "text": "Which region?", "question": True})
    assert (sent.status, sent.json["status"]) == (200, "accepted")
    peeked = served("GET", "/api/inbox", by="iris").json["messages"]
    assert [message["kind"] for message in peeked] == ["question"]
    assert served("POST", "/api/inbox/read", by="iris").json["messages"] == peeked
    assert served("GET", "/api/inbox", by="iris").json["messages"] == []

    answered = served("POST", f"/api/messages/{sent.json['id']}/answer", {"text": "eu-west-1"}, "iris")
    assert answered.json["status"] == "accepted"
    [answer] = served("GET", "/api/inbox").json["messages"]
    assert "eu-west-1" in answer["body"]
    done = served("POST", f"/api/messages/{answer['id']}/done")
    assert (done.status, done.json["done"]["id"]) == (200, answer["id"])
    assert served("GET", "/api/inbox").json["messages"] == []


def test_a_list_is_filtered_and_a_filter_that_is_none_is_wrong_use(served) -> None:
    first, second = served.task(type="bug"), served.task(type="bug")
    served("PATCH", f"/api/tasks/{second}", {"status": "in_progress"})

    def ids(query: str) -> list[str]:
        return [task["id"] for task in served("GET", f"/api/tasks?{query}").json["tasks"]]

    assert (ids("status=backlog"), ids("agent=peter"), ids("limit=1")) == ([first], [second], [first])
    for query in ("status=x", "limit=0", "limit=x", "limit=1&limit=2", "state=done", "agent=nobody", "limit=-1"):
        assert served("GET", f"/api/tasks?{query}").status in (400, 404), query


def test_a_compartment_is_not_there_for_others(served) -> None:
    hidden = served.task("Of shield", "shield")
    served("PATCH", f"/api/tasks/{hidden}", {"status": "in_progress"}, "shield")
    own = served("GET", f"/api/tasks/{hidden}", by="shield")
    assert own.status == 200

    for method, path, body in (
        ("GET", f"/api/tasks/{hidden}", None),
        ("PATCH", f"/api/tasks/{hidden}", {"status": "done"}),
        ("POST", f"/api/tasks/{hidden}/claim", {}),
    ):
        answer = served(method, path, body, "iris")
        absent = served(method, path.replace(hidden, "TC-99"), body, "iris")
        assert (answer.status, answer.code) == (404, "not-found")
        assert answer.body.replace(hidden.encode(), b"TC-99") == absent.body
    assert served("GET", "/api/tasks", by="iris").json["tasks"] == []


def test_delegating_writes_the_line_and_the_message(served) -> None:
    task = served.task(type="bug")
    given = served("POST", f"/api/tasks/{task}/delegate", {"to": "peter", "check": "+30m"}, "sam")

    assert (given.status, given.json["agent"], given.json["status"]) == (200, "peter", "accepted")
    assert task in (served.root / "HEARTBEAT.md").read_text()
    assert [message["task"] for message in served("GET", "/api/inbox").json["messages"]] == [task]


def test_a_wrong_configuration_is_told_and_forgiven_when_it_is_mended(served) -> None:
    path = served.root / "clawfiles.toml"
    good = path.read_text()
    path.write_text(good.replace("coordinator", "cordinator"))
    broken = served("GET", "/healthz", by=None)
    assert (broken.status, broken.code) == (500, "invalid-config")
    path.write_text(good)
    assert served("GET", "/healthz", by=None).json == {"status": "ok", "daemon": False}


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_the_server_ends_cleanly_on_a_signal(serve, number: int, status: int) -> None:
    served = serve(program=[sys.executable, "-m", "claw_files"])
    with served.connect():  # one that says nothing keeps nobody
        assert served.end(number) == status
    assert served.complaints == ""


def test_a_port_that_is_taken_is_told(served) -> None:
    answer = served.shell("serve", "--port", str(served.port), ok=False)
    assert answer["error"]["code"] == "port-taken"


def test_without_its_libraries_it_says_what_to_install(board, tmp_path: Path) -> None:
    (tmp_path / "uvicorn").mkdir()
    (tmp_path / "uvicorn/__init__.py").write_text("raise ImportError('not here', name='uvicorn')\n")
    command = [sys.executable, "-m", "claw_files", "-C", str(board.root), "serve", "--json"]
    env = {**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"}
    done = subprocess.run(command, env=env, capture_output=True, timeout=60, check=False)

    assert done.returncode == 6
    assert json.loads(done.stderr)["error"]["message"].endswith(INSTALL["web"])


def test_an_address_that_is_none_is_told(board) -> None:
    assert board.shell("serve", "--host", "example.org", ok=False)["error"]["code"] == "bad-value"
