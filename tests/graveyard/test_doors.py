"""At the doors: HTTP, MCP, the service manager, cron and what reaches people: real processes, sockets and pipes."""

import array
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from claw_files.core.operation_table import OPERATIONS
from claw_files.operations.argument_schemas import schema
from claw_files.testing.patience import until
from tests.support import warm

ROOT = Path(__file__).parents[2]
CONFIG = """
[workspace]
coordinator = "sam"
[agents.sam]
[agents.peter]
[agents.dimitrios]
kind = "human"
channels = ["env:OUTSIDE"]
"""
HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
ENV = {name: value for name, value in os.environ.items() if not name.startswith("CLAWFILES_")} | {
    "PYTHONPATH": str(ROOT)
}


class Team:
    """A workspace, and processes in it."""

    def __init__(self, root: Path, config: str = CONFIG) -> None:
        self.root = root
        root.mkdir(parents=True)
        (root / "clawfiles.toml").write_text(config)
        self.started: list[subprocess.Popen[bytes]] = []

    def words(self, *arguments: str) -> list[str]:
        return [*warm.command(), "-C", str(self.root), *arguments]

    def real(self, *arguments: str) -> list[str]:
        """The same by a real start, where process ids are looked at."""
        return [sys.executable, "-m", "claw_files", "-C", str(self.root), *arguments]

    def run(self, *arguments: str, **env: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(self.words(*arguments), env=ENV | env, capture_output=True, text=True, timeout=120)

    def ok(self, *arguments: str, **env: str) -> Any:
        done = self.run(*arguments, "--json", **env)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else None

    def start(self, *arguments: str, **env: str) -> "subprocess.Popen[bytes]":
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        words = self.real if "daemon" in arguments else self.words
        self.started.append(subprocess.Popen(words(*arguments), env=ENV | env, **pipes))
        return self.started[-1]

    def stop(self) -> None:
        for process in self.started:
            process.kill()
            process.communicate()

    # --- doors

    def piped(self, *lines: Any, agent: str = "peter") -> list[Any]:
        """What `clawfiles mcp` answers to the lines behind a greeting; a line is bytes, or becomes JSON."""
        hello = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": HELLO}
        sent = [hello, {"jsonrpc": "2.0", "method": "notifications/initialized"}, *lines]
        raw = b"".join((line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n" for line in sent)
        done = subprocess.run(self.words("mcp", "--agent", agent), env=ENV, input=raw, capture_output=True, timeout=120)
        return [json.loads(line) for line in done.stdout.split(b"\n") if line]

    def token(self, agent: str = "peter") -> dict[str, str]:
        return {"Authorization": f"Bearer {self.ok('token', agent, '--show')['token']}"}

    def serve(self) -> int:
        """The port of the board over HTTP."""
        server = self.start("serve", "--port", "0", "--json")
        assert server.stdout
        return int(json.loads(server.stdout.readline())["url"].rpartition(":")[2])

    def mcp(self, port: int = 0) -> int:
        """The port of MCP over HTTP."""
        server = self.start("mcp", "--http", "--port", str(port))
        assert server.stderr
        return int(server.stderr.readline().rpartition(b":")[2].partition(b"/")[0])


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Team]:
    made = Team(tmp_path / "team")
    yield made
    made.stop()


def ask(port: int, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    with contextlib.closing(connection):
        kind = {} if body is None else {"Content-Type": "application/json"}
        connection.request(method, path, None if body is None else json.dumps(body), kind | sent)
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()


def call(name: str, id: int = 1, **arguments: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": name, "arguments": arguments}}


def test_no_schema_leaves_out_the_type_of_a_choice(team: Team) -> None:
    """google-gemini/gemini-cli#4400, googleapis/js-genai#806, decolua/9router#380: a tool's argument was a list of
    choices without a type; a strict model refused the tool, and with it every tool of the server.

    Here: each argument of each tool has one type, and a test reads all schemas by the rules of three vendors.
    """

    def kinds(shown: Any) -> Iterator[Any]:
        if isinstance(shown, dict):
            if "enum" in shown:
                yield shown.get("type"), {type(value) for value in shown["enum"]}
            for inner in shown.values():
                yield from kinds(inner)

    (answer,) = (it for it in team.piped({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}) if it["id"] == 1)
    listed = [tool["inputSchema"] for tool in answer["result"]["tools"]]
    found = [kind for shown in (*listed, *(schema(it) for it in OPERATIONS.values())) for kind in kinds(shown)]

    assert len(found) >= 6
    assert set(map(str, found)) == {str(("string", {str}))}


@pytest.mark.parametrize(
    ("line", "id"),
    [
        (rb'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"\ud83d"}}', 7),
        (b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"\xff\xfe"}}', 7),
        (b"no JSON at all", None),
        (b"[]", None),
    ],
)  # fmt: skip
def test_a_request_that_cannot_be_read_is_answered(team: Team, line: bytes, id: int | None) -> None:
    """modelcontextprotocol/python-sdk#2328, #2302, MemPalace#503, kajisho5/ffmpeg-skill#120: one bad byte or half a
    character in a request, and the server said nothing or died; the client waited until its own limit.

    Here: every line is answered, with the request's own number where it can be read, and the next one is served.
    """
    answers = {answer["id"]: answer for answer in team.piped(line, call("task_list", 9))}

    assert answers[id]["error"]["code"] in (-32700, -32600)
    assert answers[9]["result"]["isError"] is False


def test_a_server_does_not_outlive_the_client_that_started_it(team: Team) -> None:
    """DeusData/codebase-memory-mcp#406, a-bonus/google-docs-mcp#112, headroom#2226, openags/paper-search-mcp#114: the
    client was killed, another process still held the pipe, and servers piled up until the memory was gone.

    Here: the server looks each second whether its parent is still its parent, and ends when it is not.
    """
    script = (
        "import os, subprocess, sys, time\n"
        "reading, writing = os.pipe(); os.set_inheritable(writing, True)\n"
        "other = subprocess.Popen(['sleep', '600'], close_fds=False)\n"
        "server = subprocess.Popen(sys.argv[1:], stdin=reading, stdout=subprocess.PIPE)\n"
        'os.write(writing, b\'{"jsonrpc":"2.0","id":1,"method":"ping"}\\n\'); server.stdout.readline()\n'
        "print(server.pid, other.pid, flush=True); time.sleep(600)\n"
    )
    words = [sys.executable, "-c", script, *team.real("mcp", "--agent", "peter")]
    client = subprocess.Popen(words, env=ENV, stdout=subprocess.PIPE)
    assert client.stdout
    server, other = map(int, client.stdout.readline().split())
    client.kill()
    client.wait()
    client.stdout.close()
    try:
        until(lambda: not is_running(server), "the server has ended")
        assert is_running(other), "and the pipe is still held open"
    finally:
        os.kill(other, signal.SIGKILL)


def is_running(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


def test_an_answer_in_another_script_costs_what_it_says(team: Team) -> None:
    """MemPalace/mempalace#512: answers spelled every letter that is not English as six characters, so that one in
    Chinese or Russian used up several times the model's room.

    Here: answers are UTF-8; only what cannot be seen is spelled out.
    """
    text = "検査の結果は良好です。" * 80
    (team.root / "body").write_text(text)
    team.ok("task", "new", "検査", "--body", str(team.root / "body"), "--agent", "sam")
    answer = next(it for it in team.piped(call("task_show", 5, task="TC-1")) if it["id"] == 5)
    shown = answer["result"]["content"][0]["text"]

    assert text in shown
    assert len(shown) < len(text) + 800


def test_preconditions_are_compared_as_the_standard_says(team: Team) -> None:
    """nginx/nginx#1570, 365Werk/etagconditionals#7, llama.cpp#23916, daichirata/gcsproxy#66: weak tags counted in
    If-Match, lists and stars in neither; edits were lost, or copies never renewed.

    Here: both headers take a star and lists, a weak tag counts in If-None-Match alone, and a change that does not fit
    is not made.
    """
    team.ok("task", "new", "t", "--agent", "sam")
    port, peter = team.serve(), team.token()
    tag = ask(port, "GET", "/api/tasks/TC-1", **peter)[1]["etag"]
    looks = {"*": 304, tag: 304, f"W/{tag}": 304, f'"a", {tag}': 304, '"a"': 200}
    moves = {f"W/{tag}": 412, '"a", "b"': 412, f'"a", {tag}': 200}
    claim = {"status": "in_progress"}

    for value, status in looks.items():
        assert ask(port, "GET", "/api/tasks/TC-1", **peter, If_None_Match=value)[0] == status, value
    assert ask(port, "PATCH", "/api/tasks/TC-1", claim, **peter, If_None_Match="*")[0] == 412
    for value, status in moves.items():
        assert ask(port, "PATCH", "/api/tasks/TC-1", claim, **peter, If_Match=value)[0] == status, value


def test_the_service_manager_hears_of_the_daemon_from_the_daemon_itself(tmp_path: Path) -> None:
    """systemd/systemd#25961: a notice was sent in the name of another process, and the manager took that one for the
    service or dropped the notice.

    Here: the daemon sends each notice itself, names no other process, and what it starts knows nothing of the socket.
    """
    runs = '[agents.worker]\nruntime = "command"\ncommand = ["sh", "-c", "env > seen"]\n'
    team = Team(tmp_path / "team", f"{CONFIG.replace('env:OUTSIDE', 'file:told.md')}{runs}")
    team.ok("task", "new", "look", "--to", "worker", "--agent", "sam")
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        manager.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        manager.settimeout(60)
        try:
            daemon = team.start("daemon", "run", NOTIFY_SOCKET=address, WATCHDOG_USEC="200000")
            heard = []
            while b"WATCHDOG=1" not in [state for state, _ in heard]:
                data, more, _, _ = manager.recvmsg(4096, socket.CMSG_SPACE(12))
                heard.append((data, array.array("i", more[0][2])[0]))
            seen = until(lambda: [it for it in team.root.rglob("seen") if it.stat().st_size], "the agent has run")[0]
        finally:
            team.stop()

    assert {pid for _, pid in heard} == {daemon.pid}
    assert b"READY=1" in heard[0][0] and not any(b"MAINPID" in state for state, _ in heard)
    assert "NOTIFY_SOCKET" not in seen.read_text()


def test_a_name_that_a_proxy_hands_on_without_its_port_is_heard(tmp_path: Path) -> None:
    """pipeboard-co/meta-ads-mcp PR #123, mgedmin/restview#51, mcp-remote#126: a proxy or browser left the port out of
    `Host`, every request was refused, and the check against foreign pages was switched off to get on.

    Here: a name with the port of http or https is heard without it, the check stays, and a test runs a real proxy.
    """
    team = Team(tmp_path / "team", f'{CONFIG}\n[serve]\nhosts = ["board.example:443"]\n')
    try:
        port, peter = team.serve(), team.token()
        hosts = {"board.example": 200, "board.example:443": 200, "evil.example": 421, "board.example.evil.example": 421}
        for host, status in hosts.items():
            assert ask(port, "GET", "/api/tasks", **peter, Host=host)[0] == status, host
    finally:
        team.stop()


def test_a_client_of_before_a_restart_goes_on_after_it(team: Team) -> None:
    """modelcontextprotocol/python-sdk#3556, #1676, neotoma#1923, yantrikdb-mcp#28: the server was restarted, nobody
    knew the client's session any more, and every call failed until the user started the client anew.

    Here: no session is kept; a request with a number of before, or of nowhere, is served by its token.
    """
    accepts = {"Accept": "application/json, text/event-stream"}
    peter = team.token()
    port = team.mcp()
    first = ask(
        port, "POST", "/mcp", {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": HELLO}, **peter, **accepts
    )
    session = first[1].get("mcp-session-id", "of-nowhere")
    team.started[-1].terminate()
    team.started[-1].wait()

    assert team.mcp(port) == port
    status, _, body = ask(port, "POST", "/mcp", call("task_list"), **peter, **accepts, Mcp_Session_Id=session)
    assert (status, b'"isError":false' in body.replace(b" ", b"")) == (200, True)


def test_only_what_is_sent_is_advertised(team: Team) -> None:
    """PrefectHQ/fastmcp#3645, wildfly#254: a server said that it tells of changed resources, and no notice ever came.

    Here: over a pipe it says so and sends them; over HTTP, where that protocol has no way back, it does not.
    """
    accepts = {"Accept": "application/json, text/event-stream"}
    server = team.start("mcp", "--agent", "peter")
    assert server.stdin and server.stdout
    hello = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": HELLO}
    subscribe = {"jsonrpc": "2.0", "id": 1, "method": "resources/subscribe", "params": {"uri": "clawfiles://inbox"}}
    for line in (hello, {"jsonrpc": "2.0", "method": "notifications/initialized"}, subscribe):
        server.stdin.write(json.dumps(line).encode() + b"\n")
    server.stdin.flush()
    said = [json.loads(server.stdout.readline()) for _ in range(2)]
    assert said[0]["result"]["capabilities"]["resources"]["subscribe"] is True
    team.ok("send", "peter", "news", "--agent", "sam")
    told = json.loads(server.stdout.readline())
    assert (told["method"], told["params"]["uri"]) == ("notifications/resources/updated", "clawfiles://inbox")

    body = ask(team.mcp(), "POST", "/mcp", hello, **team.token(), **accepts)[2].decode()
    (answer,) = re.findall(r"\{.*\}", body)
    found = json.loads(answer)["result"]["capabilities"]
    assert not found["resources"].get("subscribe")


def test_an_event_is_whole_whatever_stands_in_it_and_none_is_lost_in_a_break(team: Team) -> None:
    """esengine/DeepSeek-Reasonix#3064, kenn-io/forge#360, whatwg/html#8297: ends of lines in the data cut events in
    two, and who connected again missed what had come meanwhile.

    Here: an event is one line of ASCII, and who says which was the last gets all that came after it, each once.
    """
    port, peter = team.serve(), team.token()

    @contextmanager
    def listening(**more: str) -> Iterator[Any]:
        connection = HTTPConnection("127.0.0.1", port, timeout=60)
        with contextlib.closing(connection):
            connection.request("GET", "/api/events", headers=peter | more)
            response = connection.getresponse()
            assert response.readline() == b"retry: 1000\n"
            yield response

    def event(response: Any) -> tuple[str, Any]:
        found: dict[str, str] = {}
        while "data" not in found:
            name, _, value = response.readline().decode("ascii").rstrip("\n").partition(": ")
            found[name] = value
        return found["id"], json.loads(found["data"])

    why = "one\ndata: two\r\u2028\u0085three\n\nevent: forged"
    with listening() as stream:
        team.ok("task", "new", "t", "--agent", "sam")
        last, _ = event(stream)
    team.ok("cancel", "TC-1", why, "--agent", "sam")
    team.ok("task", "new", "after", "--agent", "sam")
    with listening(**{"Last-Event-ID": last}) as stream:
        seen = [event(stream)[1] for _ in range(2)]

    assert [it["task"] for it in seen] == ["TC-1", "TC-2"]
    assert "three" in seen[0]["why"] and "forged" in seen[0]["why"]


def test_accepted_means_that_it_lies_in_the_inbox(team: Team) -> None:
    """Cotal-AI/Cotal#417: sending reported success, and nothing was delivered.

    Here: accepted names a message that lies in its receiver's inbox when the command ends; to nobody it is an error.
    """
    for number in range(5):
        sent = team.ok("send", "peter", f"news {number}", "--agent", "sam")
        assert sent["status"] == "accepted"
        assert f"news {number}" in (team.root / f"inbox/peter/new/{sent['id']}.md").read_text()
    lost = team.run("send", "petra", "news", "--agent", "sam")

    assert lost.returncode == 3
    assert not (team.root / "inbox/petra").exists()


def test_a_message_that_is_too_long_for_a_service_still_arrives(team: Team) -> None:
    """apprise #745, nzb-notify#88: a message was longer than the service takes; it was refused, and nobody heard of it.

    Here: what leaves the workspace is cut to a length that services take, with its key and how to answer below it.
    """
    taken: list[str] = []

    class Service(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            is_short = len(said["title"]) + len(said["message"]) <= 4096  # as the strictest of the common services
            taken.extend([said["message"]] if is_short else [])
            self.send_response(200 if is_short else 400)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    service = HTTPServer(("127.0.0.1", 0), Service)
    threading.Thread(target=service.serve_forever, args=(0.02,)).start()
    outside = f"json://127.0.0.1:{service.server_address[1]}/"
    try:
        sent = team.ok("ask", "dimitrios", "Which host? " + "検査 " * 5_000, "--agent", "peter")
        team.ok("heartbeat", OUTSIDE=outside)
        until(lambda: taken, "the service took it", between=lambda: team.run("heartbeat", OUTSIDE=outside))
    finally:
        service.shutdown()
        service.server_close()

    assert f"clawfiles answer {sent['id']}" in taken[0]


def test_the_line_for_cron_holds_with_a_percent_sign_and_almost_no_path(tmp_path: Path) -> None:
    """javan/whenever#200, ansible#14853, salt#15042, yotamleo/Himmel#774, moadim-io/daemon#379: cron read a percent
    sign as the end of the command, or did not find the program in its short PATH, and the job never ran.

    Here: the line escapes the sign, brings the PATH it was made with, and is run by a test as cron runs it.
    """
    team = Team(tmp_path / "100% done")
    block = team.run("install", "cron", "--print").stdout
    line = next(it for it in block.splitlines() if it.startswith("* * * * * "))
    command, percent, _ = line.removeprefix("* * * * * ").replace("\\%", "\0").partition("%")
    assert percent == "", "cron would cut it here"
    team.ok("task", "new", "t", "--to", "peter", "--agent", "sam")
    before = {*(team.root / ".clawfiles").rglob("*")}

    bare = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "SHELL": "/bin/sh", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["/bin/sh", "-c", command.replace("\0", "%")], env=bare, capture_output=True, timeout=120)

    assert (done.returncode, done.stderr) == (0, b"")
    assert {*(team.root / ".clawfiles").rglob("*")} - before, "the heartbeat was there"
