"""Edits of front matter: only the lines of the given keys change, and each edit is verified."""

import re
from collections.abc import Mapping
from typing import Any, Final

from claw_files.core.errors import InvalidFile
from claw_files.core.lazy_regex import pattern
from claw_files.formats.frontmatter import Data, Document, compose, parse
from claw_files.formats.text_lines import next_line

Changes = Mapping[str, "Data | None"]

_PLAIN = pattern(r"-[0-9]+|[\w./][\w ./+@()'&%!?=-]*(?::[\w./+@()'&%!?=-][\w ./+@()'&%!?=-]*)*")
_MISREAD = pattern(r"y|n|yes|no|on|off|null|[0-9]+:[0-9:.]+", re.IGNORECASE)  # by other YAML readers; we read text
_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def edit(raw: bytes, changes: Changes, path: str) -> bytes:
    """The file with these keys set (None: removed); comments, order, quoting, line breaks and BOM are kept.

    A changed key keeps the comment behind its value; a new one goes in front of the closing fence; a file without front
    matter gets one put in front. Keys that hold the value already are not touched.

    Raises InvalidFile: as `parse` does, or cannot-edit where the result would not read back as intended.
    """
    before = parse(raw, path)
    todo = {key: value for key, value in changes.items() if before.meta.get(key) != value}
    if not todo:
        return raw
    text = _in_front(before, todo) if before.start is None else _spliced(before, todo)
    try:
        new = (b"\xef\xbb\xbf" if before.bom else b"") + text.encode()
        after = parse(new, path)
    except (InvalidFile, UnicodeEncodeError) as error:
        raise InvalidFile(path, "cannot-edit", f"{', '.join(todo)}: the result could not be read: {error}") from None
    wanted = {key: value for key, value in {**before.meta, **todo}.items() if value is not None}
    if after.meta != wanted or after.body != before.body:
        raise InvalidFile(path, "cannot-edit", f"{', '.join(todo)}: the front matter is written in an unusual way")
    return new


def block(values: Mapping[str, Data], newline: str = "\n") -> str:
    """Front matter with its fences, as clawfiles writes it; keys with the value None are omitted."""
    lines = [_line(key, value, newline) for key, value in values.items() if value is not None]
    return f"---{newline}{''.join(lines)}---{newline}"


def _in_front(document: Document, todo: Changes) -> str:
    if all(value is None for value in todo.values()):
        return document.text
    return block(todo, document.newline) + document.text


def _spliced(document: Document, todo: Changes) -> str:
    assert document.start is not None
    old = document.text[document.start : document.end]
    nodes = compose(old, document.path)
    if old.lstrip().startswith("{"):
        raise InvalidFile(document.path, "cannot-edit", "the front matter is one { } mapping; write one key a line", 2)
    spots = [_spot(old, key, value, todo[key.value], document.newline) for key, value in nodes if key.value in todo]
    new = old
    for start, end, text in sorted(spots, reverse=True):
        new = new[:start] + text + new[end:]
    known = {key.value for key, _ in nodes}
    indent = " " * nodes[0][0].start_mark.column
    added = [_line(key, value, document.newline, indent) for key, value in todo.items() if key not in known]
    return document.text[: document.start] + new + "".join(added) + document.text[document.end :]


