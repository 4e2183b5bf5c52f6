"""The daemon's epoch: one more than any earlier one, from the journal and a copy of the last."""

from contextlib import suppress

from claw_files.core.errors import ClawError
from claw_files.core.journal_events import JournalEvent as E
from claw_files.formats import journal
from claw_files.system import journal_files
from claw_files.system.files import Files, read_or_empty

PATH = ".clawfiles/epoch"


def next_epoch(files: Files) -> int:
    """One more than the highest that was."""
    copy = read_or_empty(files, PATH, 100).decode("ascii", "replace").strip()
    return max(_number(copy), _in_journal(files)) + 1


def keep(files: Files, epoch: int) -> None:
    """Write the copy: so the journal need not be kept for ever."""
    with suppress(ClawError):
        files.commit(PATH, lambda _: f"{epoch}\n".encode(), None)


def _in_journal(files: Files) -> int:
    """The highest epoch of the newest day with a start: epochs only rise."""
    for path in reversed(journal_files.days(files)):
        lines, _ = journal.lines_of(journal_files.read(files, path), [E.DAEMON_START.encode()])
        starts = (line for line in lines if line.action == E.DAEMON_START)
        if found := max((_number(line.epoch or "") for line in starts), default=0):
            return found
    return 0


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0
