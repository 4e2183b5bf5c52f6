"""A desk in a fresh workspace: commands are called as a person types them, whole output and status come back."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from claw_files.cli import run
from tests import runs

ROOT = Path(__file__).parents[2]

CONFIG = """
[workspace]
coordinator = "sam"
timezone = "Europe/Berlin"

[agents.dimitrios]
kind = "human"
channels = ["file:announcements.md"]

[agents.sam]
kind = "named"
reports_to = "dimitrios"

[agents.peter]
kind = "named"
takes = ["code-review", "bug"]

[agents.iris]
kind = "named"

[agents.research]
kind = "worker"
runtime = "command"
command = ["python3", "worker.py"]

[routes]
code-review = { to = ["peter", "self"], review = "coordinator" }
"""


class Answer(NamedTuple):
    """What a command left behind."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.out)

    @property
    def error(self) -> Any:
        """The one JSON object on stderr."""
        return json.loads(self.err)["error"]


class Desk:
    """Calls commands in one workspace, in this process."""

    def __init__(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.root = root
        self._capsys = capsys

    def __call__(self, *arguments: str, by: str | None = None) -> Answer:
        named = ["--agent", by] if by else []
        self._capsys.readouterr()
        status = run(["-C", str(self.root), *named, *arguments])
        captured = self._capsys.readouterr()
        return Answer(status, captured.out, captured.err)

    def inside(self, agent: str, *arguments: str, **told: str) -> Answer:
        """The answer of a command that is typed in a run of the agent, which was told the rest when it began."""
        done = runs.typed(self.root, agent, *arguments, **told)
        return Answer(done.returncode, done.stdout, done.stderr)

    def ok(self, *arguments: str, by: str | None = None) -> Answer:
        """The answer of a command that must go well."""
        answer = self(*arguments, by=by)
        assert answer.status == 0, answer
        return answer

    def task(self, title: str = "API security review", *options: str, by: str = "sam") -> str:
        """The id of a new task."""
        found: str = self.ok("task", "new", title, *options, "--json", by=by).json["id"]
        return found

    def show(self, task: str) -> Any:
        return self.ok("task", "show", task, "--json").json

    def read(self, path: str) -> str:
        return (self.root / path).read_text()

    def write(self, path: str, text: str | bytes) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        os.utime(file, (1_700_000_000, 1_700_000_000))  # long ago: nobody is in the middle of writing it
        return file


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Desk:
    for name in [name for name in os.environ if name.startswith("CLAWFILES_")]:
        monkeypatch.delenv(name)
    root = tmp_path / "team"
    root.mkdir()
    (root / "clawfiles.toml").write_text(CONFIG)
    return Desk(root, capsys)


@pytest.fixture
def program() -> Iterator[Callable[..., "subprocess.Popen[bytes]"]]:
    """Starts the real program in a process of its own."""

    def start(*arguments: str, **options: Any) -> "subprocess.Popen[bytes]":
        env = {name: value for name, value in os.environ.items() if not name.startswith("CLAWFILES_")}
        env |= {"PYTHONPATH": str(ROOT), **options.pop("env", {})}
        command = [sys.executable, "-m", "claw_files", *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        started.append(subprocess.Popen(command, env=env, **{**pipes, **options}))
        return started[-1]

    started: list[subprocess.Popen[bytes]] = []
    yield start
    for process in started:
        process.kill()
        process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe:
                pipe.close()
