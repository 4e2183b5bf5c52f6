"""Whom the server believes, and by which names it is known: proxies, ports that are left out, preconditions, HEAD."""

import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest

from claw_files.http.request_guard import spellings
from claw_files.testing.patience import until

BELIEVING = '[serve]\nauth = "loopback"'
PAGE = Path(__file__).parents[2] / "docs/how-to/http.md"


def test_loopback_trust_is_refused_together_with_hosts(board, tmp_path: Path) -> None:
    config = (board.root / "clawfiles.toml").read_text()
    (tmp_path / "clawfiles.toml").write_text(f'{config}\n{BELIEVING}\nhosts = ["board.example:443"]\n')
    found = board.shell("-C", str(tmp_path), "serve", "--port", "0", ok=False)["error"]

    assert (found["code"], 'auth = "token"' in found["message"]) == ("refused", True)


@pytest.mark.parametrize("first", ["hosts", "auth"])
def test_nobody_is_believed_either_when_the_configuration_becomes_so_meanwhile(serve, first: str) -> None:
    hosts, whole = 'hosts = ["board.example:443"]', f'{BELIEVING}\nhosts = ["board.example:443"]'
    served = serve(f"[serve]\n{hosts}" if first == "hosts" else BELIEVING)
    file = served.root / "clawfiles.toml"
    assert served("GET", "/api/tasks", by=None).status == (401 if first == "hosts" else 200)

    file.write_text(file.read_text().replace(f"[serve]\n{hosts}" if first == "hosts" else BELIEVING, whole))
    assert served("GET", "/api/tasks", by=None).status == 401
    if first == "hosts":  # and it knows that name as long as it runs
        file.write_text(file.read_text().replace(whole, BELIEVING))
        assert served("GET", "/api/tasks", by=None, Host="board.example").status == 401


FORWARDED = [
    "X-Forwarded-For: 203.0.113.7",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Host: board.example",
    "x-forwarded-anything:",
    "Forwarded: for=203.0.113.7",
    "forwarded:",
    "Via: 1.1 proxy",
    "X-Real-IP: 203.0.113.7",
    "X-Client-IP: 203.0.113.7",
    "True-Client-IP: 203.0.113.7",
    "CF-Connecting-IP: 203.0.113.7",
]


@pytest.mark.parametrize("line", FORWARDED)
def test_a_proxied_request_needs_a_token_even_with_loopback_trust(serve, line: str) -> None:
    served = serve(BELIEVING)
    name, _, value = line.partition(":")
    more = {name: value.strip()}
    assert served("GET", "/api/tasks", by=None).status == 200
    assert served("POST", "/api/tasks", {"title": "x", "agent": "dimitrios"}, None, **more).status == 401
    assert served("POST", "/api/messages", {"to": "peter", "text": "x", "agent": "sam"}, None, **more).status == 401
    assert served("GET", "/api/events", by=None, **more).status == 401
    assert served("GET", "/api/tasks", by="peter", **more).status == 200


def test_a_proxy_that_speaks_http_1_0_and_says_nothing_is_one_all_the_same(serve) -> None:
    served = serve(BELIEVING)
    asked = f"GET /api/tasks HTTP/1.0\r\nHost: 127.0.0.1:{served.port}\r\n\r\n".encode()

    assert served.raw(asked).status == 401
    assert served.raw(asked.replace(b"HTTP/1.0", b"HTTP/1.1")).status == 200


# --- names and ports


@pytest.mark.parametrize(
    ("host", "meant"),
    [
        ("board.example:443", {"https://board.example", "https://board.example:443", "http://board.example:443"}),
        ("board.example:80", {"http://board.example", "http://board.example:80", "https://board.example:80"}),
        ("board.example:8443", {"http://board.example:8443", "https://board.example:8443"}),
        ("[2001:db8::1]:443", {"https://[2001:db8::1]", "https://[2001:db8::1]:443", "http://[2001:db8::1]:443"}),
    ],
)
def test_a_port_that_is_the_schemes_own_may_be_left_out(host: str, meant: set[str]) -> None:
    assert {f"{scheme}://{name}" for scheme, name in spellings(host)} == meant


def test_what_a_browser_sends_for_a_name_with_the_port_of_https_is_heard(serve) -> None:
    served = serve('[serve]\nhosts = ["Board.Example:443", "other.example:8443"]')

    def status(**headers: str) -> int:
        return int(served("GET", "/api/tasks", **headers).status)

    same = {"Sec_Fetch_Site": "same-origin"}
    assert status(Host="board.example", Origin="https://board.example", **same) == 200
    assert status(Host="BOARD.example:443", Origin="https://board.example", **same) == 200
    assert status(Host="other.example:8443", Origin="https://other.example:8443") == 200
    assert status(Host="other.example") == 421
    assert status(Host="board.example:80") == 421
    assert status(Host="board.example", Origin="http://board.example") == 403
    assert status(Host="board.example", Origin="https://evil.example") == 403


# --- the proxy of the guide


