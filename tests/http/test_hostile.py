"""What strangers send, by the numbers of docs/explanation/hostile-input.md: each row says what is answered.

After all of it nothing in the workspace has changed, nothing was complained of, and the server answers as before.
"""

import json
import re
import socket
import struct
import time
from contextlib import ExitStack
from typing import NamedTuple

import pytest

from claw_files.testing.patience import until

MEGABYTE = 1 << 20
EVERY = {"x-content-type-options": "nosniff", "cache-control": "no-store"}


class Case(NamedTuple):
    """Bytes on the wire, in which HOST, TOKEN and LENGTH are filled in, and the status and code of the answer."""

    number: int
    what: str
    head: str
    body: bytes
    status: int
    code: str


def get(number: int, what: str, lines: str, status: int, code: str, target: str = "/api/tasks") -> Case:
    """A GET; `lines` beside `Host` and the token, or instead of them."""
    kept = "" if "Host:" in lines or what.startswith("no Host") else "Host: HOST\n"
    token = "" if "Authorization" in lines or number == 65 else "Authorization: Bearer TOKEN\n"
    return Case(number, what, f"GET {target} HTTP/1.1\n{kept}{token}{lines}", b"", status, code)


def post(
    number: int, what: str, lines: str, body: bytes, status: int, code: str, method: str = "POST", length: bool = True
) -> Case:
    """A POST to /api/tasks, with its length unless `lines` say it or there is to be none."""
    token = "" if number == 65 else "Authorization: Bearer TOKEN\n"
    kind = "" if "Content-Type" in lines else "Content-Type: application/json\n"
    size = "" if "Content-Length" in lines or not length else "Content-Length: LENGTH\n"
    return Case(
        number, what, f"{method} /api/tasks HTTP/1.1\nHost: HOST\n{token}{kind}{size}{lines}", body, status, code
    )


def json_body(what: str, body: bytes) -> Case:
    return post(72, what, "", body, 400, "usage")


def never(method: str, path: str) -> Case:
    head = f"{method} {path} HTTP/1.1\nHost: HOST\nAuthorization: Bearer TOKEN\n"
    return Case(74, f"{method} {path}", head, b"", 405, "no-such-method")


