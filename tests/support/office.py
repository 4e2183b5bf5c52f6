"""A real workspace in a folder, with a clock that moves when told to; people and agents edit files beside it.

Its clock has to be behind the real one: what is written gets the time of the real clock, and `settle` gives it ours.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from claw_files.app.wiring import App
from claw_files.core.model import AgentId, Box, State, Task, TaskId
from claw_files.services.heartbeat.heartbeat import TickResult
from claw_files.services.tasks.lifecycle import NewTask
from claw_files.storage.locks import Claims
from claw_files.system.disk_files import DiskFiles
from claw_files.testing.clock import FakeClock
from claw_files.testing.patience import until

TEAM = """
[workspace]
coordinator = "sam"
monitor = "sentry"

[agents.sam]
reports_to = "dimitrios"
[agents.sentry]
reports_to = "sam"
[agents.peter]
takes = ["bug"]
[agents.iris]
[agents.dimitrios]
kind = "human"
channels = ["file:announcements.md"]

[routes]
bug = { to = ["peter", "iris", "self"] }
reviewed = { to = ["peter"], review = "coordinator" }
"""


def python(script: str) -> str:
    """The line of a configuration that makes an agent of a Python script, which finds the standard library alone."""
    return f"command = [{sys.executable!r}, '-S', '-c', '''{script}''']"


class _App(App):
    """As the real one, without fsync and with files of the test's choice."""

    def __init__(self, office: "Office", agent: str | None, home: AgentId | None = None) -> None:
        super().__init__(str(office.root), dict(os.environ), agent, office.clock, home)
        self._office = office

    def _make_files(self, root: str, closed: bool) -> DiskFiles:
        return self._office.make_files(root, closed=True) if closed else self._office.make_files(root)

    def _make_claims(self) -> Claims:
        return self._office.make_claims(self.root)

    def _beside(self, home: AgentId | None) -> "_App":
        return _App(self._office, self._asked, home)


