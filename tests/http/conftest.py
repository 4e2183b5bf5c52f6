"""The real server in a process of its own, asked by sockets: what a client sends is what the test says, to the byte."""

import contextlib
import json
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support import warm
from tests.support.commands import typed

ROOT = Path(__file__).parents[2]
WAIT_SECONDS = 30.0
CONFIG = """
[workspace]
coordinator = "sam"

[agents.dimitrios]
kind = "human"
channels = ["file:announcements.md"]
[agents.sam]
reports_to = "dimitrios"
[agents.peter]
takes = ["bug"]
[agents.iris]
[agents.shield]
compartment = true
[agents.reader]
profile = "readonly"
[profiles.readonly]
commands = ["task list"]

[routes]
reviewed = { to = ["peter"], review = "coordinator" }
"""


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]  # names in lower case
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The code of the error."""
        found: str = self.json["error"]["code"]
        return found


class Served:
    """A workspace, its server, and who asks it."""

    def __init__(self, root: Path, config: str = CONFIG, *options: str, program: Sequence[str] = ()) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        (root / "clawfiles.toml").write_text(config)
        self.stderr = root.parent / f"{root.name}.stderr"
        self.process, self.told = self._start(program or warm.command(), options)
        self.port = int(self.told["url"].rpartition(":")[2])
        self._tokens: dict[str, str] = {}

    def _start(self, program: Sequence[str], options: tuple[str, ...]) -> tuple["subprocess.Popen[bytes]", Any]:
        command = [*program, "-C", str(self.root), "serve", "--port", "0", "--json", *options]
        with self.stderr.open("wb") as err:
            process = subprocess.Popen(
                command, env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=err
            )
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, self.stderr.read_text()
        return process, json.loads(line)

    def end(self, number: int = signal.SIGTERM) -> int:
        """The exit status after the signal."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(WAIT_SECONDS)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return status

    @property
    def complaints(self) -> str:
        """What it wrote on standard error."""
        return self.stderr.read_text()

    # --- asking

    def token(self, agent: str) -> str:
        if agent not in self._tokens:
            self._tokens[agent] = self.shell("token", agent, "--show")["token"]
        return self._tokens[agent]

    def bearer(self, agent: str | None) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(agent)}"} if agent else {}

    def __call__(self, method: str, path: str, body: Any = None, by: str | None = "peter", **headers: str) -> Answer:
        """Ask as `by`; header names with `_` for `-`."""
        sent = self.bearer(by) | {name.replace("_", "-"): value for name, value in headers.items()}
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        if method in ("POST", "PATCH"):
            data = b"{}" if data is None else data
            sent = {"Content-Type": "application/json"} | sent
        connection = HTTPConnection("127.0.0.1", self.port, timeout=WAIT_SECONDS)
        with contextlib.closing(connection):
            connection.request(method, path, data, sent)
            return _answer(connection.getresponse())

    def raw(self, *parts: bytes) -> Answer | None:
        """What comes back when these bytes are sent; None when the connection is closed without a word."""
        with self.connect() as wire:
            for part in parts:
                with contextlib.suppress(ConnectionError):  # it may have heard enough
                    wire.sendall(part)
            return _read(wire)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), WAIT_SECONDS)

    def shell(self, *arguments: str, by: str | None = None, ok: bool = True) -> Any:
        """What the same program prints on a command line."""
        named = ["--agent", by] if by else []
        done = typed(self.root, *named, *arguments, "--json", env=environment())
        assert not ok or done.returncode == 0, done.stderr
        return json.loads(done.stdout if done.returncode == 0 else done.stderr)

    def task(self, title: str = "A bug", by: str = "sam", **more: Any) -> str:
        """The id of a new task."""
        made = self("POST", "/api/tasks", {"title": title, **more}, by)
        assert made.status == 201, made
        found: str = made.json["id"]
        return found

    def tree(self) -> dict[str, bytes]:
        """Every file with its bytes, but what may be lost."""
        files = (path for path in self.root.rglob("*") if path.is_file() and ".clawfiles" not in path.parts)
        return {str(path.relative_to(self.root)): path.read_bytes() for path in sorted(files)}


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CLAWFILES_")}
    return kept | {"PYTHONPATH": str(ROOT), "CLAWFILES_DEBUG": "1"}


def _read(wire: socket.socket) -> Answer | None:
    """The next answer on the connection; None when it was closed without one."""
    response = HTTPResponse(wire)
    try:
        response.begin()
        return _answer(response)
    except (ConnectionError, ValueError, EOFError):
        return None
    except Exception as error:
        if type(error).__name__ in ("RemoteDisconnected", "BadStatusLine", "IncompleteRead"):
            return None
        raise
    finally:
        response.close()


def _answer(response: HTTPResponse) -> Answer:
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, headers, response.read())


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Starts a server; whatever it was asked, it must have no traceback to show at the end."""
    started: list[Served] = []

    def start(more: str = "", *options: str, **named: Sequence[str]) -> Served:
        """With `more` in its configuration."""
        started.append(Served(tmp_path / f"team{len(started)}", f"{CONFIG}\n{more}\n", *options, **named))
        return started[-1]

    yield start
    for served in started:
        served.end()
        assert "Traceback" not in served.complaints, served.complaints


@pytest.fixture
def served(serve: Callable[..., Served]) -> Served:
    return serve()


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server for tests that must not change anything: afterwards every byte is what it was."""
    served = Served(tmp_path_factory.mktemp("board") / "team")
    task = served.task(type="bug")
    assert task == "TC-1"
    before = served.tree()
    yield served
    assert served("GET", f"/api/tasks/{task}").status == 200
    assert served.tree() == before
    assert served.end() == 0
    assert served.complaints == ""


@pytest.fixture
def read() -> Callable[[socket.socket], Answer | None]:
    """Reads the next answer on a connection."""
    return _read
