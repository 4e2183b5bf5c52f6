"""A team in a fresh workspace, and clients of the official SDK that talk to real servers over it."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client, StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

from tests.support import warm
from tests.support.commands import answered

ROOT = Path(__file__).parents[2]
WAIT_SECONDS = 120.0
ENV = {name: value for name, value in os.environ.items() if not name.startswith("CLAWFILES_")}
ENV |= {"PYTHONPATH": str(ROOT)}

CONFIG = """
[workspace]
coordinator = "sam"

[agents.sam]
[agents.peter]
takes = ["code-review", "bug"]
[agents.iris]
[agents.shield]
compartment = true
[agents.dimitrios]
kind = "human"
channels = ["file:announcements.md"]
[agents.research]
kind = "worker"
runtime = "command"
command = ["sleep", "60"]

[routes]
bug = { to = ["peter", "self"] }
"""


def live(story: Coroutine[Any, Any, None]) -> None:
    """Live through it, and not for ever."""
    asyncio.run(asyncio.wait_for(story, WAIT_SECONDS))


class Team:
    """The workspace, the commands in it, and servers over it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.started: list[subprocess.Popen[bytes]] = []

    def words(self, *arguments: str) -> list[str]:
        return [*warm.command(), "-C", str(self.root), *arguments]

    def real(self, *arguments: str) -> list[str]:
        """The same by a real start, where parents, process ids or what is loaded are looked at."""
        return [sys.executable, "-m", "claw_files", "-C", str(self.root), *arguments]

    def type(self, *arguments: str) -> Any:
        """What a command prints with --json; it must go well."""
        return answered(self.root, *arguments)

    def task(self, title: str = "API review", *more: str) -> str:
        """The id of a new task."""
        found: str = self.type("task", "new", title, *more, "--agent", "sam")["id"]
        return found

    def start(self, *arguments: str, **options: Any) -> "subprocess.Popen[bytes]":
        """A server in a process of its own, which is ended with the test."""
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        env = ENV | options.pop("env", {})
        words = options.pop("words", self.words)("mcp", *arguments)
        self.started.append(subprocess.Popen(words, env=env, **{**pipes, **options}))
        return self.started[-1]

    @asynccontextmanager
    async def client(self, agent: str = "peter", mode: str = "auto", **options: Any) -> AsyncIterator[Client]:
        """A client of the SDK, and the server that it starts and talks to over its pipes."""
        words = options.pop("words", None) or self.words("mcp", "--agent", agent)
        server = StdioServerParameters(command=words[0], args=words[1:], env=ENV | options.pop("env", {}))
        async with Client(stdio_client(server), mode=mode, **options) as client:
            yield client

    # --- over HTTP

    def serve(self) -> str:
        """The address of a server of HTTP."""
        server = self.start("--http", "--port", "0", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        assert server.stderr is not None
        line = server.stderr.readline().decode()
        assert "http://" in line, line
        return line.split()[-1]

    def token(self, agent: str) -> str:
        """The agent's token."""
        found: str = self.type("token", agent, "--show")["token"]
        return found

    @asynccontextmanager
    async def caller(
        self, address: str, agent: str = "peter", mode: str = "auto", **options: Any
    ) -> AsyncIterator[Client]:
        """A client of the SDK over HTTP, with the agent's token."""
        headers = {"Authorization": f"Bearer {self.token(agent)}"}
        async with (
            httpx2.AsyncClient(headers=headers, timeout=WAIT_SECONDS) as http,
            Client(streamable_http_client(address, http_client=http), mode=mode, **options) as client,
        ):
            yield client


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Team]:
    root = tmp_path / "team"
    root.mkdir()
    (root / "clawfiles.toml").write_text(CONFIG)
    made = Team(root)
    yield made
    for process in made.started:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe:
                pipe.close()


async def called(client: Client, tool: str, **arguments: Any) -> Any:
    """What a call answers; it must go well."""
    answer = await client.call_tool(tool, arguments)
    assert not answer.is_error, answer.content
    assert json.loads(answer.content[0].text) == answer.structured_content
    return answer.structured_content


async def refused(client: Client, tool: str, **arguments: Any) -> tuple[str, str]:
    """The code and the sentence of a call that must be refused."""
    answer = await client.call_tool(tool, arguments)
    assert answer.is_error, answer.structured_content
    error = answer.structured_content["error"]
    assert answer.content[0].text == error["message"]
    return error["code"], error["message"]
