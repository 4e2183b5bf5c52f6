"""Small values for tests: each builder fills in what a test does not care about.

Read them with the module's name: `from tests.support import builders as a`, then
`a.look(a.task(state=State.DONE))`. Everything happens around `START`; each task is TC-47, Peter's, and its line is due.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from claw_files import config
from claw_files.config import Settings
from claw_files.core.keys import task_key
from claw_files.core.model import (
    AgentId,
    Box,
    Entry,
    Kind,
    Message,
    Report,
    Result,
    Run,
    RunId,
    State,
    Task,
    TaskId,
)
from claw_files.policy.snapshot import FilePlace, Snapshot, TaskEvidence, ToldMark
from claw_files.testing.clock import START

SAM, PETER, IRIS, SENTRY, BOSS = (AgentId(name) for name in ("sam", "peter", "iris", "sentry", "dimitrios"))
WORKER = AgentId("research")

TEAM = """
[workspace]
coordinator = "sam"
monitor = "sentry"
timezone = "Europe/Berlin"

[agents.sam]
reports_to = "dimitrios"
[agents.sentry]
reports_to = "sam"
[agents.peter]
takes = ["bug"]
command = ["peter"]
[agents.iris]
[agents.research]
kind = "worker"
command = ["research"]
[agents.dimitrios]
kind = "human"

[routes]
code-review = { to = ["peter", "iris", "self"], review = "coordinator" }
bug = { to = ["peter", "iris", "self"] }
checked = { to = ["peter"], verify = ["pytest", "-q"] }
"""


def settings(more: str = "") -> Settings:
    """A team: sam coordinates, sentry monitors, peter is woken by a command, iris looks for herself, research is a
    worker, dimitrios a person. `more` is TOML that follows the tables of `TEAM`."""
    return config.parse((TEAM + more).encode())


def task(id: str = "TC-47", state: State = State.BACKLOG, **fields: Any) -> Task:
    """A task of Peter's that stands in its file as clawfiles wrote it; `recorded` differs after an edit by hand."""
    given: dict[str, Any] = {
        "assignee": PETER,
        "recorded": state,
        "generation": 1,
        "updated": START,
        "title": "A bug",
    }
    return Task(id=TaskId(id), state=state, **{**given, **fields})


def worker_task(label: str = "email-check", state: State = State.BACKLOG, **fields: Any) -> Task:
    """A task that was spawned for the worker `research`, with ten minutes."""
    given: dict[str, Any] = {
        "id": "TC-60",
        "assignee": WORKER,
        "label": label,
        "spawner": SAM,
        "timeout": timedelta(minutes=10),
    }
    return task(**{**given, "state": state, **fields})


def entry(task: Task, **fields: Any) -> Entry:
    """The line of the task, due at `START`."""
    line = f"- {task.id} delegated to {task.assignee or 'peter'}, check at 2026-03-07 09:45"
    given: dict[str, Any] = {"task": task.id, "agent": task.assignee, "at": START, "line": line}
    return Entry(**{**given, **fields})


def message(task: Task, **fields: Any) -> Message:
    """The task message of the task's attempt, sent at `START`, to be acknowledged in five minutes."""
    key = task_key(task)
    given: dict[str, Any] = {
        "id": f"{START:%Y%m%dT%H%M%SZ}-{key}",
        "key": key,
        "kind": Kind.TASK,
        "sender": SAM,
        "to": task.assignee or PETER,
        "task": task.id,
        "attempt": task.attempt,
        "generation": task.generation,
        "sent": START,
        "ack_by": START + timedelta(minutes=5),
    }
    return Message(**{**given, **fields})


def note(to: AgentId, key: str, **fields: Any) -> Message:
    """An announcement, sent at `START`."""
    given: dict[str, Any] = {"id": key, "key": key, "kind": Kind.ANNOUNCE, "sender": SAM, "to": to, "sent": START}
    return Message(**{**given, **fields})


def run(task: Task, ended: datetime | None = None, **fields: Any) -> Run:
    """The run that the task's message started at `START`; alive unless it has `ended`."""
    key = task_key(task)
    given: dict[str, Any] = {
        "id": RunId(f"{key}-s1"),
        "agent": task.assignee or PETER,
        "key": key,
        "task": task.id,
        "generation": task.generation,
        "started": START,
        "ended": ended,
        "reason": "exited" if ended else None,
        "exit": 0 if ended else None,
        "alive": ended is None,
    }
    return Run(**{**given, **fields})


def report(task: Task, state: State, at: datetime, **fields: Any) -> Report:
    """What Peter says about the task in a file of his own."""
    given: dict[str, Any] = {"task": task.id, "author": PETER, "path": "status/peter.md"}
    return Report(state=state, at=at, **{**given, **fields})


def result(task: Task, status: State = State.DONE, **fields: Any) -> Result:
    """What the worker's first run left behind."""
    given: dict[str, Any] = {
        "label": task.label,
        "run": RunId(f"{task_key(task)}-s1"),
        "task": task.id,
        "agent": WORKER,
    }
    return Result(status=status, **{**given, **fields})


def look(task: Task, sent: Message | bool = False, box: Box = Box.CUR, **fields: Any) -> TaskEvidence:
    """What the tick read for the task: `sent=True` for its message as `message` builds it, in `box`.

    The fields of the entry that tests change (`at`, `dated`, `ticked`, `spawner`, `unread`) are taken out of `fields`.
    """
    of_line = {name: fields.pop(name) for name in ("at", "dated", "ticked", "spawner", "unread") if name in fields}
    found = message(task) if sent is True else sent or None
    given: dict[str, Any] = {
        "entry": entry(task, **of_line),
        "task": task,
        "place": FilePlace.STATUS,
        "digest": "0123456789abcdef",
        "message": found,
        "box": box if found else None,
    }
    return TaskEvidence(**{**given, **fields})


def snapshot(
    *looks: TaskEvidence, told: Mapping[str, ToldMark] | Iterable[str] = (), more: str = "", **fields: Any
) -> Snapshot:
    """The workspace with these lines; `told` are names such as "peter/tc-47.1.nudge", read long ago, or who they are.

    The runs of the looks that are alive are its live runs. `more` is TOML for `settings`.
    """
    known = told if isinstance(told, Mapping) else {name: ToldMark(box=Box.DONE, sent=START) for name in told}
    live = tuple(look.run for look in looks if look.run and look.run.alive)
    given: dict[str, Any] = {"settings": settings(more), "looks": looks, "told": known, "live": live}
    return Snapshot(**{**given, **fields})
