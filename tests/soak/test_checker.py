"""The checker is believed because it was seen to find: a healthy workspace, and one fault at a time put into it."""

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.soak.checker import Checker

CONFIG = """
[workspace]
coordinator = "sam"
[agents.sam]
[agents.iris]
[agents.fast]
command = ["/bin/true"]
[agents.research]
kind = "worker"
command = ["/bin/true"]
[limits]
runs = 2
"""


class Room:
    """A workspace as it may look at one moment, written by hand."""

    def __init__(self, root: Path) -> None:
        self.root, self.told = root, root.parent / "told.jsonl"
        self.held: list[int] = []
        self.write("clawfiles.toml", CONFIG)
        self.write("HEARTBEAT.md", "# HEARTBEAT\n\n- TC-1 delegated to iris, check at 2026-11-25 15:23\n")
        self.task("TC-1", "in_progress", generation=2)
        self.task("TC-2", "done", generation=1)
        self.write("status/iris.md", "TC-1: IN PROGRESS\n")
        self.write("dead-letter/tc-3.md", "---\nid: TC-3\nstatus: dead\ngeneration: 4\n---\n")
        self.write(".clawfiles/claims/tc-1.log", "1 for iris\n1 by iris 12\n1 written\n2 by iris 13\n2 written\n")
        self.message("iris", "cur", "tc-1.1")
        self.message("fast", "done", "tc-2.1")
        self.run("tc-2.1-s1", "fast", "tc-2.1", "TC-2", ended=True)
        self.note("task new", "TC-1", "sam")
        self.note("claim", "TC-1", "iris")
        self.note("wake", "TC-2", "sam", key="tc-2.1-s1")
        self.note("done", "TC-2", "fast")
        self.tell(what="new", task="TC-1")
        self.tell(what="claim", task="TC-1", agent="iris", generation=2)
        self.tell(what="done", task="TC-2", agent="fast")
        self.tell(what="send", agent="iris", key="tc-1.1")
        self.tell(what="remark", path="HEARTBEAT.md", text="delegated to iris")

    def write(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def add(self, path: str, text: str) -> None:
        with (self.root / path).open("a") as file:
            file.write(text)

    def task(self, task: str, state: str, generation: int = 1) -> None:
        text = f"---\nid: {task}\nstatus: {state}\ngeneration: {generation}\n---\n# {task}\n"
        self.write(f"status/{task.lower()}.md", text)

    def message(self, agent: str, box: str, key: str) -> None:
        self.write(
            f"inbox/{agent}/{box}/20261125T145240Z-{key}.md", f"---\nid: 20261125T145240Z-{key}\nkey: {key}\n---\n"
        )

    def run(self, run: str, agent: str, key: str, task: str, ended: bool = False) -> None:
        end = "ended: 2026-11-25T14:52:41Z\nexit: 0\n" if ended else ""
        self.write(f"runs/{run}/run.md", f"---\nrun: {run}\nagent: {agent}\ntask: {task}\nkey: {key}\n{end}---\n")
        if not ended:
            self.write(f".clawfiles/runs/{run}.lock", "")
            self.held.append(os.open(self.root / f".clawfiles/runs/{run}.lock", os.O_RDWR))
            fcntl.flock(self.held[-1], fcntl.LOCK_EX)

    def note(self, action: str, task: str, actor: str, **facts: str) -> None:
        line = {"timestamp": "2026-11-25T14:52:41Z", "action": action, "task": task, "actor": actor} | facts
        (self.root / "audit").mkdir(exist_ok=True)
        self.add("audit/2026-11-25.jsonl", json.dumps(line) + "\n")

    def tell(self, **facts: object) -> None:
        with self.told.open("a") as file:
            file.write(json.dumps(facts) + "\n")

    def found(self) -> set[str]:
        return {one.code for one in Checker(self.root, self.told).look(patience=0.5)}


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    made = Room(tmp_path / "team")
    yield made
    for fd in made.held:
        os.close(fd)


def test_nothing_is_said_against_a_workspace_in_which_everything_is_right(room: Room) -> None:
    room.run("tc-1.1-s1", "fast", "tc-1.1", "TC-1")
    room.run("tc-4.1-s1", "research", "tc-4.1", "TC-4")

    assert room.found() == set()


def doubled_run(room: Room) -> None:
    room.run("tc-1.1-s1", "research", "tc-1.1", "TC-1")
    room.run("tc-1.1-s2", "research", "tc-1.1", "TC-1")


def two_in_a_lane(room: Room) -> None:
    room.run("tc-1.1-s1", "fast", "tc-1.1", "TC-1")
    room.run("m-5-s1", "fast", "m-5", "")


def too_many_runs(room: Room) -> None:
    for number in (5, 6, 7):
        room.run(f"tc-{number}.1-s1", "research", f"tc-{number}.1", f"TC-{number}")


def run_started_twice(room: Room) -> None:
    (room.root.parent / "starts.txt").write_text("tc-2.1-s1\ntc-1.1-s1\ntc-2.1-s1\n")


def lost_message(room: Room) -> None:
    (room.root / "inbox/iris/cur/20261125T145240Z-tc-1.1.md").unlink()


def removed_ledger_line(room: Room) -> None:
    room.write("HEARTBEAT.md", "# HEARTBEAT\n\nTC-1 was here, delegated to iris\n")


def blocked_by_hand_without_a_line(room: Room) -> None:
    room.write("status/tc-8.md", "TC-8: BLOCKED\n\nno access\n")


def lost_task(room: Room) -> None:
    (room.root / "status/tc-1.md").rename(room.root / "tc-1.md")


def done_is_forgotten(room: Room) -> None:
    room.task("TC-2", "backlog")


def generation_goes_back(room: Room) -> None:
    room.task("TC-1", "in_progress", generation=1)


def claim_is_not_in_the_journal(room: Room) -> None:
    path = room.root / "audit/2026-11-25.jsonl"
    path.write_text("".join(line for line in path.read_text().splitlines(True) if '"claim"' not in line))


def old_swap(room: Room) -> None:
    room.write(".clawfiles/swap/status%tc-1.md~none~0~0-0", "")


FAULTS: dict[str, tuple[Callable[[Room], None], str]] = {
    "a doubled run": (doubled_run, "attempt"),
    "two runs in a lane": (two_in_a_lane, "lane"),
    "more runs than the limit": (too_many_runs, "runs"),
    "a run started twice": (run_started_twice, "started-twice"),
    "a run woken twice": (lambda room: room.note("wake", "TC-2", "sam", key="tc-2.1-s1"), "woken-twice"),
    "a lost message": (lost_message, "message-lost"),
    "a message in two boxes": (lambda room: room.message("iris", "new", "tc-1.1"), "message-twice"),
    "a removed ledger line": (removed_ledger_line, "unwatched"),
    "a task blocked by hand without a line": (blocked_by_hand_without_a_line, "unwatched"),
    "a lost task": (lost_task, "task-lost"),
    "a task in two places": (lambda room: room.write("dead-letter/tc-2.md", "---\nstatus: dead\n---\n"), "two-files"),
    "a generation given twice": (lambda room: room.add(".clawfiles/claims/tc-1.log", "2 written\n"), "generation"),
    "a generation confirmed to two": (
        lambda room: room.tell(what="claim", task="TC-1", agent="fast", generation=2),
        "generation",
    ),
    "a generation given back": (generation_goes_back, "word-broken"),
    "a done that is forgotten": (done_is_forgotten, "word-broken"),
    "a claim that is not in the journal": (claim_is_not_in_the_journal, "word-broken"),
    "a lost remark": (lambda room: room.tell(what="remark", path="status/tc-1.md", text="zebra"), "remark-lost"),
    "a torn line in the journal": (lambda room: room.add("audit/2026-11-25.jsonl", '{"timestamp": "20\n'), "journal"),
    "a line without an action": (lambda room: room.add("audit/2026-11-25.jsonl", '{"timestamp": "now"}\n'), "journal"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_found(room: Room, name: str) -> None:
    fault, code = FAULTS[name]
    assert room.found() == set()

    fault(room)

    assert code in room.found()


def test_a_swap_file_older_than_a_minute_is_found(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    old_swap(room)
    assert room.found() == set()
    real = os.lstat(room.root / ".clawfiles/swap/status%tc-1.md~none~0~0-0").st_ctime

    monkeypatch.setattr("tests.soak.checker.time.time", lambda: real + 61)

    assert room.found() == {"swap"}


def test_a_momentary_violation_is_not_reported(room: Room) -> None:
    """Another process takes the second name away while the checker looks again."""
    room.message("iris", "new", "tc-1.1")
    path = room.root / "inbox/iris/new/20261125T145240Z-tc-1.1.md"
    tidies = subprocess.Popen(
        [sys.executable, "-S", "-c", f"import time, os; time.sleep(0.5); os.unlink({str(path)!r})"]
    )

    assert Checker(room.root, room.told).look(patience=30) == []
    assert tidies.wait() == 0


GROWS = """
import os, sys
print("warm", flush=True)
for line in sys.stdin:
    if line == "fds\\n": kept = [os.open("/dev/null", os.O_RDONLY) for _ in range(40)]
    if line == "memory\\n": more = bytearray(os.urandom(1 << 20) * 40)
    print("grown", flush=True)
"""


@pytest.mark.parametrize(("what", "code"), [("fds", "descriptors"), ("memory", "memory"), ("nothing", None)])
def test_a_daemon_that_grows_after_its_warm_up_is_found(room: Room, what: str, code: str | None) -> None:
    checker, pipe = Checker(room.root, room.told, warm_seconds=0), subprocess.PIPE
    with subprocess.Popen([sys.executable, "-S", "-c", GROWS], stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdin and process.stdout
        process.stdout.readline()
        assert checker.look(process.pid) == []

        process.stdin.write(f"{what}\n")
        process.stdin.flush()
        process.stdout.readline()

        assert {one.code for one in checker.look(process.pid)} == ({code} if code else set())
        assert Checker(room.root, room.told).look(process.pid) == []  # it is still young
        process.stdin.close()


def test_unfinished_work_is_found_at_rest(room: Room) -> None:
    room.run("tc-4.1-s1", "research", "tc-4.1", "TC-4")

    found = Checker(room.root, room.told).rest()

    assert {one.code for one in found} == {"open", "ledger", "alive"}
