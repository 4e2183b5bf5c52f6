"""Checkpoints: what an agent needs to go on, and what a spawned worker leaves behind."""

import re

from claw_files import words
from claw_files.documents import body
from claw_files.documents.records import Record
from claw_files.documents.records import render as _render
from claw_files.errors import BadId, InvalidFile
from claw_files.model import AgentId, Checkpoint, Result, RunId, State

_FAILED = (State.FAILED, State.CANCELLED, State.BLOCKED, State.DEAD)


def parse(raw: bytes, path: str, agent: AgentId) -> Checkpoint:
    """The checkpoint of `agent`: whose it is follows from where it lies, never from what it says.

    A file without front matter is all "how to resume". Raises InvalidFile.
    """
    record = Record(raw, path)
    return Checkpoint(
        agent=agent,
        updated=record.instant("updated"),
        completed=record.texts("completed"),
        in_progress=record.texts("in_progress"),
        pending=record.texts("pending"),
        body=record.body,
    )


def render(checkpoint: Checkpoint) -> bytes:
    """The checkpoint's file."""
    values = {
        "agent": checkpoint.agent,
        "updated": checkpoint.updated,
        "completed": checkpoint.completed,
        "in_progress": checkpoint.in_progress,
        "pending": checkpoint.pending,
    }
    return _render(values, checkpoint.body)


def parse_result(raw: bytes, path: str) -> Result:
    """What the worker left in `checkpoints/subagent-LABEL.md`; the label is the file's name.

    Without `status` in front matter the text is taken at its word: a line "Status: DONE" (or "DONE" as first or last
    line) is done, one that says failed, blocked or cancelled is failed. A text that says neither is partial work:
    findings are there, but nobody claims that they are all.

    Raises InvalidFile, also for a `status` that is none.
    """
    record = Record(raw, path)
    status, partial = _status(record)
    return Result(
        label=_label(path),
        status=status,
        partial=partial,
        run=RunId(record.text("run") or "") or None,
        task=record.task("task"),
        agent=record.agent("agent"),
        completed=record.instant("completed") or record.instant("ended"),
        outputs=record.texts("outputs"),
        usage=record.mapping("usage"),
        cached_from=record.task("cached_from"),
        body=record.body,
    )


def _label(path: str) -> str:
    name = path.rpartition("/")[2].removesuffix(".md").removeprefix("subagent-")
    try:
        return words.label(name)
    except BadId as error:
        raise InvalidFile(path, "bad-id", str(error)) from None


def _status(record: Record) -> tuple[State, bool]:
    """Done or failed, and whether it is partial work."""
    word = record.text("status")
    if word is None:
        said = _word_in(record.body)
        return (State.DONE, False) if said is State.DONE else (State.FAILED, said not in _FAILED)
    if word.strip().lower() in ("partial", "incomplete"):
        return State.FAILED, True
    said = words.state(word)
    if said is None:
        path, line = record.document.path, record.document.lines["status"]
        raise InvalidFile(path, "bad-value", f"status: {word[:80]!r} is not done, failed or partial", line)
    return (State.DONE, False) if said is State.DONE else (State.FAILED, said not in _FAILED)


def _word_in(text: str) -> State | None:
    if said := body.read(text, "status").state:
        return said
    lines = [re.sub(r"^[#>*\-\s]+", "", line) for line in text.split("\n") if line.strip()]
    return next((state for line in (*lines[-1:], *lines[:1]) if (state := words.state(line))), None)


def render_result(result: Result) -> bytes:
    """The result's file."""
    values = {
        "label": result.label,
        "run": result.run,
        "task": result.task,
        "agent": result.agent,
        "status": "partial" if result.partial else result.status.value,
        "completed": result.completed,
        "outputs": result.outputs,
        "usage": result.usage,
        "cached_from": result.cached_from,
    }
    return _render(values, result.body)
