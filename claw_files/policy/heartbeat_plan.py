"""The table of planners, and the two loops over the table: `plan_tick` and `next_due`.

Everything that a heartbeat does is decided by a planner of this table. A planner that compares a time with the present
names that time in its `due`; without it the daemon would notice the change at the next rescan only.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from claw_files.core import text
from claw_files.core.digest import digest
from claw_files.core.keys import task_key, topic_key
from claw_files.core.model import AgentId, Message, Value
from claw_files.policy import budgets, delivery, dispatch_queue, pools, quiet_hours, routing
from claw_files.policy.event_planner import events_due, plan_events
from claw_files.policy.line_planner import (
    groups_due,
    lines_due,
    plan_groups,
    plan_lines,
    plan_repeats,
    plan_unclear,
    quiet_due,
)
from claw_files.policy.schedule_planner import plan_schedules, schedules_due
from claw_files.policy.snapshot import LINES, Act, Action, NotedMarks, Snapshot, tell_once
from claw_files.policy.source_rules import plan_sources, sources_due
from claw_files.policy.workflow_planner import plan_workflows, workflows_due


def plan_people(snap: Snapshot, now: datetime) -> list[Action]:
    """Messages in people's inboxes: announced now, or held for the brief at the end of quiet hours."""
    return [action for person, held in snap.held.items() for action in _plan_person(snap, person, held, now)]


def _plan_person(snap: Snapshot, person: AgentId, held: Sequence[Message], now: datetime) -> list[Action]:
    actions, ends = list[Action](), dict[datetime, list[Message]]()
    for message in held:
        if quiet_hours.held_until(snap.settings, person, now, message.critical):
            continue
        sent = message.sent or now
        if end := quiet_hours.held_until(snap.settings, person, sent, message.critical):
            ends.setdefault(end, []).append(message)
            continue
        why = "critical" if message.critical else "no quiet hours now"
        of_message: dict[str, Any] = {"task": message.task, "key": message.key, "details": {"id": message.id}}
        actions.append(Action(act=Act.ANNOUNCE, agent=person, why=why, **of_message))
    for end, messages in sorted(ends.items()):
        key = topic_key("brief", person, end)
        details = {"ids": [message.id for message in messages]}
        why = f"{len(messages)} held back in the quiet hours"
        actions.append(Action(act=Act.BRIEF, agent=person, key=key, at=end, why=why, details=details))
    return actions


MOST = 20  # told in one tick


FOLDERS = {  # what files in a folder mean: the beginning of a key, and what to do
    "events/failed": ("event-failed", "events that could not be handled; `clawfiles event list --failed` says why"),
    "events/new": ("event-unknown", "an event whose type nothing handles; add a handler, or remove it"),
    "events": ("event-unknown", "a file that is no event, or whose type nothing handles; add a handler, or remove it"),
    "quarantine": ("set-aside", "a message that could not be read was set aside; its sender can send it again"),
}
_OTHER = ("not-looked-at", "it cannot be read; work that needs it waits until it is repaired")


def plan_faults(snap: Snapshot, now: datetime) -> list[Action]:
    """Messages about failures that were not reported to the monitor yet."""
    monitor, found = snap.settings.monitor, list[Action]()
    for path in snap.faults:
        folder, _, name = path.rpartition("/")
        kind, meaning = FOLDERS.get(folder, _OTHER)
        name = name if folder in FOLDERS else path
        key = f"{kind}.{digest(name.encode('utf-8', 'surrogateescape'), 8)}"
        found += tell_once(snap, monitor, key, kind, f"{text.safe(path, 300)}: {meaning}.")
    return found[:MOST]


