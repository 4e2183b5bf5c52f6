"""A second reading of a text, which shares no code with the product's: front matter by YAML events, and plain lines."""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

from claw_files.core.model import State, Value


class Unread(Exception):
    """The file is not what it should be."""

    def __init__(self, code: str, detail: str = "", line: int | None = None) -> None:
        super().__init__(code, detail, line)
        self.code, self.detail, self.line = code, detail, line


BLOCK_BYTES: Final = 16_384
DEPTH: Final = 16
EVENTS: Final = 4_000
LINE_LIMIT: Final = 2_000

_CLOSING = re.compile(r"^---[ \t]*\r?$", re.MULTILINE)
_NOTHING = frozenset({"", "~", "-", "null", "none", "n/a"})


class Key(Value, frozen=True):
    """One key of the front matter: its text, or its list; a mapping is neither."""

    line: int
    text: str = ""
    items: tuple[str, ...] | None = None
    is_map: bool = False

    @property
    def is_empty(self) -> bool:
        return not self.items and not self.is_map and self.text.strip().lower() in _NOTHING


class Paper(Value, frozen=True):
    """A file as it was read. Keys are in lower case, with "_" for spaces and dashes."""

    keys: dict[str, Key]
    body: str
    body_line: int  # the line in the file on which the body begins, from 1
    has_front: bool

    def get(self, *names: str) -> Key | None:
        """The first of these keys that is there and says something."""
        return next((key for name in names if (key := self.keys.get(name)) and not key.is_empty), None)


def read(raw: bytes) -> Paper:
    """Split and read a file. Raises Unread."""
    text = _decoded(raw)
    first = text.partition("\n")[0]
    if first.rstrip(" \t\r") != "---":
        return Paper(keys={}, body=text, body_line=1, has_front=False)
    start = min(len(first) + 1, len(text))
    end = _CLOSING.search(text, start)
    if not end:
        raise Unread("unclosed", line=1)
    block = text[start : end.start()]
    if len(block.encode()) > BLOCK_BYTES:
        raise Unread("frontmatter-large", f"{len(block.encode())} bytes", 1)
    if odd := re.search("[\x85\u2028\u2029]|\r(?!\n)", block):
        raise Unread("encoding", f"U+{ord(odd[0]):04X}", block.count("\n", 0, odd.start()) + 2)
    keys = _keys(block)
    return Paper(keys=keys, body=text[end.end() + 1 :], body_line=text.count("\n", 0, end.end()) + 2, has_front=True)


def _decoded(raw: bytes) -> str:
    if b"\0" in raw:
        raise Unread("encoding", "a NUL byte", raw.count(b"\n", 0, raw.index(b"\0")) + 1)
    try:
        text = raw.removeprefix(b"\xef\xbb\xbf").decode()
    except UnicodeDecodeError as error:
        raise Unread("encoding", "not UTF-8", raw.count(b"\n", 0, error.start) + 1) from None
    if "\r" in text and ("\n" not in text or re.match(r"---[ \t]*\r(?!\n)", text)):
        raise Unread("encoding", "lines end in CR alone", 1)
    return text


def _keys(block: str) -> dict[str, Key]:
    """The top level's keys. Nothing recurses: events come one by one, and what is nested is only counted."""
    import yaml

    loader: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    try:
        return _Reading().take(yaml.parse(block, Loader=loader))
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        mark = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or "it is no YAML"
        raise Unread("bad-frontmatter", str(reason), mark.line + 2 if mark else 1) from None


