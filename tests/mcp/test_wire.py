"""The pipes of `clawfiles mcp`: every line gets its answer, in UTF-8, and the server's life is that of its parent."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from claw_files.mcp.stdio_transport import LINE_BYTES
from claw_files.mcp.stdio_transport import message as read
from claw_files.testing.patience import until
from tests.proofs import some

from .conftest import ENV, Team
from .test_hostile import begun, call
from .test_stdio import said, tell

PARSE, INVALID, UNKNOWN, ARGUMENTS = -32700, -32600, -32601, -32602


def asked(id: str, rest: str = '"method":"ping"') -> bytes:
    return f'{{"jsonrpc":"2.0","id":{id},{rest}}}'.encode()


LINES: list[tuple[str, bytes, Any, int]] = [  # what it is, the line, the id and the code of the answer
    ("half an emoji", asked("5", r'"method":"tools/call","params":{"name":"cut \ud83d here"}'), 5, PARSE),
    ("half an emoji as a key", asked("5", r'"method":"ping","params":{"\udc00":1}'), 5, PARSE),
    ("half an emoji, the id behind it", rb'{"jsonrpc":"2.0","method":"\ud83d","id":"a"}', "a", PARSE),
    ("no JSON", b"{", None, PARSE),
    ("no JSON behind an id", b'{"jsonrpc":"2.0","id":6,"method":"tools/call","params":{oops}}', 6, PARSE),
    ("no JSON before an id", b'{"method":"tools/call","params":{oops},"jsonrpc":"2.0","id":"x-7"}', "x-7", PARSE),
    ("words", b"hello", None, PARSE),
    ("nothing", b"", None, PARSE),
    ("bad UTF-8", b"\xff\xfe\x00", None, PARSE),
    ("bad UTF-8 in a request", asked("8").replace(b"ping", b"pi\xffng"), 8, PARSE),
    ("a byte order mark", b"\xef\xbb\xbf" + asked("8"), None, PARSE),
    ("UTF-16", asked("8").decode().encode("utf-16"), None, PARSE),
    ("depth", b"[" * 50_000, None, PARSE),
    ("a key twice", b'{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}', 2, PARSE),
    ("NaN", asked("9", '"method":"ping","params":{"x":NaN}'), 9, PARSE),
    ("5,000 digits", asked("1" * 5000), None, PARSE),
    ("a NUL", asked("9", r'"method":"pi\u0000ng"'), 9, PARSE),
    ("a batch", b"[" + asked("1") + b"," + asked("2") + b"]", None, INVALID),
    ("an empty batch", b"[]", None, INVALID),
    ("null", b"null", None, INVALID),
    ("a text", b'"' + b"x" * 3_000_000 + b'"', None, INVALID),
    ("an empty object", b"{}", None, INVALID),
    ("another version", b'{"jsonrpc":"1.0","id":3,"method":"ping"}', 3, INVALID),
    ("no version", b'{"id":3,"method":"ping"}', 3, INVALID),
    ("a null as id", asked("null"), None, INVALID),
    ("a fraction as id", asked("1.5"), None, INVALID),
    ("a truth as id", asked("true"), None, INVALID),
    ("a list as id", asked("[1]"), None, INVALID),
    ("a method that is a number", asked("4", '"method":7'), 4, INVALID),
    ("arguments that are a number", asked("4", '"method":"ping","params":5'), 4, INVALID),
    ("no method", asked("4", '"params":{}'), 4, INVALID),
    ("an unknown method", asked("10", '"method":"rm/everything"'), 10, UNKNOWN),
    ("odd arguments", asked("11", '"method":"tools/call","params":{"name":"inbox","arguments":7}'), 11, ARGUMENTS),
]  # fmt: skip


def test_every_line_is_answered_and_a_request_with_its_own_id(team: Team) -> None:
    server = begun(team)
    assert server.stdin and server.stdout
    for what, line, id, code in LINES:
        server.stdin.write(line + b"\n")
        server.stdin.flush()
        answer = json.loads(server.stdout.readline())
        assert (answer["id"], answer["error"]["code"]) == (id, code), what
        assert answer["error"]["message"], what

    assert call(server, "task_list", {}, 99)["result"]["isError"] is False


def test_lines_that_come_before_the_first_request_are_answered(team: Team) -> None:
    server = team.start("--agent", "peter")
    assert server.stdin and server.stdout
    for _ in range(20):
        server.stdin.write(b"oops\n")
    server.stdin.flush()

    assert {json.loads(server.stdout.readline())["error"]["code"] for _ in range(20)} == {PARSE}
    assert "result" in said(server, json.loads(asked("1", '"method":"ping"')))


@pytest.mark.parametrize("where", ["before", "behind"])
def test_a_line_beyond_all_limits_is_answered_and_not_kept(team: Team, where: str) -> None:
    server = begun(team)
    assert server.stdin and server.stdout
    head, tail = b'{"jsonrpc":"2.0","method":"tools/call","params":{"x":"', b'"},"id":12}\n'
    if where == "before":
        head, tail = b'{"jsonrpc":"2.0","id":12,"method":"tools/call","params":{"x":"', b'"}}\n'
    server.stdin.write(head)
    for _ in range(8):
        server.stdin.write(b"x" * (LINE_BYTES // 4))
    server.stdin.write(tail)
    server.stdin.flush()

    answer = json.loads(server.stdout.readline())
    assert (answer["id"], answer["error"]["code"]) == (12, PARSE)
    assert str(LINE_BYTES) in answer["error"]["message"]
    assert call(server, "task_list", {}, 99)["result"]["isError"] is False


def test_a_line_that_only_looks_like_a_request_names_no_id() -> None:
    """An id inside of the arguments is another thing's: whoever waits for that number must not be told of this."""
    for line in (b'{"params":{"id":5},oops', b'{oops,"params":{"id":5}}', b'{"params":{"a":1,"id":5},"x":'):
        assert read(line).model_dump()["id"] is None, line


