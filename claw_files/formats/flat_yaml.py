"""Front matter in its usual form, parsed without YAML: `key: value` lines, lists, one nested level.

YAML costs 20 ms to import and two passes a file. This scanner takes a block only where each line can mean one thing,
and declines everything else (escapes, tags, anchors, block scalars, text over several lines, deeper nesting, a key
twice): then YAML reads it. A property test holds the two together.
"""

from typing import Any, Final, NamedTuple

import msgspec

from claw_files.core.lazy_regex import pattern
from claw_files.formats.parse_cache import lately

LINES: Final = 400  # of a block, and commas in it: far below what `frontmatter` allows, so nothing is counted here

# What YAML readers disagree about or refuse: tabs, controls, odd breaks, byte order marks, lone surrogates.
_ODD = pattern("[^ -~\n\r\u00a0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]|\r(?!\n)")
_ODD_ASCII = pattern("[^ -~\n\r]|\r(?!\n)")  # the same for nearly every file; the other takes 2 ms to compile
_KEY = pattern(r"( *)([A-Za-z_][A-Za-z0-9_-]{0,63}(?: [A-Za-z0-9_-]{1,63}){0,3}):(?= |$)")
_ITEM = pattern(r"( *)-(?= |$)")
_PLAIN: Final = frozenset("_./(+~$^;")  # what a value without quotes may begin with, beside letters and digits
_MENTION = pattern(r"@[A-Za-z0-9._-]{1,64}")
# Most lines: a key at the margin, and a value in which nothing can mean something else.
_SIMPLE = pattern(
    r"([A-Za-z_][A-Za-z0-9_-]{0,63}): +([A-Za-z0-9_./(+~](?:[A-Za-z0-9 _./()+~@'&%!?=,;-]|:(?! ))*(?<![ :]))"
)
_WORDS = r"[A-Za-z0-9_./@][A-Za-z0-9_./@+-]*(?: [A-Za-z0-9_./@+-]+)*"
_LIST = pattern(rf'\[ *(?:(?:{_WORDS}|"[^"\\]*") *, *)*(?:{_WORDS}|"[^"\\]*") *\]|\[ *\]')
_LISTED = pattern(rf'"([^"\\]*)"|({_WORDS})')

Data = Any  # as frontmatter.Data


class YamlMark(msgspec.Struct, frozen=True):
    """A place in the block; `line` and `column` count from 0."""

    index: int
    line: int
    column: int


class YamlNode(msgspec.Struct, frozen=True):
    """A key or value with the attributes of YAML's own nodes that an edit needs.

    It is no tuple: YAML's nodes are none, and pairs of them are told apart by that.
    """

    id: str  # scalar, sequence or mapping
    value: Any  # str, a list of Node, or a list of (Node, Node)
    start_mark: YamlMark
    end_mark: YamlMark
    style: str | None = None
    flow_style: bool | None = None


class _Item(NamedTuple):
    """A line: `key` is None in a list; `data` is its value, with `below` for the lines under it."""

    key: str | None
    data: Data
    line: int
    at: int  # where its key, or its dash, is in the block
    column: int
    start: int  # where its value begins, and ends; the same where there is none
    end: int
    below: "list[_Item]"


def read(block: str) -> tuple[dict[str, Data], dict[str, int]] | None:
    """The block's keys with their values and lines (from 0); None if only YAML can parse it."""
    items = _scan(block)
    if items is None:
        return None
    return {str(item.key): _data(item) for item in items}, {str(item.key): item.line for item in items}


def nodes(block: str) -> list[tuple[YamlNode, YamlNode]] | None:
    """The block's keys and values as nodes with marks; None if only YAML can parse it."""
    items = _scan(block)
    return None if items is None else [_pair(item) for item in items]


def _data(item: _Item) -> Data:
    if not item.below:
        return item.data
    if item.below[0].key is None:
        return [below.data for below in item.below]
    return {str(below.key): below.data for below in item.below}


# --- lines -----------------------------------------------------------------------------------------------------------


