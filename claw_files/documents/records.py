"""What messages, runs, checkpoints and results have in common: typed keys in front matter, then text."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

from claw_files import instants, words
from claw_files.documents import fields, splice
from claw_files.documents.frontmatter import Data, Document, parse
from claw_files.errors import BadId, BadValue, InvalidFile
from claw_files.model import AgentId, TaskId

T = TypeVar("T")
_READING: Final = fields.Reading(file_time=datetime(2000, 1, 1, tzinfo=UTC), tz=UTC)


class Record:
    """One file's keys. Each method raises InvalidFile, naming key and line, for a value that is not of its form."""

    def __init__(self, raw: bytes, path: str) -> None:
        self.document: Document = parse(raw, path)

    @property
    def body(self) -> str:
        """The text behind the front matter, without the empty lines at its end."""
        return self.document.body.replace("\r\n", "\n").rstrip("\n")

    def has(self, key: str) -> bool:
        """Whether the key stands there with a value."""
        return not fields.is_empty(self.document.meta.get(key, ""))

    def needed(self, key: str) -> str:
        """The key's text; InvalidFile missing-key where it is not there."""
        text = self.text(key)
        if text is None:
            raise InvalidFile(self.document.path, "missing-key", f"the front matter has no {key!r}", 1)
        return text

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
        return self.read(key, _text)

    def texts(self, key: str) -> tuple[str, ...]:
        return self.read(key, lambda data: tuple(map(_text, data if isinstance(data, list) else [data]))) or ()

    def mapping(self, key: str) -> dict[str, str]:
        return self.read(key, _mapping) or {}

    def number(self, key: str) -> int | None:
        return self.read(key, lambda data: _whole(_text(data)))

    def instant(self, key: str) -> datetime | None:
        return self.read(key, lambda data: _dated(_text(data)))

    def length(self, key: str) -> timedelta | None:
        return self.read(key, lambda data: words.duration(_text(data), key))

    def agent(self, key: str) -> AgentId | None:
        return self.read(key, lambda data: words.agent_id(_text(data)))

    def agents(self, key: str) -> tuple[AgentId, ...]:
        names = self.texts(key)

        def convert(_: Data) -> tuple[AgentId, ...]:
            return tuple(words.agent_id(name) for name in names)

        return self.read(key, convert) or ()

    def task(self, key: str) -> TaskId | None:
        return self.read(key, lambda data: words.task_id(_text(data)))


def _text(data: Data) -> str:
    if not isinstance(data, str):
        raise BadValue("", str(data), "one line of text")
    return data


def _mapping(data: Data) -> dict[str, str]:
    if not isinstance(data, dict):
        raise BadValue("", str(data), "lines of 'key: value' below it")
    return {key: value if isinstance(value, str) else "\n".join(map(str, value)) for key, value in data.items()}


def _whole(text: str) -> int:
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 10):
        raise BadValue("", text, "a whole number")
    return int(text)


def _dated(text: str) -> datetime:
    at, is_dated = instants.read(text, _READING.file_time, UTC)
    if not is_dated:
        raise BadValue("", text, "a time with its date")
    return at


def render(values: Mapping[str, object], body: str) -> bytes:
    """Front matter and text as we write them; None, empty lists and empty mappings are left out.

    What no file may hold (NUL, lone surrogates, CR) is written as an escape or a newline.
    """
    shown = {key: _shown(value) for key, value in values.items() if value not in (None, (), {})}
    text = body.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\\x00").rstrip("\n")
    # What a Markdown reader would act on is in quotes there, and may be spelled out: not every one knows front matter.
    head = splice.block(shown).replace("<", r"\x3c").replace("![", r"\x21[").replace("](", r"\x5d(")
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
