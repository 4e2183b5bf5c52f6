"""Looking at tasks: one, or all of them; what cannot be read is named, and the rest goes on."""

from collections.abc import Callable, Iterator
from functools import cached_property

from msgspec.structs import replace

from claw_files.documents.frontmatter import parse as split
from claw_files.errors import ClawError, NotFound
from claw_files.model import AgentId, Entry, Liveness, State, Task, TaskId, Value
from claw_files.rules import by_hand
from claw_files.rules.liveness import liveness
from claw_files.rules.snapshot import Look, Snapshot
from claw_files.workspace import Loaded, Workspace


class Shown(Value, frozen=True):
    """A task as it is shown: in the state that is in force, with what is known beside its file."""

    task: Task
    path: str
    body: str = ""
    liveness: Liveness | None = None  # None: nobody works on it
    conflicts: tuple[str, ...] = ()


class Listing(Value, frozen=True):
    """Tasks in the order of their numbers, and the files that could not be read."""

    tasks: tuple[Shown, ...] = ()
    unreadable: tuple[tuple[str, str], ...] = ()  # path, and why in one sentence


class Board:
    """Reads, never writes. `look` reads what there is for a ledger line."""

    def __init__(self, workspace: Workspace, look: Callable[[Entry], Look]) -> None:
        self._ws = workspace
        self._look = look

    def show(self, task: TaskId) -> Shown:
        """One task, with its text. Raises NotFound, InvalidFile, CannotRead."""
        loaded = self._ws.load(task)
        shown = self._shown(loaded)
        return replace(shown, body=split(loaded.content.data, loaded.path).body)

    def listing(self, status: State | None = None, agent: AgentId | None = None, limit: int | None = None) -> Listing:
        """Open and closed tasks, without the archive; of one state or one agent when asked."""
        found, unreadable = [], []
        for folder, name in self._ws.task_ids():
            try:
                loaded = self._ws.load_file(folder, name)
            except NotFound:
                continue  # moved meanwhile
            except ClawError as wrong:
                unreadable.append((f"{folder}/{name}", str(wrong)))
                continue
            task = self._ws.in_force(loaded.task)
            if (status is None or task.state is status) and (agent is None or task.assignee == agent):
                found.append(loaded)
        found.sort(key=lambda loaded: natural(loaded.task.id))
        return Listing(tasks=tuple(self._all(found[:limit])), unreadable=tuple(unreadable))

    def _all(self, loaded: list[Loaded]) -> Iterator[Shown]:
        return (self._shown(one) for one in loaded)

    def _shown(self, loaded: Loaded) -> Shown:
        ws = self._ws
        standing = by_hand.stand(loaded.task, ws.is_reviewed(loaded.task))
        task = replace(loaded.task, state=standing.state)
        conflicts = [standing.conflict] if standing.conflict else []
        name = loaded.path.rpartition("/")[2]
        conflicts += [f"conflicts/{kept}" for kept in self._kept if name in kept and not kept.endswith(".reason")]
        return Shown(task=task, path=loaded.path, liveness=self._liveness(task), conflicts=tuple(conflicts))

    @cached_property
    def _kept(self) -> list[str]:
        return self._ws.files.names("conflicts")

    def _liveness(self, task: Task) -> Liveness | None:
        """The word that the tick would say now."""
        if task.state is not State.IN_PROGRESS:
            return None
        look = self._look(self._ws.entry(task.id) or Entry(task=task.id, agent=task.assignee))
        return liveness(look, Snapshot(settings=self._ws.settings), self._ws.clock.now())


def natural(task: TaskId) -> tuple[str, int, str]:
    """Sorts TC-9 before TC-10."""
    prefix, _, tail = task.rpartition("-")
    return (prefix, int(tail) if tail.isascii() and tail.isdigit() else 0, task)
