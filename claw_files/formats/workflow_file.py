"""Workflow files: a heading of level two is a step, the list below it its contract, the text after that its message.

All problems of a file are found at once, each with its line. Prose in front of the first step is for people.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from claw_files.core.errors import BadValue, ClawError, InvalidFile
from claw_files.core.event import is_type
from claw_files.core.lazy_regex import pattern
from claw_files.core.model import AgentId, Size
from claw_files.core.text import agent_id, duration, safe
from claw_files.core.workflow import (
    FILE_BYTES,
    MOST_LISTED,
    MOST_PROBLEMS,
    MOST_STEPS,
    Condition,
    Deadline,
    Enough,
    Input,
    OnFailure,
    Output,
    Problem,
    Repeat,
    Step,
    Workflow,
)
from claw_files.formats import frontmatter, text_lines

_HEADING = pattern(r"##[ \t]+(?P<name>[^:]*)(?::(?P<title>.*))?")
_TITLE = pattern(r"^#[ \t]+(?P<title>.+)", 0)
_ITEM = pattern(r"[ \t]{0,3}[-*+][ \t]+(?P<pairs>.+)")
_NAME = pattern(r"[a-z][a-z0-9-]{0,31}")
_RESERVED = pattern(r"-(?:[0-9]+|ask|[ph][0-9]+)$")
_PATH_NAME = pattern(r"[^a-z0-9]+")
_LOOKS_LIKE_KEY = pattern(r"(?P<key>[A-Za-z][A-Za-z ]{1,15}):[ \t]+\S.{0,80}")
NAME_FORM: Final = 'a letter, then letters, digits and "-", at most 32, and no "-1", "-ask", "-p1" or "-h1" at the end'


class _Wrong(Exception):
    """The problem of one value, as the end of a sentence."""


def name_of(text: str) -> str:
    """The name of a step, an input or a word as it is compared: lower case, spaces and `_` as hyphens."""
    return "-".join(text.strip().lower().replace("_", " ").split())


def word_of(text: str) -> str:
    """A word that a step ends with: lower case, with one space between its parts."""
    return " ".join(text.strip().lower().split())


def parse(raw: bytes, path: str, name: str) -> tuple[Workflow, tuple[Problem, ...]]:
    """The workflow, as far as it could be read, and what is wrong with its form, in the order of lines.

    Raises InvalidFile for a file that is too large, no UTF-8, or has front matter that cannot be read.
    """
    if len(raw) > FILE_BYTES:
        raise InvalidFile(path, "too-large", "a workflow is at most 1 MiB")
    document = frontmatter.parse(raw, path)
    return _WorkflowReader(document, name).read()


def starts_on(raw: bytes, path: str) -> tuple[str, ...]:
    """The types of events that the file names, without reading more than its front matter. Raises InvalidFile."""
    found = frontmatter.parse(raw, path).meta
    value = next((value for key, value in found.items() if word_of(key) == "starts on"), "")
    return tuple(filter(is_type, map(str, value) if isinstance(value, list) else _split(str(value))))


class _WorkflowReader:
    def __init__(self, document: frontmatter.Document, name: str) -> None:
        self._document = document
        self._text = document.text
        self._first = document.text.count("\n", 0, document.body_start) + 1  # the line of the body's first
        self._problems: list[Problem] = []
        self._name = name

    def read(self) -> tuple[Workflow, tuple[Problem, ...]]:
        body = self._document.body.replace("\r\n", "\n")
        head, defaults = self._front_matter()
        heads = [line for line in text_lines.headings(body) if _HEADING.fullmatch(line.shown.rstrip())]
        title = _TITLE.match(body[: heads[0].start].lstrip() if heads else body.lstrip())
        steps: list[Step] = []
        for number, line in enumerate(heads[: MOST_STEPS + 1]):
            end = heads[number + 1].start if number + 1 < len(heads) else len(body)
            at = self._first + body.count("\n", 0, line.start)
            if number == MOST_STEPS:
                self._wrong(at, f"there are more than {MOST_STEPS} steps: nest a workflow")
                break
            if step := self._step(line.shown.rstrip(), body[line.end + 1 : end], at, defaults):
                steps.append(step)
        if title:
            self._unfilled(title["title"], self._first + body.count("\n", 0, body.index(title[0])))
        if not heads:
            self._wrong(1, 'there is no step: a step is a heading such as "## research"')
        found = Workflow(name=self._name, title=title["title"].strip() if title else "", steps=tuple(steps), **head)
        return found, tuple(sorted(self._problems, key=lambda it: it.line))

    def _wrong(self, line: int, text: str) -> None:
        if len(self._problems) < MOST_PROBLEMS:
            self._problems.append(Problem(line=line, text=text))

    def _unfilled(self, title: str, line: int) -> None:
        for _, name, part in placeholders(title):
            shown = f"{{{name}.{part}}}" if part else f"{{{name}}}"
            self._wrong(line, f"{shown} stands in a title, where nothing is filled in: put {shown} into the text below")

    def _front_matter(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The facts of the file, and the values that each step has where it says nothing."""
        found: dict[str, Any] = {}
        defaults: dict[str, Any] = {}
        for key, value in self._document.meta.items():
            name, line = word_of(key), self._document.lines.get(key, 1)
            text = ", ".join(map(str, value)) if isinstance(value, list) else value
            if name in _DEFAULTS and isinstance(text, str):
                self._take(defaults, _KEYS, name, text, line)
            elif name not in _OF_FILE:
                self._wrong(line, f"`{safe(key, 40)}` is no key of a workflow{_nearest(name, (*_OF_FILE, *_DEFAULTS))}")
            elif not isinstance(text, str):
                self._wrong(line, f"`{name}` is a text or a list")
            else:
                self._take(found, _OF_FILE, name, text, line)
                found.setdefault("lines", {})[name] = line
        return found, defaults

    def _take(self, found: dict[str, Any], keys: dict[str, "_Key"], name: str, text: str, line: int) -> None:
        field, read = keys[name]
        try:
            value = read(text.strip())
        except BadValue as wrong:
            self._wrong(line, f"`{name}`: `{safe(wrong.text, 40)}` is not {wrong.wanted}")
        except ClawError as wrong:
            self._wrong(line, f"`{name}`: {wrong.sentence}")
        except _Wrong as wrong:
            self._wrong(line, f"`{name}`: {wrong}")
        else:
            found |= value if field is None else {field: value}

    def _step(self, heading: str, block: str, line: int, defaults: dict[str, Any]) -> Step | None:
        found = _HEADING.fullmatch(heading)
        name = name_of(found["name"]) if found else ""
        if not _NAME.fullmatch(name) or _RESERVED.search(name):
            self._wrong(line, f"`{safe(heading, 60)}` names no step: a name is {NAME_FORM}")
            return None
        values, lines, rest = dict[str, Any](), dict[str, int](), block.split("\n")
        at = next((at for at, text in enumerate(rest) if text.strip()), len(rest))
        while at < len(rest) and (item := _ITEM.fullmatch(rest[at])):
            for pair in _split(item["pairs"], ";"):
                self._pair(pair, line + at + 1, values, lines)
            at += 1
        key = _LOOKS_LIKE_KEY.match(rest[at]) if at < len(rest) and not lines else None
        if key and word_of(key["key"]) in _KEYS:
            shown = safe(rest[at], 60)
            self._wrong(line + at + 1, f"`{shown}` looks like a key; keys are a list: `- {shown}`")
        text = "\n".join(rest[at:])
        lead = len(text) - len(text.lstrip("\n"))
        who = {"to", "type", "to_each", "workflow", "again"}
        kept = {key: value for key, value in defaults.items() if key not in who or not who & set(values)}
        title = (found["title"] or "").strip() if found else ""
        self._unfilled(title, line)
        return Step(
            name=name,
            line=line,
            title=title,
            text=text.strip(),
            text_line=line + at + 1 + lead,
            lines=lines,
            **(kept | values),
        )

    def _pair(self, pair: str, line: int, values: dict[str, Any], lines: dict[str, int]) -> None:
        key, colon, text = pair.partition(":")
        name = word_of(key)
        if not colon:
            self._wrong(
                line, f"`{safe(pair, 60)}` is no `key: value`; text for whoever does the step comes after an empty line"
            )
        elif name not in _KEYS:
            self._wrong(line, f"`{safe(key.strip(), 40)}` is no key of a step{_nearest(name, _KEYS)}")
        elif name in lines:
            self._wrong(line, f"`{name}` stands in line {lines[name]} already")
        elif not text.strip():
            self._wrong(line, f"`{name}` has no value")
        elif second := [it for it in _split(text) if ":" in it and word_of(it.partition(":")[0]) in _KEYS]:
            self._wrong(line, f"`{safe(second[0], 60)}` is a pair of its own: put `;` in front of it, not `,`")
        else:
            lines[name] = line
            self._take(values, _KEYS, name, text, line)