def test_a_request_before_the_close_of_the_pipe_is_answered(team: Team) -> None:
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    lines = [
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        *({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": "task_list"}} for id in range(2, 12)),
    ]
    done = subprocess.run(
        team.words("mcp", "--agent", "peter"),
        env=ENV,
        input="".join(f"{json.dumps(line)}\n" for line in lines),
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert {json.loads(line)["id"] for line in done.stdout.splitlines()} == {*range(1, 12)}
    assert (done.returncode, done.stderr) == (0, "")


# --- what an answer costs


@pytest.mark.parametrize("text", ["検査" * 400, "Größe, naïve, 🙂👨‍👩‍👧 " * 100, "plain"])
def test_letters_of_every_script_cost_what_they_are(team: Team, text: str) -> None:
    (team.root / "body").write_text(text)
    team.task("t", "--body", str(team.root / "body"))
    server = begun(team)
    tell(server, {"jsonrpc": "2.0", "id": 3, "method": "tools/call",
                  "params": {"name": "task_show", "arguments": {"task": "TC-1"}}})  # fmt: skip
    assert server.stdout
    line = server.stdout.readline()
    shown = json.loads(line)["result"]["content"][0]["text"]

    assert text.strip().replace("\u200d", "\\u200d") in json.loads(shown)["body"].replace("\u200d", "\\u200d")
    assert rb"\u" not in line.replace(rb"\\u200d", b"")  # a joiner cannot be seen: it stays spelled out
    assert len(shown) < len(text) + 12 * text.count("\u200d") + 500


def test_a_resource_is_as_cheap_and_what_cannot_be_seen_is_spelled_out(team: Team) -> None:
    team.task("検査 \u202e\u200b ok")
    server = begun(team)
    asked = {"jsonrpc": "2.0", "id": 3, "method": "resources/read", "params": {"uri": "clawfiles://tasks/TC-1"}}
    text = said(server, asked)["result"]["contents"][0]["text"]

    assert "検査" in text
    assert not {"\u202e", "\u200b"} & {*text}
    assert json.loads(text)["title"] == "検査 \u202e\u200b ok"


@pytest.mark.parametrize("letter", some(["x", "\x1b", "🙂", "検", '"'], 3))
def test_a_limit_on_an_answer_counts_what_is_sent(team: Team, letter: str) -> None:
    """A log of quotes and controls is twice and six times as long once it is in JSON."""
    run = team.root / "runs/r1"
    run.mkdir(parents=True)
    (run / "run.md").write_text("---\nrun: r1\nagent: peter\nkey: k\nstarted: 2026-03-07T08:00:00Z\n---\n")
    (run / "stdout.log").write_text(letter * 9000 + "the end")
    server = begun(team, "sam")
    answer = call(server, "sessions_history", {"sessionKey": "r1", "maxBytes": 6000}, 3)
    sent = answer["result"]["content"][0]["text"]

    assert answer["result"]["isError"] is False, sent
    assert 5000 < len(sent.encode()) < 7500
    assert "the end" in sent


# --- whose life it is


PARENT = """
import os, subprocess, sys, time
reading, writing = os.pipe()
os.set_inheritable(writing, True)
sibling = subprocess.Popen(["sleep", "600"], close_fds=False)  # holds our end of the pipe
server = subprocess.Popen(sys.argv[1:], stdin=reading, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
print(server.pid, sibling.pid, flush=True)
os.write(writing, b'{"jsonrpc":"2.0","id":1,"method":"ping"}\\n')
server.stdout.readline()
print("answered", flush=True)
time.sleep(600)
"""


def is_there(pid: int) -> bool:
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_the_server_ends_with_its_parent_though_a_sibling_holds_its_standard_input(team: Team, how: int) -> None:
    words = [sys.executable, "-c", PARENT, *team.real("mcp", "--agent", "peter")]
    parent = subprocess.Popen(words, env=ENV, stdout=subprocess.PIPE)
    team.started.append(parent)
    assert parent.stdout
    server, sibling = map(int, parent.stdout.readline().split())
    try:
        assert parent.stdout.readline() == b"answered\n"
        assert is_there(server)

        parent.send_signal(how)
        parent.wait()

        until(lambda: not is_there(server), "the server has ended")
        assert is_there(sibling), "the pipe is still held open"
    finally:
        os.kill(sibling, signal.SIGKILL)


THREADS = """
import subprocess, sys, threading
begun = []
def start():
    begun.append(subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE))
thread = threading.Thread(target=start)
thread.start()
thread.join()  # the thread that started it is over, and the client is not
for number in range(4):
    begun[0].stdin.write(b'{"jsonrpc":"2.0","id":%d,"method":"ping"}\\n' % number)
    begun[0].stdin.flush()
    assert begun[0].stdout.readline(), "the server has ended"
    threading.Event().wait(1.0)
begun[0].stdin.close()
sys.exit(begun[0].wait())
"""


def test_the_end_of_the_thread_that_started_it_is_not_that_of_its_client(team: Team) -> None:
    words = [sys.executable, "-c", THREADS, *team.real("mcp", "--agent", "peter")]

    assert subprocess.run(words, env=ENV, timeout=120).returncode == 0


def test_programs_that_it_starts_neither_read_requests_nor_write_between_answers(team: Team) -> None:
    server = begun(team, words=team.real)
    for number in (0, 1):
        assert os.readlink(f"/proc/{server.pid}/fd/{number}") == "/dev/null"
