"""Forms of values in `clawfiles.toml`: one function per form converts tomllib's value to the setting.

Each raises ValueError with what would have been right, or BadValue or BadId from `words`.
"""

import re
from collections.abc import Callable, Iterable
from datetime import datetime, time, timedelta
from typing import Any

from claw_files.config.event_settings import WEBHOOK_SCHEMES
from claw_files.config.settings import RUNTIMES, Rate, Window
from claw_files.core import text as words
from claw_files.core.event import is_type
from claw_files.core.lazy_regex import pattern
from claw_files.core.operation_table import RIGHTS, is_command

Read = Callable[[Any], Any]

OWN_FOLDERS = frozenset(
    (
        *("status", "inbox", "checkpoints", "runs", "audit", "events", "dead-letter", "compartments", "quarantine"),
        *("conflicts", "briefs", "outbox", "sessions", "definitions", "wakes", "sources", ".clawfiles"),
    )
)
"""In which the workspace keeps its own files: no run in a sandbox works there."""


class ValueForm:
    """A form: what it is called in the reference, and how it is read."""

    def __init__(self, wanted: str, read: Read, secret: bool = False) -> None:
        """`secret`: what was written may hold one, so no error shows it."""
        self.wanted, self.read, self.secret = wanted, read, secret


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise ValueError("must be a text")
    return value


