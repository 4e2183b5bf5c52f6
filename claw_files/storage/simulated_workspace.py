"""A workspace for a simulation: what is written stays in memory, and nobody else is kept waiting."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from claw_files.core.errors import NotFound, NotYours
from claw_files.core.model import AgentId, TaskId
from claw_files.storage.locks import ClaimRecord, Claims, Locks
from claw_files.storage.workspace import Workspace
from claw_files.system.cache import NoCache
from claw_files.system.files import Files
from claw_files.system.overlay_files import OverlayFiles
from claw_files.system.todo_marks import UNCOUNTED, TodoMarks


class SimulatedWorkspace(Workspace):
    """Reads what `workspace` reads, and what was written here since."""

    def __init__(self, workspace: Workspace) -> None:
        vars(self).update(vars(workspace))
        self.files = OverlayFiles(workspace.files, workspace.clock)
        self.locks = self.ticking = _FreeLocks(self.root)
        self.claims, self.cache = _SimulatedClaims(self.root, self.files), _MemoryCache(workspace.cache)
        self.uncounted = _NoMarks(self.root, UNCOUNTED)


class _FreeLocks(Locks):
    """Locks that are always free: there is nobody else."""

    @contextmanager
    def hold(self, name: str, patience: timedelta, who: str) -> Iterator[None]:
        yield

    def tidy(self, now: datetime) -> None:
        """Leave the files of locks where they are."""

    def drop_notes(self) -> None:
        """Leave the notes of commands where they are."""


class _SimulatedClaims(Claims):
    """The claim files as `files` has them."""

    def __init__(self, root: str, files: Files) -> None:
        super().__init__(root)
        self._files = files

    def given(self, task: TaskId) -> ClaimRecord:
        try:
            content = self._files.read_live(self._path(task))
        except NotFound:
            return ClaimRecord(b"")
        return ClaimRecord(content.data, content.stamp.mtime)

    @contextmanager
    def take(self, task: TaskId, generation: int, agent: AgentId) -> Iterator[None]:
        self.given(task).check(task, generation, agent)
        self._files.append(self._path(task), f"{generation} by {agent} 0".encode())
        yield
        self._files.append(self._path(task), f"{generation} written".encode())

    def reserve(self, task: TaskId, generation: int, agent: AgentId) -> None:
        self._files.append(self._path(task), f"{generation} for {agent}".encode())  # the first line counts
        if (owner := self.given(task).reserved(generation)) != agent:
            raise NotYours(task, owner)

    def forget(self, task: TaskId) -> None:
        self._files.remove(self._path(task), None)


class _MemoryCache(NoCache):
    """The content of another cache, with later writes in memory."""

    def __init__(self, below: NoCache) -> None:
        self._below, self._kept = below, dict[str, bytes]()

    def load(self, name: str) -> bytes | None:
        return self._kept.get(name) or self._below.load(name)

    def save(self, name: str, data: bytes) -> None:
        self._kept[name] = data


class _NoMarks(TodoMarks):
    """No run is to be counted: those of a simulation use nothing."""

    def _is_ours(self) -> bool:
        return False
