"""Front matter: a strict split, a bounded load with text scalars, and edits that keep every other byte.

python-frontmatter reads through our handler. Its own loader would crash the process on 25 KB of "[", expand aliases,
turn 22:00 into 1320, and lose a file whose fence is not closed without a word.
"""

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

import msgspec

from claw_files.core.errors import BadId, InvalidFile
from claw_files.core.lazy_regex import pattern
from claw_files.core.model import Value
from claw_files.formats import flat_yaml
from claw_files.formats.parse_cache import lately

if TYPE_CHECKING:  # yaml costs 20 ms: only files that have front matter pay for it
    import yaml

BLOCK_BYTES: Final = 16_384  # checked before YAML sees anything
DEPTH: Final = 16
NODES: Final = 4_000

T = TypeVar("T")
Data = Any
"""What a key holds: str, list of Data or dict[str, Data]. Never a number, date or None: our schema types the text."""

_CLOSING = pattern(r"^---[ \t]*\r?$", re.MULTILINE)
_BOM = b"\xef\xbb\xbf"


class Document(Value, frozen=True):
    """One split file; `text[start:end]` is the block between the fences, without them."""

    path: str
    text: str  # everything but the byte order mark
    bom: bool
    newline: str  # of the first line: what we add ends like it
    start: int | None = None  # None: there is no front matter
    end: int = 0
    body_start: int = 0
    meta: dict[str, Data] = msgspec.field(default_factory=dict)
    lines: dict[str, int] = msgspec.field(default_factory=dict)  # where each key stands: from 1

    @property
    def body(self) -> str:
        """Everything after the closing fence's line, or the whole text."""
        return self.text[self.body_start :]


def name_in(path: str, read: Callable[[str], T]) -> T:
    """The id in the file's name, parsed by `read`. Raises InvalidFile (bad-id)."""
    try:
        return read(path.rpartition("/")[2].removesuffix(".md"))
    except BadId as error:
        raise InvalidFile(path, "bad-id", str(error)) from None


@lately
def parse(raw: bytes, path: str, most: int = BLOCK_BYTES) -> Document:
    """The file's front matter and body, with BOM or CRLF; without an opening fence on line 1 everything is body.

    Raises InvalidFile with the problem: encoding, cr-only, unclosed, too-large, alias-forbidden, tag-forbidden,
    too-deep, too-many-nodes, duplicate-key, bad-frontmatter or yaml.
    """
    document = split(raw, path, most)
    if document.start is None:
        return document
    # Nearly every file says `key: value` and nothing else: YAML is imported for the rest only.
    meta, lines = flat_yaml.read(document.text[document.start : document.end]) or _loaded(document)
    lines = {key: line + 2 for key, line in lines.items()}
    return msgspec.structs.replace(document, meta=meta, lines=lines)


def _loaded(document: Document) -> tuple[dict[str, Data], dict[str, int]]:
    import frontmatter

    handler = _handler(document)
    meta, _ = frontmatter.parse("", handler=handler)
    return meta, handler.lines


def split(raw: bytes, path: str, most: int = BLOCK_BYTES) -> Document:
    """The file cut at its fences, nothing loaded: cheap, and without YAML. Raises as `parse` does."""
    text = _decoded(raw, path)
    document = Document(path=path, text=text, bom=raw.startswith(_BOM), newline=_newline(text))
    first = text.partition("\n")[0]
    if first.rstrip(" \t\r") != "---":
        return document
    start = min(len(first) + 1, len(text))
    closing = _CLOSING.search(text, start)
    if not closing:
        raise InvalidFile(path, "unclosed", "the front matter that line 1 opens is never closed by a line '---'", 1)
    block = text[start : closing.start()]
    if len(block) > most or len(block.encode()) > most:
        raise InvalidFile(path, "too-large", f"the front matter is larger than {most // 1024} KiB", 1)
    _refuse_odd_breaks(block, path)
    body = min(closing.end() + 1, len(text))
    return msgspec.structs.replace(document, start=start, end=closing.start(), body_start=body)


def _decoded(raw: bytes, path: str) -> str:
    if b"\0" in raw:
        raise InvalidFile(path, "encoding", "it holds a NUL byte", raw.count(b"\n", 0, raw.index(b"\0")) + 1)
    try:
        text = raw.removeprefix(_BOM).decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise InvalidFile(path, "encoding", "it is not UTF-8", line) from None
    if re.match(r"---[ \t]*\r(?!\n)", text) or ("\r" in text and "\n" not in text):
        raise InvalidFile(path, "cr-only", "its lines end in CR alone; save it with LF or CRLF", 1)
    return text


