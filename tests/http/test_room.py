"""Room for token holders: what callers without a token do with their connections keeps nobody out."""

import contextlib
import json
import select
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection

import pytest

from claw_files.http.connection_limits import MOST_CONNECTIONS
from claw_files.http.event_stream import MOST_STREAMS
from claw_files.testing.patience import until
from tests.proofs import some
from tests.support import warm

from .conftest import environment

STRANGERS = 96
SECONDS = 0.5
ASKED = 20  # by the holder, meanwhile


def head(served, lines: str = "", method: str = "GET", path: str = "/api/tasks") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\n{lines}\r\n".encode()


def refused_in(served, kind: str) -> bytes:
    """What a caller without a token sends again and again."""
    return {
        "no token": head(served),
        "a wrong token": head(served, "Authorization: Bearer x\r\n"),
        "a path that is none": head(served, path="/nothing"),
        "a path that is open": head(served, path="/healthz"),
        "a page of another site": head(served, "Origin: http://evil.example\r\n"),
        "another host": head(served).replace(b"Host: 127.0.0.1", b"Host: evil.example"),
        "a body that never ends": head(served, "Content-Length: 1000\r\n", "POST") + b"{",
        "no HTTP": b"hello\r\n\r\n",
        "half a head": head(served)[:-2],
        "nothing": b"",
        "a stream of events": head(served, path="/api/events"),
        "many on one connection": head(served) * 200,
    }[kind]


@contextmanager
def strangers(port: int, request: bytes, count: int = STRANGERS) -> Iterator[Callable[[], int]]:
    """So many connections, each of which sends the request, reads what comes, and does so again; how often it was."""
    over, asked = threading.Event(), [0]

    def annoy() -> None:
        wire: socket.socket | None = None
        while not over.is_set():
            try:
                if wire is None:
                    wire = socket.create_connection(("127.0.0.1", port), 5)
                    wire.settimeout(0.2)
                wire.sendall(request)
                asked[0] += 1
                while wire.recv(1 << 16):
                    pass
            except TimeoutError:
                continue  # it is kept: on it goes
            except OSError:
                pass
            if wire is not None:
                wire.close()
            wire = None
        if wire is not None:
            wire.close()

    threads = [threading.Thread(target=annoy) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield lambda: asked[0]
    finally:
        over.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize(
    "kind",
    some(
        [
            "no token",
            "a path that is open",
            "a body that never ends",
            "half a head",
            "many on one connection",
            "a wrong token",
            "a page of another site",
            "nothing",
            "a stream of events",
        ],
        5,
    ),
)
def test_token_holders_work_on_while_callers_without_one_do_their_worst(served, kind: str) -> None:
    """Each of the holder's requests has a connection of its own, as `curl` has: none may be turned away."""
    served.token("peter")
    with strangers(served.port, refused_in(served, kind)) as asked:
        until(lambda: asked() >= STRANGERS, "all are at it")
        end = time.monotonic() + SECONDS
        for number in range(ASKED):
            made = served("POST", "/api/tasks", {"title": f"task {number}"})
            assert made.status == 201, made
        while time.monotonic() < end:
            assert served("GET", "/api/tasks").status == 200
    assert len(served("GET", "/api/tasks").json["tasks"]) == ASKED


def test_a_connection_that_is_kept_is_not_taken_from_its_holder(served) -> None:
    """One connection for many requests, as dashboards do, while strangers come and go."""
    connection = HTTPConnection("127.0.0.1", served.port, timeout=30)
    with contextlib.closing(connection):
        connection.request("GET", "/api/tasks", headers=served.bearer("peter"))
        connection.getresponse().read()
        kept = connection.sock
        with strangers(served.port, refused_in(served, "no token")) as asked:
            until(lambda: asked() >= STRANGERS, "all are at it")
            for _ in range(30):
                connection.request("GET", "/api/tasks", headers=served.bearer("peter"))
                assert connection.getresponse().read().startswith(b'{"tasks"')
            assert connection.sock is kept, "it was never closed"


@pytest.mark.parametrize(
    "kind", ["no token", "a wrong token", "a path that is none", "a path that is open", "another host", "no HTTP"]
)
def test_an_answer_to_who_shows_no_token_ends_the_connection(board, kind: str) -> None:
    with board.connect() as wire:
        wire.sendall(refused_in(board, kind))
        seen = b""
        while part := wire.recv(1 << 16):
            seen += part
    assert b"connection: close" in seen.lower()
    assert seen.count(b"HTTP/1.1 ") == 1


def test_a_body_without_a_token_is_not_waited_for(board, read) -> None:
    start = time.monotonic()
    with board.connect() as wire:
        wire.sendall(head(board, "Content-Type: application/json\r\nContent-Length: 100\r\n", "POST") + b"{")
        assert read(wire).status == 401
    assert time.monotonic() - start < 4  # a body has five seconds


def test_the_oldest_idle_connection_makes_room(serve) -> None:
    served = serve()
    with ExitStack() as opened:
        wires = [opened.enter_context(served.connect()) for _ in range(MOST_CONNECTIONS + 10)]
        for wire in wires:
            wire.sendall(head(served)[:-2])
        until(lambda: all(map(has_ended, wires[:10])), "the first ones were closed")
        assert not any(map(has_ended, wires[10:20]))


def has_ended(wire: socket.socket) -> bool:
    readable, _, _ = select.select([wire], [], [], 0)
    with contextlib.suppress(ConnectionResetError):
        return bool(readable) and wire.recv(1, socket.MSG_PEEK) == b""
    return True


def test_an_idle_holder_goes_after_all_strangers(serve, read) -> None:
    served = serve()
    lines = f"Authorization: Bearer {served.token('peter')}\r\n"
    with ExitStack() as opened:
        holder = opened.enter_context(served.connect())
        holder.sendall(head(served, lines))
        assert read(holder).status == 200
        wires = [opened.enter_context(served.connect()) for _ in range(MOST_CONNECTIONS + 20)]
        for wire in wires:
            wire.sendall(head(served)[:-2])
        until(lambda: has_ended(wires[0]), "a stranger went")
        holder.sendall(head(served, lines))
        assert read(holder).status == 200


def test_responses_in_progress_are_never_aborted_and_excess_callers_are_refused(serve, read) -> None:
    """Sixteen listen, 48 are in the middle of their bodies: all hold tokens. One more is told, and none is missed."""
    served = serve()
    token = f"Authorization: Bearer {served.token('peter')}\r\n"
    body = json.dumps({"title": "Late"}).encode()
    lines = f"{token}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"

    def full() -> bool:
        """Whether it went as it should; False on a machine so slow that a body took over five seconds."""
        with ExitStack() as opened:
            slow = [opened.enter_context(served.connect()) for _ in range(MOST_CONNECTIONS - MOST_STREAMS)]
            for wire in slow:
                wire.sendall(head(served, lines, "POST") + body[:-1])
            told = next((it for _ in range(50) if (it := served.raw(head(served, token))) and it.status == 503), None)
            for wire in slow:
                with contextlib.suppress(ConnectionError):
                    wire.sendall(body[-1:])
            statuses = {answer.status if (answer := read(wire)) else 0 for wire in slow}
            return bool(told and told.code == "too-many-connections" and statuses == {201})

    with ExitStack() as opened:
        listening = [opened.enter_context(served.connect()) for _ in range(MOST_STREAMS)]
        for wire in listening:
            wire.sendall(head(served, token, path="/api/events"))
            assert wire.recv(1 << 16).startswith(b"HTTP/1.1 200")
        until(full, "one more is told, and all others are answered")
        assert b"HTTP" not in b"".join(wire.recv(1 << 20, socket.MSG_PEEK) for wire in listening)


def test_endless_listeners_do_not_block_other_callers(serve) -> None:
    """As many as may listen do, more ask for it all the time, and others that hold a token work on."""
    served = serve()
    token = f"Authorization: Bearer {served.token('iris')}\r\n"
    with strangers(served.port, head(served, token, path="/api/events"), 80) as asked:
        until(lambda: asked() >= 80, "all are at it")
        for number in range(ASKED):
            assert served("POST", "/api/tasks", {"title": f"task {number}"}).status == 201


# --- the same over MCP


@contextmanager
def mcp(served) -> Iterator[int]:
    """The port of a server of MCP over the same workspace."""
    command = [*warm.command(), "-C", str(served.root), "mcp", "--http", "--port", "0"]
    with subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        try:
            yield int(process.stderr.readline().rpartition(b":")[2].partition(b"/")[0])
        finally:
            process.terminate()


def asked_of_mcp(port: int, token: str, name: str = "task_list", **arguments: object) -> int:
    """The status of a call, on a connection of its own."""
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "arguments": arguments}}
    headers = {
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
    }
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    with contextlib.closing(connection):
        connection.request("POST", "/mcp", json.dumps(message), headers)
        response = connection.getresponse()
        assert b'"isError":false' in response.read().replace(b" ", b"")
        return response.status


