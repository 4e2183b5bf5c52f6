"""Replaces placeholders once, so that inserted text is not expanded again."""

import re
from collections.abc import Callable

from claw_files.core.lazy_regex import pattern
from claw_files.formats.workflow_file import PLACE, name_of

_NOT_IN_PATHS = pattern(r"[^A-Za-z0-9._-]+")


def fill(text: str, value: Callable[[str, str], str | None]) -> str:
    """The text with each placeholder replaced by `value(name, part)`; a None leaves it unchanged."""

    def put(found: "re.Match[str]") -> str:
        if not found["name"]:
            return found[0][0]  # {{ and }} are braces
        filled = value(name_of(found["name"]), name_of(found["part"] or ""))
        return found[0] if filled is None else filled

    return PLACE.sub(put, text)


def path_part(text: str) -> str:
    """A value as a part of a path: letters, digits, `.`, `_` and `-`, at most 64, no mark at its beginning."""
    return _NOT_IN_PATHS.sub("-", text).strip(".-_")[:64] or "item"


def stem(item: str) -> str:
    """The last part of an item that is a path, without its ending."""
    name = item.rstrip("/").rsplit("/", 1)[-1]
    return name.rsplit(".", 1)[0] if "." in name.strip(".") else name
