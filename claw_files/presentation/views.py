"""Model and errors as text or JSON, shared by every interface.

JSON has stable keys, times as ISO 8601 UTC, and only ASCII: nothing in it can move a terminal's cursor. In text, what
came from a file goes through `core.text.safe`.
"""

import json
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any

import msgspec

from claw_files.core.errors import ClawError
from claw_files.core.keys import is_sent_by
from claw_files.core.model import Checkpoint, Kind, Lease, Message, State, Task
from claw_files.core.text import render_duration, render_instant, safe, said

if TYPE_CHECKING:
    from claw_files.policy.dispatch_queue import QueuedMessage
    from claw_files.policy.session_view import Session
    from claw_files.services.admin.daemon_state import DaemonState as DaemonState
    from claw_files.services.heartbeat.heartbeat import TickResult
    from claw_files.services.sessions.session_history import History
    from claw_files.services.tasks.board import Shown, TaskListing

When = Callable[[datetime], str]  # formats an instant for people: local time and distance
_NOT_SHOWN = {"state", "recorded", "state_line"}
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
    return json.dumps(value, default=_plain, allow_nan=False)


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
    """`error_document` as one line of JSON."""
    return to_json(error_document(error))


def error_document(error: ClawError) -> dict[str, Any]:
    """`{"error": {"code", "message", ...}}` with the facts of the error."""
    return {"error": {**error.details(), "code": error.code, "message": error.sentence}}


def error_text(error: ClawError) -> str:
    """`clawfiles: ` and the sentence; several problems are a line each."""
    return "\n".join(f"clawfiles: {safe(line)}" for line in error.sentence.split("\n"))


# --- tasks


def task_json(shown: "Shown", body: bool = False) -> dict[str, Any]:
    """The keys of the front matter, all of them, with `path`, `liveness`, `conflicts` and, when asked, `body`."""
    facts = msgspec.structs.asdict(shown.task)
    found: dict[str, Any] = {"id": shown.task.id, "title": shown.task.title, "status": shown.task.state}
    found |= {key: value for key, value in facts.items() if key not in _NOT_SHOWN}
    found |= {"path": shown.path, "liveness": shown.liveness, "conflicts": shown.conflicts, "verified": shown.verified}
    found["unreviewed"] = shown.unreviewed
    return found | ({"children": shown.children, "body": shown.body} if body else {})


def lease_json(lease: Lease) -> dict[str, Any]:
    return {"task": lease.task, "agent": lease.holder, "generation": lease.generation, "until": lease.until}


def lease_text(lease: Lease, when: When) -> str:
    return f"{lease.holder} holds {lease.task}: generation {lease.generation}, until {when(lease.until)}"


def task_text(shown: "Shown", when: When) -> str:
    """One task for a person: facts, state, text."""
    facts = msgspec.structs.asdict(shown.task)
    left_out = {*_HEAD, *(() if shown.task.session else ("turn",)), *(() if shown.verified else ("verified",))}
    rows = [f"{key + ': ':<14}{_cell(value, when)}" for key, value in facts.items() if value and key not in left_out]
    if shown.verified is False:
        rows.append(f"{'verified:':<14}not yet")
    rows += [f"{'review:':<14}{safe(shown.unreviewed)}"] if shown.unreviewed else []
    if shown.liveness:
        rows.append(f"{'liveness:':<14}{shown.liveness}")
    rows += [f"{'children:':<14}{', '.join(shown.children)}"] if shown.children else []
    rows += [f"{'conflict:':<14}{safe(conflict)}" for conflict in shown.conflicts]
    for it in shown.task.unclear:
        place = f"line {it.line}" if it.path == shown.path else f"{safe(it.path)}, line {it.line}"
        rows.append(f"{'unclear:':<14}{place}: {said(it.text)}: {safe(it.hint)}")
    head = f"{shown.task.id}: {safe(shown.task.title)} [{shown.task.state}]"
    text = safe(shown.body.strip(), limit=100_000, lines=True)
    return "\n".join([head, *rows, f"{'file:':<14}{safe(shown.path)}", *(["", text] if text else [])])


_HEAD = {"id", "title", "state", "recorded", "state_line", "unclear"}


def _cell(value: object, when: When) -> str:
    if isinstance(value, (tuple, list)):
        return ", ".join(_cell(item, when) for item in value)
    if isinstance(value, msgspec.Struct):
        return " - ".join(_cell(item, when) for item in msgspec.structs.astuple(value))
    if isinstance(value, datetime):
        return when(value)
    return safe(render_duration(value) if isinstance(value, timedelta) else str(value))


def move_text(task: Task, when: When) -> str:
    """The result of a move, in one line."""
    stands = {State.BACKLOG: "in the backlog", State.REVIEW: "in review"}.get(task.state, task.state.replace("_", " "))
    told = f"{task.id} is {stands}"
    if task.state is State.IN_PROGRESS and task.assignee:
        told += f" with {task.assignee}"
        told += f", ETA {when(task.eta)}" if task.eta else ""
    return told