def _newline(text: str) -> str:
    end = text.find("\n")
    return "\r\n" if end > 0 and text[end - 1] == "\r" else "\n"


def _refuse_odd_breaks(block: str, path: str) -> None:
    """YAML counts these as line breaks and editors do not: lines and marks would mean different things."""
    if found := re.search("[\x85\u2028\u2029]|\r(?!\n)", block):
        line = block.count("\n", 0, found.start()) + 2
        raise InvalidFile(path, "encoding", f"U+{ord(found[0]):04X} in the front matter", line)


def _handler(document: Document) -> Any:
    """A handler for `frontmatter.parse` with clawfiles' split and load."""
    from frontmatter.default_handlers import YAMLHandler

    class Handler(YAMLHandler):
        lines: dict[str, int]

        def split(self, text: str) -> tuple[str, str]:
            return document.text[document.start : document.end], ""  # parse() strips text and CRs; ours is exact

        def load(self, fm: str, **_: object) -> dict[str, Data]:
            items = load(fm, document.path)
            self.lines = {key.value: key.start_mark.line for key, _ in items}
            return {key.value: _data(value) for key, value in items}

    return Handler()


# --- loading, bounded ------------------------------------------------------------------------------------------------


def _loader() -> Any:
    import yaml

    return getattr(yaml, "CBaseLoader", yaml.BaseLoader)


def compose(block: str, path: str) -> "Sequence[tuple[Any, Any]]":
    """The block's top-level keys and values as nodes with their marks. Raises InvalidFile as `parse` does."""
    return flat_yaml.nodes(block) or load(block, path)


def load(block: str, path: str) -> "list[tuple[yaml.ScalarNode, yaml.Node]]":
    """As `compose`, always with YAML."""
    import yaml

    try:
        _prescan(yaml, block, path)
        node = yaml.compose(block, Loader=_loader())
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        reason = getattr(error, "problem", None) or str(error).partition("\n")[0]
        line = mark.line + 2 if mark else 1
        if "nesting depth" in reason:  # libyaml of PyYAML 6.0.4 counts brackets itself, before we see an event
            raise InvalidFile(path, "too-deep", f"front matter: it is nested more than {DEPTH} deep", line) from None
        raise InvalidFile(path, "yaml", f"the front matter is not YAML: {reason}", line) from None
    if not isinstance(node, yaml.MappingNode):
        raise InvalidFile(path, "bad-frontmatter", "the front matter must be lines of 'key: value'", 2)
    _check_keys(yaml, node, path)
    return list(node.value)


def _prescan(yaml: Any, block: str, path: str) -> None:
    """Refuse input that would crash or overload the loader, event by event: no recursion, no expansion."""
    depth = 0
    for count, event in enumerate(yaml.parse(block, Loader=_loader())):
        kind = type(event).__name__
        if kind == "AliasEvent" or getattr(event, "anchor", None):
            _refuse(path, "alias-forbidden", "anchors and aliases are not read", event)
        if getattr(event, "tag", None) is not None:
            _refuse(path, "tag-forbidden", "tags are not read", event)
        depth += kind in ("MappingStartEvent", "SequenceStartEvent")
        depth -= kind in ("MappingEndEvent", "SequenceEndEvent")
        if depth > DEPTH:
            _refuse(path, "too-deep", f"it is nested more than {DEPTH} deep", event)
        if count > NODES:
            _refuse(path, "too-many-nodes", f"it holds more than {NODES} values", event)


def _refuse(path: str, problem: str, reason: str, where: Any) -> NoReturn:
    raise InvalidFile(path, problem, f"front matter: {reason}", where.start_mark.line + 2)


def _check_keys(yaml: Any, node: Any, path: str) -> None:
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _check_keys(yaml, item, path)
    if not isinstance(node, yaml.MappingNode):
        return
    seen = set()
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode) or (not key.style and key.value in ("", "~")):
            _refuse(path, "bad-frontmatter", "a key must be text", key)
        if key.value in seen:
            _refuse(path, "duplicate-key", f"the key {key.value[:40]!r} appears twice", key)
        seen.add(key.value)
        _check_keys(yaml, value, path)


def _data(node: Any) -> Data:
    if isinstance(node.value, str):
        return node.value
    if node.id == "mapping":
        return {key.value: _data(value) for key, value in node.value}
    return [_data(item) for item in node.value]
