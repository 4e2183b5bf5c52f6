"""What a client may send by mistake or on purpose: refused in one sentence, and the next call is served."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mcp.shared.exceptions import MCPError

from claw_files.operations.fields import TEXT_BYTES
from claw_files.testing.patience import until

from .conftest import ENV, Team, called, live, refused
from .test_stdio import said, tell

CALLS = 600  # make it 10,000 by MCP_CALLS for the long form
GROWTH_KB = 4096
MOST_DESCRIPTORS = 32


def begun(team: Team, agent: str = "peter", **options: Any) -> "subprocess.Popen[bytes]":
    """A server with which the older protocol has been agreed on."""
    server = team.start("--agent", agent, **options)
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    said(server, {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello})
    tell(server, {"jsonrpc": "2.0", "method": "notifications/initialized"})
    return server


def call(server: "subprocess.Popen[bytes]", tool: str, arguments: Any, id: int = 1) -> Any:
    """The answer to a call, with whatever arguments."""
    return said(
        server, {"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
    )


def test_wrong_types_unknown_tools_and_claims_to_be_another_are_told_in_a_sentence(team: Team) -> None:
    team.task("for peter", "--to", "peter")

    async def story() -> None:
        async with team.client("iris") as iris:
            for tool, arguments, sentence in (
                ("task_claim", {"task": 5}, "`task`: expected `str`, got `int`"),
                ("task_claim", {"task": {"id": "TC-1"}}, "`task`: expected `str`, got `object`"),
                ("task_clam", {"task": "TC-1"}, "did you mean `task_claim`?"),
                ("__import__", {}, "no call"),
                ("task_claim", {"task": "TC-1", "agent": "peter"}, "task_claim has no argument `agent`"),
                ("task_new", {"title": "x", "requested_by": "sam"}, "task_new has no argument `requested_by`"),
                ("inbox", {"agent": "peter"}, "inbox has no argument `agent`"),
                ("task_claim", {"task": "TC-1"}, "peter"),
                ("task_show", {"task": "../../clawfiles"}, "is not a valid task id"),
                ("sessions_spawn", {"task": "x", "label": "a", "size": "S", "cwd": "/etc"}, "not inside the workspace"),
            ):
                assert sentence in (await refused(iris, tool, **arguments))[1]
            assert (await called(iris, "inbox"))["messages"] == []

    live(story())
    assert "assignee: peter" in (team.root / "status/tc-1.md").read_text()


def test_a_worker_cannot_spawn(team: Team) -> None:
    async def story() -> None:
        async with team.client("research") as worker:
            code, sentence = await refused(worker, "sessions_spawn", task="more", label="a", size="S")
            assert (code, "limits.depth" in sentence) == ("refused", True)
            assert (await refused(worker, "task_done", task="TC-1"))[0] in ("refused", "not-found")

    live(story())


def test_a_megabyte_is_taken_and_more_is_refused(team: Team) -> None:
    async def story() -> None:
        async with team.client() as client:
            made = await called(client, "task_new", title="large", body="x" * (TEXT_BYTES - 100_000))
            code, sentence = await refused(client, "task_new", title="larger", body="x" * (TEXT_BYTES + 1))
            assert (made["id"], code) == ("TC-1", "refused")
            assert len(sentence) < 200
            assert (await refused(client, "task_new", title="y" * 600))[0] == "usage"

    live(story())


def test_lines_that_are_no_message_do_not_end_the_server(team: Team) -> None:
    server = begun(team)
    assert server.stdin
    for line in (b"{", b"[" * 50_000, b"\xff\xfe\x00", b'{"jsonrpc": "2.0"}', b"null", b'"' + b"x" * 3_000_000 + b'"'):
        server.stdin.write(line + b"\n")
    deep: Any = "TC-1"
    for _ in range(150):
        deep = [deep]

    answers = [call(server, "task_claim", {"task": deep}, 7)]
    while answers[-1].get("id") != 7:
        assert server.stdout
        answers.append(json.loads(server.stdout.readline()))
    assert "`task`: expected `str`, got `array`" in answers[-1]["result"]["content"][0]["text"]
    assert call(server, "task_list", {}, 8)["result"]["isError"] is False
    assert call(server, "task_list", "all", 9)["error"]["code"] == -32602
    unknown = said(server, {"jsonrpc": "2.0", "id": 10, "method": "rm/everything"})
    assert unknown["error"]["code"] == -32601


def test_text_of_others_cannot_move_a_terminal(team: Team) -> None:
    async def story() -> None:
        async with team.client("sam") as sam:
            await called(sam, "task_new", title="a\x1b[31mred")
            _, sentence = await refused(sam, "task_list", agent="\x1b[2J")
            assert "\x1b" not in sentence

    live(story())


def test_nobody_listens_to_what_there_is_not_or_to_more_than_a_hundred(team: Team) -> None:
    async def story() -> None:
        async with team.client() as client:
            for wanted, sentence in (
                (["clawfiles://secrets"], "no resource"),
                ([f"clawfiles://tasks/TC-{number}" for number in range(101)], "more than 100 resources"),
            ):
                with pytest.raises(MCPError, match=sentence):
                    async with client.listen(resource_subscriptions=wanted):
                        pass
            await called(client, "task_list")

    live(story())


# --- many


def _kilobytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def _descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def test_many_calls_in_a_row_leave_nothing_behind(team: Team) -> None:
    team.task()
    server, many = begun(team, words=team.real), int(os.environ.get("MCP_CALLS", CALLS))

    def make(number: int) -> None:
        asked = [("task_list", {}), ("task_claim", {"task": number}), ("task_clam", {}), ("inbox", {"action": "peek"})]
        answer = call(server, *asked[number % 4], number)
        assert answer["id"] == number
        assert answer["result"]["isError"] is (number % 4 in (1, 2))

    for number in range(200):  # until everything is loaded
        make(number)
    before, most = _kilobytes(server.pid), 0
    for number in range(200, 200 + many):
        make(number)
        most = max(most, _descriptors(server.pid)) if number % 20 == 0 else most
    after = _kilobytes(server.pid)

    print(f"{many} calls: {before} -> {after} KB, at most {most} descriptors")
    assert after - before < GROWTH_KB
    assert most < MOST_DESCRIPTORS


def test_many_calls_at_once_are_all_answered(team: Team) -> None:
    server = begun(team)
    assert server.stdout
    for number in range(200):
        asked = (
            {"name": "task_new", "arguments": {"title": f"task {number}"}}
            if number % 10 == 0
            else {"name": "task_list"}
        )
        tell(server, {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": asked})

    answers = [json.loads(server.stdout.readline()) for _ in range(200)]

    assert {answer["id"] for answer in answers} == set(range(200))
    assert not any(answer["result"]["isError"] for answer in answers)
    assert len(list((team.root / "status").iterdir())) == 20


# --- a client that vanishes


VANISHES = """
import json, subprocess, sys
server = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