def journal_text(line: dict[str, Any], zone: tzinfo) -> str:
    """One line of the journal for a person: time, action, task, actor, reason."""
    who = line.get("actor") or line.get("agent") or "-"
    at = _local(str(line.get("timestamp", "?")), zone)
    head = f"{at}  {line.get('action', '?'):<12}  {line.get('task') or '-':<8}  {who}"
    return safe(f"{head}: {line.get('why') or ''}".rstrip(": "))


def _local(stamp: str, zone: tzinfo) -> str:
    """A line's time in the zone, without a distance, which would be wrong later."""
    try:
        return datetime.fromisoformat(stamp).astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError):
        return stamp


def rows_text(rows: Iterable[tuple[str, ...]]) -> str:
    """Rows as aligned columns; the last column is not padded."""
    table = [tuple(safe(cell, limit=200) for cell in row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)] if table else []
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in table)
    return "\n".join(line.rstrip() for line in lines)


def listing_text(listing: "TaskListing") -> str:
    """A line for each task."""
    if not listing.tasks:
        return "no tasks"
    return rows_text(
        (s.task.id, s.task.state, s.task.assignee or "-", s.liveness or "", s.task.title + _mark(s))
        for s in listing.tasks
    )


def _mark(shown: "Shown") -> str:
    marks = [*(["conflict"] if shown.conflicts else []), *(["unverified"] if shown.verified is False else [])]
    marks += [*(["unreviewed"] if shown.unreviewed else []), *(["unclear"] if shown.task.unclear else [])]
    return f" ({', '.join(marks)})" if marks else ""


def board_text(listing: "TaskListing") -> str:
    """The board without a terminal: a section for each state with tasks."""
    sections = []
    for state in State:
        rows = [s for s in listing.tasks if s.task.state is state]
        if rows:
            cells = rows_text((s.task.id, s.task.assignee or "-", s.task.title + _mark(s)) for s in rows)
            sections.append(f"{state} ({len(rows)})\n" + "\n".join(f"  {line}" for line in cells.split("\n")))
    return "\n\n".join(sections) or "no tasks"


# --- messages, checkpoints, ticks


def message_json(message: Message) -> dict[str, Any]:
    """The keys of a message file, with `body`."""
    facts = msgspec.structs.asdict(message)
    return {"id": facts.pop("id"), "from": facts.pop("sender")} | facts


def inbox_text(messages: Iterable[Message]) -> str:
    """Each message with a head line; its text is indented, so that it cannot imitate a head line."""
    blocks = []
    for message in messages:
        about = f", {message.task}" if message.task else ""
        head = f"{safe(message.id)}: {message.kind} from {message.sender}{about}"
        body = safe(message.body.strip(), 20_000, lines=True).replace("\n", "\n  ")
        how = ""
        if message.kind is Kind.QUESTION:
            how = f'\n(answer with: clawfiles answer {safe(message.id)} "TEXT")'
        elif message.kind is Kind.ANNOUNCE and is_sent_by(message.id, message.sender):  # the agent's own words
            how = f'\n(reply with: clawfiles send {message.sender} "TEXT")'
        blocks.append(f"{head}\n  {body}".rstrip() + how)
    return "\n\n".join(blocks) or "no new messages"


def checkpoint_json(checkpoint: Checkpoint) -> dict[str, Any]:
    """The keys of a checkpoint file, with `body`."""
    return msgspec.structs.asdict(checkpoint)


def checkpoint_text(checkpoint: Checkpoint) -> str:
    """The three lists, then how to resume."""
    lists = (
        ("completed", checkpoint.completed),
        ("in progress", checkpoint.in_progress),
        ("pending", checkpoint.pending),
    )
    rows = [f"{name}: {', '.join(map(safe, items)) or '-'}" for name, items in lists]
    return "\n".join([*rows, *(["", safe(checkpoint.body.strip(), 20_000, lines=True)] if checkpoint.body else [])])


def tick_json(ticked: "TickResult") -> dict[str, Any]:
    """The promised form of `heartbeat --json`, with `busy`, `problems` and, in a dry run, the number `unclear`."""
    return {
        "tick": {"at": ticked.at, "coordinator": ticked.coordinator, "epoch": ticked.epoch},
        "actions": [action.as_json() for action in ticked.actions],
        "entries": ticked.entries,
        "woken": ticked.woken,
        "busy": ticked.busy,
        "problems": (*ticked.problems, *ticked.faults),
        "unclear": ticked.unclear,
    }


