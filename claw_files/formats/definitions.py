"""Definitions, `definitions/tc-47.md`: the keys that define a task, then the text of the request.

The holder may overwrite the status file; the original request is kept here (decision 0027).
"""

import re
from functools import partial
from typing import Any, Final

from msgspec.structs import replace

from claw_files.core import text as words
from claw_files.core.errors import InvalidFile
from claw_files.core.lazy_regex import pattern
from claw_files.core.model import Message, Task, TaskId, Value
from claw_files.formats import frontmatter, record_form, status, task_fields
from claw_files.formats.parse_cache import lately
from claw_files.formats.task_fields import BY_KEY
from claw_files.formats.vocabulary import BUILT_IN, Vocabulary

KEYS: Final = status.DEFINING
_QUOTED: Final = pattern(
    r"^\[task (?P<fence>[A-Za-z0-9]{8,80}) from [^\n]{0,400}\n(?P<text>(?:>[^\n]*\n)*)\[end of task (?P=fence)\]",
    re.MULTILINE,
)


class Definition(Value, frozen=True):
    """A task's definition. Only the defining keys of `task` count; `text` has no trailing empty lines."""

    task: Task
    text: str = ""


def path_of(task: TaskId) -> str:
    """The path of a task's definition."""
    return f"definitions/{words.file_name(task)}"


def archived_path_of(task: TaskId) -> str:
    """Its path while the task is archived."""
    return f"definitions/archive/{words.file_name(task)}"


# --- the file


def render(definition: Definition) -> bytes:
    """The definition's file; `parse` is its inverse."""
    task = definition.task
    shown = {key: BY_KEY[key].show(getattr(task, key)) for key in KEYS}
    return record_form.render({"id": task.id, **shown}, definition.text)


@lately
def parse(raw: bytes, path: str) -> Definition:
    """The definition; keys that define no task say nothing.

    Raises InvalidFile: as `frontmatter.parse` does, bad-id, wrong-id, and bad-value with key and line.
    """
    record = record_form.FrontMatterRecord(raw, path)
    meta = record.document.meta
    spelled = {re.sub(r"[ -]", "_", key.strip().lower()): key for key in reversed(meta)}
    task = frontmatter.name_in(path, words.task_id)
    named = record.text(spelled["id"]) if "id" in spelled else None
    if named and named.strip().upper() != task:
        raise InvalidFile(path, "wrong-id", f"id {named.strip()[:80]!r} is not the file's name")
    found: dict[str, Any] = {}
    for key in KEYS:
        written = next((spelled[name] for name in (key, *BY_KEY[key].also) if name in spelled), None)
        if written and key == "title" and isinstance(meta[written], str):  # "None" is a title, too
            found[key] = meta[written].strip()
        elif written and record.has(written):
            found[key] = record.read(written, partial(task_fields.read, BY_KEY[key], reading=task_fields.ALONE))
    return Definition(task=Task(id=task, **found), text=record.body)


# --- what a task's definition is


def of(task: Task, text: str) -> Definition:
    """The definition of a task with its text, as it will be read from its file."""
    asked = {key: getattr(task, key) for key in KEYS}
    return parse(render(Definition(task=Task(id=task.id, **asked), text=text)), path_of(task.id))


def of_message(message: Message, task: TaskId) -> Definition:
    """The part of the definition in a task's message."""
    found = _QUOTED.search(message.body)
    text = re.sub(r"^> ?", "", found["text"], flags=re.MULTILINE) if found else ""
    return of(status.restore(Task(id=task), message.definition), text)


def text_in(raw: bytes, path: str, task: TaskId) -> str:
    """The text of a status file, without the heading that names the task."""
    body = frontmatter.parse(raw, path).body
    first, _, rest = body.lstrip().partition("\n")
    return rest if first.lower().startswith(f"# {task.lower()}") else body


def redefined(before: Definition, task: Task, raw: bytes, path: str, vocabulary: Vocabulary = BUILT_IN) -> Definition:
    """The definition after the edits in a status file, `raw`; an unchanged text of clawfiles' own is not an edit."""
    new = status.edit(None, None, before.task, path)
    ours = text_in(status.append(new, before.text, path, vocabulary) if before.text else new, path, task.id)
    text = text_in(raw, path, task.id)
    return of(task, before.text if text.strip() == ours.strip() else text)


def changed(definition: Definition, before: Task, after: Task) -> Definition:
    """The definition with the terms that a command has changed; outputs that it names are reported, not promised."""
    news = {key: new for key in KEYS if key != "outputs" and (new := getattr(after, key)) != getattr(before, key)}
    return of(replace(definition.task, **news), definition.text) if news else definition


def bind(task: Task, definition: Definition) -> Task:
    """`task` with its definition in effect, whatever its status file says; additional outputs are kept.

    `overruled` names what the file says otherwise. Keys that are gone with all of our front matter say nothing.
    """
    asked = {key: getattr(definition.task, key) for key in KEYS}
    asked["outputs"] = tuple(dict.fromkeys((*asked["outputs"], *task.outputs)))
    others = (_overruled(task, key, value) for key, value in asked.items() if _is_other(task, key, value))
    return replace(task, **asked, overruled=(*task.overruled, *others))


def _is_other(task: Task, key: str, asked: Any) -> bool:
    said = getattr(task, key)
    if key == "created":
        return False
    if task.recorded is None and (key in ("title", "outputs") or said == getattr(Task(id=task.id), key)):
        return False  # written anew: a heading there is text, and what it names is what was made
    return bool(set(asked) - set(said)) if key == "outputs" else said != asked


def _overruled(task: Task, key: str, asked: Any) -> str:
    said, wanted = (BY_KEY[key].show(value) for value in (getattr(task, key), asked))
    return f"{key} {_spelled(said)}, asked for was {_spelled(wanted)}"


def _spelled(shown: Any) -> str:
    return words.said(", ".join(shown) if isinstance(shown, list) else shown) if shown else "nothing"
