"""Agents write whatever comes to their mind into their status files while ticks run and the clock moves.

Files are written over, emptied, cut off, deleted, replaced by old copies, full of misspelt states and merge markers.
No task is given out twice, no definition and no byte that an agent wrote last is lost, and words that are not
understood are asked about.
"""

import re
import shutil
import tempfile
from collections import Counter
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from claw_files.core.errors import ClawError
from claw_files.core.model import AgentId, Entry, State, TaskId
from tests.proofs import often
from tests.support.office import TEAM, Office

NUMBERS = st.integers(1, 3)
AGENTS = {1: "peter", 2: "iris", 3: "peter"}  # whose each task is
MORE = '\n[heartbeat]\nack = "1m"\ncheck = "5m"\nsends = 2\nsilent = "10m"\nlease = "20m"\n'
SAID = st.sampled_from(
    [
        *("Status: IN PROGRESS", "TC-N: DONE", "## Status\n\nIn Progress", "- **Status:** blocked - no access", "WIP"),
        *("Status: In Progess", "TC-N: DONE in PR 142?", "Status: 80 %", "Done - 3/5 endpoints", "Status: dnoe", "✅"),
        *(
            "<<<<<<< HEAD\nStatus: IN PROGRESS\n=======\nStatus: DONE\n>>>>>>> other",
            "```\nStatus: DONE\n```",
            "> done",
        ),
        *("I have begun to look into it.", "# Final report\n\nAll is well.", "- [ ] TC-N: done", "status: [", "\t\x0b"),
    ]
)
BROKEN = st.sampled_from([b"", b"\n\n", b"\xef\xbb\xbf", b"---\nid: TC-1\nsta", b"\xff\xfeT\x00", b"---", b"\0" * 40])


