"""kill -9 before every system call of every kind of write, in a forked child; torn writes too.

A child patches the system calls that Python makes, counts them, and leaves at the n-th without any cleaning up. The
parent looks at what is on the disk, recovers, and looks again; n rises until the child gets through.
"""

import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from claw_files.config import parse
from claw_files.core.errors import Conflict
from claw_files.core.journal_events import JournalEvent
from claw_files.core.model import AgentId, Audit, State, Task, TaskId
from claw_files.storage.locks import Claims, Locks
from claw_files.storage.workspace import Workspace
from claw_files.system import kernel
from claw_files.system.disk_files import DiskFiles
from claw_files.testing import FakeClock
from tests.proofs import is_tried

OLD, NEW = b"old\n", b"a new and longer text\n"
NOTE = b'{"action": "test"}'
PATH = "status/tc-1.md"
OS_CALLS = ("open", "write", "fsync", "close", "rename", "unlink", "mkdir", "fchmod", "fchown", "utime", "ftruncate")
LOOKS = ("stat", "fstat", "listdir")
CALLS: list[tuple[Any, str]] = [(os, name) for name in OS_CALLS + LOOKS]
CALLS += [(fcntl, "flock"), (kernel, "renameat2")]

pytestmark = pytest.mark.proof


class World:
    """A workspace that is put up anew for each crash."""

    def __init__(self, root: Path) -> None:
        self.root, self.files = root, DiskFiles(str(root), clock=FakeClock())
        root.mkdir()

    def content(self, path: str = PATH) -> bytes | None:
        with suppress(FileNotFoundError):
            return (self.root / path).read_bytes()
        return None

    def journal(self) -> list[bytes]:
        return [line for file in sorted(self.root.glob("audit/*")) for line in file.read_bytes().splitlines()]

    def in_private(self, folder: str) -> list[str]:
        with suppress(FileNotFoundError):
            return sorted(os.listdir(self.root / ".clawfiles" / folder))
        return []


