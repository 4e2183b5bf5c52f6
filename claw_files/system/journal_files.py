"""The journal's files, one for each day: `audit/2026-03-07.jsonl`."""

from claw_files.system.files import Files, read_or_empty
from claw_files.system.paths import JOURNAL_BYTES


def days(files: Files) -> list[str]:
    """The paths of the existing journals, oldest first."""
    return [f"audit/{name}" for name in files.all_names("audit") if name.endswith(".jsonl")]


def read(files: Files, path: str) -> bytes:
    """The journal at the path; empty if it is missing or unreadable, which the doctor reports."""
    return read_or_empty(files, path, JOURNAL_BYTES)
