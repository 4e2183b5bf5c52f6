"""Moves finished files to monthly archives: closed tasks first, then others, a few per tick.

`docs/explanation/retention.md` tells what moves when, and what stays because something open may still ask for it.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from itertools import count

from msgspec.structs import replace

from claw_files.core.errors import CannotRead, ClawError, NotFound
from claw_files.core.journal_events import JournalEvent
from claw_files.core.model import Audit, State
from claw_files.core.text import FILE_BYTES
from claw_files.storage.workspace import Workspace
from claw_files.system.files import Content
from claw_files.system.month_archive import MONTH, added, archived, opened
from claw_files.system.paths import JOURNAL_BYTES

AT_ONCE, AT_ONCE_BYTES = 200, 16 << 20  # so much moves in one tick
DEEPEST = 8
_DONE = ".clawfiles/tidied"
_FOLDERS = (
    *("audit", "briefs", "conflicts", "quarantine", "runs", "outbox/sent", "events/done", "checkpoints/old"),
    *("definitions/archive", "status/archive", "wakes", "wakes/tasks", "flows"),
)


class MonthMover:
    """One tick's share of the moves. If it is interrupted, the next tick completes it."""

    def __init__(self, workspace: Workspace) -> None:
        self._ws, self._files, self._today = workspace, workspace.files, f"{workspace.clock.now():%Y-%m-%d}"
        self._room, self._bytes = AT_ONCE, AT_ONCE_BYTES

    def is_due(self) -> bool:
        """Whether files may be left to move today: one listing of a folder with one name."""
        return self._files.names(_DONE) != [self._today]

    def tidy(self, busy: Iterable[str]) -> None:
        """Archive closed tasks, then move and delete by month. What has a name in `busy` stays: runs, not yet over."""
        from claw_files.services.evidence.schedule_events import newest
        from claw_files.services.tasks.lifecycle import TaskService

        ws, files, now, times = self._ws, self._files, self._ws.clock.now(), self._ws.settings.retention
        rows = [row for place in (ws, *ws.siblings.others()) for row in place.rows()]
        tasks = [row.task() for row in rows if row.state and not State(row.state).is_closed]
        named = {it for task in tasks for it in (task.id, *task.after, task.parent) if it}
        groups = {task.group for task in tasks if task.group}
        sweep = TaskService(ws).archive(
            ws.settings.coordinator,
            None,
            AT_ONCE,
            lambda task: task.id in named or task.parent in named or task.group in groups,
        )
        self._room -= len(sweep.moved)
        highest = f"{ws.settings.workspace.prefix}-{ws.highest_number()}"
        ids = {*named, *({row.id for row in rows} - {*sweep.moved}), *(entry.task for entry in ws.entries()), highest}
        keep = [*(f"{id}." for id in ids if id), *(f"subagent-{task.label}-" for task in tasks if task.label)]
        keep += [*busy, *newest(self._names("events/done"), now), *self._names("audit")[-1:], "tasks."]
        keep = [name.lower() for name in keep]
        for folder in (*_FOLDERS, *(f"inbox/{it}/{box}" for it in self._names("inbox") for box in ("done", "bodies"))):
            with suppress(ClawError):  # the doctor reports anything in a folder's place
                kept = (
                    max(times.compress_after, ws.settings.events.keep)
                    if folder == "events/done"
                    else times.compress_after
                )
                self._move(folder, f"{now - kept:%Y-%m}", keep)
                self._delete(folder, f"{now - times.delete_after:%Y-%m}" if times.delete_after else "")
        ws.locks.tidy(now)
        if self._room > 0 and self._bytes > 0:
            for name in files.names(_DONE):
                files.remove(f"{_DONE}/{name}", None)
            files.commit(f"{_DONE}/{self._today}", lambda _: b"", None)

    def _names(self, folder: str) -> list[str]:
        with suppress(ClawError):  # the doctor reports anything in a folder's place
            return self._files.names(folder)
        return []

    def _move(self, folder: str, before: str, keep: list[str]) -> None:
        months = defaultdict[str, dict[str, Content]](dict)
        for month, name in self._old(folder, before):
            if not any(it in f"{name.lower()}." for it in keep):
                # A link, an unreadable file or an invalid name is left alone; the doctor reports it.
                with suppress(ClawError, UnicodeEncodeError):
                    for path in self._below(f"{folder}/{name}"):
                        if self._room <= 0 or self._bytes <= 0:
                            break
                        path.encode()
                        content = self._files.read_live(path, JOURNAL_BYTES)
                        months[month][path[len(folder) + 1 :]] = content
                        self._room, self._bytes = self._room - 1, self._bytes - len(content.data)
        for month, found in months.items():
            # Durable in the archive first; a file that was changed since then is kept for the next tick.
            self._store(folder, month, found)
            for name, content in found.items():
                if self._files.read_live(f"{folder}/{name}", JOURNAL_BYTES).data == content.data:
                    self._files.remove(f"{folder}/{name}", None)
            above = {"/".join(name.split("/")[:depth]) for name in found for depth in range(1, name.count("/") + 1)}
            for name in sorted(above, key=len, reverse=True):
                with suppress(ClawError):  # not empty yet
                    self._files.remove(f"{folder}/{name}", None)

    def _old(self, folder: str, before: str) -> Iterator[tuple[str, str]]:
        """The folder's files from before that month, with their month, by name or else by time."""
        for name, mtime_ns, *_ in sorted(self._files.survey(folder)):
            by_name = MONTH.match(name)
            month = by_name[0] if by_name else f"{datetime.fromtimestamp(mtime_ns / 10**9, UTC):%Y-%m}"
            if month < before and folder == "status/archive":
                yield from ((month, f"{name}/{file}") for file in self._files.names(f"{folder}/{name}"))
            elif month < before:
                yield month, name

    def _below(self, path: str) -> Iterator[str]:
        """The path of the file; for a folder, those of all files in it."""
        if self._files.stamp(path):
            yield path
        elif path.count("/") < DEEPEST:
            for name in self._files.names(path):
                yield from self._below(f"{path}/{name}")

    def _store(self, folder: str, month: str, members: dict[str, Content]) -> None:
        """Put them into an archive of the month, durably, unless an earlier try did."""
        fresh = {}
        for name, content in members.items():
            old, is_journal = archived(self._files, f"{folder}/{name}", JOURNAL_BYTES), name.endswith(".jsonl")
            if old is None or not (old.data.endswith(content.data) if is_journal else old.data == content.data):
                fresh[name] = replace(content, data=old.data + content.data) if old and is_journal else content
        path = self._part(f"{folder}/{month}", set(fresh)) if fresh else ""
        why = f"{len(fresh)} files of {month}"
        audit = Audit(JournalEvent.COMPRESS, actor=self._ws.settings.coordinator, key=path, why=why)
        if fresh:
            self._files.commit(path, lambda raw: added(raw, fresh), self._ws.line(audit))

    def _part(self, head: str, names: set[str]) -> str:
        """An archive of the month that is not full and has none of the names in another version."""
        for number in count(1):
            path = f"{head}.zip" if number == 1 else f"{head}.{number}.zip"
            stamp = self._files.stamp(path)
            try:
                if not stamp or (stamp.size_bytes < FILE_BYTES and not names & {*opened(self._files, path).names()}):
                    break
            except (CannotRead, NotFound):
                continue  # a foreign name: the doctor reports it
        return path

    def _delete(self, folder: str, before: str) -> None:
        for name in self._files.archives(folder):
            if name[:7] < before:
                path, why = f"{folder}/{name}", "retention.delete_after"
                audit = Audit(JournalEvent.DELETE, actor=self._ws.settings.coordinator, key=path, why=why)
                self._files.remove(path, self._ws.line(audit))