class Machine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.mkdtemp(prefix="clawfiles-half-")
        self.office = Office(Path(self.folder) / "sam", TEAM + MORE)
        self.copies: dict[int, list[bytes]] = {1: [], 2: [], 3: []}
        self.last: dict[int, bytes | None] = {}  # what an agent left there, None where it deleted the file
        self.touched: dict[int, int] = {}  # tasks that left a trace -> how often their message had been sent by then
        self.durable: set[int] = set()  # those whose trace does not go with the file
        self.asked: dict[int, str] = {}  # the definitions as they were when the tasks were given out
        self.count = 0

    def teardown(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    @initialize()
    def tasks(self) -> None:
        for number in AGENTS:
            self.office.new(title=f"Task {number}", type="bug")
        self.office.new(title="Keeps status/ from being empty", type=None)
        for number, agent in AGENTS.items():
            self.office.delegate(f"TC-{number}", agent)
            self.copies[number].append(self.path(number).read_bytes())
            self.asked[number] = self.office.read(f"definitions/tc-{number}.md")

    def path(self, number: int) -> Path:
        return self.office.root / f"status/tc-{number}.md"

    def sends(self, number: int) -> int:
        found = self.office.app().workspace.find_message(AgentId(AGENTS[number]), f"tc-{number}.1")
        return found[0].sends if found else 0

    def touch(self, number: int, lasts: bool = False) -> None:
        handed_on = any(
            f"tc-{number}.2" in keys for agent in AGENTS.values() for keys in self.office.boxes(agent).values()
        )
        if number not in self.touched and (
            handed_on or (self.office.box("sam") and f"tc-{number}.2" in self.office.box("sam"))
        ):
            return  # nobody had said anything in time
        self.touched.setdefault(number, self.sends(number))
        if lasts:
            self.durable.add(number)

    def write(self, number: int, raw: bytes) -> None:
        if self.path(number).exists():
            self.copies[number].append(self.path(number).read_bytes())
        self.office.write(f"status/tc-{number}.md", raw)
        self.last[number] = raw
        if raw != self.copies[number][0]:
            self.touch(number)
        elif number not in self.durable:  # as it was when it was sent, it tells nothing
            self.touched.pop(number, None)

    # --- what agents do

    @rule(number=NUMBERS, said=SAID)
    def writes_its_file_anew(self, number: int, said: str) -> None:
        self.count += 1
        self.write(number, f"# Notes\n\nnote-{self.count}\n\n{said.replace('TC-N', f'TC-{number}')}\n".encode())

    @rule(number=NUMBERS, said=SAID)
    def adds_a_line(self, number: int, said: str) -> None:
        self.count += 1
        before = self.path(number).read_bytes() if self.path(number).exists() else b""
        self.write(number, before + f"\nnote-{self.count}\n{said.replace('TC-N', f'TC-{number}')}\n".encode())

    @rule(number=NUMBERS, raw=BROKEN)
    def leaves_half_a_file(self, number: int, raw: bytes) -> None:
        self.write(number, raw)

    @rule(number=NUMBERS)
    def deletes_its_file(self, number: int) -> None:
        if self.path(number).exists():
            self.copies[number].append(self.path(number).read_bytes())
            self.path(number).unlink()
            self.last[number] = None

    @rule(number=NUMBERS, data=st.data())
    def puts_an_old_copy_back(self, number: int, data: st.DataObject) -> None:
        self.write(number, data.draw(st.sampled_from(self.copies[number])))

    @rule(number=NUMBERS)
    def claims(self, number: int) -> None:
        with suppress(ClawError):
            self.office.app(AGENTS[number]).claims.claim(TaskId(f"TC-{number}"), AgentId(AGENTS[number]))
            self.touch(number, lasts=True)
        self.office.settle()

    @rule(number=NUMBERS, move=st.sampled_from(["done", "progress"]))
    def says_so_by_command(self, number: int, move: str) -> None:
        with suppress(ClawError):
            getattr(self.office.app(AGENTS[number]).tasks, move)(TaskId(f"TC-{number}"), AgentId(AGENTS[number]), "so")
            self.touch(number, lasts=True)
        self.office.settle()

    @rule(agent=st.sampled_from(["peter", "iris"]))
    def reads_its_inbox(self, agent: str) -> None:
        self.office.app(agent).messages.inbox(AgentId(agent))
        for number, owner in AGENTS.items():
            if owner == agent and f"tc-{number}.1" in self.office.box(agent, "cur"):
                self.touch(number, lasts=True)
        self.office.settle()

    # --- what happens meanwhile

    @rule(seconds=st.sampled_from([0, 1, 3, 61, 301, 1500]))
    def tick(self, seconds: int) -> None:
        self.office.clock.advance(timedelta(seconds=seconds))
        ticked = self.office.app().heartbeat.tick()
        self.office.settle()
        assert ticked.problems == ()
        self.durable |= {number for number in self.touched if self.office.audit(action="record", task=f"TC-{number}")}

    @rule(minutes=st.integers(0, 90))
    def time_passes(self, minutes: int) -> None:
        """Forward only: a copy from a clock that was put back cannot be told from the file as it was sent."""
        self.office.clock.advance(timedelta(minutes=minutes))

    @precondition(lambda self: self.touched)
    @rule(number=NUMBERS)
    def what_stays_unclear_is_asked_about(self, number: int) -> None:
        """After the time of an acknowledgement whoever wrote words that nobody understands has been asked."""
        for _ in range(3):
            self.tick(301)
        app, task = self.office.app(), TaskId(f"TC-{number}")
        if number not in self.touched or app.workspace.entry(task) is None:
            return
        look = app.evidence.look(app.workspace.entry(task) or Entry(task=task))
        if look.task and look.task.unclear and app.workspace.in_force(look.task).state is State.IN_PROGRESS:
            asked = [key for keys in self.office.boxes(AGENTS[number]).values() for key in keys]
            assert f"tc-{number}.1.unclear" in asked

    # --- what must hold

    @invariant()
    def nothing_that_left_a_trace_is_given_out_again(self) -> None:
        for number, sends in self.touched.items():
            assert self.sends(number) <= sends, f"TC-{number} was sent again"
            for agent in self.office.names("inbox"):
                keys = [key for keys in self.office.boxes(agent).values() for key in keys]
                assert f"tc-{number}.2" not in keys, f"a second attempt of TC-{number} for {agent}"
                assert agent == AGENTS[number] or f"tc-{number}.1" not in keys

    @invariant()
    def what_was_asked_for_is_still_known(self) -> None:
        workspace = self.office.app().workspace
        for number, asked in self.asked.items():
            assert self.office.read(f"definitions/tc-{number}.md") == asked
            with suppress(ClawError):  # a file that cannot be read keeps nobody from knowing what was asked for
                task = workspace.load(TaskId(f"TC-{number}")).task
                assert (task.title, task.type, task.requested_by) == (f"Task {number}", "bug", "sam")

    @invariant()
    def no_message_is_there_twice(self) -> None:
        for agent in self.office.names("inbox"):
            keys = Counter(key for keys in self.office.boxes(agent).values() for key in keys)
            assert not [key for key, count in keys.items() if count > 1], (agent, keys)

    @invariant()
    def what_an_agent_wrote_last_is_still_there(self) -> None:
        aside = "".join(self.office.read(f"conflicts/{name}") for name in self.office.names("conflicts"))
        for number, raw in self.last.items():
            if raw is None:
                assert not self.path(number).exists(), "made anew"
                continue
            now = self.path(number).read_bytes()
            notes = re.findall(rb"note-\d+$", raw, re.MULTILINE)
            assert all(re.search(rb"(?m)^%s$" % note, now) or note.decode() in aside for note in notes), (number, now)


QUICK = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}
TestHalfSensibleFiles = Machine.TestCase
TestHalfSensibleFiles.settings = settings(max_examples=6, stateful_step_count=25, **QUICK)


@pytest.mark.slow
@pytest.mark.timeout(3600)
class TestHalfSensibleFilesForLong(Machine.TestCase):
    settings = settings(max_examples=often(1500), stateful_step_count=40, **QUICK)