NEVER = [
    ("GET", "/api/claim"),
    ("GET", "/api/inbox/read"),
    ("GET", "/api/messages"),
    ("GET", "/api/tasks/TC-1/claim"),
    ("DELETE", "/api/tasks/TC-1"),
    ("PUT", "/api/tasks/TC-1"),
    ("TRACE", "/api/tasks"),
]
NEW = b'{"title": "Forged"}'
CASES = [
    get(65, "no token", "", 401, "no-token"),
    get(65, "a wrong token", "Authorization: Bearer x\n", 401, "no-token"),
    get(65, "a token in another scheme", "Authorization: Basic TOKEN\n", 401, "no-token"),
    get(65, "a token that is too long", f"Authorization: Bearer {'x' * 8000}\n", 401, "no-token"),
    get(65, "two tokens", "Authorization: Bearer TOKEN\nAuthorization: Bearer x\n", 400, "bad-request"),
    get(65, "a token in the address", "", 401, "no-token", "/api/tasks?token=TOKEN"),
    post(65, "a change without a token", "", NEW, 401, "no-token"),
    get(66, "another Host", "Host: evil.example:PORT\n", 421, "wrong-host"),
    get(66, "a name that leads here", "Host: 127.0.0.1.nip.io:PORT\n", 421, "wrong-host"),
    get(66, "no Host", "", 400, "bad-request"),
    get(66, "two Hosts", "Host: HOST\nHost: evil.example\n", 400, "bad-request"),
    get(66, "the wrong port", "Host: 127.0.0.1:1\n", 421, "wrong-host"),
    get(66, "no port", "Host: 127.0.0.1\n", 421, "wrong-host"),
    get(66, "an address that is no name", "Host: 0.0.0.0:PORT\n", 421, "wrong-host"),
    Case(66, "HTTP/1.0 without Host", "GET /api/tasks HTTP/1.0\nAuthorization: Bearer TOKEN\n", b"", 421, "wrong-host"),
    Case(66, "an absolute target", "GET http://evil.example/ HTTP/1.1\nHost: HOST\n", b"", 404, "no-such-path"),
    get(67, "a page of another origin", "Origin: http://evil.example\n", 403, "cross-site"),
    get(67, "a page without an origin", "Origin: null\n", 403, "cross-site"),
    get(67, "a page of another port", "Origin: http://127.0.0.1:1\n", 403, "cross-site"),
    get(67, "another site", "Sec-Fetch-Site: cross-site\n", 403, "cross-site"),
    get(67, "a page of another port, as the browser says", "Sec-Fetch-Site: same-site\n", 403, "cross-site"),
    post(67, "a change from another origin", "Origin: http://evil.example\n", NEW, 403, "cross-site"),
    post(68, "text/plain", "Content-Type: text/plain\n", NEW, 415, "not-json"),
    post(68, "a form", "Content-Type: application/x-www-form-urlencoded\n", b"title=x", 415, "not-json"),
    post(68, "a form of parts", "Content-Type: multipart/form-data; boundary=x\n", b"--x--", 415, "not-json"),
    post(68, "two types", "Content-Type: text/plain\nContent-Type: application/json\n", NEW, 415, "not-json"),
    post(68, "another charset", "Content-Type: application/json; charset=utf-16\n", NEW, 415, "not-json"),
    post(68, "no type", "Content-Type:\n", NEW, 415, "not-json"),
    post(68, "a packed body", "Content-Encoding: gzip\n", NEW, 415, "not-json"),
    Case(69, "preflight", "OPTIONS /api/tasks HTTP/1.1\nHost: HOST\nAccess-Control-Request-Method: PATCH\n", b"", 405,
         "no-such-method"),
    Case(69, "preflight of a stranger", "OPTIONS /api/tasks HTTP/1.1\nHost: HOST\nOrigin: http://evil.example\n", b"",
         403, "cross-site"),
    post(70, "ten megabytes", "", b" " * (10 * MEGABYTE), 413, "too-large"),
    post(70, "a length beyond all", f"Content-Length: {'9' * 15}\n", NEW, 413, "too-large"),
    post(70, "a length of 30 digits", f"Content-Length: {'9' * 30}\n", NEW, 400, "bad-request"),
    post(70, "no length", "", NEW, 411, "no-length", length=False),
    post(70, "+5", "Content-Length: +5\n", NEW, 400, "bad-request"),
    post(70, "a negative length", "Content-Length: -5\n", NEW, 400, "bad-request"),
    post(70, "two lengths", "Content-Length: 5\nContent-Length: 6\n", NEW, 400, "bad-request"),
    post(70, "chunks", "Transfer-Encoding: chunked\n", b"5\r\nhello\r\n0\r\n\r\n", 411, "no-length", length=False),
    post(70, "chunks and a length", "Transfer-Encoding: chunked\nContent-Length: 5\n", b"0\r\n\r\n", 411, "no-length"),
    post(70, "an encoding that is none", "Transfer-Encoding: x\n", NEW, 400, "bad-request", length=False),
    get(70, "a GET with a body", "Content-Length: 2\n", 400, "bad-request"),
    get(71, "a hundred headers", "".join(f"X-{n}: y\n" for n in range(100)), 431, "too-many-headers"),
    get(71, "32 KB of headers", f"X: {'y' * (32 << 10)}\n", 431, "too-many-headers"),
    get(71, "an address of 5 KB", "", 414, "url-too-long", f"/api/tasks?status={'x' * 5000}"),
    get(71, "an address of 64 KB", "", 414, "url-too-long", f"/{'x' * (64 << 10)}"),
    get(71, "a header that goes on", "X: y\n z\n Nobody: evil\n", 200, ""),
    get(71, "a space before the colon", "X : y\n", 400, "bad-request"),
    get(71, "a header without a name", ": y\n", 400, "bad-request"),
    get(71, "NUL in a header", "X: \0\n", 400, "bad-request"),
    Case(71, "no HTTP", "hello\n", b"", 400, "bad-request"),
    Case(71, "TLS where there is none", "\x16\x03\x01\x02\x00\x01\x00\n", b"", 400, "bad-request"),
    Case(71, "HTTP/2", "PRI * HTTP/2.0\n", b"SM\r\n\r\n", 421, "wrong-host"),
    json_body("no JSON", b"{"),
    json_body("nothing", b""),
    json_body("a list", b"[]"),
    json_body("depth", b'{"title":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    json_body("5,000 digits", b'{"title": ' + b"1" * 5000 + b"}"),
    json_body("1e999", b'{"title": 1e999}'),
    json_body("NaN", b'{"title": NaN}'),
    json_body("a key twice", b'{"title": "a", "title": "b"}'),
    json_body("a key twice, inside", b'{"title": "a", "after": [{"x": 1, "x": 2}]}'),
    json_body("half a character", b'{"title": "\\ud800"}'),
    json_body("half a character as a key", b'{"title": "a", "\\udfff": 1}'),
    json_body("not UTF-8", b'{"title": "\xff"}'),
    json_body("UTF-16", '{"title": "a"}'.encode("utf-16")),
    json_body("a byte order mark", b'\xef\xbb\xbf{"title": "a"}'),
    json_body("NUL", b'{"title": "a\\u0000b"}'),
    json_body("a wrong type", b'{"title": 7}'),
    json_body("an unknown field", b'{"title": "a", "__class__": "x"}'),
    get(73, "out of the folder", "", 404, "no-such-path", "/api/tasks/..%2f..%2fetc%2fpasswd"),
    get(73, "out of the folder, in plain", "", 404, "no-such-path", "/api/tasks/../../etc/passwd"),
    get(73, "a NUL", "", 400, "usage", "/api/tasks/TC-1%00"),
    get(73, "two slashes", "", 404, "no-such-path", "//api/tasks"),
    get(73, "an encoded slash", "", 404, "no-such-path", "/api/tasks%2fTC-1"),
    get(73, "not UTF-8", "", 400, "bad-id", "/api/tasks/%ff"),
    get(73, "dots", "", 400, "bad-id", "/api/tasks/.."),
    get(73, "an option", "", 400, "bad-id", "/api/tasks/-rf"),
    get(73, "a slash at the end", "", 404, "no-such-path", "/api/tasks/"),
    get(73, "not UTF-8 in the query", "", 400, "usage", "/api/tasks?status=%ff"),
    get(73, "a NUL in the query", "", 400, "usage", "/api/tasks?status=%00"),
    *(never(method, path) for method, path in NEVER),
    post(79, "line ends in what is told back", "Idempotency-Key: a\tb\n", NEW, 400, "bad-value"),
    get(79, "markup in what is told back", "", 404, "no-such-path", "/<script>alert(1)</script>"),
    get(79, "line ends in an id", "", 400, "bad-id", "/api/tasks/x%0d%0aSet-Cookie:%20a=b"),
]  # fmt: skip


def sent(case: Case, board) -> bytes:
    """The request as it goes over the wire."""
    filled = {"HOST": f"127.0.0.1:{board.port}", "PORT": str(board.port), "TOKEN": board.token("peter")}
    head = case.head.replace("LENGTH", str(len(case.body)))
    for name, value in filled.items():
        head = head.replace(name, value)
    return head.encode("latin-1").replace(b"\n", b"\r\n") + b"\r\n" + case.body


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.number}-{case.what}"[:60])
def test_each_is_answered_as_the_page_says(case: Case, board) -> None:
    answer = board.raw(sent(case, board))

    assert answer is not None, case
    assert (answer.status, answer.json.get("error", {}).get("code", "")) == (case.status, case.code), answer
    assert answer.headers["content-type"] == "application/json"
    assert EVERY.items() <= answer.headers.items()
    assert not [name for name in answer.headers if name.startswith(("access-control", "set-cookie", "server"))]
    assert board.token("peter").encode() not in answer.body


def head_of(board, by: str = "peter", method: str = "POST", path: str = "/api/tasks") -> str:
    """The beginning of a good request."""
    return (
        f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{board.port}\r\nAuthorization: Bearer {board.token(by)}\r\n"
        "Content-Type: application/json\r\n"
    )


def test_a_slow_client_is_disconnected_without_any_effect(board, read) -> None:
    """71: all at once, so that the test waits only once."""
    head = head_of(board)
    slow = {
        "says nothing": b"",
        "never ends its head": head.encode(),
        "never ends a header": f"{head}X-Slow: ".encode(),
        "never ends its body": f"{head}Content-Length: 100\r\n\r\n".encode() + b'{"title": "half',
        "never begins its body": f"{head}Content-Length: 100\r\n\r\n".encode(),
        "stops between two": f"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:{board.port}\r\n\r\n".encode(),
    }
    with ExitStack() as opened:
        wires = {what: opened.enter_context(board.connect()) for what in slow}
        for what, data in slow.items():
            wires[what].sendall(data)
        start = time.monotonic()
        answers = {what: read(wire) for what, wire in wires.items()}
        assert wires["stops between two"].recv(1) == b""
        assert time.monotonic() - start < 15

    assert answers.pop("stops between two").status == 200
    assert answers.pop("says nothing") is None
    assert {what: (answer.status, answer.code) for what, answer in answers.items()} == dict.fromkeys(
        answers, (408, "too-slow")
    )


def test_a_body_that_is_cut_short_is_no_request(board) -> None:
    with board.connect() as wire:
        wire.sendall(f"{head_of(board)}Content-Length: 100\r\n\r\n".encode() + b'{"title": "half')
        wire.shutdown(socket.SHUT_WR)
        assert b"201" not in wire.recv(1000)


def health(served) -> bytes:
    return f"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\n\r\n".encode()


def test_a_second_request_on_the_wire_is_looked_at_like_the_first(board) -> None:
    good = f"{head_of(board, method='GET')}\r\n".encode()
    with board.connect() as wire:
        wire.sendall(good + good.replace(b"Host: 127.0.0.1", b"Host: evil.example"))
        seen = b""
        while part := wire.recv(1 << 16):
            seen += part
    assert re.findall(rb"HTTP/1.1 (\d+)", seen) == [b"200", b"421"]


def test_rubbish_behind_a_request_leaves_no_traceback(board) -> None:
    body = b'{"title": "half"'
    with board.connect() as wire:
        wire.sendall(f"{head_of(board)}Content-Length: {len(body)}\r\n\r\n".encode() + body + b"\0\0 rubbish\r\n\r\n")
        assert b"400" in wire.recv(1 << 16)


@pytest.mark.parametrize("how", ["after the request", "in the middle of the body", "with a reset"])
def test_a_client_that_disconnects_causes_no_error(serve, how: str) -> None:
    """78: no traceback, which `serve` looks for at the end; what was asked whole is done whole."""
    served = serve()
    body = json.dumps({"title": "Gone"}).encode()
    request = f"{head_of(served)}Content-Length: {len(body)}\r\n\r\n".encode() + body
    for _ in range(5):
        with served.connect() as wire:
            if how == "with a reset":
                wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            wire.sendall(request[:-4] if how.startswith("in the middle") else request)
    if how.startswith("in the middle"):
        assert served("GET", "/api/tasks").json["tasks"] == []
    elif how == "after the request":
        until(lambda: len(served("GET", "/api/tasks").json["tasks"]) == 5, "all that was asked was done")
    for task in served("GET", "/api/tasks").json["tasks"]:
        assert task["title"] == "Gone"
    assert served.complaints == ""


def test_a_claim_or_an_end_that_is_sent_twice_has_one_effect(served) -> None:
    """77."""
    task = served.task(type="bug")
    first = served("POST", f"/api/tasks/{task}/claim")
    again = served("POST", f"/api/tasks/{task}/claim")
    done = {"status": "done", "generation": first.json["generation"]}
    assert (first.status, again.status, again.code) == (200, 409, "already-claimed")

    assert served("PATCH", f"/api/tasks/{task}", done).status == 200
    before = served.tree()
    repeated = served("PATCH", f"/api/tasks/{task}", done)
    assert (repeated.status, repeated.code) == (409, "move-refused")
    assert served.tree() == before


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "169.254.1.1"])
def test_the_server_listens_only_on_loopback(board, host: str) -> None:
    """75."""
    found = board.shell("serve", "--port", "0", "--host", host, ok=False)

    assert (found["error"]["code"], "proxy" in found["error"]["message"]) == ("refused", True)


def test_file_content_is_returned_only_as_json(served) -> None:
    """79: a title ends no header and is no page."""
    title = "x\r\nSet-Cookie: a=b\r\n\r\n<script>alert(1)</script>\u2028\u0085"
    made = served("POST", "/api/tasks", {"title": title})

    assert "set-cookie" not in made.headers
    assert made.headers["content-type"] == "application/json"
    assert made.body.isascii()
    assert served("GET", f"/api/tasks/{made.json['id']}").status == 200
