"""The keys of a status file: the field of Task for each, and how its text is parsed and written."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any, Final

from claw_files.core import instants
from claw_files.core import text as words
from claw_files.core.errors import BadId, BadValue
from claw_files.core.model import AgentId, Need, Size, Stay, Value
from claw_files.formats.frontmatter import Data


class TimeContext(Value, frozen=True):
    """The context for parsing a time: the file's time, and the workspace's time zone."""

    file_time: datetime
    tz: tzinfo
    agents: frozenset[AgentId] | None = None  # who there is; None: any name may be an agent's


ALONE: Final = TimeContext(file_time=datetime(2000, 1, 1, tzinfo=UTC), tz=UTC)  # of files that hold whole instants only


class Field(Value, frozen=True):
    """One key: `read` turns its text into the field's value, `show` turns it back (None: no key)."""

    key: str
    read: Callable[[Data, TimeContext], Any]
    show: Callable[[Any], Data | None]
    also: tuple[str, ...] = ()  # other names people give it


def _text(data: Data, _: TimeContext | None = None) -> str:
    if not isinstance(data, str):
        raise BadValue("value", str(data), "one line of text")
    return data.strip()


def _listed(data: Data) -> list[str]:
    items = data if isinstance(data, list) else re.split(r"[,\s]+", _text(data))
    return [_text(item) for item in items if item]


def _texts(data: Data, _: TimeContext) -> tuple[str, ...]:
    return tuple(_text(item) for item in (data if isinstance(data, list) else _text(data).split("\n")) if item)


def _number(data: Data, _: TimeContext) -> int:
    text = _text(data)
    if not re.fullmatch(r"[0-9]{1,9}", text, re.ASCII):
        raise BadValue("number", text, "a whole number, 0 or more")
    return int(text)


def _need(data: Data, reading: TimeContext) -> Need:
    if isinstance(data, dict):
        return Need(agent=words.agent_id(_text(data.get("agent", ""))), question=_text(data.get("question", "")))
    found = need(_text(data))
    if reading.agents is not None and found.agent not in reading.agents:
        raise BadValue("need", _text(data), 'one of the agents and a question: "iris - which region?"')
    return found


def need(text: str) -> Need:
    """The need that "iris - question" or "iris: question" names. Raises BadValue or BadId."""
    found = re.fullmatch(r"@?([A-Za-z0-9][A-Za-z0-9._-]*?)[`*]{0,2}\s*(?:\s[-–—]\s|:|,|\s)\s*(\S.*)", text, re.DOTALL)
    if not found:
        raise BadValue("need", text, 'an agent and a question: "iris - which region?"')
    return Need(agent=words.agent_id(found[1]), question=found[2].strip())


def _agent(data: Data, _: TimeContext | None = None) -> str:
    return words.agent_id(_single(data, _).removeprefix("@"))  # some tools list those who work on it


def _priority(data: Data, _: TimeContext) -> str:
    words.priority(_text(data))
    return _text(data)


def _plain(value: Any) -> str | None:
    return str(value) if value not in (None, "") else None


def _flow(values: Any) -> list[str] | None:
    return [str(value) for value in values] or None


def _single(data: Data, _: TimeContext | None) -> str:
    return _text(data[0] if isinstance(data, list) and len(data) == 1 else data)


def _one(key: str, *also: str) -> Field:
    return Field(key=key, read=_single, show=_plain, also=also)


def _who(key: str, *also: str) -> Field:
    return Field(key=key, read=_agent, show=_plain, also=also)


def _when(key: str, *also: str) -> Field:
    def read(data: Data, reading: TimeContext) -> datetime:
        return instants.instant(_text(data), reading.file_time, reading.tz, key)

    return Field(key=key, read=read, show=lambda at: words.render_instant(at) if at else None, also=also)


def _long(key: str) -> Field:
    def show(length: Any) -> str | None:
        return words.render_duration(length) if length is not None else None

    return Field(key=key, read=lambda data, _: words.duration(_text(data), key), show=show)


def _count(key: str) -> Field:
    return Field(key=key, read=_number, show=_plain)


def _choice(key: str, values: Mapping[str, object], wanted: str) -> Field:
    """One of a few words, in any case."""

    def read(data: Data, _: TimeContext) -> object:
        if (word := _text(data).lower()) not in values:
            raise BadValue(key, word, wanted)
        return values[word]

    return Field(key=key, read=read, show=_plain)


# In the order in which a new file has them; id and status are read apart.
FIELDS: Final = (
    _one("title"),
    _who("assignee", "owner", "assigned_to", "agent"),
    _who("requested_by", "requester"),
    Field(key="followers", read=lambda data, _: tuple(_agent(item) for item in _listed(data)), show=_flow),
    _one("type"),
    Field(key="priority", read=_priority, show=_plain),
    _long("estimate"),
    Field(key="after", read=lambda data, _: tuple(words.task_id(item) for item in _listed(data)), show=_flow),
    Field(key="parent", read=lambda data, _: words.task_id(_text(data)), show=_plain),
    Field(key="outputs", read=_texts, show=_flow, also=("output",)),
    _one("summary"),
    _count("attempt"),
    _count("attempts"),
    _count("failures"),
    _count("generation"),
    _when("lease"),
    _when("eta", "estimated"),
    _when("not_before"),
    _one("reason"),
    Field(key="need", read=_need, show=lambda it: f"{it.agent} - {it.question}" if it else None, also=("needs",)),
    _when("created"),
    _when("updated"),
    _when("completed"),
    _when("verified"),
    Field(key="label", read=lambda data, _: words.label(_text(data)), show=_plain),
    _choice("size", {size.value.lower(): size for size in Size}, "S, M or L"),
    _long("timeout"),
    _who("spawner"),
    _one("model"),
    _one("cwd"),
    _choice("sandbox", {"require": "require"}, "require"),
    _one("group"),
    _count("group_size"),
    _one("asked"),
    Field(key="cached_from", read=lambda data, _: words.task_id(_text(data)), show=_plain),
    _choice("session", {stay.value: stay for stay in Stay}, "open or closed"),
    _count("turn"),
    _one("workflow"),
    _count("workflow_version"),
    _one("workflow_hash"),
    _one("workflow_key"),
    Field(key="flow", read=lambda data, _: words.task_id(_text(data)), show=_plain),
    _one("step"),
    Field(key="choices", read=_texts, show=_flow),
    _one("event"),
    Field(key="answer", read=lambda data, _: " ".join(_text(data).lower().split()), show=_plain),
)
BY_KEY: Final = {field.key: field for field in FIELDS}
EMPTY: Final = frozenset({"", "~", "-", "null", "none", "n/a"})


def is_empty(data: Data) -> bool:
    """Whether the key exists without a value."""
    return not data or (isinstance(data, str) and data.strip().lower() in EMPTY)


def is_kept(text: str) -> bool:
    """Whether a field of a task is read again as this text."""
    return text.isprintable() and text == text.strip() and not is_empty(text)


def read(field: Field, data: Data, reading: TimeContext) -> Any:
    """The field's value; raises BadValue with the key's name."""
    try:
        return field.read(data, reading)
    except (BadValue, BadId) as error:
        wanted = error.wanted if isinstance(error, BadValue) else "a name of letters, digits, '.', '_' and '-'"
        raise BadValue(field.key, data if isinstance(data, str) else str(data), wanted) from None
