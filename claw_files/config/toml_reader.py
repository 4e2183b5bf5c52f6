"""Parses the file's bytes into one flat mapping of checked values, and collects every problem."""

import re
from typing import Any

from claw_files.config.table import NAMED, TABLE, Setting, children
from claw_files.config.toml_lines import Path, locate, nearest
from claw_files.config.value_forms import FORMS
from claw_files.core.errors import BadId, BadValue, InvalidConfig, UsageError
from claw_files.core.text import did_you_mean


class TomlReading:
    """The state of reading: `values` by path, the names of user-chosen tables, and the problems so far."""

    def __init__(self, text: str) -> None:
        self.lines = locate(text)
        self.values: dict[Path, Any] = {}
        self.given: set[Path] = set()  # every key that is there, readable or not
        self.names: dict[str, list[str]] = {section: [] for section in NAMED}
        self.problems: list[tuple[int | None, str]] = []

    def problem(self, path: Path, sentence: str) -> None:
        """Record a problem at `path`, with its key and line."""
        self.problems.append((nearest(self.lines, path), f"{_spell(path)}: {sentence}"))

    def section(self, path: Path, rows: str) -> dict[str, Any]:
        """The values of the table at `path` by key, with defaults; `rows` is the name in the table of settings."""
        return {
            row.path[-1]: self.values.get((*path, row.path[-1]), _default(row))
            for row in TABLE
            if row.name.rpartition(".")[0] == rows and row.path[-1] != "*"
        }

    def walk(self, table: dict[str, Any], path: Path = ()) -> None:
        """Read `table` and its content."""
        known = children(path)
        for key, value in table.items():
            here = (*path, key)
            if key not in known and "*" not in known:
                self._unknown(here, list(known))
            elif setting := known.get(key, known.get("*")):
                self._read(here, setting, value)
            elif isinstance(value, dict):
                self._enter(here, value)
            else:
                self.problem(here, f"must be a table: [{_spell(here)}]")

    def _enter(self, path: Path, table: dict[str, Any]) -> None:
        if len(path) == 2 and path[0] in self.names:
            self.names[path[0]].append(path[1])
        self.walk(table, path)

    def _read(self, path: Path, setting: Setting, value: Any) -> None:
        self.given.add(path)
        try:
            self.values[path] = FORMS[setting.form].read(value)
        except (ValueError, UsageError) as wrong:
            self.problem(path, str(wrong) if FORMS[setting.form].secret else _sentence(wrong, value))

    def _unknown(self, path: Path, known: list[str]) -> None:
        self.problem(path, "unknown key" + did_you_mean(path[-1], known, f"; known: {', '.join(known)}"))


def read(data: bytes, path: str) -> TomlReading:
    """Parse the file's bytes. Raises InvalidConfig immediately only for invalid TOML."""
    import tomllib

    try:
        text = data.decode("utf-8-sig")
        table = tomllib.loads(text)
    except UnicodeDecodeError as wrong:
        raise InvalidConfig(path, [(data[: wrong.start].count(b"\n") + 1, "is not UTF-8")]) from None
    except tomllib.TOMLDecodeError as wrong:
        raise InvalidConfig(path, [_syntax(str(wrong), text)]) from None
    except ValueError as wrong:  # a number of 5,000 digits
        raise InvalidConfig(path, [(None, f"is not TOML: {wrong}")]) from None
    except RecursionError:
        raise InvalidConfig(path, [(None, "is nested too deeply")]) from None
    reading = TomlReading(text)
    reading.walk(table)
    return reading


def _syntax(said: str, text: str) -> tuple[int, str]:
    found = re.search(r"\s*\(at line ([0-9]+), column [0-9]+\)", said)
    number = int(found[1]) if found else text.count("\n") + 1
    return number, f"is not TOML: {said[: found.start()] if found else said.removesuffix(' (at end of document)')}"


def _sentence(wrong: Exception, value: Any) -> str:
    shown = repr(value)[:80]
    if isinstance(wrong, BadValue):
        return f"{shown} is not {wrong.wanted}"
    return str(wrong) if isinstance(wrong, BadId) else f"{shown} {wrong}"


def _default(row: Setting) -> Any:
    return None if row.default is None else FORMS[row.form].read(row.default)


def _spell(path: Path) -> str:
    return ".".join(key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else repr(key[:80]) for key in path)
