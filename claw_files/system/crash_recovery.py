"""Completes writes after a crash, and adopts lines that editors wrote into a displaced version.

`docs/explanation/durability.md` lists every state that can be found here, by letter, with its recovery and its test.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

import msgspec

from claw_files.core.digest import digest
from claw_files.core.errors import Busy, CannotRead, NotFound
from claw_files.core.journal_events import JournalEvent
from claw_files.core.model import Audit
from claw_files.formats.journal import render
from claw_files.system.clock import Clock
from claw_files.system.durable import forget, lock_within, new_file, try_lock, writing
from claw_files.system.files import Content, Files, read_or_empty
from claw_files.system.path_gate import PathGate, content_in
from claw_files.system.paths import HAND_BYTES, journal_path
from claw_files.system.swap_folder import GONE, LATE, MOVED, NOTE, PART, Intent, Private, mark

KEPT = timedelta(minutes=10)
_SETTLED = timedelta(seconds=2)

Found = list[tuple[str, str]]


class Recovery:
    """One pass over swap/ or kept/. Every step can be interrupted and repeated, with its old key."""

    def __init__(
        self, gate: PathGate, private: Private, files: Files, journal: Callable[[bytes], None], clock: Clock
    ) -> None:
        self._gate, self._private, self._files, self._journal, self._clock = gate, private, files, journal, clock

    # -- swap/: after a crash ------------------------------------------------------------------------------------

    def recover(self, seconds: float) -> Found:
        """Implements `Files.recover`."""
        try:
            with writing("swap"), self._private.existing("swap") as bench:
                # Every writer holds a shared lock on swap/, so the remaining files belong to no live writer.
                if not os.listdir(bench):
                    return []
                if lock_within(bench, seconds):
                    return self._finish_all(bench)
                if seconds:
                    raise Busy("the workspace")
                return []
        except NotFound:
            return []

    def _finish_all(self, bench: int) -> Found:
        names = sorted(os.listdir(bench))
        # Files before notes: a note whose file is still there belongs to a write that may not have happened.
        found = [self._finish(bench, name) for name in names if not name.endswith(NOTE)]
        left = [name for name in sorted(os.listdir(bench)) if name.endswith(NOTE)]
        return found + [self._finish_note(bench, name) for name in left]

    def _finish(self, bench: int, name: str) -> tuple[str, str]:
        intent = Intent.parse(name.removesuffix(PART))
        if intent is None:
            self._to_conflicts(bench, name, "a file in swap/ that clawfiles did not put there")
            return self._tell(name, name, "not ours")
        if name.endswith(PART):
            return self._drop(bench, name, intent, "unfinished")
        if not intent.is_proven:
            self._to_conflicts(bench, name, "a file in swap/ that was copied here, or that another user left")
            return self._tell(name, name, "not ours")
        content = content_in(bench, name)
        # The new bytes are still here, so they are not in the live file: the exchange never happened.
        if content and content.digest == intent.new:
            return self._drop(bench, name, intent, "never swapped in")
        return self._finish_swapped(bench, intent, content)

    def _drop(self, bench: int, name: str, intent: Intent, verdict: str) -> tuple[str, str]:
        """Remove a write that changed nothing. The note goes first: a note alone means that the write was made."""
        told = self._tell(intent.name, self._path(intent), verdict)
        forget(bench, intent.name + NOTE)
        forget(bench, name)
        return told

    def _finish_swapped(self, bench: int, intent: Intent, content: Content | None) -> tuple[str, str]:
        """The new content is live, and this is the displaced version; it may be an unseen edit."""
        self._journal_note(bench, intent)
        if content and (content.digest == intent.base_digest or _tail(content.data, intent) is not None):
            told = self._tell(intent.name, self._path(intent), "swapped in")
            self._private.keep(bench, intent)
            return told
        told = self._tell(intent.name, self._path(intent), "replaced another process's edit, which is in conflicts/")
        self._to_conflicts(bench, intent.name, "a crash came between the write and the check of the displaced version")
        return told

    def _finish_note(self, bench: int, name: str) -> tuple[str, str]:
        """A note alone: its write was made and lacks its journal line. For moves the inode decides."""
        intent = Intent.parse(name.removesuffix(NOTE))
        if intent is None or not intent.is_proven or not self._was_made(intent):
            told = self._tell(name, self._path(intent) if intent else name, "never done")
            forget(bench, name)
            return told
        self._journal_note(bench, intent)
        return self._tell(intent.name, self._path(intent), "done, now in the journal")

    def _was_made(self, intent: Intent) -> bool:
        if intent.base not in (MOVED, GONE):
            return True
        stamp = self._files.stamp(self._path(intent))
        there = stamp is not None and str(stamp.inode) == intent.new
        return there if intent.base == MOVED else not there

    def _journal_note(self, bench: int, intent: Intent) -> None:
        """Write the line to the journal, unless it was written before the crash."""
        note = content_in(bench, intent.name + NOTE)
        if note and note.data and not self._is_journalled(note.data, intent.at):
            self._journal(note.data)
        forget(bench, intent.name + NOTE)

    def _is_journalled(self, line: bytes, at: datetime) -> bool:
        for day in (at, at + timedelta(days=1)):  # planned before midnight, written after
            data = read_or_empty(self._files, journal_path(day), 1 << 30)
            if b"\n" + line.rstrip(b"\n") + b"\n" in b"\n" + data:
                return True
        return False

    # -- kept/: after foreign editors ----------------------------------------------------------------------------

    def adopt(self) -> Found:
        """Implements `DiskFiles.adopt`."""
        try:
            with writing("kept"), self._private.existing("kept") as kept:
                if not (names := os.listdir(kept)) or not try_lock(kept):
                    return []
                return [found for name in sorted(names) if (found := self._look(kept, name))]
        except NotFound:
            return []

    def _look(self, kept: int, name: str) -> tuple[str, str] | None:
        intent = Intent.parse(name)
        if intent is None:
            return None  # not clawfiles': a person put the file here
        over = abs(self._clock.now() - intent.at) >= KEPT  # a clock that was put back must not keep it for ever
        with suppress(FileNotFoundError):  # removed meanwhile by a write, because it could not change any more
            if not over and self._is_untouched(kept, name, intent):
                return None
            content = content_in(kept, name)
            if content and content.digest == intent.base_digest:
                return self._let_go(kept, name, intent, content) if over else None
            return self._settle(kept, name, intent, content, over)
        return None

    def _is_untouched(self, kept: int, name: str, intent: Intent) -> bool:
        """Whether size and time are unchanged; the last check, after ten minutes, reads the file anyway."""
        found = os.stat(name, dir_fd=kept, follow_symlinks=False)
        return found.st_size == intent.base_bytes and found.st_mtime < intent.at.timestamp() - 1

    def _let_go(self, kept: int, name: str, intent: Intent, content: Content) -> tuple[str, str] | None:
        """Forget the version, unless its late lines are missing from the live file.

        An editor that had read the file before they were added, and saved after, does that to its own lines.
        """
        path, lines = self._path(intent), _late_lines(content.data, intent)
        with suppress(NotFound, CannotRead):
            live = set(self._files.read(path, HAND_BYTES).data.splitlines()) if lines else set[bytes]()
            if any(line not in live for line in lines):
                self._to_conflicts(kept, name, f"lines that were added to {path} late are not there any more")
                return self._tell(name, path, "the other version is in conflicts/")
        forget(kept, name)
        return None

    def _settle(
        self, kept: int, name: str, intent: Intent, content: Content | None, over: bool
    ) -> tuple[str, str] | None:
        path = self._path(intent)
        # Unproven: the version may have come with a copied folder; its lines must not get into a live file.
        tail = _tail(content.data, intent) if content and intent.is_proven else None
        if content and tail is not None:
            # Whole lines only, until the time is over: an editor may be in the middle of the last one.
            tail = tail if over else tail[: tail.rfind(b"\n") + 1]
            return self._adopt_tail(kept, name, intent, content.data[: intent.base_bytes + len(tail)], tail)
        if content and not over and abs(self._clock.now() - content.stamp.mtime) < _SETTLED:
            return None  # an editor is saving it
        self._to_conflicts(kept, name, f"another process changed a version of {path} that was being replaced")
        return self._tell(name, path, "the other version is in conflicts/")

    def _adopt_tail(self, kept: int, name: str, intent: Intent, taken: bytes, tail: bytes) -> tuple[str, str] | None:
        """Add the lines to the live file, then record how many. A crash in between adds them twice."""
        if not tail:
            return None
        path = self._path(intent)

        def joined(live: bytes | None) -> bytes:
            stamp, ours = self._files.stamp(path), {it.new for it in map(Intent.parse, os.listdir(kept)) if it}
            is_young = stamp is not None and abs(self._clock.now() - stamp.mtime) < _SETTLED
            if is_young and digest(live or b"") not in ours:  # the bytes may be half of an editor's save
                raise Busy(path, "another process that may be saving it")
            return _joined(live, tail, path)

        try:
            self._files.commit(path, joined, self._line(name, path, "late lines added"))
        except Busy:
            return None
        except NotFound:
            self._to_conflicts(kept, name, f"lines were added to {path}, which is not there any more")
            return self._tell(name, path, "late lines are in conflicts/")
        late = intent.new if intent.new.startswith(LATE) else f"{LATE}{intent.base_bytes}"
        # The name records how far the version was taken, so that the next pass adds only new lines.
        further = msgspec.structs.replace(intent, base=mark(taken), new=late).signed()
        os.rename(name, further.name, src_dir_fd=kept, dst_dir_fd=kept)
        return path, "late lines added"

    # -- both ----------------------------------------------------------------------------------------------------

    def _path(self, intent: Intent) -> str:
        return self._private.path_of(intent) or intent.target

    def _to_conflicts(self, source_fd: int, name: str, reason: str) -> None:
        """Move the bytes to conflicts/NAME, after the reason. An editor with the file open writes on."""
        intent = Intent.parse(name)
        to = f"{intent.target}~{intent.nonce}" if intent else name
        with self._gate.making("conflicts") as fd:
            # A reason from an earlier try that crashed before the file was moved.
            forget(fd, to + ".reason")
            new_file(fd, to + ".reason", reason.encode() + b"\n", sync=True)
            os.rename(name, to, src_dir_fd=source_fd, dst_dir_fd=fd)
            self._private.sync(fd, source_fd)

    def _tell(self, name: str, path: str, verdict: str) -> tuple[str, str]:
        """Journal a verdict; its key is the file's own name, so that a repeat after a second crash counts once."""
        self._journal(self._line(name, path, verdict))
        return path, verdict

    def _line(self, name: str, path: str, verdict: str) -> bytes:
        return render(Audit(JournalEvent.RECOVER, key=f"recover.{name}", why=f"{path}: {verdict}"), self._clock.now())


def _tail(data: bytes, intent: Intent) -> bytes | None:
    """The bytes appended to the version that `intent` displaced; None after any other change."""
    size = intent.base_bytes
    return data[size:] if size and digest(data[:size]) == intent.base_digest else None


def _late_lines(data: bytes, intent: Intent) -> list[bytes]:
    """The lines that were added to the live file from this version."""
    size = intent.new.removeprefix(LATE) if intent.new.startswith(LATE) else ""
    return [line for line in data[int(size) :].splitlines() if line.strip()] if size.isdigit() else []


def _joined(live: bytes | None, tail: bytes, path: str) -> bytes:
    if live is None:
        raise NotFound("file", path)
    return live + b"\n" * (not live.endswith(b"\n")) + tail