class Office:
    """One workspace. Every command and tick is a fresh `App`, as if each were a process of its own."""

    def __init__(self, root: Path, config: str = TEAM, clock: FakeClock | None = None) -> None:
        self.root = root
        self.clock = clock or FakeClock()
        self.make_files: Callable[..., DiskFiles] = lambda path, **more: DiskFiles(
            path, clock=self.clock, durable=False, **more
        )
        self.make_claims: Callable[[str], Claims] = lambda path: Claims(path, durable=False)
        self._born = time.time() - 1
        assert self.clock.now().timestamp() < self._born, "the office's clock must be behind the real one"
        root.mkdir(parents=True, exist_ok=True)
        if not (root / "clawfiles.toml").exists():
            self.write("clawfiles.toml", config)

    def app(self, agent: str | None = None) -> App:
        """What a new process sees, with `agent` acting."""
        return _App(self, agent)

    # --- time passes, and ticks

    def tick(self, after: timedelta = timedelta(0)) -> TickResult:
        """One tick, `after` from now; it must not have met any problem."""
        self.clock.advance(after)
        self.settle()
        ticked = self.app().heartbeat.tick()
        self.settle()
        assert ticked.problems == (), ticked.problems
        return ticked

    def acts(self, after: timedelta = timedelta(0)) -> list[str]:
        """The names of what a tick did: "deliver TC-1", without what only moves a check time."""
        quiet = ("extend", "date", "wait-until")
        return [f"{a.act} {a.task or a.agent}" for a in self.tick(after).actions if a.act not in quiet]

    def settle(self) -> None:
        """Give everything that was written since by the real clock the time of ours."""
        now = self.clock.now().timestamp()
        for path in self.root.parent.rglob("*"):
            is_ours = ".clawfiles" not in path.parts and path.is_file() and not path.is_symlink()
            with suppress(FileNotFoundError):  # an agent at work has just removed it
                if is_ours and path.stat().st_mtime > self._born:
                    os.utime(path, (now, now))

    def until(self, seen: Callable[[], object], what: str) -> None:
        """Wait, in real time, until it is so."""
        until(seen, what)

    def runs_end(self) -> None:
        """Wait until no run is alive any more."""
        self.until(lambda: not any(run.alive for run in self.app().runtime.live()), "every run has ended")
        self.settle()

    def stop(self) -> None:
        """Stop what still runs: for the end of a test."""
        runtime = self.app().runtime
        for run in runtime.live():
            runtime.stop(run.id)
        self.runs_end()

    # --- files, as people see them

    def write(self, path: str, text: str | bytes, at: datetime | None = None) -> None:
        """Write as a person's editor does, at the office's time or `at`."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text.encode() if isinstance(text, str) else text)
        when = (at or self.clock.now()).timestamp()
        os.utime(target, (when, when))

    def add(self, path: str, text: str) -> None:
        """Add to a file as a person does, beginning with a line of its own."""
        self.write(path, f"{self.read(path).rstrip()}\n{text}")

    def read(self, path: str) -> str:
        return (self.root / path).read_bytes().decode("utf-8", "surrogateescape")

    def exists(self, path: str) -> bool:
        return (self.root / path).exists()

    def names(self, folder: str) -> list[str]:
        """The names in a folder, sorted; none where there is no folder."""
        return sorted(os.listdir(self.root / folder)) if self.exists(folder) else []

    @property
    def lines(self) -> list[str]:
        """The entries of the ledger as they stand."""
        return [entry.line for entry in self.app().workspace.entries()]

    def task(self, task: str) -> Task:
        """The task in the state that is in force."""
        workspace = self.app().workspace
        return workspace.in_force(workspace.load(TaskId(task)).task)

    def state(self, task: str) -> State:
        return self.task(task).state

    def box(self, agent: str, box: str = "new") -> list[str]:
        """The names of the messages in a box of an inbox, without `.md` and the time in front."""
        stems = [name.removesuffix(".md") for name in self.names(f"inbox/{agent}/{box}")]
        return sorted(stem.partition("Z-")[2] if stem[:8].isdigit() and "Z-" in stem else stem for stem in stems)

    def boxes(self, agent: str) -> dict[str, list[str]]:
        """What lies where in an inbox, without empty boxes."""
        return {str(box): found for box in Box if (found := self.box(agent, box))}

    def message(self, agent: str, key: str) -> str:
        """The text of the message with that key, wherever it lies."""
        found = self.app().workspace.find_message(AgentId(agent), key)
        assert found is not None, f"{agent} has no message {key}: {self.boxes(agent)}"
        return self.read(f"inbox/{agent}/{found[1]}/{found[0].id}.md")

    def audit(self, **wanted: str) -> list[Mapping[str, Any]]:
        """The journal's lines with these values, oldest first."""
        text = "".join(self.read(f"audit/{name}") for name in self.names("audit"))
        facts = [json.loads(line) for line in text.splitlines()]
        return [line for line in facts if all(line.get(key) == value for key, value in wanted.items())]

    def tree(self) -> dict[str, bytes]:
        """Every file outside of .clawfiles with its bytes."""
        files = (path for path in self.root.rglob("*") if path.is_file())
        found = {str(path.relative_to(self.root)): path for path in files}
        return {name: path.read_bytes() for name, path in sorted(found.items()) if not name.startswith(".clawfiles/")}

    # --- what people type

    def new(self, title: str = "A bug", type: str | None = "bug", to: str | None = None, **more: Any) -> str:
        """A new task; its id."""
        order = NewTask(title=title, type=type, to=AgentId(to) if to else None, **more)
        made = self.app().tasks.new(order, AgentId("sam"))
        self.settle()
        return made.id

    def delegate(self, task: str, to: str | None = None) -> None:
        self.app().delegations.delegate(TaskId(task), AgentId("sam"), AgentId(to) if to else None)
        self.settle()

    def delegated(self, to: str | None = None, **more: Any) -> str:
        """A new task that was delegated; its id."""
        task = self.new(**more)
        self.delegate(task, to)
        return task
