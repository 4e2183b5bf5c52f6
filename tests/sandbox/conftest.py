"""A home whose agents run in real sandboxes: bubblewrap must be there, or these tests are skipped with the reason.

With CLAWFILES_NO_SKIPS=1 they fail instead.
"""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from claw_files.processes.bubblewrap import problem
from tests.daemon.conftest import Home
from tests.support.office import python

SECRET = "the-key-of-iris"
TEAM = """
[workspace]
coordinator = "sam"

[profiles.boxed]
sandbox = "require"
[profiles.readonly]
sandbox = "require"
commands = ["task list", "task show", "inbox"]
[profiles.alone]
sandbox = "require"
network = false
[profiles.small]
memory = "256MiB"

[agents.dimitrios]
kind = "human"
[agents.sam]
reports_to = "dimitrios"
"""


@pytest.fixture(autouse=True)
def _bubblewrap() -> None:
    if why := problem(os.environ):
        (pytest.fail if os.environ.get("CLAWFILES_NO_SKIPS") == "1" else pytest.skip)(why)


def agent(name: str, script: str, more: str = 'profile = "boxed"') -> str:
    """The part of a configuration that makes an agent of a Python script."""
    return f"[agents.{name}]\n{more}\n{python(script)}\n"


class Yard(Home):
    """A home with agents in sandboxes, and what they found out."""

    def found(self, name: str = "peter") -> Any:
        """What the agent wrote into found.json in its working folder, once it is there."""
        path = self.root / "work" / name / "found.json"
        self.until(path.exists, f"{name} has found out: {self.printed()}")
        return json.loads(path.read_text())

    def printed(self) -> str:
        """What all runs have printed."""
        logs = sorted(self.root.glob("runs/*/std*.log"))
        return "\n".join(f"{log.parent.name}/{log.name}: {log.read_text()}" for log in logs if log.stat().st_size)

    def run_md(self, run: str) -> str:
        path = self.root / "runs" / run / "run.md"
        self.until(lambda: path.exists() and "\nended: " in path.read_text(), f"{run} ends")
        return path.read_text()

    def team(self, *agents: str) -> None:
        self.write("clawfiles.toml", TEAM + "".join(agents))

    # --- the socket of a run, as something in its sandbox would use it

    def door(self, run: str) -> str:
        path = self.root / ".clawfiles/doors" / run / "socket"
        self.until(path.exists, f"the daemon listens for {run}")
        return str(path)

    def call(self, run: str, raw: bytes | dict[str, Any]) -> dict[str, Any]:
        """The answer to one request."""
        with self.connected(run) as connection:
            with suppress(OSError):  # it has refused before it had all
                connection.sendall(raw if isinstance(raw, bytes) else json.dumps(raw).encode() + b"\n")
            answer = b""
            while part := connection.recv(65536):
                answer += part
        found: dict[str, Any] = json.loads(answer)
        return found

    def connected(self, run: str) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(60)
        path = self.door(run)
        fd = os.open(os.path.dirname(path), os.O_RDONLY)  # the path may be longer than a socket's can be
        try:
            connection.connect(f"/proc/self/fd/{fd}/socket")
        except OSError:  # nobody listens there yet
            connection.close()
            raise
        finally:
            os.close(fd)
        return connection


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    made = Yard(tmp_path / "team", TEAM)
    yield made
    made.close()
