"""Data by size: in the message itself, in a file named by the message, or refused.

The figures stand here once, and every door goes by them: what is typed, what a worker leaves, what we put together.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from claw_files.core.errors import BadValue, Refused
from claw_files.core.text import FILE_BYTES

ROOM_BYTES: Final = 32 * 1024  # reserved in a full file for required writes: a task's end, a new check time
IN_MESSAGE_BYTES: Final = 10 * 1024
ACCEPTED_BYTES: Final = 1024 * 1024
LINE_LETTERS: Final = 1_000  # of one value in front matter, which holds 16 KiB in all
BEGINNING_LETTERS: Final = 400  # of a text that is referred to
RULE: Final = "large bodies"


class PayloadWay(StrEnum):
    """The ways to store a text."""

    MESSAGE = "message"
    FILE = "file"  # the message names its path
    REFERENCE = "reference"  # not accepted: write it to a file and send the path


def way(text: str) -> PayloadWay:
    """How to store a text of this size: in the message, in a file, or only as a reference."""
    if (size := size_bytes(text)) <= IN_MESSAGE_BYTES:
        return PayloadWay.MESSAGE
    return PayloadWay.FILE if size <= ACCEPTED_BYTES else PayloadWay.REFERENCE


def size_bytes(text: str) -> int:
    """The size of the text in a file."""
    return len(text.encode("utf-8", "backslashreplace"))


def check(text: str, what: str = "the text") -> None:
    """Raises Refused for a text that is too large, BadValue for a text with NUL."""
    if "\0" in text:
        raise BadValue("text", text, "free of NUL bytes")
    if way(text) is PayloadWay.REFERENCE:
        raise too_large(f"{what} is over 1 MB")


def check_file(new_bytes: int, path: str, old_bytes: int = 0, limit_bytes: int = FILE_BYTES - ROOM_BYTES) -> None:
    """Raises Refused for a file too large to be read or appended to; making it smaller is always allowed."""
    if new_bytes > max(limit_bytes, old_bytes):
        instead = "move long text into a file and send its path, or split the text"
        raise Refused("file size", f"{path} would be larger than {-(-limit_bytes >> 20)} MiB", instead)


def check_ledger(new_bytes: int, path: str, old_bytes: int = 0) -> None:
    """As `check_file`, for the ledger, in which closed tasks need no line."""
    if new_bytes > max(FILE_BYTES, old_bytes):
        instead = "finish or cancel tasks and run `clawfiles heartbeat`, which removes their lines, or delete lines"
        raise Refused("file size", f"{path} would be larger than {FILE_BYTES >> 20} MiB", instead)


def too_large(said: str) -> Refused:
    """The error for a text that is too large, with the alternative."""
    return Refused(RULE, said, "write it to a file and send its path")


def check_outputs(outputs: Iterable[str]) -> None:
    """Raises Refused for outputs that are not names but content."""
    if sum(map(len, outputs)) > 4 * LINE_LETTERS:
        raise too_large(f"the outputs have over {4 * LINE_LETTERS} letters together")


def in_front_matter(text: str, path: str) -> tuple[str, str]:
    """The text as one line, shortened for front matter; and the full text for the body, if it is longer.

    Args:
        path: of the file, which the line then names.

    Raises as `check`.
    """
    check(text)
    line = " ".join(text.split())
    if len(line) <= LINE_LETTERS:
        return line, ""
    return f"{line[:BEGINNING_LETTERS]} ... (all {kilobytes(text)} KB of it are in {path})", text


def kilobytes(text: str) -> int:
    """The size of a text, for people."""
    return max(1, size_bytes(text) // 1024)


def room_for_each(count: int) -> int:
    """The bytes of each of so many texts that fit into one combined text."""
    return min(IN_MESSAGE_BYTES, ACCEPTED_BYTES // (8 * max(count, 1)))
