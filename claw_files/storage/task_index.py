"""An index of the task files, by stamp: the facts that `task list`, `claim --next` and `auto` need.

It is in the cache, outside of the workspace. Every use compares it with a survey of the folder and reads changed files,
so that a lost or damaged index only costs time.
"""

from collections.abc import Callable, Iterable, Iterator

import msgspec

from claw_files.core import text
from claw_files.core.errors import BadValue, ClawError, NotFound
from claw_files.core.model import State, Task
from claw_files.system.files import Files

SETTLED_NS = 2_000_000_000  # a file this young when it was read may have changed again without another stamp
NAME = "index"
FORM = 3  # of what a row holds; an index of another form is not believed


class IndexRow(msgspec.Struct, array_like=True, gc=False):
    """One task file. `stamp` is (mtime in ns, size in bytes, inode); the task is decoded on first use."""

    folder: str
    name: str
    stamp: tuple[int, int, int]
    error: str = ""  # why it cannot be read; then the rest says nothing
    id: str = ""
    series: str = ""  # "TC" of "TC-47"
    number: int = 0  # and its 47
    state: str = ""  # in force
    assignee: str | None = None
    type: str | None = None
    rank: int = 2
    created: float = 0.0  # seconds since 1970; 0 where the file does not say
    is_bound: bool = False  # it comes after others, or not before a time
    packed: bytes = b""

    @property
    def path(self) -> str:
        return f"{self.folder}/{self.name}"

    def task(self) -> Task:
        """The task as its file has it."""
        return msgspec.msgpack.decode(self.packed, type=Task)

    def order(self) -> tuple[str, int, str]:
        """Sorts TC-9 before TC-10."""
        return (self.series, self.number, self.id)


class _Kept(msgspec.Struct, array_like=True):
    head: str  # what else a row depends on: our version, the configuration
    written_ns: int
    rows: list[IndexRow]


Reading = Callable[[str, str], tuple[Task, State]]  # folder and name -> the task, and its state in force


def rows(
    files: Files, folders: Iterable[str], read: Reading, load: bytes | None, head: str, now_ns: int
) -> tuple[list[IndexRow], bytes | None]:
    """A row for each task file in `folders`, unordered, and the index to save; None if it is unchanged.

    Args:
        read: reads one file; its ClawError becomes the row's error, NotFound leaves the file out.
        load: the index as it was kept, or None.
        head: of an index with another head nothing is believed.
    """
    kept = _decoded(load, head)
    settled_ns = kept.written_ns - SETTLED_NS if kept else 0
    found: list[IndexRow] = []
    changed = kept is None
    for folder in folders:
        known = {row.name: row for row in kept.rows if row.folder == folder} if kept else {}
        for name, mtime_ns, size, inode in files.survey(folder):
            row = known.pop(name, None)
            if row is None or mtime_ns > settled_ns or row.stamp != (mtime_ns, size, inode):
                fresh = _row(folder, name, (mtime_ns, size, inode), read)
                # One that has settled since is worth a new index, so that it need not be read the next time.
                is_news = fresh != row or (fresh is not None and mtime_ns <= now_ns - SETTLED_NS)
                changed = changed or (is_news and _is_kept(name))
                row = fresh
            if row:
                found.append(row)
        changed = changed or bool(known)
    if not changed:
        return found, None
    kept_rows = [row for row in found if _is_kept(row.name)]
    return found, msgspec.msgpack.encode(_Kept(head=head, written_ns=now_ns, rows=kept_rows))


def in_order(names: Iterable[tuple[str, str]], read: Reading) -> Iterator[IndexRow]:
    """A row for each (folder, file name), read lazily, in the order of the ids; without the index."""
    for _, folder, name in sorted((_order(name.removesuffix(".md").upper()), folder, name) for folder, name in names):
        if row := _row(folder, name, (0, 0, 0), read):
            yield row


def _order(id: str) -> tuple[str, int, str]:
    series, _, tail = id.rpartition("-")
    return (series, int(tail[:18]) if tail.isascii() and tail.isdigit() else 0, id)  # msgpack has 64 bits


def _is_kept(name: str) -> bool:
    """Whether the index can store the name; a name that is not UTF-8 is read each time."""
    return name.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in name)


def _decoded(load: bytes | None, head: str) -> _Kept | None:
    if load is None:
        return None
    try:
        kept = msgspec.msgpack.decode(load, type=_Kept)
    except (msgspec.MsgspecError, ValueError):
        return None
    return kept if kept.head == head else None


def _row(folder: str, name: str, stamp: tuple[int, int, int], read: Reading) -> IndexRow | None:
    try:
        task, state = read(folder, name)
    except NotFound:
        return None  # moved meanwhile
    except ClawError as wrong:
        return IndexRow(folder=folder, name=name, stamp=stamp, error=str(wrong)[:500])
    if task.after and state is not task.state:  # until others change: nothing in its own file says when
        stamp = (0, 0, 0)
    series, number, _ = _order(task.id)
    return IndexRow(
        folder=folder,
        name=name,
        stamp=stamp,
        id=task.id,
        series=series,
        number=number,
        state=state.value,
        assignee=task.assignee,
        type=task.type,
        rank=_rank(task.priority),
        created=task.created.timestamp() if task.created else 0.0,
        is_bound=bool(task.after or task.not_before),
        packed=msgspec.msgpack.encode(task),
    )


def _rank(priority: str | None) -> int:
    try:
        return text.rank(priority)
    except BadValue:  # written by hand
        return text.rank(None)