@lately
def _scan(block: str) -> list[_Item] | None:
    odd = _ODD_ASCII if block.isascii() else _ODD
    if odd.search(block) or block.count("\n") > LINES or block.count(",") > LINES:
        return None
    items: list[_Item] = []
    at = 0
    for number, line in enumerate(block.split("\n")):
        written = line.rstrip(" \r")
        if simple := _SIMPLE.fullmatch(written):
            items.append(_Item(simple[1], simple[2], number, at, 0, at + simple.start(2), at + simple.end(2), []))
        elif written and written.lstrip(" ")[0] != "#":
            item = _line(written, number, at)
            if item is None or not _placed(items, item):
                return None
        at += len(line) + 1
    return items if items and len({item.key for item in items}) == len(items) else None


def _line(line: str, number: int, at: int) -> _Item | None:
    found = _KEY.match(line)
    key = found[2] if found else None
    found = found or _ITEM.match(line)
    if not found:
        return None
    rest = line[found.end() :].lstrip(" ")
    read = None if key is None and rest == "-" else _value(rest)  # "- -" is a list in a list
    if read is None:
        return None
    column = len(found[1])
    start = at + (len(line) - len(rest) if read[1] else found.end())
    return _Item(key, read[0], number, at + column, column, start, start + read[1], [])


def _value(rest: str) -> tuple[Data, int] | None:
    """The value after the colon, and its length; None if it is not plain."""
    first = rest[:1]
    if not first or first == "#":
        return "", 0
    if first in "\"'":
        plain = rest.count(first) == 2 and rest[-1] == first and (first == "'" or "\\" not in rest)
        return (rest[1:-1], len(rest)) if plain else None
    if first == "[":
        return ([a or b for a, b in _LISTED.findall(rest)], len(rest)) if _LIST.fullmatch(rest) else None
    if first in "-@" and (rest == "-" or _MENTION.fullmatch(rest)):  # YAML refuses both
        return rest, len(rest)
    if not (first.isalnum() or first in _PLAIN if first.isascii() else first >= "\u00c0"):
        return None
    if " #" in rest:
        rest = rest[: rest.index(" #")].rstrip(" ")
    return None if ": " in rest or rest[-1] == ":" else (rest, len(rest))


def _placed(items: list[_Item], item: _Item) -> bool:
    """Add the item to its parent; False if the parent is not certain."""
    if item.key is not None and not item.column:
        items.append(item)
        return True
    if not items or items[-1].start != items[-1].end:
        return False
    below = items[-1].below
    if below and (item.column != below[0].column or (below[0].key is None) is not (item.key is None)):
        return False
    if item.key is not None and any(other.key == item.key for other in below):
        return False
    below.append(item)
    return True


# --- nodes -----------------------------------------------------------------------------------------------------------


def _pair(item: _Item) -> tuple[YamlNode, YamlNode]:
    key = str(item.key)
    end = YamlMark(item.at + len(key), item.line, item.column + len(key))
    return YamlNode("scalar", key, YamlMark(item.at, item.line, item.column), end), _node(item)


def _node(item: _Item) -> YamlNode:
    """The value's node. Columns are relative to its own line; an edit only needs a key's column."""
    offset = item.at - item.column
    start = YamlMark(item.start, item.line, item.start - offset)
    end = YamlMark(item.end, item.line, item.end - offset)
    if not item.below:
        return _alone(item.data, start, end)
    first = item.below[0]
    start = YamlMark(first.at, first.line, first.column)
    if first.key is None:
        inner = [_node(below) for below in item.below]
        return YamlNode("sequence", inner, start, inner[-1].end_mark, None, False)
    pairs = [_pair(below) for below in item.below]
    return YamlNode("mapping", pairs, start, pairs[-1][1].end_mark, None, False)


def _alone(data: Data, start: YamlMark, end: YamlMark) -> YamlNode:
    if isinstance(data, list):
        return YamlNode("sequence", [YamlNode("scalar", text, start, end) for text in data], start, end, None, True)
    return YamlNode("scalar", data, start, end, '"' if end.index - start.index > len(data) else None)
