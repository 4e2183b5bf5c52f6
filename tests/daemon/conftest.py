"""A home: a real workspace with a real daemon, which is started, killed, stopped and asked as an operator would."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from claw_files.app.wiring import App
from claw_files.core.model import AgentId, State, TaskId
from claw_files.services.admin import daemon_state
from claw_files.services.admin.daemon_state import DaemonState as DaemonState
from claw_files.services.tasks.lifecycle import NewTask
from claw_files.testing.patience import PATIENCE_SECONDS, until
from tests.support import office
from tests.support.office import python

ROOT = Path(__file__).parents[2]
AT_ONCE_SECONDS = 20.0  # however slow the machine, before the next rescan: an event has told

WRITES = """
import os
with open(f"status/{os.environ['CLAWFILES_TASK'].lower()}.md", "a") as file:
    file.write("\\nStatus: DONE - PR #1\\n")
"""
WAITS = """
import os, time
while not os.path.exists("go"): time.sleep(0.02)
with open(f"status/{os.environ['CLAWFILES_TASK'].lower()}.md", "a") as file:
    file.write("\\nStatus: DONE - PR #1\\n")
"""


TEAM = f"""{office.TEAM.partition("[routes]")[0]}
[agents.coder]
{python(WRITES)}
[agents.slow]
{python(WAITS)}
"""


class Home:
    """One workspace and the daemons that live in it."""

    def __init__(self, root: Path, config: str = TEAM) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        self.write("clawfiles.toml", config)
        self.processes: list[subprocess.Popen[bytes]] = []

    # --- daemons

    def start(self, *options: str, wait: bool = True, before: tuple[str, ...] = (), **env: str) -> int:
        """Start a daemon and wait until it says how it is; its pid."""
        args = ["daemon", "run", "--log", "json", *options]
        with (self.root.parent / "daemon.log").open("ab") as log:
            process = self.popen(*args, before=before, env=env, stderr=log)
        if wait:
            self.until(lambda: self._has_started(None if before else process.pid), "the daemon starts")
        return process.pid

    def _has_started(self, pid: int | None) -> bool:
        """Until it has said so itself, what the one before it said stands there."""
        said = self.status()
        return said is not None and said.last_tick is not None and pid in (None, said.pid)

    @property
    def command(self) -> list[str]:
        """How the program is called here."""
        return [sys.executable, "-m", "claw_files", "-C", str(self.root)]

    @property
    def env(self) -> dict[str, str]:
        """In what environment: that of nobody's run."""
        found = {name: value for name, value in os.environ.items() if not name.startswith("CLAWFILES_")}
        return found | {"PYTHONPATH": str(ROOT)}

    def popen(
        self,
        *args: str,
        before: tuple[str, ...] = (),
        env: dict[str, str] | None = None,
        stderr: "int | IO[bytes]" = subprocess.PIPE,
    ) -> Any:
        pipes = {"stdout": subprocess.PIPE, "stderr": stderr}
        process = subprocess.Popen([*before, *self.command, *args], env=self.env | (env or {}), **pipes)
        self.processes.append(process)
        return process

    def run(self, *args: str, by: str = "sam") -> "subprocess.CompletedProcess[str]":
        """A command, in a process of its own."""
        process = self.popen(*args, "--agent", by)
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
        return subprocess.CompletedProcess(args, process.returncode, out.decode(), err.decode())

    def ok(self, *args: str, by: str = "sam") -> str:
        done = self.run(*args, by=by)
        assert done.returncode == 0, done.stderr
        return done.stdout

    @property
    def daemon(self) -> Any:
        """The daemon that was started last."""
        return next(process for process in reversed(self.processes) if "run" in process.args)

    def signal(self, number: int) -> None:
        os.kill(self.daemon.pid, number)

    def ends(self) -> int:
        """Wait for the daemon's end; its exit status."""
        status: int = self.daemon.wait(timeout=PATIENCE_SECONDS)
        return status

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self.ends()

    def status(self) -> DaemonState | None:
        return daemon_state.load(str(self.root))

    @property
    def state(self) -> DaemonState:
        found = self.status()
        assert found is not None, "no daemon runs"
        return found

    def log(self, event: str = "") -> list[dict[str, Any]]:
        """The lines of the log, of one kind or all."""
        path = self.root.parent / "daemon.log"
        lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return [line for line in lines if not event or line["event"] == event]

    # --- files

    def write(self, path: str, text: str) -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def add(self, path: str, text: str) -> None:
        with (self.root / path).open("a") as file:
            file.write(text)

    def read(self, path: str) -> str:
        return (self.root / path).read_text()

    def names(self, folder: str) -> list[str]:
        return sorted(os.listdir(self.root / folder)) if (self.root / folder).exists() else []

    def app(self) -> App:
        return App(str(self.root), os.environ, "sam")

    def task(self, task: str) -> State:
        workspace = self.app().workspace
        return workspace.in_force(workspace.load(TaskId(task)).task).state

    def lines(self) -> int:
        return len(self.app().workspace.entries())

    def live(self) -> list[str]:
        return [run.id for run in self.app().runtime.live() if run.alive]

    def audit(self, **wanted: str) -> list[dict[str, Any]]:
        text = "".join(self.read(f"audit/{name}") for name in self.names("audit"))
        facts = [json.loads(line) for line in text.splitlines()]
        return [line for line in facts if all(line.get(key) == value for key, value in wanted.items())]

    def new(self, to: str, title: str = "A bug") -> str:
        """A task, delegated as `task new --to` does; its id. In this process: the command takes ten times as long."""
        app, sam, agent = self.app(), AgentId("sam"), AgentId(to)
        app.check_takes_work()
        task = app.tasks.new(NewTask(title=title), sam).id
        app.delegations.delegate(task, sam, agent)
        app.heartbeat.wake()
        return task

    @staticmethod
    def until(seen: Callable[[], object], what: str, seconds: float = PATIENCE_SECONDS) -> float:
        """Wait until it is so; how long that took, in seconds."""
        start = time.monotonic()
        until(seen, what, seconds=seconds)
        return time.monotonic() - start

    def close(self) -> None:
        self.write("go", "")
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
            for pipe in (process.stdout, process.stderr):
                if pipe:
                    pipe.close()
        runtime = self.app().runtime
        for run in runtime.live():
            runtime.stop(run.id)
        self.until(lambda: not self.live(), "what ran has ended")


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = Home(tmp_path / "team")
    yield made
    made.close()