class _Reading:
    """Where we are in the events. Each open mapping has its keys and the key that waits for its value."""

    def __init__(self) -> None:
        self._keys: dict[str, Key] = {}
        self._open: list[tuple[set[str] | None, list[str]]] = []  # (keys of a mapping, the waiting one); None: a list
        self._items: list[str] = []
        self._at: tuple[str, int] = ("", 1)
        self._is_map = False

    def take(self, events: Any) -> dict[str, Key]:
        for count, event in enumerate(events):
            line = event.start_mark.line + 2
            if count > EVENTS:
                raise Unread("frontmatter-large", f"over {EVENTS} values", line)
            if type(event).__name__ == "AliasEvent" or getattr(event, "anchor", None):
                raise Unread("alias", line=line)
            if getattr(event, "tag", None) is not None:
                raise Unread("tag", line=line)
            self._one(type(event).__name__, event, line)
        if not self._is_map:
            raise Unread("bad-frontmatter", "it is empty", 2)
        return self._keys

    def _one(self, kind: str, event: Any, line: int) -> None:
        if kind == "ScalarEvent":
            self._scalar(event.value, event.style, line)
        elif kind in ("MappingStartEvent", "SequenceStartEvent"):
            self._start(kind == "MappingStartEvent", line)
        elif kind in ("MappingEndEvent", "SequenceEndEvent"):
            self._end()

    def _start(self, is_map: bool, line: int) -> None:
        if self._open and self._waits_for_key:
            raise Unread("bad-frontmatter", "a key must be text", line)
        if not self._open and not is_map:
            raise Unread("bad-frontmatter", "it is a list", line)
        self._is_map = True
        self._open.append((set() if is_map else None, []))
        if len(self._open) > DEPTH:
            raise Unread("nested", line=line)
        if len(self._open) == 2:
            self._items = []
            self._keep(Key(line=self._at[1], is_map=is_map))

    def _end(self) -> None:
        keys, _ = self._open.pop()
        if len(self._open) == 1:
            if keys is None:
                self._keep(Key(line=self._at[1], items=tuple(self._items)))
            self._open[-1][1].clear()
        elif self._open and self._open[-1][0] is not None:
            self._open[-1][1].clear()

    @property
    def _waits_for_key(self) -> bool:
        keys, waiting = self._open[-1]
        return keys is not None and not waiting

    def _scalar(self, text: str, style: str | None, line: int) -> None:
        if not self._open:
            raise Unread("bad-frontmatter", "it is one value" if text else "it is empty", line)
        keys, waiting = self._open[-1]
        if keys is None:
            if len(self._open) == 2:
                self._items.append(text)
            return
        if waiting:
            if len(self._open) == 1:
                self._keep(Key(line=self._at[1], text=text))
            waiting.clear()
            return
        self._key(text, style, line, keys, waiting)

    def _key(self, text: str, style: str | None, line: int, keys: set[str], waiting: list[str]) -> None:
        if not style and text in ("", "~"):
            raise Unread("bad-frontmatter", "a key must be text", line)
        plain = text.strip().lower().replace("-", "_").replace(" ", "_") if len(self._open) == 1 else text
        if plain in keys:
            raise Unread("duplicate-key", text[:40], line)
        keys.add(plain)
        waiting.append(plain)
        if len(self._open) == 1:
            self._at = (plain, line)

    def _keep(self, key: Key) -> None:
        self._keys[self._at[0]] = key


# --- the lines that speak --------------------------------------------------------------------------------------------

_FENCE = re.compile(
    r"^(?P<lead>[ \t]*+(?:(?:[-*+]|[0-9]{1,9}[.)])[ \t]++)?+)(?P<fence>`{3,}+|~{3,}+)(?P<info>[^\n]*)|<!--|-->",
    re.MULTILINE,
)


def hidden(text: str) -> list[tuple[int, int]]:
    """The stretches in code fences and comments; one that stays open runs to the end."""
    if "```" not in text and "~~~" not in text and "<!--" not in text:
        return []
    spans: list[tuple[int, int]] = []
    start, fence, at = -1, "", 0
    while token := _FENCE.search(text, at):
        at = token.end()
        mark = token["fence"]
        if start >= 0 and fence:
            if mark and mark.startswith(fence) and not token["info"].strip():
                spans.append((start, token.end()))
                start, fence = -1, ""
        elif start >= 0:
            if token[0] == "-->" or (mark and "-->" in token["info"]):
                at = token.end() if token[0] == "-->" else text.index("-->", token.start()) + 3
                spans.append((start, at))
                start = -1
        elif mark and (mark[0] == "~" or "`" not in token["info"]):
            start, fence = token.start(), mark
        elif token[0] == "<!--" and _opens(text, token):
            start = token.start()
    return [*spans, (start, len(text))] if start >= 0 else spans