def _agent(value: Any) -> str:
    return words.agent_id(_text(value))


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def _count(least: int) -> Read:
    def read(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= 1_000_000:
            raise ValueError(f"must be a whole number, {least} or more")
        return value

    return read


def _money(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1_000_000_000:
        raise ValueError("must be an amount without its currency, such as 450 or 0.25")
    return float(value)


def _each(read: Read, what: str) -> Read:
    def read_all(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise ValueError(f"must be a list of {what}, in square brackets")
        return tuple(read(one) for one in value)

    return read_all


def _command(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        parts = ", ".join(f'"{part}"' for part in value.split()[:8])
        raise ValueError(f"must be a list, never a shell line: [{parts}]")
    return tuple(_each(_text, "texts")(value))


def _length(least: timedelta) -> Read:
    def read(value: Any) -> timedelta:
        text = str(value) if isinstance(value, int) and not isinstance(value, bool) else _text(value)
        if re.fullmatch(r"\s*0+(ms|s|m|h|d)?\s*", text) and not least:
            return timedelta(0)
        if short := re.fullmatch(r"\s*([0-9]{1,9})\s*ms\s*", text):
            return max(timedelta(milliseconds=int(short[1])), timedelta(milliseconds=1))
        return words.duration(text)

    return read


def _ladder(value: Any) -> tuple[timedelta, ...]:
    read = _length(_SOME)
    rungs = tuple(read(one) for one in value) if isinstance(value, list) else (read(value),)
    if not rungs:
        raise ValueError('wants a length such as "30m", or a list of them')
    return rungs


def _wording(value: Any) -> tuple[str, ...]:
    return tuple(_each(_text, "texts")(value)) if isinstance(value, list) else (_text(value),)


def _pairs(value: Any) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict):
        raise ValueError('must be a table of names and texts: { customer = "data.customer" }')
    return tuple((name, _text(text)) for name, text in value.items())


_CLOCK = r"([01]?[0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9]))?"
_WINDOW = pattern(rf"\s*{_CLOCK}\s*[-–]\s*(?:{_CLOCK}|(24:00(?::00)?))\s*", re.ASCII)


def _window(value: Any) -> Window:
    found = _WINDOW.fullmatch(_text(value))
    if not found:
        raise ValueError('wants a window such as "22:00-07:00"')
    clock = [int(part or 0) for part in found.groups()[:6]]
    start, end = time(clock[0], clock[1], clock[2]), time(clock[3], clock[4], clock[5])
    if found[7] and start == end:
        raise ValueError("leaves no time of day for announcements")
    return start, end


def _zone(value: Any) -> str:
    name = _text(value)
    if name == "UTC":
        return name
    import zoneinfo

    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        near = words.did_you_mean(name, sorted(zoneinfo.available_timezones()), ', such as "Europe/Berlin"')
        raise ValueError(f"is not a known time zone{near}") from None
    return name


def inside(value: Any) -> str:
    """A path below the workspace, with "/" between names."""
    path = _text(value)
    if path.startswith(("/", "~")) or "\\" in path or ".." in path.split("/") or path.endswith("/"):
        raise ValueError("must be the path of a file inside the workspace, relative to it")
    return path


_NO_SCHEMES = ("file", "env", "addresses")


def _channel(value: Any) -> str:
    """A channel as `config.channels` tells them; no error here may show it, because an address can hold a secret."""
    kind, _, rest = _text(value).strip().removeprefix("apprise:").partition(":")
    if kind == "file" and rest and not rest.startswith("//"):
        return f"file:{inside(rest)}"
    if kind == "env" and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,127}", rest, re.ASCII):
        return f"env:{rest}"
    if kind == "addresses" and rest and not rest.startswith("//"):
        return f"addresses:{rest}"
    is_scheme = kind not in _NO_SCHEMES and re.fullmatch(r"[A-Za-z][A-Za-z0-9-]{0,31}", kind, re.ASCII)
    if is_scheme and re.fullmatch(r"//[!-~]{0,4000}", rest):
        return f"{kind}:{rest}"
    raise ValueError('each wants "file:PATH", "SCHEME://ADDRESS" as apprise has it, "env:NAME" or "addresses:FILE"')


def _rate(value: Any) -> Rate:
    found = re.fullmatch(r"\s*([1-9][0-9]{0,5})\s*/\s*(s|sec|second|min|minute|h|hour|day)\s*", _text(value))
    if not found:
        raise ValueError('wants a rate such as "15/min"')
    seconds = {"s": 1, "m": 60, "h": 3600, "d": 86_400}[found[2][0]]
    return Rate(count=int(found[1]), per=timedelta(seconds=seconds))


def _shares(value: Any) -> tuple[tuple[int, int], ...]:
    """Versions with the percent of each, in the order of the versions."""
    if value == []:
        return ()
    pairs = value.items() if isinstance(value, dict) else [("", value)]
    found = sorted((int(key) if re.fullmatch("[0-9]{1,6}", key, re.ASCII) else 0, it) for key, it in pairs)
    if any(number < 1 or isinstance(it, bool) or not isinstance(it, int) or it < 0 for number, it in found):
        raise ValueError("wants versions with whole numbers of percent, such as { 2 = 50, 3 = 50 }")
    if (total := sum(it for _, it in found)) != 100:
        raise ValueError(f"adds up to {total} percent, not to 100")
    return tuple(found)


def _command_name(value: Any) -> str:
    """A command's name, or the word that several begin with."""
    name = " ".join(_text(value).removeprefix("clawfiles ").split())
    if not is_command(name):
        raise ValueError("is no command" + words.did_you_mean(name, RIGHTS, ', such as "task list"'))
    return name


_UNITS = {"k": 10, "m": 20, "g": 30, "t": 40}
_LEAST_BYTES = 64 << 20  # with less, interpreters do not start


def _bytes(value: Any) -> int:
    found = re.fullmatch(r"\s*([0-9]{1,6})\s*([KMGT])(i?B)?\s*", _text(value), re.IGNORECASE | re.ASCII)
    size = int(found[1]) << _UNITS[found[2].lower()] if found else 0
    if size < _LEAST_BYTES:
        raise ValueError('wants an amount of memory from "64MiB" up, such as "2GiB"')
    return size


def _folder(value: Any) -> str:
    """A folder for work: an absolute path, or one below clawfiles.toml that is none of the workspace's own."""
    path = _text(value).removesuffix("/")
    unknown = re.sub(r"\{(agent|label)\}", "", path)
    if "{" in unknown or "}" in unknown:
        raise ValueError("supports only {agent} and {label}")
    if path.startswith("~") or "\\" in path or {"..", ".", ""} & set(path.removeprefix("/").split("/")):
        raise ValueError("must be a folder inside the workspace, or an absolute path")
    if path.partition("/")[0] in OWN_FOLDERS:
        raise ValueError("is reserved for the workspace; choose another, such as work/{agent}")
    return path


def _read_path(value: Any) -> str:
    path = _text(value)
    if not path.startswith(("/", "~/")) or ".." in path.split("/") or not path.strip("/~"):
        raise ValueError('wants paths that begin with "/" or "~/"')
    return path


def _prefix(value: Any) -> str:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,15}", _text(value), re.ASCII):
        raise ValueError('wants up to 16 letters and digits, a letter first, such as "TC"')
    return str(value).upper()


def _variable(value: Any) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,127}", _text(value), re.ASCII):
        raise ValueError("must be names of environment variables, without their values")
    return str(value)


def _scalar(value: Any) -> str | int | float:
    return value if isinstance(value, str | int | float) else _text(value)


def _event_type(value: Any) -> str:
    if not is_type(_text(value)):
        raise ValueError("wants letters, digits, '_', '-' and dots between them, such as \"order.paid\"")
    return str(value)


def _secrets(value: Any) -> tuple[str, ...]:
    names = tuple(_variable(one) for one in (value if isinstance(value, list) else [value]))
    if not 1 <= len(names) <= 2:
        raise ValueError("must be one name, or a list of two while the secret is changed")
    return names