def plan_ready(snap: Snapshot, now: datetime) -> list[Action]:
    """With `auto`, ready tasks are delegated, best first, while runs are free."""
    if not snap.settings.heartbeat.auto:
        return []
    free = snap.settings.limits.runs - sum(1 for look in snap.looks if look.task and not look.task.state.is_closed)
    found, loads, poor = [], snap.loads, budgets.without_money(snap.settings, snap.spent)
    for task in snap.ready:
        choice = routing.pick(snap.settings, task.type, poor, routing.is_urgent(task), loads)
        if free <= 0 or choice is None:
            continue
        free, loads = free - 1, pools.with_one_more(loads, choice.agent)
        key = task_key(task)
        found.append(Action(act=Act.DELEGATE, task=task.id, agent=choice.agent, key=key, why=choice.why))
    return found


class Planner(Value, frozen=True):
    """One kind of decision: its actions at a time, and when they may change although no file does.

    How long a message has lain unread or without effect needs no due time: that is noted while the planner decides.
    """

    name: str
    # The actions at `now`; a planner sees in `Snapshot.planned` what those before it decided.
    plan: Callable[[Snapshot, datetime], Iterable[Action]]
    # Instants at which `plan` may decide something new; too many are harmless, past ones are left out.
    due: Callable[[Snapshot, datetime], Iterable[datetime]]


def never(snap: Snapshot, now: datetime) -> tuple[datetime, ...]:
    """No instant: the planner decides by files alone."""
    return ()


PLANNERS: tuple[Planner, ...] = (
    Planner(name=LINES, plan=plan_lines, due=lines_due),
    Planner(name="repeated lines", plan=plan_repeats, due=never),
    Planner(name="unclear lines", plan=plan_unclear, due=never),
    Planner(name="workflows", plan=plan_workflows, due=workflows_due),
    Planner(name="groups", plan=plan_groups, due=groups_due),
    Planner(name="auto delegation", plan=plan_ready, due=never),
    Planner(name="events", plan=plan_events, due=events_due),
    Planner(name="schedules", plan=plan_schedules, due=schedules_due),
    Planner(name="sources", plan=plan_sources, due=sources_due),
    Planner(name="budgets", plan=budgets.plan_budgets, due=never),
    Planner(name="wake limits", plan=budgets.plan_wake_limits, due=never),
    Planner(name="dispatch queue", plan=dispatch_queue.plan_wakes, due=dispatch_queue.dispatch_due),
    Planner(name="people", plan=plan_people, due=quiet_due),
    Planner(name="posts", plan=delivery.plan_posts, due=delivery.posts_due),
    Planner(name="faults", plan=plan_faults, due=never),
)


def plan_tick(snap: Snapshot, now: datetime) -> tuple[Action, ...]:
    """Everything that is to be done at `now`, in order; empty when nothing is.

    Args:
        snap: what was read; runs before files, so that an ended run has nothing more to say.
        now: aware, UTC.

    Cron, daemon, simulator and tests call this function and carry out what it returns.
    """
    for planner in PLANNERS:
        if found := [replace(action, planner=planner.name) for action in planner.plan(snap, now)]:
            snap = replace(snap, planned=(*snap.planned, *found))
    return snap.planned


def next_due(snap: Snapshot, now: datetime) -> datetime | None:
    """The earliest instant after `now` at which `plan_tick` may decide something that it does not decide now.

    None: nothing happens until a file changes. Never later than the first change, often earlier.
    """
    return min((at for planner in PLANNERS for at in due_times(planner, snap, now) if at > now), default=None)


def due_times(planner: Planner, snap: Snapshot, now: datetime) -> Iterator[datetime]:
    """The instants that the planner names, with the ends of its waits for an answer."""
    yield from planner.due(snap, now)
    # Which messages matter only the rules know: the planner is asked once more, and what it looks up is noted.
    asked, heartbeat = NotedMarks(snap.told), snap.settings.heartbeat
    tuple(planner.plan(replace(snap, told=asked), now))
    sent = (told.sent for told in asked.found.values() if told.sent)
    yield from (at + wait for at in sent for wait in (heartbeat.silent, heartbeat.ack))
