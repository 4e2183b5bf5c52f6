"""Parser for JSON as in OpenClaw's configuration: comments, trailing commas, bare names, single quotes.

Pure, and only as much of JSON5 as that: numbers are JSON's. Raises ValueError for what it does not understand.
"""

import json
import re
from typing import Any

from claw_files.core.lazy_regex import pattern

_PART = pattern(
    r'(?P<string>"(?:[^"\\\n]|\\.)*")|(?P<single>\'(?:[^\'\\\n]|\\.)*\')|(?P<comment>//[^\n]*|/\*.*?\*/)'
    r"|(?P<name>[A-Za-z_$][\w$]*)|(?P<comma>,(?=(?:\s|//[^\n]*|/\*.*?\*/)*[}\]]))|(?P<other>.)",
    re.DOTALL,
)
_LITERALS = frozenset({"true", "false", "null"})
LARGEST_LETTERS = 1 << 20


def loads(source: str) -> Any:
    """The value that the text spells."""
    if len(source) > LARGEST_LETTERS:
        raise ValueError("over a million letters")
    try:
        return json.loads(_PART.sub(_plain, source))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _plain(found: re.Match[str]) -> str:
    """One part of the text in JSON's own spelling."""
    kind, part = found.lastgroup, found[0]
    if kind in ("comment", "comma"):
        return " "
    if kind == "single":
        inner = part[1:-1].replace("\\'", "'")
        return '"' + re.sub(r'(?<!\\)"', '\\"', inner) + '"'
    return f'"{part}"' if kind == "name" and part not in _LITERALS else part