def dies_at(act: Callable[[], object], n: int, torn: bool) -> str | None:
    """Run `act` in a child that dies before its n-th system call; the call's name, or None when it got through."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            _arm(n, torn, writing)
            act()
            code = 0
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading, "rb") as told:
        name = told.read().decode()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, 9), f"the child failed by itself ({code})"
    return name if code == 9 else None


def _arm(n: int, torn: bool, told: int) -> None:
    counter, leave, write = iter(range(1, 1 << 30)), os._exit, os.write

    def armed(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def instead(*args: Any, **named: Any) -> Any:
            if next(counter) == n:
                if torn and name == "write":
                    write(args[0], bytes(args[1])[: len(args[1]) // 2])
                write(told, name.encode())
                leave(9)
            return call(*args, **named)

        return instead

    for module, name in CALLS:
        setattr(module, name, armed(name, getattr(module, name)))


def crashes(tmp_path: Path, prepare: Callable[[World], object], act: Callable[[World], object]) -> Iterator[World]:
    """A world for every point at which `act` can die, dead at that point."""
    writes: list[int] = []  # the points at which it dies before a write: there the write can be torn, too
    for torn in (False, True):
        for n in writes if torn else filter(is_tried, range(1, 400)):
            shutil.rmtree(tmp_path / "w", ignore_errors=True)
            world = World(tmp_path / "w")
            prepare(world)
            died = dies_at(lambda world=world: act(world), n, torn)
            if died is None:
                assert n > 8, "the patched calls do not reach the code under test"
                break
            if not torn and died == "write":
                writes.append(n)
            yield world
        else:
            if not torn:
                pytest.fail("it never got through")


def with_old(world: World) -> None:
    (world.root / "status").mkdir()
    (world.root / PATH).write_bytes(OLD)
    os.utime(world.root / PATH, (1, 1))


def edit(world: World) -> None:
    world.files.commit(PATH, lambda data: NEW, NOTE)


def mended(world: World) -> None:
    """Recovery leaves nothing in swap/, says everything once, and finds nothing the second time."""
    world.files.recover()
    assert world.in_private("swap") == []
    lines = world.journal()
    assert len(lines) == len(set(lines))
    assert world.files.recover() == []
    assert world.files.adopt() == []


@pytest.mark.parametrize("prepare", [with_old, lambda world: None], ids=["edit", "create"])
def test_a_killed_write_leaves_the_old_or_the_new_and_the_journal_tells_which(
    tmp_path: Path, prepare: Callable[[World], None]
) -> None:
    seen = set()
    for world in crashes(tmp_path, prepare, edit):
        before = world.content()
        assert before in ((OLD, NEW) if prepare is with_old else (None, NEW)), before
        mended(world)
        assert world.content() == before
        assert world.journal().count(NOTE) == (before == NEW)
        edit(world)
        assert world.content() == NEW
        assert world.journal().count(NOTE) == 1
        seen.add(before)
    assert len(seen) == 2


def test_a_killed_write_that_restarted_on_an_edit_is_not_journalled_as_made(tmp_path: Path) -> None:
    def interrupted(world: World) -> None:
        def slow(data: bytes | None) -> bytes:
            if data == OLD:
                (world.root / PATH).write_bytes(b"theirs\n")
                os.utime(world.root / PATH, (2, 2))
            return (data or b"") + NEW

        world.files.commit(PATH, slow, NOTE)

    for world in crashes(tmp_path, with_old, interrupted):
        before = world.content()
        assert before in (OLD, b"", b"theirs\n", b"theirs\n" + NEW)
        mended(world)
        assert world.content() == before
        assert world.journal().count(NOTE) == (before == b"theirs\n" + NEW)


def test_a_killed_move_is_done_or_not_and_the_journal_tells_which(tmp_path: Path) -> None:
    for world in crashes(tmp_path, with_old, lambda world: world.files.move(PATH, "status/archive/tc-1.md", NOTE)):
        mended(world)
        here, there = world.content(), world.content("status/archive/tc-1.md")
        assert sorted([here or b"", there or b""]) == [b"", OLD]
        assert world.journal().count(NOTE) == (there is not None)


def test_a_killed_removal_is_done_or_not_and_the_journal_tells_which(tmp_path: Path) -> None:
    for world in crashes(tmp_path, with_old, lambda world: world.files.remove(PATH, NOTE)):
        mended(world)
        assert world.content() in (OLD, None)
        assert world.journal().count(NOTE) == (world.content() is None)


def test_a_killed_append_leaves_every_earlier_and_every_later_line_whole(tmp_path: Path) -> None:
    def with_a_line(world: World) -> None:
        world.files.append("log.txt", b"first")

    for world in crashes(tmp_path, with_a_line, lambda world: world.files.append("log.txt", b"a line that may tear")):
        world.files.append("log.txt", b"last")
        lines = (world.content("log.txt") or b"").splitlines()
        assert (lines[0], lines[-1]) == (b"first", b"last")
        assert len(lines) <= 3


def take(world: World) -> None:
    def claimed(data: bytes | None) -> bytes:
        if data != OLD:
            raise Conflict("not in backlog")
        return NEW

    with Claims(str(world.root)).take(TaskId("TC-1"), 1, AgentId("peter")):
        world.files.commit(PATH, claimed, NOTE)


def test_a_killed_claim_is_claimed_or_can_be_claimed_by_the_next(tmp_path: Path) -> None:
    for world in crashes(tmp_path, with_old, take):
        mended(world)
        if world.content() == OLD:
            take(world)
        with pytest.raises(Conflict):
            take(world)
        assert world.content() == NEW
        assert world.journal().count(NOTE) == 1


def test_a_killed_reservation_is_made_or_can_be_made_by_the_next(tmp_path: Path) -> None:
    def reserve(world: World) -> None:
        Claims(str(world.root)).reserve(TaskId("TC-1"), 1, AgentId("peter"))

    for world in crashes(tmp_path, with_old, reserve):
        assert Claims(str(world.root)).given(TaskId("TC-1")).reserved(1) in (None, "peter")
        reserve(world)
        assert Claims(str(world.root)).given(TaskId("TC-1")).highest == 1


DEFINED, TASK, AUDIT = "definitions/tc-1.md", TaskId("TC-1"), Audit(JournalEvent.COMMENT)
WISH = Task(id=TASK, title="Pay", type="bug", requested_by=AgentId("sam"))


def office(world: World) -> Workspace:
    settings = parse(b'[workspace]\ncoordinator = "sam"\n[agents.sam]\n[agents.peter]\n', "clawfiles.toml")
    root = str(world.root)
    return Workspace(root, settings, world.files, Locks(root), Claims(root), FakeClock())


def is_defined(world: World) -> bool:
    return b"title: Pay\n" in (world.content(DEFINED) or b"") and (world.content(DEFINED) or b"").endswith(b"Look.\n")


def test_a_killed_making_of_a_task_leaves_none_without_its_definition_and_is_finished(tmp_path: Path) -> None:
    seen = set()
    for world in crashes(tmp_path, lambda world: office(world), lambda it: office(it).create(WISH, AUDIT, "Look.")):
        world.files.recover()
        left = (world.content(DEFINED) is not None, world.content() is not None)
        assert left != (False, True)
        if left == (True, False):  # whoever wants that number for another task is refused, and takes the next
            with pytest.raises(Conflict):
                office(world).create(WISH, AUDIT, "Something else.", is_new=True)
            assert office(world).highest_number() == 1
        if not left[1]:
            office(world).create(WISH, AUDIT, "Something else." if left[0] else "Look.")
        assert is_defined(world)
        assert b"\nLook.\n" in (world.content() or b"")
        seen.add(left)
    assert len(seen) == 3


def test_a_killed_first_write_to_a_file_made_by_hand_has_kept_what_stood_there(tmp_path: Path) -> None:
    def by_hand(world: World) -> None:
        (world.root / "status").mkdir()
        (world.root / PATH).write_bytes(b"---\ntitle: Pay\n---\nLook.\n")
        os.utime(world.root / PATH, (1, 1))

    def claims(world: World) -> None:
        office(world).update(TASK, lambda task: replace(task, state=State.IN_PROGRESS), AUDIT)

    seen = set()
    for world in crashes(tmp_path, by_hand, claims):
        world.files.recover()
        is_written = b"status: in_progress" in (world.content() or b"")
        assert is_defined(world) or not is_written
        seen.add((is_written, is_defined(world)))
        (world.root / PATH).write_bytes(b"TC-1: DONE\n")  # an agent writes over it: what was defined is not lost
        os.utime(world.root / PATH, (2, 2))
        if is_defined(world):
            assert office(world).load(TASK).task.title == "Pay"
    assert seen == {(False, False), (False, True), (True, True)}


def test_a_recovery_that_is_killed_itself_is_finished_by_the_next(tmp_path: Path) -> None:
    """Each different state that a killed edit leaves, and a kill at each call of the recovery from it."""
    states: dict[str, Path] = {}
    for world in crashes(tmp_path, with_old, edit):
        what = re.sub(r"[0-9a-f]+-[0-9a-f]{8,}", "N", f"{world.in_private('swap')}{world.content()!r}{world.journal()}")
        if world.in_private("swap") and what not in states:
            states[what] = tmp_path / f"state-{len(states)}"
            shutil.copytree(world.root, states[what], copy_function=shutil.copy2)
    assert len(states) >= 6
    for state in states.values():
        for n in filter(is_tried, range(1, 200)):
            shutil.rmtree(tmp_path / "w", ignore_errors=True)
            shutil.copytree(state, tmp_path / "w", copy_function=shutil.copy2)
            world = World.__new__(World)
            world.root, world.files = tmp_path / "w", DiskFiles(str(tmp_path / "w"), clock=FakeClock())
            before = world.content()
            died = dies_at(lambda world=world: world.files.recover(), n, torn=True)
            world.files.recover()
            assert world.in_private("swap") == []
            assert world.content() == before
            assert world.journal().count(NOTE) == (before == NEW)
            if died is None:
                break


def test_everything_is_synced_before_the_next_step_relies_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No kill shows a missing fsync, only a power cut would: so the order of the calls is the evidence."""
    world, steps = World(tmp_path / "w"), []
    with_old(world)
    world.files.append("audit/2026-03-07.jsonl", b"{}")
    fsync, rename = os.fsync, kernel.renameat2

    def name_of(fd: int) -> str:
        where = os.path.relpath(os.readlink(f"/proc/self/fd/{fd}"), world.root)
        return re.sub(r"swap/.*\.part", "swap/NEW", where)

    monkeypatch.setattr(os, "fsync", lambda fd: (steps.append(f"fsync {name_of(fd)}"), fsync(fd))[1])
    monkeypatch.setattr(kernel, "renameat2", lambda *args: (steps.append("swap"), rename(*args))[1])
    world.files.folder(".clawfiles/swap")
    steps.clear()

    edit(world)

    assert steps[:5] == [
        "fsync .clawfiles/swap/NEW",
        "swap",
        "fsync status",
        "fsync .clawfiles/swap",
        "fsync audit/2026-03-07.jsonl",
    ]