def _gateway(value: Any) -> str:
    """A WebSocket address; without TLS on this machine only, because the token goes over it."""
    found = re.fullmatch(r"(wss?)://(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+)(:[0-9]{1,5})?(/[!-~]*)?", _text(value), re.ASCII)
    if not found:
        raise ValueError('wants an address such as "ws://127.0.0.1:18789"')
    if found[1] == "ws" and not re.fullmatch(r"localhost|\[::1\]|127(\.[0-9]{1,3}){3}", found[2]):
        raise ValueError("would send the token in the clear; use wss://, or a tunnel that ends on 127.0.0.1")
    return str(value)


def _host(value: Any) -> str:
    """A name and a port as they stand in `Host`; 0.0.0.0 is where one listens, and no name."""
    found = re.fullmatch(r"(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):[0-9]{1,5}", _text(value), re.ASCII)
    if not found or not found[1].strip("[]:0."):
        raise ValueError('wants a name with its port, such as "board.example:3001"')
    return str(value).lower()


_NICKNAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}


def _cron(value: Any) -> str:
    line = " ".join(_NICKNAMES.get(_text(value).strip().lower(), value).split())
    if line.startswith("@"):
        raise ValueError(f"must be five fields, or one of {', '.join(_NICKNAMES)}")
    if len(line.split()) != 5:
        raise ValueError('wants five fields: minute, hour, day, month, weekday, such as "45 8 * * 1-5"')
    from cronsim import CronSim, CronSimError

    try:
        next(CronSim(line, datetime(2026, 1, 1)))
    except CronSimError as wrong:
        raise ValueError(f"is not a cron line: {wrong}") from None
    except StopIteration:
        raise ValueError("never comes due") from None
    return line


_SOME, _NONE = timedelta(milliseconds=1), timedelta(0)


def _one_of(choices: Iterable[str]) -> ValueForm:
    def read(value: Any) -> str:
        if value not in choices:
            raise ValueError(f"must be {' | '.join(choices)}{words.did_you_mean(str(value), choices)}")
        return str(value)

    return ValueForm(" \\| ".join(choices), read)


FORMS = {
    "text": ValueForm("text", _text),
    "texts": ValueForm("list of texts", _each(_text, "texts")),
    "wording": ValueForm("text, or a list of them", _wording),
    "pairs": ValueForm("table of texts", _pairs),
    "priority": ValueForm("priority", lambda value: words.priority(_text(value))),
    "agent": ValueForm("agent", _agent),
    "agents": ValueForm("list of agents", _each(_agent, "agents")),
    "flag": ValueForm("true or false", _flag),
    "count": ValueForm("whole number, 0 or more", _count(0)),
    "positive": ValueForm("whole number, 1 or more", _count(1)),
    "length": ValueForm("length", _length(_SOME)),
    "pause": ValueForm("length, may be 0", _length(_NONE)),
    "ladder": ValueForm("length, or a list of them", _ladder),
    "windows": ValueForm("list of windows", _each(_window, "windows")),
    "zone": ValueForm("time zone", _zone),
    "money": ValueForm("amount", _money),
    "rate": ValueForm("rate", _rate),
    "shares": ValueForm("table of versions and percent", _shares),
    "command": ValueForm("list of texts", _command),
    "variable": ValueForm("name of a variable", _variable),
    "gateway": ValueForm("address", _gateway),
    "variables": ValueForm("list of names", _each(_variable, "names")),
    "scalars": ValueForm("list of texts and numbers", _each(_scalar, "values")),
    "by": _one_of(("time", "content")),
    "event_type": ValueForm("type of events", _event_type),
    "secrets": ValueForm("name of a variable, or a list of two", _secrets),
    "scheme": _one_of(WEBHOOK_SCHEMES),
    "channels": ValueForm("list of channels", _each(_channel, "channels"), secret=True),
    "path": ValueForm("path in the workspace", inside),
    "prefix": ValueForm("letters", _prefix),
    "cron": ValueForm("cron line", _cron),
    "commands": ValueForm("list of commands", _each(_command_name, "commands")),
    "bytes": ValueForm("amount of memory", _bytes),
    "folder": ValueForm("folder", _folder),
    "reads": ValueForm("list of paths", _each(_read_path, "paths")),
    "sandbox": _one_of(("off", "prefer", "require")),
    "kind": _one_of(("named", "worker", "human")),
    "runtime": _one_of(RUNTIMES),
    "message": _one_of(("stdin", "file", "env")),
    "how": _one_of(("send", "spawn")),
    "size": _one_of(("S", "M", "L")),
    "watch": _one_of(("auto", "events", "polling")),
    "ping": _one_of(("process", "turn", "off")),
    "permissions": _one_of(("approve-reads", "approve-all", "deny-all")),
    "auth": _one_of(("token", "loopback")),
    "hosts": ValueForm("list of names with ports", _each(_host, "names")),
    "catch_up": _one_of(("once", "skip")),
}
