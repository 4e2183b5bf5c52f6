"""`clawfiles mcp --http`: each request is its token's agent's, and nobody else is answered."""

import asyncio
import json
import socket
import subprocess
from pathlib import Path
from typing import Any

import httpx2
import pytest

from claw_files.mcp.tools import listed
from tests.runs import within

from .conftest import ENV, Team, called, live, refused

HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
ASKED = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": HELLO}
ACCEPT = {"Accept": "application/json, text/event-stream"}


def post(address: str, **headers: str) -> httpx2.Response:
    """What an `initialize` is answered."""
    return httpx2.post(address, json=ASKED, headers=ACCEPT | headers, timeout=60)


@pytest.mark.parametrize("mode", ["legacy", "auto"])
def test_two_agents_work_through_one_server(team: Team, mode: str) -> None:
    address = team.serve()

    async def story() -> None:
        async with team.caller(address, "sam", mode) as sam, team.caller(address, "peter", mode) as peter:
            assert [tool.name for tool in (await sam.list_tools()).tools] == [tool["name"] for tool in listed()]
            made = await called(sam, "task_new", title="API review", type="bug", to="peter")
            await called(peter, "task_claim", task=made["id"])
            assert (await refused(sam, "task_claim", task=made["id"]))[0] == "already-claimed"
            done = await called(peter, "task_done", task=made["id"], summary="fixed")
            board = (await sam.read_resource("clawfiles://board")).contents[0]

        assert (done["status"], done["assignee"], done["requested_by"]) == ("done", "peter", "sam")
        assert [task["id"] for task in json.loads(board.text)["board"]["done"]] == ["TC-1"]

    live(story())


def test_a_request_without_a_valid_token_is_refused(team: Team) -> None:
    address, token = team.serve(), team.token("peter")
    good = {"Authorization": f"Bearer {token}"}

    assert post(address, **good).status_code == 200
    for wrong in ("", "Bearer", f"Bearer {token}x", f"Bearer {token[:-1]}", f"Basic {token}", token):
        answer = post(address, Authorization=wrong)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer"), wrong
        assert answer.json()["error"]["code"] == "no-token"
    twice = httpx2.post(address, json=ASKED, headers=[*ACCEPT.items(), *good.items(), *good.items()], timeout=60)
    assert twice.status_code == 401
    team.type("token", "peter", "--revoke")
    assert post(address, **good).status_code == 401


def test_a_page_of_a_stranger_is_refused_even_with_a_token(team: Team) -> None:
    address = team.serve()
    good = {"Authorization": f"Bearer {team.token('peter')}"}

    assert post(address, **good, Host="clawfiles.example:80").status_code == 421
    assert post(address, **good, Host="127.0.0.1:1").status_code == 421
    assert post(address, **good, Origin="http://evil.example").status_code == 403
    assert post(address, **good, Origin=address.removesuffix("/mcp")).status_code == 200
    assert "access-control-allow-origin" not in post(address, **good, Origin=address.removesuffix("/mcp")).headers


def test_only_this_machine_can_reach_it(team: Team) -> None:
    port = team.serve().rpartition(":")[2].partition("/")[0]
    hexed = f":{int(port):04X}"
    lines = [line.split() for name in ("tcp", "tcp6") for line in Path("/proc/net", name).read_text().splitlines()[1:]]

    assert [line[1] for line in lines if line[1].endswith(hexed) and line[3] == "0A"] == [f"0100007F{hexed}"]


def test_the_token_decides_which_tasks_are_shown(team: Team) -> None:
    team.type("task", "new", "secret", "--to", "shield", "--agent", "shield")
    address = team.serve()

    async def story() -> None:
        async with team.caller(address, "shield") as shield, team.caller(address, "peter") as peter:
            assert (await called(shield, "task_show", task="TC-1"))["title"] == "secret"
            assert (await refused(peter, "task_show", task="TC-1"))[0] == "not-found"

    live(story())


def test_what_the_server_was_started_in_is_nobody_elses(team: Team) -> None:
    team.task()
    server = team.start(
        "--http", "--port", "0", env={"CLAWFILES_AGENT": "sam", "CLAWFILES_TASK": "TC-1"}, stdin=subprocess.DEVNULL
    )
    assert server.stderr
    address = server.stderr.readline().decode().split()[-1]

    async def story() -> None:
        async with team.caller(address, "peter") as peter:
            made = await called(peter, "task_new", title="mine")
            assert (made["requested_by"], made.get("parent")) == ("peter", None)

    live(story())


