"""What one process must be alone for, while another one deletes lock files as fast as it can.

Each race runs on real processes and is counted in two independent ways.
"""

import multiprocessing
import os
import signal
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest

from claw_files.core.errors import Busy
from claw_files.core.model import AgentId
from claw_files.doctor.claim_proof import tidied
from claw_files.storage.locks import Locks
from claw_files.system import folder_locks
from claw_files.system.path_gate import PathGate
from tests.support.office import Office

FORK = multiprocessing.get_context("fork")
PATIENCE = timedelta(seconds=60)
CROWD = 6
LOCK_FILES = ("locks", "claims", "runs")
ALL = (".",)  # everything below .clawfiles/
Answer = TypeVar("Answer")
Tell = Callable[[str, str, int, int], None]

pytestmark = pytest.mark.proof


def crowd(act: Callable[[int], Answer], processes: int = CROWD) -> list[Answer]:
    """What `act` answered in each of so many processes that run at once."""
    answers = FORK.SimpleQueue()

    def tell(number: int) -> None:
        try:
            answers.put((act(number), ""))
        except BaseException:
            answers.put((None, traceback.format_exc()))

    children = [FORK.Process(target=tell, args=(number,), daemon=True) for number in range(processes)]
    for child in children:
        child.start()
    told = [answers.get() for _ in children]
    for child in children:
        child.join()
    assert [wrong for _, wrong in told if wrong] == []
    return [answer for answer, _ in told]


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path / "team")


# --- locks


def count_up(root: Path, rounds: int, number: int) -> int:
    """Add to a counter that a second one inside would spoil; how often a second one was met."""
    counter, inside, met = root / "counter", root / "inside", 0
    for _ in range(rounds):
        with Locks(str(root)).hold("tick", PATIENCE, f"process {number}"):
            try:
                os.close(os.open(inside, os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                met += 1
            counter.write_text(str(int(counter.read_text()) + 1))
            inside.unlink(missing_ok=True)
    return met


@pytest.mark.parametrize("folders", [LOCK_FILES, ALL], ids=["lock files", "all of .clawfiles"])
def test_a_lock_has_one_holder_while_its_file_is_being_deleted(
    tmp_path: Path, folders: Sequence[str], tried: Tell
) -> None:
    (tmp_path / "counter").write_text("0")

    with tidied(str(tmp_path), folders):
        met = crowd(partial(count_up, tmp_path, 60))

    how = "6 processes at once beside one that deletes lock files, or all of `.clawfiles/`"
    tried("a lock has one holder", how, CROWD * 60, sum(met) + CROWD * 60 - int((tmp_path / "counter").read_text()))


def test_a_lock_whose_file_was_deleted_is_still_held_and_says_so(tmp_path: Path) -> None:
    locks, others = Locks(str(tmp_path)), Locks(str(tmp_path))
    with locks.hold("tick", timedelta(0), "peter"):
        (tmp_path / ".clawfiles/locks/tick.lock").unlink()

        assert others.is_held("tick")
        with pytest.raises(Busy), others.hold("tick", timedelta(0), "iris"):
            pass
        with others.hold("spawn", timedelta(0), "iris"):
            pass
    assert not others.is_held("tick")
    with others.hold("tick", timedelta(0), "iris"):
        pass


def test_the_kernel_frees_the_lock_of_a_process_that_is_killed(tmp_path: Path) -> None:
    told, tell = os.pipe()
    child = os.fork()
    if not child:
        with Locks(str(tmp_path)).hold("tick", timedelta(0), "peter"):
            os.write(tell, b"x")
            signal.pause()
        os._exit(0)
    os.read(told, 1)
    assert Locks(str(tmp_path)).is_held("tick")

    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)

    with Locks(str(tmp_path)).hold("tick", timedelta(0), "iris"):
        pass


def test_names_do_not_get_in_each_others_way_and_a_name_keeps_others_out(tmp_path: Path) -> None:
    gate = PathGate(str(tmp_path))
    with gate.folder("") as one, gate.folder("") as two:
        assert folder_locks.take(one, "tc-1")
        assert folder_locks.take(two, "tc-2")
        assert not folder_locks.take(two, "tc-1")
        assert (folder_locks.is_taken(two, "tc-1"), folder_locks.is_taken(one, "tc-1")) == (True, False)
    with gate.folder("") as three:
        assert folder_locks.take(three, "tc-1")


# --- messages


def read_all(office: Office, number: int) -> list[str]:
    app, found = office.app("peter"), list[str]()
    while office.names("inbox/peter/new"):
        found += [str(message.id) for message in app.messages.inbox(AgentId("peter"))]
    return found


@pytest.mark.parametrize("tidy", [False, True], ids=["undisturbed", "lock files deleted"])
def test_each_message_goes_to_one_of_several_inbox_readers(office: Office, tidy: bool, tried: Tell) -> None:
    for number in range(60):
        office.clock.advance(timedelta(microseconds=7))  # a message's name is when it was sent
        office.app("sam").messages.send(AgentId("sam"), AgentId("peter"), f"number {number}")
    sent = office.names("inbox/peter/new")

    with tidied(str(office.root), LOCK_FILES) if tidy else nullcontext():
        shown = [id for found in crowd(partial(read_all, office)) for id in found]

    how = "6 processes at once" + " beside one that deletes lock files" * tidy
    tried("a message in an inbox is shown to one reader", how, 60, len(shown) - len(set(shown)))
    assert Counter(f"{id}.md" for id in shown) == Counter(sent)
    assert office.names("inbox/peter/cur") == sent


def test_looking_without_taking_shows_everybody_everything(office: Office) -> None:
    for number in range(3):
        office.clock.advance(timedelta(microseconds=7))  # a message's name is when it was sent
        office.app("sam").messages.send(AgentId("sam"), AgentId("peter"), f"number {number}")

    looks = crowd(partial(peek, office), 3)

    assert [len(found) for found in looks] == [3, 3, 3]
    assert len(office.app("peter").messages.inbox(AgentId("peter"))) == 3


def peek(office: Office, number: int) -> list[str]:
    return [str(message.id) for message in office.app("peter").messages.inbox(AgentId("peter"), peek=True)]
