"""The shared form of messages, posts, runs, checkpoints and results: typed front matter, then text.

A `Form` takes the keys and their types from the struct itself: a new field of the struct is a new key of the file.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, Final, Generic, TypeVar, get_args

from msgspec.structs import FieldInfo
from msgspec.structs import fields as fields_of

from claw_files.core import instants
from claw_files.core import text as words
from claw_files.core.errors import BadId, BadValue, InvalidFile
from claw_files.core.model import AgentId, KeyText, Kind, RunId, TaskId, Value
from claw_files.formats import frontmatter_edits
from claw_files.formats import task_fields as fields
from claw_files.formats.frontmatter import Data, Document, parse

T = TypeVar("T")
V = TypeVar("V", bound=Value)
Read = Callable[[Data], Any]


class FrontMatterRecord:
    """One file's keys. Each method raises InvalidFile, naming key and line, for a value that is not of its form."""

    def __init__(self, raw: bytes, path: str) -> None:
        self.document: Document = parse(raw, path)

    @property
    def body(self) -> str:
        """The text behind the front matter, without the empty lines at its end."""
        return self.document.body.replace("\r\n", "\n").rstrip("\n")

    def has(self, key: str) -> bool:
        """Whether the key exists with a value."""
        return not fields.is_empty(self.document.meta.get(key, ""))

    def read(self, key: str, convert: Callable[[Data], T]) -> T | None:
        """The key's value as `convert` reads it, None where it is absent or empty."""
        if not self.has(key):
            return None
        try:
            return convert(self.document.meta[key])
        except (BadValue, BadId, ValueError) as error:
            reason = error.wanted if isinstance(error, BadValue) else str(error)
            text = str(BadValue(key, str(self.document.meta[key]), reason))
            raise InvalidFile(self.document.path, "bad-value", text, self.document.lines[key]) from None

    def text(self, key: str) -> str | None:
        """The key's text, None where it is absent or empty."""
        return self.read(key, as_text)


# --- values


def as_text(data: Data) -> str:
    """The text; raises BadValue for a list or a mapping."""
    if not isinstance(data, str):
        raise BadValue("", str(data), "one line of text")
    return data


def as_texts(data: Data) -> tuple[str, ...]:
    """The texts of a list, or the one text."""
    return tuple(map(as_text, data if isinstance(data, list) else [data]))


def as_instant(data: Data) -> datetime:
    """The instant, aware, UTC; raises BadValue for a time without its date."""
    at, is_dated = instants.read(text := as_text(data), fields.ALONE.file_time, UTC)
    if not is_dated:
        raise BadValue("", text, "a time with its date")
    return at


def as_name(what: str) -> Read:
    """A reader of keys, message ids and run ids; `what` is their name in errors."""
    return lambda data: words.key(as_text(data), what)


def _mapping(data: Data) -> dict[str, str]:
    if not isinstance(data, dict):
        raise BadValue("", str(data), "lines of 'key: value' below it")
    return {key: value if isinstance(value, str) else "\n".join(map(str, value)) for key, value in data.items()}


def _whole(data: Data) -> int:
    digits = (text := as_text(data)).removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 10):
        raise BadValue("", text, "a whole number")
    return int(text)


def _kind(data: Data) -> Kind:
    try:
        return Kind(as_text(data).lower())
    except ValueError:
        raise ValueError(f"one of {', '.join(Kind)}") from None


_READS: Final[dict[object, Read]] = {
    str: as_text,
    RunId: as_text,
    KeyText: as_name("key"),
    Kind: _kind,
    AgentId: lambda data: words.agent_id(as_text(data)),
    TaskId: lambda data: words.task_id(as_text(data)),
    int: _whole,
    bool: lambda data: as_text(data).lower() in ("true", "yes"),
    datetime: as_instant,
    timedelta: lambda data: words.duration(as_text(data)),
    tuple[str, ...]: as_texts,
    tuple[AgentId, ...]: lambda data: tuple(map(words.agent_id, as_texts(data))),
    dict[str, str]: _mapping,
}


# --- forms


class Form(Generic[V]):
    """The file form of one struct: a key for each field, and one field as the text."""

    def __init__(self, struct: type[V], text: str, keys: Mapping[str, str] = {}, **reads: Read) -> None:
        """A form without reading the struct's fields yet.

        Args:
            text: the field that is the text behind the front matter.
            keys: the key of each field that is called otherwise; "" for a field that is in no file.
            reads: how to read a field whose type does not say it.
        """
        self._struct, self._text, self._keys, self._own = struct, text, keys, reads

    @cached_property
    def _rows(self) -> list[tuple[str, FieldInfo, Read]]:
        kinds = ((self._keys.get(it.name, it.name), it, it.type) for it in fields_of(self._struct))
        return [
            (key, it, self._own.get(it.name) or _READS.get(kind) or _READS.get((*get_args(kind), kind)[0], as_text))
            for key, it, kind in kinds
            if key and it.name != self._text
        ]

    def parse(self, raw: bytes, path: str, **known: object) -> V:
        """The value in the file; fields that are `known` are not read, and keys that are no field are ignored.

        Raises InvalidFile: as `frontmatter.parse` does, missing-key for a field without a default, and bad-value.
        """
        return self.read(FrontMatterRecord(raw, path), **known)

    def read(self, record: FrontMatterRecord, **known: object) -> V:
        """The same for a file that was split before."""
        rows = [row for row in self._rows if row[1].name not in known]
        for key, field, _ in rows:
            if field.required and not record.has(key):
                raise InvalidFile(record.document.path, "missing-key", f"the front matter has no {key!r}", 1)
        found = ((field.name, record.read(key, read)) for key, field, read in rows)
        return self._struct(**{self._text: record.body, **known, **{name: it for name, it in found if it is not None}})

    def render(self, value: V, **instead: object) -> bytes:
        """The value's file, without the fields that have their default; `instead` is written for those keys."""
        fields = ((key, field, getattr(value, field.name)) for key, field, _ in self._rows)
        shown = {key: it for key, field, it in fields if it != field.default}
        return render(shown | instead, getattr(value, self._text))


def render(values: Mapping[str, object], body: str) -> bytes:
    """Front matter and text as we write them; None, empty lists and empty mappings are left out.

    What no file may hold (NUL, lone surrogates, CR) is written as an escape or a newline.
    """
    shown = {key: _shown(value) for key, value in values.items() if value not in (None, (), {})}
    text = body.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\\x00").rstrip("\n")
    # What a Markdown reader would act on is in quotes there, and may be spelled out: not every one knows front matter.
    head = frontmatter_edits.block(shown).replace("<", r"\x3c").replace("![", r"\x21[").replace("](", r"\x5d(")
    return (head + (f"{text}\n" if text else "")).encode("utf-8", "backslashreplace")


def _shown(value: object) -> Data:
    if isinstance(value, datetime):
        return words.render_instant(value)
    if isinstance(value, timedelta):
        return words.render_duration(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple | list):
        return [_shown(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _shown(item) for key, item in value.items()}
    return str(value).encode("utf-8", "backslashreplace").decode()