def _spot(text: str, key: Any, value: Any, new: Data | None, newline: str) -> tuple[int, int, str]:
    """The edit of the block: start, end, text."""
    first, colon = text.rfind("\n", 0, key.start_mark.index) + 1, text.index(":", key.end_mark.index) + 1
    end = _end(text, value)
    if new is None:
        return first, next_line(text, max(end, colon)), ""
    indent = " " * key.start_mark.column
    blockish = value.id != "scalar" and not value.flow_style
    rest = text[colon : next_line(text, colon)]
    if blockish:  # its lines go; what stands between the colon and them is a comment and stays
        between = text[colon : text.rfind("\n", 0, value.start_mark.index) + 1]
        return colon, next_line(text, end), _inserted(new, between, newline, indent)
    if value.id == "scalar" and value.style in ("|", ">"):
        comment = re.sub(r"^[|>][-+0-9]*", "", text[value.start_mark.index : next_line(text, value.start_mark.index)])
        return colon, next_line(text, end), _inserted(new, comment, newline, indent)
    if isinstance(new, dict) and new:
        kept = text[colon : value.start_mark.index].rstrip(" ") + text[end : next_line(text, end)]
        return colon, next_line(text, end), _inserted(new, kept, newline, indent)
    if value.start_mark.index == end and value.style != '"' and value.style != "'":  # nothing there yet
        return colon, colon, " " + _spell(new) + ("" if rest[:1] in ("", " ", "\t", "\r", "\n") else " ")
    gap = "" if text[value.start_mark.index - 1] in " \t\n" else " "
    return value.start_mark.index, end, gap + _spell(new)


def _inserted(new: Data, rest: str, newline: str, indent: str) -> str:
    """The new value after the colon, before `rest`: the end of the key's line, with any comment."""
    rest = rest if rest.endswith("\n") else rest + newline
    if isinstance(new, dict) and new:
        return rest + _nested(new, newline, indent)
    return f" {_spell(new)}{rest}"


def _end(text: str, node: Any) -> int:
    """The end of the value; the marks of block values include blank lines and comments."""
    while node.id != "scalar" and not node.flow_style and node.value:
        last = node.value[-1]
        node = last[1] if isinstance(last, tuple) else last
    start, end = node.start_mark.index, node.end_mark.index
    if node.id != "scalar" or node.style not in ("|", ">"):
        return int(end)
    header = next_line(text, start)
    given = re.match(r"[|>][-+]?([1-9])", text[start:header])  # how deep its text is at least, where it says so
    kept, indent = text[header:end].split("\n"), int(given[1]) if given else None
    for line in kept:
        if indent is None and line.strip():
            indent = len(line) - len(line.lstrip(" "))
    while kept and (not kept[-1].strip() or len(kept[-1]) - len(kept[-1].lstrip(" ")) < (indent or 0)):
        kept.pop()
    last = header + len("\n".join(kept)) if kept else max(start, header - 1)
    if "+" in text[start : start + 3]:  # "|+": the empty lines behind it are its text
        blank = re.compile(r"(?:\r?\n[ ]*(?=\r?\n))*").match(text, last)
        last = blank.end() if blank else last
    return last


# --- spelling --------------------------------------------------------------------------------------------------------


def _line(key: str, value: Data | None, newline: str, indent: str = "") -> str:
    if value is None:
        return ""
    if isinstance(value, dict) and value:
        return f"{indent}{_spell(key)}:{newline}{_nested(value, newline, indent)}"
    return f"{indent}{_spell(key)}: {_spell(value)}{newline}"


def _nested(values: Mapping[str, Data], newline: str, indent: str) -> str:
    return "".join(_line(key, value, newline, indent + "  ") for key, value in values.items())


def _spell(value: Data, inside: bool = False) -> str:
    """The value after its colon: plain if every YAML reader agrees, else in double quotes.

    `inside` brackets, YAML readers disagree about a question mark, and some refuse it.
    """
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_spell(key, True)}: {_spell(item, True)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_spell(item, True) for item in value) + "]"
    assert isinstance(value, str)
    plain = _PLAIN.fullmatch(value) and not _MISREAD.fullmatch(value) and value[-1] != " " and value.isprintable()
    if plain and not value.startswith(("...", "=")) and not (inside and "?" in value):
        return value
    return '"' + "".join(_ESCAPES.get(letter) or _escaped(letter) for letter in value) + '"'


def _escaped(letter: str) -> str:
    number = ord(letter)
    if letter.isprintable() and number != 0xFEFF:
        return letter
    return f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}" if number < 65_536 else f"\\U{number:08x}"