def tick_text(ticked: "TickResult") -> str:
    """A line for each action; one line without any."""
    rows = [(a.act, a.task or "-", a.agent or "-", a.why) for a in ticked.actions]
    unclear = f"; unclear files: {ticked.unclear} (see `clawfiles board`)" if ticked.unclear else ""
    nothing = "nothing was done" if ticked.problems else "nothing to do"
    return rows_text(rows) or f"{nothing}; ledger lines: {ticked.entries}{unclear}"


# --- sessions


def session_json(session: "Session") -> dict[str, Any]:
    """The session's fields, with `wait` from `wait_json`."""
    facts = msgspec.structs.asdict(session)
    spoken = [
        {"id": m.id, "kind": m.kind, "from": m.sender, "to": m.to, "at": m.at, "text": m.text} for m in session.messages
    ]
    return facts | {"messages": spoken, "wait": wait_json(session.wait) if session.wait else None}


def sessions_text(found: Iterable["Session"], when: When, numbered: bool = False) -> str:
    """A line for each session, its last messages indented; with `numbered`, in the form of `subagents`."""
    shown = list(found)
    table = rows_text(_session_row(it, when, numbered) for it in shown).split("\n") if shown else []
    blocks = []
    for row, session in zip(table, shown, strict=True):
        below = [f"  {m.kind} {m.sender} -> {m.to}: {safe(' '.join(m.text.split()), 200)}" for m in session.messages]
        blocks += [row, *below]
    return "\n".join(blocks) or ("no subagents" if numbered else "no sessions")


def _session_row(session: "Session", when: When, numbered: bool) -> tuple[str, ...]:
    at = session.started if numbered else session.updated_at
    since = when(at) if at else "-"
    used = " ".join(f"{key}={value}" for key, value in session.usage.items())
    held = session.wait.held_by if session.wait else None
    told = [session.title, session.said, used, f"waits for {held}" if held else None]
    told += [f"session {session.stays}" if session.stays else None, f"in {session.parent}" if session.parent else None]
    tail = " | ".join(part for part in told if part)
    head = (str(session.number or "-"), session.label or session.agent) if numbered else (session.key,)
    facts = (session.model or "-", session.runtime or "-", session.status or "-", since, session.task or "-")
    return (*head, *facts, session.run or "-", tail)


def history_json(history: "History") -> dict[str, Any]:
    """The session, its records with their raw text, and how many older ones were left out."""
    records = [msgspec.structs.asdict(record) for record in history.records]
    return {"session": session_json(history.session), "records": records, "left_out": history.left_out}


def history_text(history: "History", when: When) -> str:
    """Each record with a head line; its text is indented, so that it cannot imitate a head line."""
    blocks = [f"{safe(history.session.key)} [{history.session.status or '-'}]"]
    blocks += [f"({history.left_out} older left out)"] if history.left_out else []
    for record in history.records:
        at = when(record.at) if record.at else "-"
        head = f"{at}  {record.type}  {safe(record.source)}{' (cut)' if record.cut else ''}"
        body = safe(record.text.strip(), len(record.text), lines=True).replace("\n", "\n  ")
        blocks.append(f"{head}\n  {body}".rstrip())
    return "\n\n".join(blocks)


def wait_json(wait: "QueuedMessage") -> dict[str, Any]:
    """The queue ahead of a message: ids of runs and first messages, number of messages, limit."""
    keys = ("since", "held_by", "until", "runs", "ahead", "messages")
    return {key: getattr(wait, key) for key in keys}


# --- the daemon


def daemon_json(found: "DaemonState") -> dict[str, Any]:
    """Everything that the daemon says of itself."""
    facts = msgspec.structs.asdict(found)
    facts["watch"] = msgspec.structs.asdict(found.watch)
    facts["last_tick"] = msgspec.structs.asdict(found.last_tick) if found.last_tick else None
    return {"running": True, "draining": found.draining_until is not None} | facts


def daemon_text(found: "DaemonState", when: When) -> str:
    """The same in lines."""
    watch, tick = found.watch, found.last_tick

    def last(at: datetime | None) -> str:
        return when(at) if at else "never"

    faults = ", ".join(f"{name} {count}x" for name, count in sorted(watch.faults.items())) or "none"
    lines = [
        f"running since {when(found.since)}, process {found.pid}, epoch {found.epoch}",
        f"watching by {watch.backend}; canary seen {last(watch.last_canary)}; "
        f"faults: {faults}; missed by events: {watch.missed}",
        f"last tick {last(tick.at if tick else None)}; next due {last(found.next_due)}",
        f"runs: {', '.join(found.runs) or 'none'}",
        f"waiting: {', '.join(found.waiting) or 'none'}",
    ]
    lines += [f"draining until {when(found.draining_until)}"] if found.draining_until else []
    lines += [f"clawfiles.toml is wrong: {found.reload_error}"] if found.reload_error else []
    lines += [f"problem: {problem}" for problem in (tick.problems if tick else ())]
    return "\n".join(safe(line, 4_000) for line in lines)
