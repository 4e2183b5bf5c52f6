"""The path of each file of a workspace, and how it is loaded and saved.

Nothing here decides: a save runs a rule on the file's current content (`update`), so a concurrent edit is either built
upon or makes the rule refuse.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta

import msgspec
from msgspec.structs import replace

from claw_files import __version__
from claw_files.config import Settings
from claw_files.core import text
from claw_files.core.digest import digest
from claw_files.core.errors import AlreadyClaimed, ClawError, NotFound
from claw_files.core.journal_events import JournalEvent
from claw_files.core.lazy_regex import pattern
from claw_files.core.model import AgentId, Audit, Entry, Message, Note, State, Task, TaskId, Value
from claw_files.formats import ledger, status
from claw_files.policy import manual_edits, payload_sizes, routing
from claw_files.policy.snapshot import FilePlace, standing_of
from claw_files.storage import task_index
from claw_files.storage.locks import Claims, Locks
from claw_files.storage.places import Siblings
from claw_files.storage.predecessors import open_before
from claw_files.storage.task_creation import TaskCreation
from claw_files.storage.task_index import IndexRow
from claw_files.system.cache import NoCache
from claw_files.system.clock import Clock
from claw_files.system.files import Content, Files
from claw_files.system.paths import HAND_BYTES
from claw_files.system.todo_marks import UNCOUNTED, TodoMarks
from claw_files.system.write_decision import when_written

CONFIG = "clawfiles.toml"
_MONTH = pattern(r"[0-9]{4}-[0-9]{2}")
LEDGER_PATIENCE = timedelta(seconds=10)
FOLDERS = ("status", "dead-letter")


class Loaded(Value, frozen=True):
    """A task with its file."""

    task: Task
    path: str
    place: FilePlace
    content: Content


class Workspace(TaskCreation):
    """The files of one workspace, by purpose."""

    def __init__(
        self,
        root: str,
        settings: Settings,
        files: Files,
        locks: Locks,
        claims: Claims,
        clock: Clock,
        outside: Callable[[str], Files] | None = None,
        epoch: str | None = None,
        cache: NoCache | None = None,
        siblings: Siblings["Workspace"] | None = None,
        base: str | None = None,
        ticking: Locks | None = None,
        cause: str | None = None,
    ) -> None:
        """A workspace in the folder `root`.

        Args:
            base: the folder of clawfiles.toml, where that is another one.
            ticking: where the lock of the tick lies, where that is not `locks`: all places share one.
        """
        self.root, self.cause = root, cause
        self.base = base or root
        self.siblings: Siblings[Workspace] = siblings or Siblings()
        self.ticking = ticking or locks
        self.settings = settings
        self.files = files
        self.locks = locks
        self.claims = claims
        self.clock = clock
        self.zone = settings.workspace.zone
        self.vocabulary = settings.vocabulary
        self.epoch = epoch
        self._outside = outside
        self.cache = cache or NoCache()
        self.pending = Note()  # of the command that is carried out
        self.uncounted = TodoMarks(root, UNCOUNTED)

    # --- tasks

    def find(self, task: TaskId) -> tuple[str, FilePlace] | None:
        """Path and place of a task's file, spelled in any case; status/ first, then dead-letter/, then the archive."""
        name = text.file_name(task)
        if self.is_report(task):
            return None
        for folder, place in (("status", FilePlace.STATUS), ("dead-letter", FilePlace.DEAD_LETTER)):
            if path := self._spelled(folder, name):
                return path, place
        for month in reversed(self._months()):
            if path := self._spelled(f"status/archive/{month}", name):
                return path, FilePlace.ARCHIVE
        for folder, place in (("status", FilePlace.STATUS), ("dead-letter", FilePlace.DEAD_LETTER)):
            # Nearly every file has one of the two usual spellings; only where none is there is the folder listed.
            if found := next((it for it in self.files.names(folder) if it.lower() == name), None):
                return f"{folder}/{found}", place
        return None

    def _spelled(self, folder: str, name: str) -> str | None:
        if self.files.stamp(f"{folder}/{name}") or self._is_odd(f"{folder}/{name}"):
            return f"{folder}/{name}"
        stem = name.removesuffix(".md")
        upper = f"{folder}/{stem.upper()}.md"
        return upper if self.files.stamp(upper) else None

    def _is_odd(self, path: str) -> bool:
        """Whether a task's name belongs to something other than a regular file: reading it gives the error."""
        try:
            self.files.read(path)
        except NotFound:
            return False
        except ClawError:
            return True
        return True

    def load(self, task: TaskId, patient: bool = True) -> Loaded:
        """The task as its file has it. Raises NotFound, CannotRead, InvalidFile.

        `patient` waits up to 1.5 s for the text of a file that an editor has just emptied; the heartbeat does not.
        """
        path, place = self._found(task)
        content = when_written(lambda: self.files.read(path), self.clock) if patient else self.files.read(path)
        return Loaded(task=self.restored(self.parse(content, path)), path=path, place=place, content=content)

    def load_anywhere(self, task: TaskId) -> Loaded:
        """As `load`, also from a sibling, for the state of a predecessor."""
        return next((it for it in (self, *self.siblings.others()) if it.find(task)), self).load(task)

    def _found(self, task: TaskId) -> tuple[str, FilePlace]:
        if found := self.find(task):
            return found
        raise NotFound("task", task, "`clawfiles task list` lists all tasks")

    def rows(self) -> list[IndexRow]:
        """A row for each task file in status/ and dead-letter/, unordered, from the index if unchanged."""
        settings = msgspec.msgpack.encode(self.settings)
        head = f"{__version__} {task_index.FORM} {digest(settings)} {self.settings.workspace.timezone}"
        now_ns = int(self.clock.now().timestamp() * 1_000_000_000)
        found, kept = task_index.rows(
            self.files, FOLDERS, self._read_row, self.cache.load(task_index.NAME), head, now_ns
        )
        if kept is not None:
            self.cache.save(task_index.NAME, kept)
        return found

    def rows_in_order(self) -> Iterator[IndexRow]:
        """As `rows`, in the order of the ids, each file read lazily, for callers who need a few."""
        return task_index.in_order(self.task_ids(), self._read_row)

    def visible_rows(self) -> list[IndexRow]:
        """As `rows`, only for the tasks that the caller may know of."""
        return list(filter(self.siblings.shows, self.rows()))

    def _read_row(self, folder: str, name: str) -> tuple[Task, State]:
        if not name.endswith(".md") or self.is_report(name.removesuffix(".md")):
            raise NotFound("task", name)
        task = self.load_file(folder, name).task
        return task, self.in_force(task).state

    def load_file(self, folder: str, name: str) -> Loaded:
        """The task in one file of `status` or `dead-letter`, as named by `task_ids`."""
        path = f"{folder}/{name}"
        content = self.files.read(path)
        place = FilePlace.STATUS if folder == "status" else FilePlace.DEAD_LETTER
        return Loaded(task=self.shown(self.parse(content, path)), path=path, place=place, content=content)

    def readable(self, folder: str) -> Iterator[Loaded]:
        """The tasks of `status` or `dead-letter` that can be read; `doctor` and `task list` name the others."""
        for found, name in self.task_ids():
            if found != folder:
                continue
            loaded = None
            with suppress(ClawError):
                loaded = self.load_file(folder, name)
            if loaded:
                yield loaded

    def parse(self, content: Content, path: str) -> Task:
        """The task that a status file's content describes."""
        return status.parse(content.data, path, min(content.stamp.mtime, self.clock.now()), self.zone, self.vocabulary)

    def when(self, at: datetime) -> str:
        """The instant as people of this workspace read it now."""
        return text.render_for_people(at, self.clock.now(), self.zone)

    def already_claimed(self, task: Task) -> AlreadyClaimed:
        """The refusal, with the holder's line: "status/tc-1.md, line 3, 10:00 (12 min ago)"."""
        loaded = self.load(task.id)
        path, line, at = loaded.path, loaded.task.state_line, loaded.content.stamp.mtime.replace(microsecond=0)
        seen = f"{path}, line {line}, {self.when(at)}" if line else f"{path}, {self.when(at)}"
        evidence: dict[str, object] = {"path": path, "line": line, "at": at}
        return AlreadyClaimed(task.id, task.assignee, task.generation, evidence, seen)

    def in_force(self, task: Task) -> Task:
        """`task` in its effective state after edits by hand (`manual_edits.stand`)."""
        return replace(task, state=self.standing(task).state)

    def standing(self, task: Task, known: dict[TaskId, State] | None = None) -> manual_edits.ManualEdit:
        """The effect of edits by hand on `task`; `known` is for `open_before`."""
        waits_for = ""
        if manual_edits.is_begun(task):
            places = (self, *self.siblings.others())
            waits_for = standing_of(open_before(places, task, {} if known is None else known))
        return manual_edits.stand(task, self.is_reviewed(task), waits_for)

    def known(self, task_id: TaskId) -> Task | None:
        """The task in its effective state; None if it is missing or unreadable."""
        try:
            return self.in_force(self.load(task_id).task)
        except ClawError:
            return None

    def task_ids(self) -> Iterator[tuple[str, str]]:
        """(folder, file name) of every task file in status/ and dead-letter/; the archive is not listed."""
        for folder in ("status", "dead-letter"):
            for name in self.files.names(folder):
                if name.endswith(".md") and not self.is_report(name.removesuffix(".md")):
                    yield folder, name

    def is_report(self, stem: str) -> bool:
        """Whether `status/STEM.md` is an agent's report on several tasks, not a task's file."""
        return stem.lower() in self.settings.agents

    def next_number(self) -> int:
        return max(it.highest_number() for it in (self, *self.siblings.others())) + 1

    def highest_number(self) -> int:
        """The highest number in use here, ledger lines included: a number never comes back.

        Its files stay out of the archives of months, which are not opened here.
        """
        folders = [*FOLDERS, "definitions", *(f"status/archive/{month}" for month in self._open_months())]
        names = [name.removesuffix(".md") for folder in folders for name in self.files.names(folder)]
        names += [entry.task for entry in self.entries()]
        prefix = f"{self.settings.workspace.prefix.lower()}-"
        tails = [name[len(prefix) :] for name in names if name.lower().startswith(prefix)]
        # A file may be called tc-99999999999: no number of ours, and nothing may come after it.
        return max((int(tail) for tail in tails if tail.isascii() and tail.isdigit() and len(tail) < 9), default=0)

    def _months(self) -> list[str]:
        """Months of the archive, "2026-03"; other names are ignored."""
        return sorted({*self._open_months(), *(name[:7] for name in self.files.archives("status/archive"))})

    def _open_months(self) -> list[str]:
        return [name for name in self.files.names("status/archive") if _MONTH.fullmatch(name)]

    def update(
        self, task: TaskId, rule: Callable[[Task], Task], audit: Audit, keep_mtime: bool = False, note: str = ""
    ) -> Task:
        """Run `rule` on the task in its effective state and save the result; `note` is added to the file's text.

        The rule runs again after a concurrent edit; if it refuses, that edit is kept.
        Returns the task as saved. Raises what the rule raises, NotFound, InvalidFile, Pending.
        """
        path, _ = self._found(task)
        stamp = self.files.stamp(path)
        # It only resolves bare clock times in the text, so the one we first saw is good enough.
        written = min(stamp.mtime, self.clock.now()) if stamp else self.clock.now()
        saved: list[Task] = []

        def change(raw: bytes | None) -> bytes:
            if raw is None:
                raise NotFound("task", task)
            before = status.parse(raw, path, written, self.zone, self.vocabulary)
            known, asked = self.asked(before, raw, path)
            found = self.in_force(self._with(before, asked))
            after = rule(found)
            after = replace(after, recorded=after.state)
            saved[:] = [after, found]
            if (found.overruled or found.stranger) and found.superseded is None:
                self.tell_overruled(found, audit)
            if asked:  # first: a crash in between must not lose terms that only the definition will keep
                self.redefine(known, asked, found, after)
            if (after.state, after.assignee) != (found.state, found.assignee):
                self.mark(after)
            new = status.edit(raw, before, after, path, self.vocabulary)
            new = status.append(new, note, path, self.vocabulary) if note else new
            if len(note) > payload_sizes.LINE_LETTERS:
                payload_sizes.check_file(len(new), path)
            return new

        def line() -> bytes:
            nonlocal audit
            if audit.action.is_move:
                audit = replace(audit, before=saved[1].recorded, after=saved[0].state)
            return self.line(audit)

        self.files.commit(path, change, line, keep_mtime=keep_mtime)
        if saved[1].recorded is not State.DONE and (why := routing.unreviewed(self.settings, saved[0])):
            self.note(replace(audit, action=JournalEvent.NO_REVIEWER, why=why, after=saved[0].state))
        return saved[0]

    def next_generation(self, task: Task, message: Message | None = None) -> int:
        """One more than the highest ever seen: agents overwrite files, so the claim files and the message count too."""
        seen = (task.generation, self.claims.given(task.id).highest, (message.generation or 0) if message else 0)
        return max(seen) + 1

    def move(self, loaded: Loaded, folder: str, audit: Audit) -> None:
        """Move a task's file into another folder. A crash leaves it in one of the two."""
        if self.files.stamp(loaded.path) is None:  # it lies in the archive of a month
            self.files.commit(loaded.path, lambda raw: raw or loaded.content.data, None, keep_mtime=True)
        if is_archive := folder.startswith("status/archive"):  # a definition alone looks like an unfinished creation
            self.move_definition(loaded.task.id, is_archive)
        self.files.move(loaded.path, f"{folder}/{text.file_name(loaded.task.id)}", self.line(audit))
        if loaded.place is FilePlace.ARCHIVE:
            self.move_definition(loaded.task.id, is_archive)

    # --- the ledger

    def entries(self, only: TaskId | None = None) -> tuple[Entry, ...]:
        """The ledger's entries in their order, of one task or of all; an absent ledger has none."""
        try:
            content = self.files.read(self.settings.workspace.ledger, HAND_BYTES)
        except NotFound:
            return ()
        return self._entries_in(content.data, min(content.stamp.mtime, self.clock.now()), only)

    def _entries_in(self, raw: bytes, written: datetime, only: TaskId | None) -> tuple[Entry, ...]:
        place, is_known = self.settings.workspace, lambda task: self.find(task) is not None
        agents = self.settings.agents
        return ledger.entries(raw, written, self.zone, place.prefix, is_known, only, agents, place.ledger)

    def entry(self, task: TaskId) -> Entry | None:
        """The first ledger line of a task."""
        return next(iter(self.entries(only=task)), None)

    def check_room(self) -> None:
        """Raises Refused if the ledger has no room for another line, before the rest of a command runs."""
        path = self.settings.workspace.ledger
        stamp = self.files.stamp(path)
        payload_sizes.check_ledger((stamp.size_bytes if stamp else 0) + payload_sizes.ROOM_BYTES, path)

    def put_entry(self, entry: Entry, audit: Audit) -> None:
        """Write the task's line, the record of intent, before anything is sent; it replaces an existing line."""

        def change(raw: bytes) -> bytes:
            old = next(iter(self._entries_in(raw, self.clock.now(), entry.task)), None)
            if old:
                return ledger.replace(raw, old, entry, self.zone, agents=self.settings.agents)
            return ledger.add(raw, entry, self.zone)

        self._edit_ledger(change, audit)

    def replace_entry(self, old: Entry, new: Entry | None, audit: Audit) -> None:
        """Change or remove a line; a line that was removed meanwhile stays removed. Raises Changed otherwise."""
        self._edit_ledger(lambda raw: ledger.replace(raw, old, new, self.zone, agents=self.settings.agents), audit)

    def settle_entries(self, task: TaskId, winner: Callable[[], AgentId | None], audit: Audit) -> None:
        """Leave one line that names the winner of a claim; lines that losing claimants wrote are removed.

        `winner` is asked while the ledger is edited: the answer of a moment ago would undo what the winner settled.
        """
        if [entry.agent for entry in self.entries(task)] == [winner()]:
            return

        def change(raw: bytes) -> bytes:
            found, named = self._entries_in(raw, self.clock.now(), task), winner()
            keeps = next((entry for entry in found if entry.agent == named), None)
            for entry in found if named else ():
                if entry is keeps or entry.agent is None or entry.line != ledger.render(entry, self.zone):
                    continue
                raw = ledger.replace(raw, entry, None if keeps else replace(entry, agent=named), self.zone)
                keeps = keeps or entry
            return raw

        self._edit_ledger(change, audit)

    def _edit_ledger(self, change: Callable[[bytes], bytes], audit: Audit) -> None:
        path = self.settings.workspace.ledger
        # The commit is safe without it; but all write this one file, and would prepare their writes again and again.
        turn = self.locks.hold("ledger", LEDGER_PATIENCE, f"{audit.actor}: {audit.action}")

        def checked(raw: bytes | None) -> bytes:
            new = change(raw or b"")
            payload_sizes.check_ledger(len(new), path, len(raw or b""))
            return new

        self.files.commit(path, checked, self.line(audit), turn=turn)

    # --- other folders

    def outside(self, folder: str) -> Files | None:
        """The files of an agent's own workspace, for reading its reports."""
        return self._outside(folder) if self._outside else None