def tell(method, params=None, **more):
    message = {"jsonrpc": "2.0", "method": method, "params": params or {}, **more}
    server.stdin.write(json.dumps(message).encode() + b"\\n")
    server.stdin.flush()

hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
tell("initialize", hello, id=1)
server.stdout.readline()
tell("notifications/initialized")
print(server.pid, flush=True)
number = 2
while True:
    asked = {"name": "task_new", "arguments": {"title": f"task {number}", "to": "peter"}}
    tell("tools/call", asked, id=number)
    number += 1
    if number > 6:
        server.stdout.readline()
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_client_that_is_killed_in_the_middle_of_a_call_leaves_a_consistent_workspace(team: Team, how: int) -> None:
    words = [sys.executable, "-c", VANISHES, *team.real("mcp", "--agent", "sam")]
    client = subprocess.Popen(words, env=ENV, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    team.started.append(client)
    assert client.stdout
    pid = int(client.stdout.readline())
    until(lambda: (team.root / "status/tc-3.md").exists(), "it is in the middle of it")

    client.send_signal(how)
    client.wait()

    until(
        lambda: not Path(f"/proc/{pid}").exists() or " Z " in Path(f"/proc/{pid}/stat").read_text(), "the server ends"
    )
    team.type("heartbeat")  # finishes what was begun
    assert team.type("doctor")["findings"] == []
    numbers = sorted(int(path.stem.partition("-")[2]) for path in (team.root / "status").glob("tc-*.md"))
    assert numbers == list(range(1, len(numbers) + 1))
