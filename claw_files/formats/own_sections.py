"""clawfiles' section in another program's file: inserts, updates and removes it; other bytes are kept.

The section is between two marker lines. Removing it restores the original bytes, even if the file had no last line
break, uses CRLF, or begins with a byte order mark.
"""

import re
from typing import Final

from claw_files.core.errors import InvalidFile
from claw_files.core.lazy_regex import pattern
from claw_files.core.text import FILE_BYTES

BEGIN: Final = "<!-- clawfiles begin -->"
END: Final = "<!-- clawfiles end -->"
# Up to the line's end: damaged ones, too.
_MARK = pattern(r"<!--[ \t]*clawfiles[ \t]+(?:begin|end)\b[^\r\n]*", re.IGNORECASE)
_INSTEAD = f"put the lines {BEGIN} and {END} there once each, in this order, or delete both"


def put(raw: bytes | None, inner: str, path: str) -> bytes:
    """The file with `inner` between the marks: replaces the section, or is added at the end.

    Args:
        raw: what is there; None where there is no file.
        inner: the section's text without marks, in lines that end with \\n.
        path: for the error.

    Raises InvalidFile where the marks are damaged, doubled or out of order, the file is no UTF-8 text, or it would
    become too large.
    """
    parts = _cut(raw, path)
    if parts:
        before, section, after = parts
        new = (before + _section(inner, _eol(section + after)) + after).encode()
    elif raw is None:
        new = _section(inner, "\n").encode() + b"\n"
    else:
        eol = _eol(raw.decode())
        new = raw + f"{eol}{_section(inner, eol)}{eol}".encode()
    if len(new) > FILE_BYTES:
        raise InvalidFile(path, "too-large", f"with our section it would be larger than {FILE_BYTES >> 20} MiB")
    return new


def take(raw: bytes | None, path: str) -> bytes | None:
    """The file without the section, as before `put`; None if there was no file. Raises as `put`."""
    parts = _cut(raw, path)
    if parts is None:
        return raw
    before, section, after = parts
    eol = _eol(section)
    if not before and after in ("", eol):
        return None
    before = before.removesuffix(eol)
    is_between = after.startswith(eol) and after != eol and not before.endswith("\n") and before
    return (before + (after if is_between else after.removeprefix(eol))).encode()


def inside(raw: bytes | None, path: str) -> str | None:
    """The text of the section, its lines ending with \n; None without a section. Raises as `put`."""
    parts = _cut(raw, path)
    return parts[1].replace("\r\n", "\n").removeprefix(f"{BEGIN}\n").removesuffix(END) if parts else None


def _section(inner: str, eol: str) -> str:
    return f"{BEGIN}\n{inner.rstrip()}\n{END}".replace("\n", eol)


def _cut(raw: bytes | None, path: str) -> tuple[str, str, str] | None:
    """The text before the section, the section from mark to mark, and the text after it; None without a section."""
    try:
        text = (raw or b"").decode()
    except UnicodeDecodeError:
        raise InvalidFile(path, "not-utf8", "it is not UTF-8 text, so nothing is put into it") from None
    if "\0" in text:
        raise InvalidFile(path, "not-text", "it contains a NUL character, so nothing is put into it")
    found = list(_MARK.finditer(text))
    if not found:
        return None
    if [mark[0] for mark in found] != [BEGIN, END] or not all(_begins_a_line(text, mark.start()) for mark in found):
        raise InvalidFile(path, "marks", f"the marks of our section are damaged; {_INSTEAD}")
    start, end = found[0].start(), found[1].end()
    return text[:start], text[start:end], text[end:]


def _begins_a_line(text: str, start: int) -> bool:
    return text[:start] in ("", "\ufeff") or text[start - 1] == "\n"


def _eol(text: str) -> str:
    """The line break of the text's first line."""
    return "\r\n" if text.partition("\n")[0].endswith("\r") and "\n" in text else "\n"
