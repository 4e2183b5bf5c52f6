"""Many real processes claim the same tasks: each has one winner, counted in two independent ways.

Winners write themselves into a log that nothing else reads, and the status files say who holds what; both must agree.
"""

import fcntl
import os
import random
import shutil
import time
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from claw_files.core.errors import AlreadyClaimed, Busy, Conflict, Refused
from claw_files.core.model import AgentId, TaskId
from claw_files.storage.locks import Claims
from claw_files.system.disk_files import DiskFiles
from tests.proofs import often
from tests.support.office import Office

PROCESSES, TASKS = 16, 2000
HOW = ("16 processes at once", "16 processes at once beside one that deletes lock and claim files")
Tell = Callable[[str, str, int, int], None]
BACKLOG = b"status: backlog\n"
TIDY = ("locks", "claims")


def path_of(number: int) -> str:
    return f"status/tc-{number}.md"


def prepared(root: Path, tasks: int) -> Path:
    (root / "status").mkdir(parents=True)
    for number in range(tasks):
        (root / path_of(number)).write_bytes(BACKLOG)
        os.utime(root / path_of(number), (1, 1))
    return root


def claim(files: DiskFiles, claims: Claims, number: int, agent: str) -> bool:
    """As the service does it: look, take the claim file, write the status if it still is what it was."""
    if files.read(path_of(number)).data != BACKLOG:
        return False
    task = TaskId(f"TC-{number}")

    def claimed(data: bytes | None) -> bytes:
        if data != BACKLOG:
            raise AlreadyClaimed(task, None, 1)
        return f"status: in_progress\nassignee: {agent}\n".encode()

    try:
        with claims.take(task, 1, AgentId(agent)):
            files.commit(path_of(number), claimed, None)
    except AlreadyClaimed:
        return False
    return True


