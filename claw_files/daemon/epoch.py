"""The number of a daemon's life: one more than that of any before it, by the journal and a copy of the last."""

from contextlib import suppress

import msgspec

from claw_files.core.errors import ClawError
from claw_files.system.files import Files
from claw_files.system.paths import JOURNAL_BYTES

START = "daemon start"
PATH = ".clawfiles/epoch"


class _Line(msgspec.Struct):
    action: str | None = None
    epoch: str | None = None


def next_epoch(files: Files) -> int:
    """One more than the highest that was."""
    return max(_copy(files), _in_journal(files)) + 1


def keep(files: Files, epoch: int) -> None:
    """Write the copy: so the journal need not be kept for ever."""
    with suppress(ClawError):
        files.commit(PATH, lambda _: f"{epoch}\n".encode(), None)


def _copy(files: Files) -> int:
    try:
        return _number(files.read(PATH, 100).data.decode("ascii", "replace").strip())
    except ClawError:
        return 0


def _in_journal(files: Files) -> int:
    """The highest of the newest day that tells of a start: they only rise."""
    days = [name for name in files.all_names("audit") if name.endswith(".jsonl")]
    for name in reversed(days):
        with suppress(ClawError):
            raw = files.read(f"audit/{name}", JOURNAL_BYTES).data
            if found := max((_of(line) for line in raw.splitlines() if START.encode() in line), default=0):
                return found
    return 0


def _of(line: bytes) -> int:
    try:
        found = msgspec.json.decode(line, type=_Line)
    except msgspec.MsgspecError:
        return 0
    return _number(found.epoch or "") if found.action == START else 0


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0
