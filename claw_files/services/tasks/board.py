"""Reads tasks: one or all; unreadable files are reported, and the others are shown."""

from collections.abc import Callable
from contextlib import suppress
from functools import cached_property

from msgspec.structs import replace

from claw_files.core.errors import CannotRead
from claw_files.core.model import AgentId, Entry, Liveness, State, Task, TaskId, Value
from claw_files.formats.frontmatter import parse as split
from claw_files.policy import flow_tree, routing
from claw_files.policy.liveness import liveness
from claw_files.policy.snapshot import Snapshot, TaskEvidence
from claw_files.policy.verification import verified
from claw_files.storage.task_index import IndexRow
from claw_files.storage.workspace import Workspace

_FEW = 200  # files that are read for a short list before the index is asked


class Shown(Value, frozen=True):
    """A task as shown: in its effective state, with facts from outside its file."""

    task: Task
    path: str
    body: str = ""
    liveness: Liveness | None = None  # None: nobody works on it
    conflicts: tuple[str, ...] = ()
    verified: bool | None = None  # whether what is done keeps what it promised; None: it promised nothing
    unreviewed: str | None = None  # why it counts without the review that its route wants
    children: tuple[TaskId, ...] = ()  # spawned in its runs; looked up only for one that is shown alone


class TaskListing(Value, frozen=True):
    """Tasks in the order of their numbers, and the files that could not be read."""

    tasks: tuple[Shown, ...] = ()
    unreadable: tuple[tuple[str, str], ...] = ()  # path, and why in one sentence


class Board:
    """Read-only. `look` reads the evidence for a ledger line."""

    def __init__(self, workspace: Workspace, look: Callable[[Entry], TaskEvidence]) -> None:
        self._ws = workspace
        self._look = look

    def show(self, task: TaskId) -> Shown:
        """One task, with its text. Raises NotFound, InvalidFile, CannotRead."""
        loaded = self._ws.load(task)
        shown = self._shown(self._ws.bound(loaded.task), loaded.path)
        return replace(shown, body=split(loaded.content.data, loaded.path).body, children=self._children(task))

    def _children(self, task: TaskId) -> tuple[TaskId, ...]:
        rows = (row for row in self._ws.visible_rows() if not row.error)
        found = (it.id for it in (row.task() for row in rows) if it.parent == task and it.label)
        return tuple(sorted(found, key=flow_tree.order))

    def listing(
        self, status: State | None = None, agent: AgentId | None = None, limit: int | None = None
    ) -> TaskListing:
        """Open and closed tasks, without the archive, optionally of one state or one agent.

        Of a list with a limit only the files are read, and named if they are unreadable, that come before its end.
        """

        def wanted(row: IndexRow) -> bool:
            if row.error or status not in (None, row.state):
                return False
            return agent is None or agent == (row.assignee or self._by_line(row.task()))

        first = None if limit is None else self._first(wanted, limit)
        rows = self._ws.visible_rows() if first is None else first
        found = sorted((row for row in rows if wanted(row)), key=IndexRow.order)[:limit]
        tasks = tuple(self._shown(row.task(), row.path) for row in found)
        unreadable = ((row.path, row.error) for row in rows if row.error)
        return TaskListing(tasks=tasks, unreadable=tuple(sorted(unreadable)))

    def _first(self, wanted: Callable[[IndexRow], bool], limit: int) -> list[IndexRow] | None:
        """The rows of the page; None if too many files would have to be read for them."""
        rows, left = list[IndexRow](), limit
        for row in filter(self._ws.siblings.shows, self._ws.rows_in_order()):
            if len(rows) == limit + _FEW:
                return None
            rows.append(row)
            left -= wanted(row)
            if not left:
                break
        return rows

    def _shown(self, found: Task, path: str) -> Shown:
        standing = self._ws.standing(found)
        line = self._lines.get(found.id)
        unclear = (line.unclear,) if line and line.unclear else ()
        who = found.assignee or self._by_line(found)
        task = replace(found, state=standing.state, assignee=who, unclear=(*found.unclear, *unclear))
        conflicts = [standing.conflict] if standing.conflict else []
        name = path.rpartition("/")[2]
        conflicts += [f"conflicts/{kept}" for kept in self._kept if name in kept and not kept.endswith(".reason")]
        seen, alone = verified(task, self._ws.settings), routing.unreviewed(self._ws.settings, task)
        shown = Shown(task=task, path=path, liveness=self._liveness(task), conflicts=tuple(conflicts), verified=seen)
        return replace(shown, unreviewed=alone)

    def _by_line(self, task: Task) -> AgentId | None:
        """The agent in the task's ledger line, if the whole file was overwritten without a name."""
        line = self._lines.get(task.id) if task.recorded is None else None
        return line.agent if line else None

    @cached_property
    def _kept(self) -> list[str]:
        with suppress(CannotRead):  # doctor names what lies in the folder's place
            return self._ws.files.names("conflicts")
        return []

    @cached_property
    def _lines(self) -> dict[TaskId, Entry]:
        return {entry.task: entry for entry in reversed(self._ws.entries())}

    def _liveness(self, task: Task) -> Liveness | None:
        """The word that the tick would say now."""
        if task.state is not State.IN_PROGRESS:
            return None
        look = self._look(self._lines.get(task.id) or Entry(task=task.id, agent=task.assignee))
        return liveness(look, Snapshot(settings=self._ws.settings), self._ws.clock.now())
