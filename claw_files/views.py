"""Model and errors as text or JSON, shared by every adapter.

JSON has stable keys, times as ISO 8601 UTC, and only ASCII: nothing in it can move a terminal's cursor. In text, what
came from a file goes through `words.safe`.
"""

import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import msgspec

from claw_files.errors import ClawError
from claw_files.model import Lease, State, Task
from claw_files.services.board import Listing, Shown
from claw_files.words import render_duration, render_instant, safe

_NOT_SHOWN = {"state", "recorded"}
COLOURS = {
    State.BACKLOG: "white",
    State.IN_PROGRESS: "cyan",
    State.REVIEW: "magenta",
    State.DONE: "green",
    State.BLOCKED: "yellow",
    State.FAILED: "red",
    State.DEAD: "red",
    State.CANCELLED: "bright_black",
}


def to_json(value: object) -> str:
    """The value as one line of JSON."""
    text = json.dumps(value, default=_plain, allow_nan=False)
    return text.replace("\x7f", "\\u007f")


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return render_instant(value)
    if isinstance(value, timedelta):
        return render_duration(value)
    if isinstance(value, msgspec.Struct):
        return msgspec.structs.asdict(value)
    if isinstance(value, (tuple, set, frozenset)):
        return list(value)
    return str(value)


# --- errors


def error_json(error: ClawError) -> str:
    """`{"error": {"code", "message", ...}}` with the facts of the error."""
    return to_json({"error": {**error.details(), "code": error.code, "message": str(error)}})


def error_text(error: ClawError) -> str:
    """`clawfiles: ` and the sentence; several problems are a line each."""
    return "\n".join(f"clawfiles: {safe(line)}" for line in str(error).split("\n"))


# --- tasks


def task_json(shown: Shown, body: bool = False) -> dict[str, Any]:
    """The keys of the front matter, all of them, with `path`, `liveness`, `conflicts` and, when asked, `body`."""
    facts = msgspec.structs.asdict(shown.task)
    found = {"id": shown.task.id, "title": shown.task.title, "status": shown.task.state}
    found |= {key: value for key, value in facts.items() if key not in _NOT_SHOWN}
    found |= {"path": shown.path, "liveness": shown.liveness, "conflicts": shown.conflicts}
    return found | ({"body": shown.body} if body else {})


def lease_json(lease: Lease) -> dict[str, Any]:
    return {"task": lease.task, "agent": lease.holder, "generation": lease.generation, "until": lease.until}


def lease_text(lease: Lease) -> str:
    return f"{lease.task} is yours, {lease.holder}: generation {lease.generation}, until {render_instant(lease.until)}"


def task_text(shown: Shown) -> str:
    """One task as a person reads it: what it is, how it stands, its text."""
    facts = msgspec.structs.asdict(shown.task)
    rows = [f"{key + ':':<14}{_cell(value)}" for key, value in facts.items() if value and key not in _HEAD]
    if shown.liveness:
        rows.append(f"{'liveness:':<14}{shown.liveness}")
    rows += [f"{'conflict:':<14}{safe(conflict)}" for conflict in shown.conflicts]
    head = f"{shown.task.id}: {safe(shown.task.title)} [{shown.task.state}]"
    text = safe(shown.body.strip(), limit=100_000, lines=True)
    return "\n".join([head, *rows, f"{'file:':<14}{safe(shown.path)}", *(["", text] if text else [])])


_HEAD = {"id", "title", "state", "recorded"}


def _cell(value: object) -> str:
    if isinstance(value, (tuple, list)):
        return ", ".join(_cell(item) for item in value)
    if isinstance(value, msgspec.Struct):
        return " - ".join(_cell(item) for item in msgspec.structs.astuple(value))
    return safe(str(_plain(value)) if isinstance(value, (datetime, timedelta)) else str(value))


def move_text(task: Task) -> str:
    """What a move ended in, in one line."""
    told = f"{task.id} is {task.state.replace('_', ' ')}"
    if task.state is State.IN_PROGRESS and task.assignee:
        told += f" with {task.assignee}"
        told += f", ETA {render_instant(task.eta)}" if task.eta else ""
    return told


def rows_text(rows: Iterable[tuple[str, ...]]) -> str:
    """Rows as aligned columns; the last column is as long as it is."""
    table = [tuple(safe(cell, limit=200) for cell in row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)] if table else []
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in table)
    return "\n".join(line.rstrip() for line in lines)


def listing_text(listing: Listing) -> str:
    """A line for each task."""
    if not listing.tasks:
        return "no tasks"
    return rows_text(
        (s.task.id, s.task.state, s.task.assignee or "-", s.liveness or "", s.task.title + _mark(s))
        for s in listing.tasks
    )


def _mark(shown: Shown) -> str:
    return " (conflict)" if shown.conflicts else ""


def board_text(listing: Listing) -> str:
    """The board where there is no terminal: a section for each state that has tasks."""
    sections = []
    for state in State:
        rows = [s for s in listing.tasks if s.task.state is state]
        if rows:
            cells = rows_text((s.task.id, s.task.assignee or "-", s.task.title + _mark(s)) for s in rows)
            sections.append(f"{state} ({len(rows)})\n" + "\n".join(f"  {line}" for line in cells.split("\n")))
    return "\n\n".join(sections) or "no tasks"