# --- the values


def _split(text: str, mark: str = ",") -> list[str]:
    return [part.strip() for part in text.split(mark) if part.strip()]


def _each(read: Callable[[str], Any], mark: str = ",") -> Callable[[str], Any]:
    def read_all(text: str) -> tuple[Any, ...]:
        return tuple(read(part) for part in _split(text, mark))

    return read_all


def _hand_off(text: str) -> tuple[AgentId, ...]:
    return tuple(agent_id(part) for part in _split(text.replace(",", " then "), " then "))


def _plain(text: str) -> str:
    if len(text) > 200:
        raise _Wrong("at most 200 characters")
    return text


def _named(text: str) -> str:
    name = name_of(text)
    if not _NAME.fullmatch(name):
        raise _Wrong(f"`{safe(text, 40)}` is no name: {NAME_FORM}")
    return name


def _number(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isascii() or not text.isdigit() or len(text) > 9 or not least <= int(text) <= most:
            raise _Wrong(f"a number from {least} to {most}, not `{safe(text, 40)}`")
        return int(text)

    return read


def _one_of(kind: type[Size] | type[OnFailure], change: Callable[[str], str]) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        if change(text) not in list(kind):
            raise _Wrong(f"one of {', '.join(kind)}, not `{safe(text, 40)}`")
        return kind(change(text))

    return read


def _conditions(text: str) -> tuple[Condition, ...]:
    found, parts = [], _split(text)
    if len(parts) > MOST_STEPS:
        raise _Wrong(f"at most {MOST_STEPS} conditions")
    for part in parts:
        step, equals, words = part.partition("=")
        if equals and not words.strip(" |"):
            raise _Wrong(f"`{safe(part, 60)}` names no word: write `{_named(step)} = done`")
        found.append(Condition(step=_named(step), words=tuple(map(word_of, _split(words, "|")))))
    return tuple(found)


def _any(text: str) -> dict[str, Any]:
    return {"after": _conditions(text), "is_any": True}


def _deadline(text: str) -> Deadline:
    length, comma, other = text.partition(",")
    word = word_of(other)
    if comma and not word.startswith("else "):
        raise _Wrong(f"`{safe(text, 60)}` should read `1d, else WORD`")
    return Deadline(length=duration(length.strip(), "within"), word=word.removeprefix("else ") if comma else None)


def _repeat(text: str) -> Repeat:
    step, comma, most = text.partition(",")
    words = most.split()
    if not comma:
        return Repeat(step=_named(step))
    if words[:2] != ["at", "most"] or len(words) != 3:
        raise _Wrong(f"`{safe(text, 60)}` should read `STEP, at most 2`")
    return Repeat(step=_named(step), most=_number(1, 100)(words[2]))


def _enough(text: str) -> Enough:
    if word_of(text) == "all":
        return Enough()
    if text.endswith("%"):
        return Enough(percent=_number(0, 100)(text[:-1].strip()))
    return Enough(count=_number(0, 1_000_000)(text))


def _few(text: str) -> list[str]:
    """The parts of a list that goes into the front matter of a task."""
    parts = _split(text)
    if len(parts) > MOST_LISTED or len(text.encode()) > MOST_LISTED * 80:
        raise _Wrong(f"at most {MOST_LISTED}, and {MOST_LISTED * 80:,} bytes")
    return parts


def _outputs(text: str) -> tuple[Output, ...]:
    found = []
    for part in _few(text):
        name, equals, path = part.partition("=")
        path = path.strip() if equals else part
        is_shared, bare = path.startswith("./"), path.removeprefix("./")
        if not bare or bare.startswith(("/", "~", "\\")) or ".." in bare.split("/") or "\\" in bare or len(bare) > 200:
            raise _Wrong(f"`{safe(path, 60)}` leaves the run's folder; a path inside the workspace begins with `./`")
        stem = bare.rsplit("/", 1)[-1].rsplit(".", 1)[0].lower()
        own = _named(name) if equals else _PATH_NAME.sub("-", stem).strip("-") or "file"
        found.append(Output(name=own, path=bare, is_shared=is_shared))
    return tuple(found)


def _choices(text: str) -> tuple[str, ...]:
    words = tuple(dict.fromkeys(map(word_of, _few(text))))
    if len(words) < 2:
        raise _Wrong("at least two words, with commas between")
    if taken := [word for word in words if word in ("failed", "skipped", "ended", "pass on")]:
        raise _Wrong(f"`{taken[0]}` has a meaning of its own; choose another word")
    if wrong := [word for word in words if len(word) > 40 or not word.replace(" ", "").replace("-", "").isalnum()]:
        raise _Wrong(f"`{safe(wrong[0], 40)}` is no word of letters and digits")
    return words


def _given(text: str) -> tuple[tuple[str, str], ...]:
    pairs = [part.partition("=") for part in _split(text)]
    if wrong := next((name for name, equals, _ in pairs if not equals), None):
        raise _Wrong(f"`{safe(wrong, 60)}` should read `input = value`")
    return tuple((_named(name), value.strip()) for name, _, value in pairs)


def _inputs(text: str) -> tuple[Input, ...]:
    pairs = [part.partition("=") for part in _split(text)]
    return tuple(Input(name=_named(name), default=value.strip() if equals else None) for name, equals, value in pairs)


def _event_type(text: str) -> str:
    if not is_type(text):
        raise _Wrong(f"`{safe(text, 40)}` is no type of events: letters, digits, `_`, `-` and dots between them")
    return text


def _amount(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,6})?", text, re.ASCII) or not float(text):
        raise _Wrong(f"an amount in the currency of the budgets, such as 2.50, not `{safe(text, 40)}`")
    return float(text)