def _opens(text: str, token: re.Match[str]) -> bool:
    """A comment counts at the beginning of a line, or where it also ends in its line."""
    begin = text.rfind("\n", max(0, token.start() - LINE_LIMIT), token.start()) + 1
    if not text[begin : token.start()].strip(" \t-*+0123456789.)"):
        return True
    end = text.find("\n", token.end(), token.end() + LINE_LIMIT)
    return "-->" in text[token.end() : end if end >= 0 else token.end() + LINE_LIMIT]


class Said(Value, frozen=True):
    """One visible line: what it begins with, what follows, and where it stands in the text, from 1."""

    line: int
    name: str
    rest: str


def lines(text: str, pattern: "re.Pattern[str]") -> Iterator[tuple[int, "re.Match[str]"]]:
    """The matches of a pattern that begins with ^ and stays in its line, outside of fences and comments."""
    spans, at, line, counted = hidden(text), 0, 1, 0
    for match in pattern.finditer(text):
        while at < len(spans) and spans[at][1] <= match.start():
            at += 1
        is_hidden = at < len(spans) and spans[at][0] <= match.start()
        if is_hidden or match.end() - match.start() > LINE_LIMIT:
            continue
        line += text.count("\n", counted, match.start())
        counted = match.start()
        yield line, match


_LEAD = (
    r"^[ \t]*+(?:(?:[-*+]|[0-9]{1,3}[.)])[ \t]++)?+(?:\[[ xX]\][ \t]++)?+(?:#{1,6}[ \t]++)?+"
    "[*_`\"'✅✔☑❌🚧\ufe0f \t]{0,8}+"
)
_SEPARATOR = r"[*_`\"' \t]{0,6}+(?::|=|->|→|–|—)[*_`\"' \t]{0,6}+"


@lru_cache(64)
def _pair(names: str) -> "re.Pattern[str]":
    return re.compile(rf"{_LEAD}(?P<name>(?i:{names})){_SEPARATOR}(?P<rest>[^\n]*)", re.MULTILINE)


def pairs(text: str, names: str) -> Iterator[Said]:
    """Every visible line of the form "name: rest" whose name is of the form `names`, a regular expression."""
    for line, match in lines(text, _pair(names)):
        rest = re.sub(r"<!--.*?-->", "", match["rest"]).strip().rstrip("*_`\"'").strip()
        yield Said(line=line, name=match["name"], rest=rest)


# The states by the words that need no grammar: what follows them is a separator, or nothing.
STATES: Final = {
    **dict.fromkeys(("backlog", "open", "todo"), State.BACKLOG),
    **dict.fromkeys(("in_progress", "in progress", "wip"), State.IN_PROGRESS),
    **dict.fromkeys(("review", "in review"), State.REVIEW),
    **dict.fromkeys(("done", "completed", "finished"), State.DONE),
    **dict.fromkeys(("blocked", "on hold"), State.BLOCKED),
    **dict.fromkeys(("failed", "error"), State.FAILED),
    **dict.fromkeys(("cancelled", "canceled"), State.CANCELLED),
    "dead": State.DEAD,
}


def state_of(rest: str) -> State | None:
    """The state that a line's rest begins with: "DONE - see PR #142"."""
    found = re.match(r"([A-Za-z_]+(?: [A-Za-z]+)?)(?=$|[.,;]| [-(])", rest)
    return STATES.get(found[1].lower()) if found else None
