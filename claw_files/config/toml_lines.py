"""The line of each key in a TOML text, which tomllib does not report."""

import re

from claw_files.core.lazy_regex import pattern

Path = tuple[str, ...]

_NAME = r"""[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*'"""
_DOTTED = rf"(?:{_NAME})(?:\s*\.\s*(?:{_NAME}))*"
_TABLE = pattern(rf"\s*\[\[?\s*({_DOTTED})\s*\]")
_KEY = pattern(rf"\s*({_DOTTED})\s*=")
_INNER = pattern(rf"[{{,]\s*({_DOTTED})\s*=")


def locate(text: str) -> dict[Path, int]:
    """Every table and key of `text` with its line, counted from 1; keys of inline tables included.

    Good enough to point at: text that only looks like a key, inside a string of several lines, may add a wrong path,
    but never hides a correct one above it.
    """
    found: dict[Path, int] = {}
    table: Path = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _TABLE.match(line):
            table = _split(header[1])
            found.setdefault(table, number)
        elif key := _KEY.match(line):
            path = table + _split(key[1])
            found.setdefault(path, number)
            for inner in _INNER.finditer(line, key.end()):
                found.setdefault(path + _split(inner[1]), number)
    return found


def nearest(lines: dict[Path, int], path: Path) -> int | None:
    """The line of `path`, else of the table around it; None if neither is written."""
    while path:
        if path in lines:
            return lines[path]
        path = path[:-1]
    return None


def _split(dotted: str) -> Path:
    return tuple(part.strip("\"'") for part in re.findall(_NAME, dotted))