STRACED = """
import sys
sys.path.insert(0, {source!r})
from claw_files.system.disk_files import DiskFiles
files = DiskFiles({root!r})
files.commit("status/warm-up.md", lambda data: b"x", None)
files.commit({path!r}, lambda data: {new!r}, {note!r})
"""


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
@pytest.mark.parametrize("call", ["renameat2", "renameat", "fsync", "write", "unlinkat", "flock"])
def test_killed_by_the_kernel_at_a_real_system_call_it_is_old_or_new(tmp_path: Path, call: str) -> None:
    """The same from outside: strace delivers SIGKILL at the entry of the n-th call of one name."""
    outcomes = []
    for n in range(1, 40):
        root = tmp_path / f"w{n}"
        world = World(root)
        with_old(world)
        source = str(Path(__file__).parents[2])
        script = STRACED.format(source=source, root=str(root), path=PATH, new=NEW, note=NOTE)
        inject = [f"--inject={call}:signal=KILL:when={n}", "-e", f"trace={call}"]
        done = subprocess.run(
            ["strace", "-f", "-qq", "-o", "/dev/null", *inject, sys.executable, "-c", script],
            capture_output=True,
            check=False,
        )
        assert done.returncode in (0, -9, 137), done.stderr
        outcomes.append(world.content())
        assert outcomes[-1] in (OLD, NEW)
        mended(world)
        assert world.content() == outcomes[-1]
        assert world.journal().count(NOTE) == (outcomes[-1] == NEW)
        if done.returncode == 0:
            break
    assert outcomes[-1] == NEW
