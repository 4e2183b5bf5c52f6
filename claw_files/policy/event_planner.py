"""Planner of events: files that arrived are accepted, and accepted events start what handles their type.

`data_of` and `inputs_of` say what of an event reaches an input: always as a value, never as an instruction.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from claw_files.core.errors import UsageError
from claw_files.core.event import Event, EventQueue
from claw_files.core.text import rank, safe
from claw_files.core.workflow import Input
from claw_files.formats.workflow_file import name_of
from claw_files.policy.snapshot import Act, Action, Snapshot

MOST_ACCEPTED = 250  # in one tick, so that nothing else waits long; the next tick goes on
MOST_STARTED = 20
YOUNG = timedelta(seconds=2)  # a file that cannot be read and is younger is being written
IN_INPUT = 1_000  # letters of one value; a longer one is the path of the event


def plan_events(snap: Snapshot, now: datetime) -> Iterator[Action]:
    """One action that accepts what arrived, and one for each event that starts now."""
    queue = snap.events
    if arrived := queue.ready(now)[:MOST_ACCEPTED]:
        why = f"{len(arrived)} event{'s' if len(arrived) > 1 else ''} arrived"
        yield Action(act=Act.EVENT_ACCEPT, key=arrived[0], why=why, details={"paths": arrived})
    yield from _starts(queue, snap)


def _starts(queue: EventQueue, snap: Snapshot) -> Iterator[Action]:
    at_work = Counter(event.partition(".")[2] for event in _open(snap))
    known, begun = {it.type: snap.settings.events.of(it.type) for it in queue.accepted}, 0
    for event in sorted(queue.accepted, key=lambda it: (rank(known[it.type].priority), it.since, it.name)):
        if begun == MOST_STARTED:
            return
        if at_work[event.type] < known[event.type].at_once:
            at_work[event.type] += 1
            begun += 1
            yield Action(act=Act.EVENT_START, key=event.name, why=f"an event of type {event.type}")


def _open(snap: Snapshot) -> set[str]:
    """The events whose work is not over, each once."""
    tasks = (look.task for look in snap.looks)
    return {task.event for task in tasks if task and task.event and not task.state.is_closed}


def events_due(snap: Snapshot, now: datetime) -> Iterable[datetime]:
    """When a file that is being written is old enough to be read."""
    return [at for at in snap.events.arriving.values() if at > now]


# --- what of an event reaches whom


def inputs_of(event: Event, inputs: Iterable[Input], given: Mapping[str, str], path: str) -> dict[str, str]:
    """The values of a workflow's inputs: the field of their name, or the one that `given` names.

    Args:
        path: of the event's file, which stands for what is no short text.

    Raises UsageError for an input that has neither value nor default.
    """
    found, named = dict[str, str](), {name_of(key): key for key in event.fields}
    for it in inputs:
        where = given.get(it.name)
        value = data_of(event, where) if where else _own(event, it.name, named, path)
        if value is not None:
            found[it.name] = shown(value, path)
        elif it.default is None:
            raise UsageError(
                f"the input `{it.name}` has no value: the event has no field `{safe(where or it.name, 80)}`"
            )
    return found


def _own(event: Event, name: str, named: Mapping[str, str], path: str) -> Any:
    if name in named:
        return event.fields[named[name]]
    return {"text": event.text or None, "key": event.key, "type": event.type, "event": path}.get(name)


def data_of(event: Event, where: str) -> Any:
    """The value at a path such as `data.customer.id` or `items.0.name`; None where there is none."""
    value: Any = {"text": event.text or None, "key": event.key} | event.fields
    for part in where.split("."):
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and part.isascii() and part.isdigit() and len(part) < 7 and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value


def shown(value: Any, path: str) -> str:
    """A value as text; the path where it is a list, an object, or long."""
    if isinstance(value, list | dict):
        return path
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return path if len(text) > IN_INPUT else text
