"""A workspace with an agent that speaks ACP: real runs of a scripted program."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from claw_files.app.wiring import App
from claw_files.core.model import AgentId, Run, RunId, TaskId
from claw_files.services.tasks.lifecycle import NewTask
from claw_files.testing.patience import until

PROGRAM = Path(__file__).with_name("agent.py")
SAM, PETER, TASK, RUN = AgentId("sam"), AgentId("peter"), TaskId("TC-1"), RunId("tc-1.1-s1")
CONFIG = """
[workspace]
coordinator = "sam"
[agents.sam]
[agents.peter]
runtime = "acp"
command = [{python!r}, {program!r}, {state!r}]
timeout = "{timeout}"
workspace = "desk"
{more}
"""


class Team:
    """`desk` is where peter works, `state` where its program notes what it saw."""

    def __init__(self, root: Path) -> None:
        self.root, self.state, self.desk = root / "team", root / "state", root / "team/desk"
        self.desk.mkdir(parents=True)
        self.state.mkdir()
        self.env = {"PATH": os.environ["PATH"], "HOME": str(root)}
        self.configure()

    def configure(self, more: str = "", timeout: str = "1m") -> None:
        text = CONFIG.format(
            python=sys.executable, program=str(PROGRAM), state=str(self.state), more=more, timeout=timeout
        )
        (self.root / "clawfiles.toml").write_text(text)

    def script(self, *words: str) -> None:
        """What the program does before the first message."""
        (self.state / "script").write_text(" ".join(words))

    @property
    def app(self) -> App:
        return App(str(self.root), self.env, "sam")

    def begin(self, *acts: str, to: AgentId = PETER) -> None:
        """A task whose text is these acts, given to peter, and its run started."""
        made = self.app.tasks.new(NewTask(title="Look", body="\n".join(acts)), SAM)
        self.app.delegations.delegate(made.id, SAM, to)
        self.app.heartbeat.wake()

    def work(self, *acts: str) -> Run:
        """The run of such a task, when it is over."""
        self.begin(*acts)
        return self.ended()

    def ended(self, run: RunId = RUN) -> Run:
        until(lambda: (found := self.app.runtime.look(run)) is not None and not found.alive, f"the end of {run}")
        found = self.app.runtime.look(run)
        assert found is not None
        return found

    def saw(self, act: str) -> list[dict[str, Any]]:
        """What the program noted of one kind, oldest first."""
        file = self.state / "seen"
        lines = file.read_text().splitlines() if file.exists() else []
        return [one for one in map(json.loads, lines) if one["act"] == act]

    def log(self, name: str = "stdout.log", run: RunId = RUN) -> str:
        file = self.root / "runs" / run / name
        return file.read_text() if file.exists() else ""

    @property
    def said(self) -> list[str]:
        """What our client said on the run's standard error."""
        return [line for line in self.log("stderr.log").splitlines() if line.startswith("clawfiles: ")]

    def audit(self, action: str) -> list[dict[str, Any]]:
        lines = [line for file in sorted(self.root.glob("audit/*.jsonl")) for line in file.read_text().splitlines()]
        return [one for one in map(json.loads, lines) if one["action"] == action]

    def processes(self) -> list[str]:
        """What was started in runs of this workspace and still lives."""
        mark, found = f"CLAWFILES_RUN_DIR={self.root}/".encode(), []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (process / "environ").read_bytes():
                    found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except OSError:
                continue
        return found


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Team]:
    made = Team(tmp_path)
    yield made
    for run in made.app.runtime.live():
        made.app.runtime.stop(run.id)
        made.ended(run.id)
    assert made.processes() == []
