"""Any order of claims, moves, crashes, ticks, clock steps and edits by hand: what must hold, holds after each step.

Every step is a fresh `App`, as a process of its own would be, on a real folder. People edit without locks, lock files
and the whole of .clawfiles vanish while nothing runs, calls and ticks die before any of their writes.
"""

import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from claw_files.core.errors import ClawError
from claw_files.core.model import AgentId, State, TaskId
from claw_files.storage.locks import Claims
from claw_files.system.disk_files import DiskFiles
from claw_files.testing import Crash
from tests.proofs import often
from tests.support.office import Office

TASKS = st.sampled_from(["TC-1", "TC-2", "TC-3"])
AGENTS = st.sampled_from(["peter", "iris"])
STATES = st.sampled_from(["IN PROGRESS", "DONE", "BLOCKED - no access", "FAILED - no access", "REVIEW", "BACKLOG"])
STEPS = st.integers(1, 14)


class FusedFiles(DiskFiles):
    """Dies before its n-th write, or with the write made and not in the journal."""

    left = 0

    def _step(self) -> None:
        type(self).left -= 1
        if type(self).left == 0:
            raise Crash

    def commit(self, *args: Any, **more: Any) -> Any:
        self._step()
        return super().commit(*args, **more)

    def move(self, *args: Any) -> None:
        self._step()
        super().move(*args)

    def _journal(self, *args: Any) -> None:
        self._step()
        super()._journal(*args)


class FusedClaims(Claims):
    def reserve(self, *args: Any) -> None:
        FusedFiles.left -= 1
        if FusedFiles.left == 0:
            raise Crash
        super().reserve(*args)


class Holding:
    """A claim that was granted."""

    def __init__(self, task: str, agent: str, generation: int) -> None:
        self.task, self.agent, self.generation = task, agent, generation


