"""Our section in somebody else's file: it is put in, brought up to date and taken out, and no other byte changes.

The section stands between two lines of its own. What was taken out again leaves the bytes that were there before, also
where the file had no last line break, ends its lines with CRLF, or begins with a byte order mark.
"""

import re
from typing import Final

from claw_files.core.errors import InvalidFile
from claw_files.core.lazy_regex import pattern
from claw_files.core.text import FILE_BYTES

BEGIN: Final = "<!-- clawfiles begin -->"
END: Final = "<!-- clawfiles end -->"
_MARK = pattern(
    r"<!--[ \t]*clawfiles[ \t]+(?:begin|end)\b[^\r\n]*", re.IGNORECASE
)  # up to the line's end: damaged ones, too
_INSTEAD = f"put the lines {BEGIN} and {END} there once each, in this order, or delete both"


def put(raw: bytes | None, inner: str, path: str) -> bytes:
    """The file with `inner` between our marks: in place of what stands there, else at the end.

    Args:
        raw: what is there; None where there is no file.
        inner: the section's text without marks, in lines that end with \\n.
        path: for the error.

    Raises InvalidFile where the marks are damaged, doubled or out of order, the file is no UTF-8 text, or it would
    become too large.
    """
    new = _put(raw, inner, path)
    if len(new) > FILE_BYTES:
        raise InvalidFile(path, "too-large", f"with our section it would be larger than {FILE_BYTES >> 20} MiB")
    return new


def _put(raw: bytes | None, inner: str, path: str) -> bytes:
    span = _span(raw, path)
    if span:
        text = (raw or b"").decode()
        eol = _eol(text[span[0] :])
        return (text[: span[0]] + _section(inner, eol) + text[span[1] :]).encode()
    if raw is None:
        return _section(inner, "\n").encode() + b"\n"
    eol = _eol(raw.decode())
    return raw + f"{eol}{_section(inner, eol)}{eol}".encode()


def take(raw: bytes | None, path: str) -> bytes | None:
    """The file without our section, as it was before `put`; None where there was no file. Raises as `put`."""
    span = _span(raw, path)
    if raw is None or span is None:
        return raw
    text = raw.decode()
    before, section, after = text[: span[0]], text[span[0] : span[1]], text[span[1] :]
    eol = _eol(section)
    if not before and after in ("", eol):
        return None
    before = before.removesuffix(eol)
    is_between = after.startswith(eol) and after != eol and not before.endswith("\n") and before
    return (before + (after if is_between else after.removeprefix(eol))).encode()


def inside(raw: bytes | None, path: str) -> str | None:
    """The text of our section, its lines ending with \\n; None where there is no section. Raises as `put`."""
    span = _span(raw, path)
    if raw is None or span is None:
        return None
    section = raw.decode()[span[0] : span[1]].replace("\r\n", "\n")
    return section.removeprefix(f"{BEGIN}\n").removesuffix(END)


def _section(inner: str, eol: str) -> str:
    return f"{BEGIN}\n{inner.rstrip()}\n{END}".replace("\n", eol)


def _span(raw: bytes | None, path: str) -> tuple[int, int] | None:
    """Where our section begins and ends in the decoded text, marks included and no line break around them."""
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
    return found[0].start(), found[1].end()


def _begins_a_line(text: str, start: int) -> bool:
    return text[:start] in ("", "\ufeff") or text[start - 1] == "\n"


def _eol(text: str) -> str:
    """How the text ends its first line."""
    return "\r\n" if text.partition("\n")[0].endswith("\r") and "\n" in text else "\n"