def test_a_server_that_was_started_in_a_run_serves_its_agent_alone(team: Team) -> None:
    words = within(team.root, "sam", team.real("mcp", "--http", "--port", "0"))
    server = subprocess.Popen(words, env=ENV, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    team.started.append(server)
    assert server.stderr
    address = server.stderr.readline().decode().split()[-1]

    async def story() -> None:
        async with team.caller(address, "peter") as peter, team.caller(address, "sam") as sam:
            assert "so peter cannot act in it" in (await refused(peter, "task_new", title="not mine"))[1]
            assert (await called(sam, "task_new", title="mine"))["requested_by"] == "sam"

    live(story())


def test_a_wait_holds_up_nobody_and_a_change_is_told(team: Team) -> None:
    address = team.serve()
    team.token("peter"), team.token("sam")

    async def story() -> None:
        async with team.caller(address, "peter") as peter, team.caller(address, "sam") as sam:
            wanted = ["clawfiles://inbox"]
            async with peter.listen(resource_subscriptions=wanted) as heard:
                wait = asyncio.create_task(called(peter, "inbox", timeoutSeconds=100))
                assert (await called(peter, "task_list"))["tasks"] == []
                assert not wait.done()
                await called(sam, "sessions_send", agentId="peter", message="now")
                assert (await wait)["messages"][0]["from"] == "sam"
                await called(sam, "sessions_send", agentId="peter", message="again")
                assert (await anext(heard)).uri == wanted[0]

    live(story())


def test_a_listener_hears_nothing_of_other_agents(team: Team) -> None:
    address, wanted = team.serve(), ["clawfiles://inbox"]
    team.token("peter"), team.token("sam")

    async def story() -> None:
        async with (
            team.caller(address, "peter") as peter,
            team.caller(address, "sam") as sam,
            peter.listen(resource_subscriptions=wanted) as peters,
            sam.listen(resource_subscriptions=wanted) as sams,
        ):
            team.type("send", "peter", "for you", "--agent", "iris")
            await anext(peters)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(sams), 0.5)
            team.type("send", "sam", "and for you", "--agent", "iris")
            await anext(sams)

    live(story())


def test_bodies_that_are_no_request_are_refused_and_the_next_is_served(team: Team) -> None:
    address = team.serve()
    headers = ACCEPT | {"Authorization": f"Bearer {team.token('peter')}", "Content-Type": "application/json"}

    def status(body: bytes, **more: str) -> int:
        return httpx2.post(address, content=body, headers=headers | more, timeout=60).status_code

    assert status(b"{") == 400
    assert status(b"[" * 100_000) == 400
    assert status(b"\xff\xfe") == 400
    assert status(json.dumps(ASKED).encode(), **{"Content-Type": "text/plain"}) == 400
    assert status(b" " * (5 << 20)) == 413
    assert httpx2.get(address, headers=headers, timeout=60).status_code == 405
    assert httpx2.delete(address, headers=headers, timeout=60).status_code == 405
    assert status(json.dumps(ASKED).encode()) == 200


def test_a_head_that_does_not_come_whole_ends_its_connection_and_no_other(team: Team) -> None:
    address = team.serve()
    port = int(address.rpartition(":")[2].partition("/")[0])

    with socket.create_connection(("127.0.0.1", port), timeout=60) as slow:
        slow.sendall(b"POST /mcp HTTP/1.1\r\nHost: 127")
        assert post(address, Authorization=f"Bearer {team.token('peter')}").status_code == 200
        assert b"too-slow" in slow.recv(4096)
        assert slow.recv(4096) == b""


def test_a_port_that_is_taken_is_told(team: Team) -> None:
    port = team.serve().rpartition(":")[2].partition("/")[0]
    words = team.words("mcp", "--http", "--port", port)
    done = subprocess.run(words, env=ENV, capture_output=True, text=True, stdin=subprocess.DEVNULL)

    assert done.returncode == 7
    assert f"port {port} is in use" in done.stderr


def test_the_server_ends_on_request_with_a_caller_waiting(team: Team) -> None:
    address = team.serve()
    server: Any = team.started[-1]

    async def story() -> None:
        async with team.caller(address, "peter") as peter:
            wait = asyncio.create_task(called(peter, "inbox", timeoutSeconds=600))
            await called(peter, "task_list")
            server.terminate()
            ended = await asyncio.to_thread(server.wait, 60)
            assert ended in (0, -15)
            wait.cancel()

    live(story())
