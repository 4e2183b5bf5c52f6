"""A race for tasks on the user's own disk: has each one winner there, also while lock files are deleted?

It runs in a separate folder with the normal code for claims, and is counted twice: by the answers to the processes, and
by the files afterwards.
"""

import multiprocessing
import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial

from claw_files.core.errors import AlreadyClaimed
from claw_files.core.model import AgentId, TaskId, Value
from claw_files.doctor.checks.setting import WEAK
from claw_files.processes.supervisor import PR_SET_PDEATHSIG, prctl
from claw_files.storage.locks import Claims, Locks
from claw_files.system import folder_locks, kernel
from claw_files.system.disk_files import DiskFiles
from claw_files.system.durable import writing
from claw_files.system.file_owner import make_folders
from claw_files.system.inotify_info import filesystem_of
from claw_files.system.path_gate import PathGate

FOLDER, LOCK, PROCESSES = ".clawfiles/proof", "proof", 8
TIDIED = ("locks", "claims")
BACKLOG = b"status: backlog\n"
_FORK = multiprocessing.get_context("fork")


class ClaimProof(Value, frozen=True):
    """The result of the race."""

    claims: int
    processes: int
    seconds: float
    doubled: int  # tasks that more than one process won
    lost: int  # tasks whose file does not name the process that won
    filesystem: str | None
    weak: tuple[str, ...]  # promises that this file system does not keep


def prove(root: str, tasks: int) -> ClaimProof:
    """Race for so many tasks in a folder below `root`, for half of them beside a process that deletes lock files.

    The folder is gone afterwards, also after Ctrl-C. Raises Busy while another proof runs here, CannotWrite.
    """
    place = os.path.join(root, FOLDER)
    with Locks(root).hold(LOCK, timedelta(0), "clawfiles doctor --prove-claims"), writing(place):
        shutil.rmtree(place, ignore_errors=True)  # of one that was killed
        try:
            make_folders(place)
            return _prove(place, tasks)
        finally:
            shutil.rmtree(place, ignore_errors=True)


def _prove(place: str, tasks: int) -> ClaimProof:
    ids, files = [TaskId(f"TC-{number}") for number in range(1, tasks + 1)], DiskFiles(place, durable=False)
    for task in ids:
        files.commit(_path(task), lambda raw: raw or BACKLOG, None)
    begun = time.monotonic()
    told = race(place, ids[: tasks // 2])
    with tidied(place):
        told += race(place, ids[tasks // 2 :])
    seconds, counts = round(time.monotonic() - begun, 1), Counter(task for task, _ in told)
    lost = tasks - sum(files.read(_path(task)).data == _claimed(agent) for task, agent in dict(told).items())
    doubled = sum(count > 1 for count in counts.values())
    return ClaimProof(tasks, PROCESSES, seconds, doubled, lost, filesystem_of(place), tuple(_weak(place)))


def race(place: str, ids: Sequence[TaskId], durable: bool = True) -> list[tuple[TaskId, AgentId]]:
    """Let all processes claim all tasks; returns which process was told to have which."""
    with _FORK.Pool(PROCESSES, _bind) as pool:
        told = pool.map(partial(_compete, place, ids, durable), range(PROCESSES), chunksize=1)
    return [one for each in told for one in each]


def _compete(place: str, ids: Sequence[TaskId], durable: bool, number: int) -> list[tuple[TaskId, AgentId]]:
    """Claim every task, in nearly the same order in all processes, so that they collide; returns the claims won."""
    files, claims, agent = DiskFiles(place, durable=durable), Claims(place, durable=durable), AgentId(f"agent-{number}")
    order = sorted(range(len(ids)), key=lambda at: (at // PROCESSES, (at + number) % PROCESSES))
    return [(task, agent) for task in map(ids.__getitem__, order) if claim(files, claims, task, agent)]


def claim(files: DiskFiles, claims: Claims, task: TaskId, agent: AgentId) -> bool:
    """As in `services.tasks.claims`: take the claim file, then write the status file if it is unchanged."""

    def change(raw: bytes | None) -> bytes:
        if raw != BACKLOG:
            raise AlreadyClaimed(task, None, 1)
        return _claimed(agent)

    try:
        with claims.take(task, 1, agent):
            files.commit(_path(task), change, None)
    except AlreadyClaimed:
        return False
    return True


def _path(task: TaskId) -> str:
    return f"status/{task.lower()}.md"


def _claimed(agent: AgentId) -> bytes:
    return f"status: in_progress\nassignee: {agent}\n".encode()


def _weak(place: str) -> Iterator[str]:
    if (filesystem := filesystem_of(place)) in WEAK:
        yield f"{filesystem} is not a local Unix file system: locks and renames are less reliable there"
    with PathGate(place).folder("") as one, PathGate(place).folder("") as two:
        if not folder_locks.take(one, LOCK) or not folder_locks.is_taken(two, LOCK):
            yield "folders cannot be locked: deleting a lock file breaks the lock"
        try:
            kernel.exchange(one, "status", one, ".clawfiles")
        except OSError:
            yield "names cannot be exchanged: an edit at the very moment of a write may be lost"


def _bind() -> None:
    """Leave Ctrl-C to the first process, which ends the others; they end with it, however it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


@contextmanager
def tidied(root: str, folders: Sequence[str] = TIDIED) -> Iterator[None]:
    """Simulates an agent that deletes files: inside the block a process deletes these folders continuously."""
    process = _FORK.Process(target=_tidy, args=(os.path.join(root, ".clawfiles"), folders), daemon=True)
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


def _tidy(private: str, folders: Sequence[str]) -> None:
    _bind()
    while True:
        for folder in folders:
            shutil.rmtree(os.path.join(private, folder), ignore_errors=True)