def naive_claim(files: DiskFiles, claims: Claims, number: int, agent: str) -> bool:
    """What people write first: a lock file, a look, a rename. Locks that are tidied away keep nobody out."""
    root = files._gate.root
    while True:
        with suppress(OSError), open(make_folder(root) / f"tc-{number}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if (Path(root) / path_of(number)).read_bytes() != BACKLOG:
                return False
            time.sleep(0.0005)  # as long as a real disk takes
            new = Path(root) / f"{agent}.tmp"
            new.write_bytes(f"status: in_progress\nassignee: {agent}\n".encode())
            new.rename(Path(root) / path_of(number))
            return True


def make_folder(root: str) -> Path:
    folder = Path(root) / ".clawfiles/locks"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


Claiming = Callable[[DiskFiles, Claims, int, str], bool]


def in_child(act: Callable[[], None]) -> int:
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        act()
        code = 0
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(code)


def compete(root: Path, agent: str, tasks: int, durable: bool, claiming: Claiming, start: float) -> None:
    """One process: every task, in an order that is almost everybody's, so that they meet on each."""
    files, claims = DiskFiles(str(root), durable=durable), Claims(str(root), durable=durable)
    log = os.open(root.parent / "won.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    time.sleep(max(0.0, start - time.monotonic()))
    for first in range(0, tasks, 8):
        for number in random.sample(range(first, min(first + 8, tasks)), min(8, tasks - first)):
            if claiming(files, claims, number, agent):
                os.write(log, f"{number} {agent}\n".encode())


def tidy_up(root: Path) -> None:
    """An agent that keeps things clean: deletes lock files and claim files as fast as it can."""
    while True:
        for folder in TIDY:
            shutil.rmtree(root / ".clawfiles" / folder, ignore_errors=True)


def race(root: Path, tasks: int, durable: bool, tidy: bool, claiming: Claiming = claim) -> tuple[int, int, int]:
    """How many tasks were claimed twice, by nobody, and are held by another than the log's winner."""
    prepared(root, tasks)
    cleaner = in_child(lambda: tidy_up(root)) if tidy else None
    start = time.monotonic() + 0.3
    children = [
        in_child(lambda agent=f"agent-{n}": compete(root, agent, tasks, durable, claiming, start))
        for n in range(PROCESSES)
    ]
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    if cleaner:
        os.kill(cleaner, 9)
        os.waitpid(cleaner, 0)
    assert codes == [0] * PROCESSES
    won = [line.split() for line in (root.parent / "won.log").read_text().splitlines()]
    counts = Counter(number for number, _ in won)
    winners = {int(number): agent for number, agent in won}
    held = {n: (root / path_of(n)).read_text().partition("assignee: ")[2].strip() for n in range(tasks)}
    doubled = sum(count > 1 for count in counts.values())
    return doubled, sum(not holder for holder in held.values()), sum(winners.get(n) != held[n] for n in held)


@pytest.mark.proof
@pytest.mark.parametrize("tidy", [False, True], ids=["undisturbed", "locks and claims deleted"])
def test_sixteen_processes_claim_two_thousand_tasks_and_each_has_one_winner(
    tmp_path: Path, tidy: bool, tried: Tell
) -> None:
    # Without fsync: what is at stake here is order among processes, and it makes the race faster, hence harder.
    tried("a task is claimed once", HOW[tidy], TASKS, sum(race(tmp_path / "w", TASKS, durable=False, tidy=tidy)))


@pytest.mark.slow
@pytest.mark.parametrize("tidy", [False, True], ids=["undisturbed", "locks and claims deleted"])
def test_sixteen_processes_claim_fifty_thousand_tasks_and_each_has_one_winner(
    tmp_path: Path, tidy: bool, tried: Tell
) -> None:
    wrong, rounds = 0, often(25)
    for number in range(rounds):
        (tmp_path / str(number)).mkdir()
        wrong += sum(race(tmp_path / str(number) / "w", TASKS, durable=False, tidy=tidy))
    tried("a task is claimed once", HOW[tidy], rounds * TASKS, wrong)


def test_sixteen_processes_count_in_one_file_and_no_step_is_lost(tmp_path: Path) -> None:
    """Without any claim: `commit` alone must not lose what another one has just written."""
    root = prepared(tmp_path / "w", 1)

    def count() -> None:
        files = DiskFiles(str(root), durable=False)
        for _ in range(50):
            files.commit(path_of(0), lambda data: (data or b"") + f"{os.getpid()}\n".encode(), None)

    children = [in_child(count) for _ in range(PROCESSES)]
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * PROCESSES

    lines = (root / path_of(0)).read_bytes().splitlines()[1:]
    assert sorted(Counter(lines).values()) == [50] * PROCESSES


def test_recovery_leaves_alone_what_a_living_process_is_writing(tmp_path: Path) -> None:
    root = prepared(tmp_path / "w", 1)

    def recover() -> None:
        while True:
            DiskFiles(str(root), durable=False).recover()

    def write() -> None:
        files = DiskFiles(str(root), durable=False)
        for n in range(100):
            files.commit(f"status/{os.getpid()}.md", lambda data, n=n: f"{n}\n".encode(), b"%d" % n)

    recovering = in_child(recover)
    children = [in_child(write) for _ in range(4)]
    codes = [os.waitpid(child, 0)[1] for child in children]
    os.kill(recovering, 9)
    os.waitpid(recovering, 0)

    assert codes == [0] * 4
    assert DiskFiles(str(root)).recover() == []
    lines = [line for file in (root / "audit").iterdir() for line in file.read_bytes().splitlines()]
    assert sorted(Counter(lines).values()) == [4] * 100


def test_with_every_fsync_each_task_has_one_winner_too(tmp_path: Path) -> None:
    assert race(tmp_path / "w", 200, durable=True, tidy=True) == (0, 0, 0)


def test_the_race_is_real_a_lock_and_a_look_alone_lose_it(tmp_path: Path) -> None:
    """The measuring stick itself: were this never red, the zeros above would say nothing."""
    doubled, _, wrong = race(tmp_path / "w", 300, durable=False, tidy=True, claiming=naive_claim)

    assert doubled + wrong > 0


def test_a_claimant_that_died_before_the_status_is_outbid_and_a_living_one_is_not(tmp_path: Path) -> None:
    root = prepared(tmp_path / "w", 1)
    claims = Claims(str(root))
    reading, writing = os.pipe()

    def hang() -> None:
        with claims.take(TaskId("TC-0"), 1, AgentId("peter")):
            os.write(writing, b"x")
            time.sleep(60)

    child = in_child(hang)
    os.read(reading, 1)
    with pytest.raises(AlreadyClaimed) as caught, claims.take(TaskId("TC-0"), 1, AgentId("iris")):
        pass
    assert caught.value.holder == "peter"

    os.kill(child, 9)
    os.waitpid(child, 0)

    assert claim(DiskFiles(str(root)), claims, 0, "iris")
    assert claims.given(TaskId("TC-0")).highest == 1


# --- the ledger


MANY, WATCHED = 8, 60
EACH_LINE = "a task has one ledger line, which names its holder"
CLAIMANTS = (
    '[workspace]\ncoordinator = "sam"\n[agents.sam]\nreports_to = "sam-above"\n[agents.sam-above]\nkind = "human"\n'
    + "".join(f'[agents.agent-{n}]\nreports_to = "sam"\n' for n in range(MANY))
)


def claim_all(office: Office, agent: str, start: float, watched: int) -> None:
    """One process of our own commands: each task, in an order that is almost everybody's."""
    claims = office.app().claims
    time.sleep(max(0.0, start - time.monotonic()))
    for first in range(1, watched + 1, 4):
        for number in random.sample(range(first, first + 4), 4):
            with suppress(Conflict, Busy, Refused):
                claims.claim(TaskId(f"TC-{number}"), AgentId(agent))


@pytest.mark.proof
@pytest.mark.parametrize(
    ("tidy", "watched"),
    [(False, WATCHED), (True, WATCHED), pytest.param(True, often(1_000), marks=pytest.mark.slow)],
    ids=["undisturbed", "locks and claims deleted", "many of them"],
)
def test_after_a_race_each_task_has_one_line_that_names_its_winner(
    tmp_path: Path, tidy: bool, watched: int, tried: Tell
) -> None:
    """Eight processes claim sixty tasks."""
    office = Office(tmp_path / "team", CLAIMANTS)
    tasks = [office.new(title=f"task {number}") for number in range(watched)]
    cleaner = in_child(lambda: tidy_up(office.root)) if tidy else None
    start = time.monotonic() + 0.3

    children = [in_child(lambda agent=f"agent-{n}": claim_all(office, agent, start, watched)) for n in range(MANY)]
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    if cleaner:
        os.kill(cleaner, 9)
        os.waitpid(cleaner, 0)

    assert codes == [0] * MANY
    holders = {task: str(office.task(task).assignee) for task in tasks}
    lines = [(str(entry.task), str(entry.agent)) for entry in office.app().workspace.entries()]
    assert sorted(lines) == sorted(holders.items())
    tried(EACH_LINE, "8 processes claim" + " beside one that deletes lock files" * tidy, watched, 0)