@pytest.mark.parametrize(
    "kind", some(["no token", "half a head", "a body that never ends", "a wrong token", "nothing"], 3)
)
def test_token_holders_work_on_over_mcp_while_others_do_their_worst(served, kind: str) -> None:
    token = served.token("peter")
    request = refused_in(served, kind).replace(b"/api/tasks", b"/mcp")
    with mcp(served) as port:
        request = request.replace(str(served.port).encode(), str(port).encode())
        with strangers(port, request) as asked:
            until(lambda: asked() >= STRANGERS, "all are at it")
            for number in range(ASKED):
                assert asked_of_mcp(port, token, "task_new", title=f"task {number}") == 200
    assert len(served("GET", "/api/tasks").json["tasks"]) == ASKED


def test_listeners_over_mcp_keep_nobody_out(served) -> None:
    """A listener's answer is a stream without end; as many as may have one, and forty ask for it all the time."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    }
    params = {"notifications": {"resourceSubscriptions": ["clawfiles://board"]}, "_meta": meta}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen", "params": params})
    token = served.token("peter")
    with mcp(served) as port:
        lines = (
            f"Authorization: Bearer {served.token('iris')}\r\nContent-Type: application/json\r\n"
            f"Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\n"
            f"Mcp-Method: subscriptions/listen\r\nContent-Length: {len(body)}\r\n"
        )
        request = head(served, lines, "POST", "/mcp").replace(str(served.port).encode(), str(port).encode())
        with socket.create_connection(("127.0.0.1", port), 30) as one:
            one.sendall(request + body.encode())
            assert b"text/event-stream" in one.recv(1 << 16)
            with strangers(port, request + body.encode(), 40) as asked:
                until(lambda: asked() >= 40, "all are at it")
                for number in range(ASKED // 2):
                    assert asked_of_mcp(port, token, "task_new", title=f"task {number}") == 200
            assert not has_ended(one)