def _length(text: str) -> Any:
    return duration(text, "within")


_Key = tuple[str | None, Callable[[str], Any]]
"""The field of `Step` or `Workflow` that a key sets, None where the reader gives several; and its reader."""

_OF_FILE: Final[dict[str, _Key]] = {
    "inputs": ("inputs", _inputs),
    "at once": ("at_once", _number(1, 1000)),
    "within": ("within", _length),
    "starts on": ("starts_on", _each(_event_type)),
    "spend": ("spend", _amount),
}
_KEYS: Final[dict[str, _Key]] = {
    "to": ("to", _hand_off),
    "type": ("type", _plain),
    "to each": ("to_each", _each(agent_id)),
    "workflow": ("workflow", _named),
    "with": ("given", _given),
    "after": ("after", _conditions),
    "after any": (None, _any),
    "for each": ("items", _plain),
    "batch": ("batch", _number(1, 1000)),
    "enough": ("enough", _enough),
    "makes": ("makes", _outputs),
    "choices": ("choices", _choices),
    "size": ("size", _one_of(Size, str.upper)),
    "model": ("model", _plain),
    "tries": ("tries", _number(1, 20)),
    "within": ("deadline", _deadline),
    "if it fails": ("if_fails", _one_of(OnFailure, word_of)),
    "again from": ("again", _repeat),
}
_DEFAULTS: Final = ("to", "type", "size", "model", "tries", "if it fails")


def _nearest(name: str, known: "dict[str, _Key] | tuple[str, ...]") -> str:
    from difflib import get_close_matches

    near = get_close_matches(name[:40], list(known), n=1)
    return f"; did you mean `{near[0]}`?" if near else f"; keys are {', '.join(known)}"


def placeholders(text: str) -> Iterator[tuple[int, str, str]]:
    """Each placeholder's position, name and part: `{step.files}`. `{{` and `}}` are braces."""
    for found in PLACE.finditer(text):
        if found["name"]:
            yield found.start(), name_of(found["name"]), name_of(found["part"] or "")


PLACE = pattern(
    r"\{\{|\}\}|\{[ ]*(?P<name>[A-Za-z][A-Za-z0-9 _-]{0,39})(?:\.(?P<part>[A-Za-z][A-Za-z0-9 _-]{0,39}))?[ ]*\}"
)