class Machine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.mkdtemp(prefix="clawfiles-machine-")
        self.office = Office(Path(self.folder) / "sam")
        self.granted: dict[str, dict[int, str]] = {}
        self.held: list[Holding] = []
        self.acknowledged: dict[str, str] = {}  # task -> the summary of the `done` that was answered
        self.by_people: dict[str, bytes] = {}
        self.notes: dict[str, set[str]] = {}
        self.rewritten: set[str] = set()
        self.prose: list[str] = []
        self.count = 0

    def teardown(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    @initialize()
    def tasks_and_prose(self) -> None:
        for _ in range(3):
            self.office.new(type=None)
        self.prose = ["# Heartbeat", "Check the mail, then TC-1."]
        self.office.write("HEARTBEAT.md", "\n".join(self.prose) + "\n")

    def next(self) -> int:
        self.count += 1
        return self.count

    # --- commands

    @rule(task=TASKS, agent=AGENTS)
    def delegate(self, task: str, agent: str) -> None:
        with suppress(ClawError):
            self.office.delegate(task, agent)

    @rule(task=TASKS, agent=AGENTS)
    def claim(self, task: str, agent: str) -> None:
        try:
            lease = self.office.app(agent).claims.claim(TaskId(task), AgentId(agent))
        except ClawError:
            return
        finally:
            self.office.settle()
        granted = self.granted.setdefault(task, {})
        assert lease.generation not in granted, "two holders of one generation"
        assert all(lease.generation > earlier for earlier in granted), "a generation that goes back"
        granted[lease.generation] = agent
        self.held.append(Holding(task, agent, lease.generation))
        self.acknowledged.pop(task, None)
        assert any(task in line for line in self.office.lines), "in progress, and nobody looks"

    @rule(task=TASKS, agent=AGENTS)
    def claim_twice(self, task: str, agent: str) -> None:
        """Given back and taken again, by the same agent: only the generation tells its two processes apart."""
        self.claim(task, agent)
        mine = [holding for holding in self.held if (holding.task, holding.agent) == (task, agent)]
        if mine:
            self.moves(mine[-1], "release")
            self.claim(task, agent)
            self.moves(mine[-1], "done")

    @rule(task=TASKS, first=AGENTS, second=AGENTS)
    def claim_write_anew_and_claim(self, task: str, first: str, second: str) -> None:
        """Whoever writes the file anew loses its generation; what else knows of it must count on."""
        self.claim(task, first)
        self.a_file_is_written_anew(task, "BACKLOG")
        self.claim(task, second)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), move=st.sampled_from(["done", "fail", "release", "progress"]))
    def holder_moves(self, data: st.DataObject, move: str) -> None:
        self.moves(data.draw(st.sampled_from(self.held)), move)

    def moves(self, holding: Holding, move: str) -> None:
        is_superseded = holding.generation < max(self.granted[holding.task])
        text = f"said-{self.next()}"
        try:
            self._move(holding, move, text)
        except ClawError:
            return
        finally:
            self.office.settle()
        assert not is_superseded, f"a superseded holder's {move} was accepted"
        if move == "done":
            self.acknowledged[holding.task] = text

    def _move(self, holding: Holding, move: str, text: str) -> None:
        tasks, generation = self.office.app(holding.agent).tasks, holding.generation
        calls: dict[str, Callable[..., object]] = {
            "done": tasks.done,
            "fail": tasks.fail,
            "release": tasks.release,
            "progress": tasks.progress,
        }
        calls[move](TaskId(holding.task), AgentId(holding.agent), text, generation=generation)

    # --- crashes

    def dying(self, last: int, act: Callable[[], object]) -> None:
        whole = self.office.make_files, self.office.make_claims
        FusedFiles.left = last
        self.office.make_files = lambda path: FusedFiles(path, clock=self.office.clock, durable=False)
        self.office.make_claims = lambda path: FusedClaims(path, durable=False)
        with suppress(Crash, ClawError):
            act()
        self.office.make_files, self.office.make_claims = whole
        self.office.settle()

    @rule(last=STEPS)
    def tick_dies(self, last: int) -> None:
        self.dying(last, lambda: self.office.app().heartbeat.tick())

    @rule(last=STEPS, task=TASKS, agent=AGENTS)
    def delegating_dies(self, last: int, task: str, agent: str) -> None:
        self.dying(last, lambda: self.office.delegate(task, agent))

    @rule(last=STEPS, task=TASKS, agent=AGENTS)
    def claiming_dies(self, last: int, task: str, agent: str) -> None:
        """Nobody was told of a generation, so nobody has one; where the claim was through, the assignee is."""

        def claim() -> None:
            lease = self.office.app(agent).claims.claim(TaskId(task), AgentId(agent))
            self.granted.setdefault(task, {})[lease.generation] = agent
            self.held.append(Holding(task, agent, lease.generation))

        self.acknowledged.pop(task, None)
        self.dying(last, claim)

    @precondition(lambda self: self.held)
    @rule(last=STEPS, data=st.data(), move=st.sampled_from(["done", "fail", "release"]))
    def moving_dies(self, last: int, data: st.DataObject, move: str) -> None:
        holding = data.draw(st.sampled_from(self.held))
        self.dying(last, lambda: self._move(holding, move, f"said-{self.next()}"))

    # --- people and time

    @rule(task=TASKS, state=STATES)
    def a_line_is_added(self, task: str, state: str) -> None:
        note = f"note-{self.next()}"
        self._write(task, f"{self._text(task).rstrip()}\n{note}\n{task}: {state}\n", note)

    @rule(task=TASKS, value=st.sampled_from(["status: done", "status: backlog", "priority: high", "status: [", "x: 1"]))
    def front_matter_is_edited(self, task: str, value: str) -> None:
        key = value.partition(":")[0]
        self._write(task, re.sub(rf"(?m)^{key}: .*$", value, self._text(task), count=1))

    @rule(task=TASKS, state=STATES)
    def a_file_is_written_anew(self, task: str, state: str) -> None:
        self.rewritten.add(task)
        if self.office.app().workspace.claims.given(TaskId(task)).highest < max(self.granted.get(task, {0: ""})):
            self.generations_are_lost(task)  # .clawfiles vanished before: nothing that is left knows how far we were
        self.notes[task] = set()
        note = f"note-{self.next()}"
        self._write(task, f"# {task}: mine\n\n{note}\n\nStatus: {state}\n", note)

    def _path(self, task: str) -> str:
        name = f"{task.lower()}.md"
        return f"status/{name}" if self.office.exists(f"status/{name}") else f"dead-letter/{name}"

    def _text(self, task: str) -> str:
        return self.office.read(self._path(task))

    def _write(self, task: str, text: str, note: str | None = None) -> None:
        self.office.write(self._path(task), text, at=self.office.clock.now() - timedelta(seconds=5))
        self.by_people[task] = text.encode()
        self.acknowledged.pop(task, None)
        if note:
            self.notes.setdefault(task, set()).add(note)

    @rule(edit=st.sampled_from(["time", "delete", "double", "tick", "prose"]), data=st.data())
    def the_ledger_is_edited(self, edit: str, data: st.DataObject) -> None:
        lines = self.office.read("HEARTBEAT.md").split("\n")
        entries = [number for number, line in enumerate(lines) if " delegated to " in line]
        if edit == "prose":
            self.prose.append(f"Prose {self.next()}: TC-2 is the nasty one.")
            lines.insert(len(lines) - 1, self.prose[-1])
        elif entries:
            number = data.draw(st.sampled_from(entries))
            if edit == "time":
                lines[number] = re.sub(r"\d\d\d\d-\d\d-\d\d \d\d:\d\d.*", "07:00", lines[number])
            elif edit == "tick":
                lines[number] = re.sub(r"^- (?!\[)", "- [x] ", lines[number])
            else:
                lines[number : number + 1] = [] if edit == "delete" else [lines[number]] * 2
        self.office.write("HEARTBEAT.md", "\n".join(lines))

    @rule(everything=st.booleans())
    def private_files_vanish(self, everything: bool) -> None:
        shutil.rmtree(self.office.root / ".clawfiles" / ("" if everything else "locks"), ignore_errors=True)
        if everything:
            # Counting goes on from the status files, so it starts anew where somebody has written one anew.
            for task in self.rewritten:
                self.generations_are_lost(task)

    def generations_are_lost(self, task: str) -> None:
        self.granted.pop(task, None)
        self.held = [holding for holding in self.held if holding.task != task]

    @rule(hours=st.integers(-5, 30), minutes=st.integers(0, 59))
    def the_clock_is_set(self, hours: int, minutes: int) -> None:
        self.office.clock.set(self.office.clock.now() + timedelta(hours=hours, minutes=minutes))

    @rule(minutes=st.sampled_from([0, 1, 6, 40]))
    def tick(self, minutes: int) -> None:
        self.office.clock.advance(timedelta(minutes=minutes))
        before = {holding.task for holding in self.held}
        ticked = self.office.app().heartbeat.tick()
        self.office.settle()
        assert ticked.busy is None
        assert ticked.problems == (), (ticked.problems, before)

    # --- what must hold

    @invariant()
    def no_message_is_there_twice(self) -> None:
        for agent in self.office.names("inbox"):
            keys = Counter(key for keys in self.office.boxes(agent).values() for key in keys)
            assert not [key for key, count in keys.items() if count > 1], (agent, keys)

    @invariant()
    def an_acknowledged_done_stays(self) -> None:
        for task, summary in self.acknowledged.items():
            assert self.office.state(task) in (State.DONE, State.REVIEW)
            assert summary in self._text(task)

    @invariant()
    def every_file_can_be_read_or_is_a_persons(self) -> None:
        for name in self.office.names("status"):
            task = name.removesuffix(".md").upper()
            try:
                self.office.task(task)
            except ClawError:
                assert (self.office.root / "status" / name).read_bytes() == self.by_people.get(task)

    @invariant()
    def what_people_wrote_is_still_there(self) -> None:
        aside = "".join(self.office.read(f"conflicts/{name}") for name in self.office.names("conflicts"))
        for task, notes in self.notes.items():
            text = self._text(task) + aside
            assert all(note in text for note in notes), (task, notes)

    @invariant()
    def the_ledgers_prose_is_untouched(self) -> None:
        lines = self.office.read("HEARTBEAT.md").splitlines() if self.office.exists("HEARTBEAT.md") else []
        assert [line for line in lines if line in self.prose] == self.prose


QUICK = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}
TestWorkspace = Machine.TestCase
TestWorkspace.settings = settings(max_examples=8, stateful_step_count=30, **QUICK)


@pytest.mark.slow
@pytest.mark.timeout(3600)
class TestWorkspaceForLong(Machine.TestCase):
    settings = settings(max_examples=often(2000), stateful_step_count=50, **QUICK)