@contextmanager
def proxied(tmp_path: Path, port: int, change: Callable[[str], str] = lambda text: text) -> Iterator[int]:
    """The port at which nginx serves the guide's recipe, with a certificate of its own, in front of `port`."""
    found = re.search(r"```nginx\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found
    with socket.create_server(("127.0.0.1", 0)) as free:
        own = free.getsockname()[1]
    cert, key = str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")
    kind = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=board.example")
    names = ("-addext", "subjectAltName=DNS:board.example", "-keyout", key, "-out", cert)
    subprocess.run(["openssl", "req", "-x509", "-days", "2", *kind, *names], check=True, capture_output=True)
    recipe = found[1]
    for old, new in {
        "listen 443": f"listen 127.0.0.1:{own}",
        "http://127.0.0.1:3001": f"http://127.0.0.1:{port}",
        "/etc/ssl/board.example.pem": cert,
        "/etc/ssl/private/board.example.key": key,
    }.items():
        assert recipe.count(old) == 1, old
        recipe = recipe.replace(old, new)
    places = "".join(
        f"{kind}_temp_path {tmp_path}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (tmp_path / "nginx.conf").write_text(
        f"daemon off;\nmaster_process off;\npid {tmp_path}/pid;\nerror_log {tmp_path}/errors;\n"
        f"events {{}}\nhttp {{\naccess_log off;\n{places}{change(recipe)}\n}}\n"
    )
    command = ["nginx", "-c", str(tmp_path / "nginx.conf"), "-e", str(tmp_path / "errors"), "-p", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as nginx:
        try:
            until(lambda: nginx.poll() is not None or can_connect(own), "nginx listens")
            assert nginx.poll() is None, nginx.stderr and nginx.stderr.read()
            yield own
        finally:
            nginx.terminate()


def can_connect(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except ConnectionRefusedError:
        return False
    return True


class Browser:
    """Asks through the proxy as a browser does: by name, with TLS, and without the port of https."""

    def __init__(self, tmp_path: Path, port: int) -> None:
        self._context, self._port = ssl.create_default_context(cafile=str(tmp_path / "cert.pem")), port

    def ask(self, method: str, path: str, body: str | None = None, **headers: str) -> tuple[int, bytes]:
        with self.asking(method, path, body, **headers) as response:
            return response.status, response.read()

    @contextmanager
    def asking(self, method: str, path: str, body: str | None = None, **headers: str) -> Iterator:
        connection = HTTPConnection("board.example", timeout=30)
        wire = socket.create_connection(("127.0.0.1", self._port), 30)
        connection.sock = self._context.wrap_socket(wire, server_hostname="board.example")
        sent = {"Origin": "https://board.example", "Sec-Fetch-Site": "same-origin"} | headers
        try:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in sent.items()})
            yield connection.getresponse()
        finally:
            connection.close()


needs_nginx = pytest.mark.skipif(shutil.which("nginx") is None, reason="there is no nginx: see tests/tools.sh")


@needs_nginx
def test_the_proxy_of_the_guide_serves_browsers_with_a_token_events_included(serve, tmp_path: Path) -> None:
    served = serve('[serve]\nhosts = ["board.example:443"]')
    token = served.bearer("peter")
    kind = {"Content-Type": "application/json"}
    with proxied(tmp_path, served.port) as port:
        browser = Browser(tmp_path, port)
        assert browser.ask("GET", "/api/tasks", **token)[0] == 200
        assert browser.ask("GET", "/api/tasks")[0] == 401
        assert browser.ask("GET", "/api/tasks", **token, Origin="https://evil.example")[0] == 403
        with browser.asking("GET", "/api/events", **token) as events:
            assert events.status == 200
            assert events.readline() == b"retry: 1000\n"
            made = browser.ask("POST", "/api/tasks", '{"title": "Through the proxy"}', **token, **kind)
            assert made[0] == 201, made
            assert events.readline() == b"\n"
            assert events.readline().startswith(b"id: "), "it comes at once, not when a buffer is full"
    assert [task["title"] for task in served("GET", "/api/tasks").json["tasks"]] == ["Through the proxy"]


@needs_nginx
@pytest.mark.parametrize("leaves_out", ["", "X-Forwarded-For", "everything"])
def test_behind_a_real_proxy_nobody_is_taken_for_this_machine(serve, tmp_path: Path, leaves_out: str) -> None:
    """As the guide has it; without its header but with HTTP/1.0; and as nginx does it by itself."""
    served = serve(BELIEVING)

    def change(recipe: str) -> str:
        lines = recipe.replace("$http_host", "$proxy_host").splitlines()
        gone = {"": (), "X-Forwarded-For": ("X-Forwarded-For", "http_version"), "everything": ("set_header", "version")}
        return "\n".join(line for line in lines if not any(word in line for word in gone[leaves_out]))

    with proxied(tmp_path, served.port, change) as port:
        browser = Browser(tmp_path, port)
        asked = '{"title": "x", "agent": "dimitrios"}'
        kind = {"Content-Type": "application/json", "Origin": f"http://127.0.0.1:{served.port}"}
        assert browser.ask("POST", "/api/tasks", asked, **kind)[0] == 401
    assert served("GET", "/api/tasks", by=None).json["tasks"] == []


# --- preconditions, as RFC 9110 has them


def test_preconditions_are_kept_as_the_standard_says(served) -> None:
    task = served.task(type="bug")
    path = f"/api/tasks/{task}"
    tag = served("GET", path).headers["etag"]
    lists = f'"a,b", {tag} ,W/"c"'
    for header, value, status in (
        ("If-None-Match", "*", 304),
        ("If-None-Match", tag, 304),
        ("If-None-Match", f"W/{tag}", 304),
        ("If-None-Match", lists, 304),
        ("If-None-Match", '"other"', 200),
        ("If-None-Match", f'"x{tag[1:]}', 200),
        ("If-None-Match", tag.strip('"'), 200),
        ("If-None-Match", '"*"', 200),
        ("If-Match", "*", 200),
        ("If-Match", tag, 200),
        ("If-Match", lists, 200),
        ("If-Match", f"W/{tag}", 412),
        ("If-Match", '"other"', 412),
        ("If-Match", "", 412),
    ):
        for method in ("GET", "HEAD"):
            answer = served(method, path, **{header: value})
            assert (answer.status, answer.headers["etag"]) == (status, tag), (method, header, value)
            assert status == 200 or method == "GET" or answer.body == b""
    both = served("GET", path, If_Match='"other"', If_None_Match=tag)
    assert both.status == 412, "If-Match comes first"
    assert served("GET", "/api/tasks/TC-99", If_Match='"x"').status == 404
    assert served("GET", "/api/tasks/TC-99", If_None_Match="*").status == 404


def test_a_header_over_several_lines_is_one_list(served) -> None:
    task = served.task(type="bug")
    tag = served("GET", f"/api/tasks/{task}").headers["etag"]
    lines = f'Authorization: Bearer {served.token("peter")}\r\nIf-None-Match: "a"\r\nIf-None-Match: {tag}\r\n'
    request = f"GET /api/tasks/{task} HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\n{lines}\r\n"

    assert served.raw(request.encode()).status == 304


@pytest.mark.parametrize("move", ["", "/claim", "/delegate"])
def test_a_change_is_made_only_where_its_preconditions_hold(served, move: str) -> None:
    task = served.task(type="bug")
    path, tag = f"/api/tasks/{task}{move}", served("GET", f"/api/tasks/{task}").headers["etag"]
    method, body = (
        ("POST", {"to": "peter"} if move == "/delegate" else {}) if move else ("PATCH", {"status": "in_progress"})
    )
    by = "sam" if move == "/delegate" else "peter"
    for header, value in (
        ("If-Match", '"other"'),
        ("If-Match", f"W/{tag}"),
        ("If-None-Match", "*"),
        ("If-None-Match", tag),
        ("If-None-Match", f"W/{tag}"),
    ):
        refused = served(method, path, body, by, **{header: value})
        assert (refused.status, refused.code, refused.headers["etag"]) == (412, "outdated", tag), (header, value)
    assert served("GET", f"/api/tasks/{task}").headers["etag"] == tag
    assert served(method, path, body, by, If_Match="*", If_None_Match='"other"').status == 200
    assert served(method, "/api/tasks/TC-99" + move, body, by, If_Match="*").status == 404


@pytest.mark.parametrize("path", ["/api/tasks", "/api/inbox", "/healthz", "/openapi.json"])
def test_whatever_is_shown_has_a_revision(served, path: str) -> None:
    tag = served("GET", path).headers["etag"]
    again = served("GET", path, If_None_Match=tag)
    assert (again.status, again.body, again.headers["etag"]) == (304, b"", tag)
    assert served("GET", path, If_None_Match="*").status == 304


@pytest.mark.parametrize(
    "path", ["/api/tasks", "/api/tasks/TC-1", "/api/inbox", "/healthz", "/openapi.json", "/api/tasks/TC-9", "/nothing"]
)
def test_head_answers_as_get_does_without_the_body(board, path: str) -> None:
    got, asked = board("GET", path), board("HEAD", path)
    assert (asked.status, asked.body) == (got.status, b"")
    assert asked.headers.keys() == got.headers.keys()
    assert asked.headers["content-length"] == str(len(got.body))


def test_head_of_the_events_ends_and_keeps_no_stream(board) -> None:
    for _ in range(40):
        asked = board("HEAD", "/api/events")
        assert (asked.status, asked.body) == (200, b"")
        assert asked.headers["content-type"].startswith("text/event-stream")
    assert board("HEAD", "/api/events", by=None).status == 401


def test_head_of_what_only_takes_changes_is_no_method(board) -> None:
    answer = board("HEAD", "/api/claim")
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
    assert set(board("DELETE", "/api/tasks").headers["allow"].split(", ")) == {"GET", "HEAD", "POST"}
