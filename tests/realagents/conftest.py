"""A workspace whose agent is a real program, and a model on loopback for it to ask.

They are looked for in the folder that CLAWFILES_REAL_AGENTS names (where `npm install` was run, or the folder of the
programs itself), then on the PATH. What is not found is skipped; `make test-agents` installs it first.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from claw_files.testing.patience import until

from .fake_model import Model, Step

ROOT = Path(__file__).parents[2]
LIMIT_SECONDS = 90
KEY = "not-a-secret"
# What the tests need beside the ready settings: the way to the model, and no other traffic.
MORE_ENV = {
    "claude": ("ANTHROPIC_BASE_URL", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"),
    "codex": (),
    "gemini": ("GOOGLE_GEMINI_BASE_URL",),
}
CODEX = """
model = "gpt-5"
model_provider = "loopback"
check_for_update_on_startup = false
[analytics]
enabled = false
[model_providers.loopback]
name = "loopback"
base_url = "{address}/v1"
wire_api = "responses"
requires_openai_auth = true
[sandbox_workspace_write] # they are writable otherwise, and not only the folder it works in
exclude_slash_tmp = true
exclude_tmpdir_env_var = true
"""
GEMINI = {
    "security": {"auth": {"selectedType": "gemini-api-key"}},  # with another address than its own it wants to be told
    "general": {"enableAutoUpdate": False, "enableAutoUpdateNotification": False},
    "privacy": {"usageStatisticsEnabled": False},
}


def found(name: str) -> Path:
    """Where the program is; skips the test without it."""
    folder = os.environ.get("CLAWFILES_REAL_AGENTS", "")
    near = [os.path.join(folder, *parts) for parts in ((), ("node_modules", ".bin"), (name, "node_modules", ".bin"))]
    program = shutil.which(name, path=os.pathsep.join([*(near if folder else []), os.environ["PATH"]]))
    if program is None:
        pytest.skip(f"no program {name!r} on the PATH or in the folder that CLAWFILES_REAL_AGENTS names")
    return Path(program)


class Team:
    """A workspace made by `clawfiles init --for PROGRAM`, with the ready settings and what points it to the model."""

    def __init__(self, name: str, program: Path, folder: Path, address: str) -> None:
        self.name, self.root, home = name, folder / "team", folder / "home"
        (home / ".codex").mkdir(parents=True)
        (home / ".gemini").mkdir()
        (home / ".codex/config.toml").write_text(CODEX.format(address=address))
        (home / ".gemini/settings.json").write_text(json.dumps(GEMINI))
        path = os.pathsep.join([str(_clawfiles(folder)), str(program.parent), os.environ["PATH"]])
        self.env = {"PATH": path, "HOME": str(home), "LANG": "C.UTF-8", "CODEX_HOME": str(home / ".codex")}
        self.env |= dict.fromkeys(("ANTHROPIC_API_KEY", "CODEX_API_KEY", "GEMINI_API_KEY"), KEY)
        self.env |= {"ANTHROPIC_BASE_URL": address, "GOOGLE_GEMINI_BASE_URL": address}
        self.env |= {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}
        self("init", str(self.root), "--for", name)
        more = "".join(f', "{variable}"' for variable in MORE_ENV[name])
        self.change('_API_KEY"', f'_API_KEY"{more}')

    def __call__(self, *arguments: str) -> str:
        """What the command prints; it must go well."""
        where = [] if arguments[0] == "init" else ["-C", str(self.root), "--agent", "sam"]
        command = ["clawfiles", *where, *arguments]
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=LIMIT_SECONDS)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def change(self, old: str, new: str) -> None:
        """Change the one place in clawfiles.toml that reads `old`."""
        file = self.root / "clawfiles.toml"
        assert file.read_text().count(old) == 1, f"{old!r} is not once in clawfiles.toml"
        file.write_text(file.read_text().replace(old, new))

    def task(self, title: str = "Look at the login") -> Any:
        """A new task, given to the agent, as it stands when its run is over and the heartbeat has looked."""
        made = json.loads(self("task", "new", title, "--json"))["id"]
        self("delegate", made, "--to", self.name)
        return self.settled(made)

    def settled(self, task: str) -> Any:
        """The task as it stands when its first run is over and the heartbeat has looked at it."""
        self.run_of(task)
        self("heartbeat")
        return json.loads(self("task", "show", task, "--json"))

    def run_of(self, task: str) -> str:
        """run.md of the task's first run, once it has ended."""
        return self.ended(self.root / f"runs/{task.lower()}.1-s1")

    def ended(self, folder: Path) -> str:
        """run.md in the folder of a run, once it has ended."""
        file = folder / "run.md"
        until(lambda: file.exists() and "\nended: " in file.read_text(), f"the end of {folder.name}")
        return file.read_text()

    def processes(self) -> list[str]:
        """The command lines of all that was started in runs of this workspace, however deep, and still lives."""
        mark, lines = f"CLAWFILES_RUN_DIR={self.root}/".encode(), []
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if mark in (process / "environ").read_bytes():
                    lines.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        return lines

    def read(self, path: str) -> str:
        return (self.root / path).read_text()

    def entries(self) -> list[str]:
        """The lines of the ledger that await something."""
        return re.findall(r"^- .*", self.read("HEARTBEAT.md"), re.MULTILINE)

    def stop(self) -> None:
        """End every run that is left."""
        for folder in self.root.glob("runs/*"):
            (folder / "stop").touch()
            self.ended(folder)


def _clawfiles(folder: Path) -> Path:
    """A folder with our command in it, as this checkout has it."""
    program = folder / "bin" / "clawfiles"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m claw_files "$@"\n')
    program.chmod(0o755)
    return program.parent


Hire = Callable[..., tuple[Team, Model]]


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not in /tmp: Codex, where it finds bubblewrap on the system, hides its own helper there with all of /tmp."""
    with TemporaryDirectory(dir="/var/tmp", prefix="team-") as name:
        yield Path(name)


@pytest.fixture
def hire(folder: Path) -> Iterator[Hire]:
    """Makes a team with the named program, and a model that follows the given steps."""
    with ExitStack() as at_end:

        def make(name: str, *steps: Step, address: str | None = None) -> tuple[Team, Model]:
            program = found(name)
            model = Model(list(steps))
            at_end.callback(model.server_close)
            threading.Thread(target=model.serve_forever, daemon=True).start()
            at_end.callback(model.shutdown)
            team = Team(name, program, folder, address or model.address)
            at_end.callback(team.stop)
            return team, model

        yield make
