"""The one place that decides what a heartbeat does: `plan_tick(snapshot, now)`."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from claw_files.config import Schedule
from claw_files.core import text as words
from claw_files.core.model import AgentId, Key, Kind, Message, State, Task, TaskId
from claw_files.policy import budgets, due_times, pools, quiet_hours, routing, wake_budget
from claw_files.policy.delivery import plan_posts
from claw_files.policy.dispatch_queue import plan_wakes
from claw_files.policy.fault_alerts import plan_faults
from claw_files.policy.ledger_line_rules import plan_entry
from claw_files.policy.probes import is_probe
from claw_files.policy.rule_context import RuleContext, case_of, listed
from claw_files.policy.snapshot import Act, Action, FilePlace, Snapshot, TaskEvidence, tell_once
from claw_files.policy.unclear_lines import plan_unclear
from claw_files.policy.verification import is_accepted


def plan_tick(snap: Snapshot, now: datetime) -> tuple[Action, ...]:
    """Everything that is to be done at `now`, in order; empty when nothing is.

    Args:
        snap: what was read; runs before files, so that an ended run has nothing more to say.
        now: aware, UTC.

    Cron, daemon, simulator and tests call this function and carry out what it returns.
    """
    first, repeated = _split_repeats(snap.looks)
    actions: list[Action] = []
    for look in first:
        actions += plan_line(look, snap, now)
    # Where the first line of a task goes in this tick, the next one counts: there is nothing to report.
    going = {action.task for action in actions if action.act in (Act.CLOSE, Act.UNWATCH)}
    repeated = [look for look in repeated if look.entry.task not in going]
    others = [*_repeats(repeated, snap), *plan_unclear(snap), *plan_groups(first, snap, now), *plan_ready(snap)]
    others += plan_schedules(snap, now)
    others += [told for told in budgets.plan_budgets(snap, now) if told not in actions]
    others += wake_budget.plan_used_up(snap, now)
    waiting = (*snap.waiting, *_about_to_arrive([*actions, *others], snap))
    others += plan_wakes(replace(snap, waiting=waiting), now)
    others += [*plan_people(snap, now), *plan_posts(snap, now), *plan_faults(snap)]
    actions += [replace(action, alone=True) for action in others]
    return tuple(actions)


def plan_line(look: TaskEvidence, snap: Snapshot, now: datetime) -> tuple[Action, ...]:
    """The actions for one ledger line; a bare time gets its date, unless the line is rewritten anyway."""
    entry = look.entry
    if is_probe(entry.task):  # whoever probes follows it; its line, left by a claim, goes when nobody does any more
        is_left = entry.at is None or entry.at <= now
        return (Action(act=Act.UNWATCH, task=entry.task, key=entry.task.lower(), why="a probe"),) if is_left else ()
    planned = plan_entry(look, snap, now)
    if entry.unread:  # words that were not understood are somebody's: they are told of, and stay
        planned = tuple(action for action in planned if action.act not in (Act.EXTEND, Act.WAIT_UNTIL))
    rewritten = {Act.EXTEND, Act.WAIT_UNTIL, Act.CLOSE, Act.UNWATCH, Act.NEXT_AGENT}
    if entry.dated or entry.at is None or look.pending or any(action.act in rewritten for action in planned):
        return planned
    key = f"{entry.task.lower()}.date"
    return (
        Action(act=Act.DATE, task=entry.task, key=key, at=entry.at, why="its time had no date", entry=entry),
        *planned,
    )


def _split_repeats(looks: Sequence[TaskEvidence]) -> tuple[list[TaskEvidence], list[TaskEvidence]]:
    """The first line of each task, and the further ones: the first acts, the others are reported."""
    seen: set[TaskId] = set()
    first, repeated = list[TaskEvidence](), list[TaskEvidence]()
    for look in looks:
        (repeated if look.entry.task in seen else first).append(look)
        seen.add(look.entry.task)
    return first, repeated


def _repeats(looks: Iterable[TaskEvidence], snap: Snapshot) -> list[Action]:
    boss = snap.settings.coordinator
    found = list[Action]()
    for entry in (look.entry for look in looks):
        text = f"the ledger has a second line for {entry.task}; the first one counts: {words.said(entry.line)}"
        found += tell_once(snap, boss, f"{entry.task.lower()}.two-lines", text, text, entry.task)
    return found


# --- groups


def plan_groups(looks: Sequence[TaskEvidence], snap: Snapshot, now: datetime) -> list[Action]:
    """One combined report for workers spawned together, when the last of them has ended; then their lines go.

    Two who ask under the same name have a group each.
    """
    groups: dict[tuple[AgentId, str], list[RuleContext]] = {}
    for look in looks:
        if look.task and look.task.group:
            who = look.entry.spawner or look.task.spawner or look.task.requested_by
            who = who if who and who in snap.settings.agents else snap.settings.coordinator
            groups.setdefault((who, look.task.group), []).append(case_of(look, snap, now))
    return [action for (who, name), cases in groups.items() for action in _plan_group(who, name, cases)]


def _plan_group(who: AgentId, name: str, cases: list[RuleContext]) -> list[Action]:
    key, asker = f"group.{name}.report", cases[0].look.asker
    boss = asker.agent if asker else who
    close = [case.act(Act.CLOSE, f"reported in group {name}") for case in cases]
    if any(cases[0].was_told(it, key) for it in (boss, *(asker.passed if asker else ()))):
        return close if all(_is_final(case) for case in cases) else []
    size = max((case.task.group_size or 1) for case in cases)
    if not all(_is_final(case) for case in cases):
        return []
    if len(cases) < size and not all(case.due for case in cases):
        return []  # the others are still being spawned; or their lines are gone, then the last check time decides
    if asker and asker.waits:
        return []
    good = [case for case in cases if case.task.state is State.DONE and is_accepted(case)]
    bad = [case for case in cases if case not in good]
    why = f"{len(good)} of {size} have a result"
    tasks = {case.task.label: case.task.id for case in good if case.task.label}
    details: dict[str, Any] = {"labels": list(tasks), "tasks": tasks, "group": name}
    details |= {"run": asker.run} if asker and asker.run else {}
    text = _combined(name, good, bad, size - len(cases))
    report = Action(act=Act.REPORT, agent=boss, key=key, why=why, text=text, kind=Kind.ANNOUNCE, details=details)
    return [report, *close]


def _is_final(case: RuleContext) -> bool:
    """Whether nothing more will come of the task by itself, and nothing of it still runs."""
    if case.is_running or case.look.pending or case.look.unreadable:
        return False
    if case.task.state is State.DEAD:
        return case.look.place is not FilePlace.STATUS
    return case.task.state is State.CANCELLED or (case.task.state is State.DONE and is_accepted(case))


def _combined(name: str, good: list[RuleContext], bad: list[RuleContext], lost: int) -> str:
    lines = [f"{name}: {len(good)} results."]
    lines += [f"- {case.task.label or case.task.id}: no result ({_why_not(case)})" for case in bad]
    if lost > 0:
        lines.append(f"- {lost} more were announced, but have no line in the ledger")
    return "\n".join(lines)


def _why_not(case: RuleContext) -> str:
    if case.look.missing:
        return f"promised outputs are missing: {listed(case.look.missing)}"
    return words.said(case.task.reason) if case.task.reason else case.task.state.value


# --- what the plan itself puts into inboxes


_ARRIVES = {Act.DELIVER: Kind.TASK, Act.RESEND: Kind.TASK, Act.NEXT_AGENT: Kind.TASK, Act.DELEGATE: Kind.TASK}


def _about_to_arrive(actions: Sequence[Action], snap: Snapshot) -> list[Message]:
    """The messages that the planned actions will put into inboxes of agents woken by us."""
    settings, found = snap.settings, []
    tasks = {task.id: task for task in (*snap.ready, *(look.task for look in snap.looks if look.task))}
    for action in actions:
        kind = _ARRIVES.get(action.act) or action.kind
        agent = settings.agents.get(action.agent) if action.agent else None
        if kind is None or agent is None or not agent.is_woken:
            continue
        found.append(
            Message(
                id=action.key,
                key=Key(action.key),
                kind=kind,
                sender=settings.coordinator,
                to=agent.name,
                task=action.task,
                definition=_named(tasks.get(action.task)) if action.act in _ARRIVES and action.task else {},
            )
        )
    return found


def _named(task: Task | None) -> dict[str, str]:
    """What the message will say of the task as far as it decides on the model."""
    said = {"type": task.type, "model": task.model} if task else {}
    return {key: value for key, value in said.items() if value}


# --- the backlog, the clock, people


def plan_ready(snap: Snapshot) -> list[Action]:
    """With `auto`, tasks that are ready are delegated, best first, while there are free runs."""
    if not snap.settings.heartbeat.auto:
        return []
    free = snap.settings.limits.runs - sum(1 for look in snap.looks if look.task and not look.task.state.is_closed)
    found, loads, poor = [], snap.loads, budgets.without_money(snap.settings, snap.spent)
    for task in snap.ready:
        choice = routing.pick(snap.settings, task.type, poor, routing.is_urgent(task), loads)
        if free <= 0 or choice is None:
            continue
        free, loads = free - 1, pools.with_one_more(loads, choice.agent)
        key = f"{task.id.lower()}.{task.attempt}"
        found.append(Action(act=Act.DELEGATE, task=task.id, agent=choice.agent, key=key, why=choice.why))
    return found


def plan_schedules(snap: Snapshot, now: datetime) -> list[Action]:
    """Due times become events, each once. What is new, changed, or back in the configuration starts counting now."""
    known, found = snap.settings.schedules, list[Action]()
    for name in (name for name in snap.marks if name not in known):
        if snap.marks[name].last(now) and snap.marks[name].word(now) != due_times.GONE:
            why = "counting ends: it is out of the configuration"
            found.append(_counting(name, due_times.GONE, snap.marks[name], now, why))
    for schedule in known.values():
        found += _plan_schedule(schedule, snap.marks.get(schedule.name, due_times.EventMarks()), snap, now)
    return found


def _plan_schedule(schedule: Schedule, marks: due_times.EventMarks, snap: Snapshot, now: datetime) -> list[Action]:
    last, word = marks.last(now), marks.word(now)
    rule = due_times.rule(schedule.cron, snap.settings.workspace.timezone)
    found = _implausible(schedule.name, marks, snap, now)
    if last is None or word not in (None, rule):
        why = "counting starts" if word in (None, due_times.GONE) else "counting starts anew: its times were changed"
        return [*found, _counting(schedule.name, rule, marks, now, why)]
    for occurrence in due_times.due(schedule.cron, snap.settings.workspace.zone, last, now, schedule.catch_up):
        key = str(due_times.key(schedule.name, occurrence))
        why = f"due at {occurrence:%Y-%m-%d %H:%M} UTC"
        details = {"schedule": schedule.name} | ({} if word else {"rule": rule})
        found.append(Action(act=Act.EVENT, key=key, at=occurrence, why=why, details=details))
    return found


def _counting(name: str, word: str, marks: due_times.EventMarks, now: datetime, why: str) -> Action:
    """From now on, or after the last mark: one that a clock put back left ahead would count as the newer one."""
    last = marks.last(now)
    at = max(now, last + due_times.SECOND) if last else now
    key = f"{due_times.key(name, at)}.{word}"
    return Action(act=Act.EVENT, key=key, at=at, why=why, details={"arm": name})


def _implausible(name: str, marks: due_times.EventMarks, snap: Snapshot, now: datetime) -> list[Action]:
    """An event from a clock that was far ahead is named once; without this it would silence the schedule until then."""
    ahead = marks.ahead(now)
    if ahead is None:
        return []
    text = (
        f"schedule {name} has an event for {ahead:%Y-%m-%d %H:%M} UTC in events/, made by a clock that was ahead. "
        "It is set aside: due times before it are kept, and that one is not made again."
    )
    return tell_once(snap, snap.settings.monitor, f"{due_times.key(name, ahead)}.ahead", "an event lies ahead", text)


def plan_people(snap: Snapshot, now: datetime) -> list[Action]:
    """What lies in people's inboxes: handed over at once, or held for the brief when the quiet hours end."""
    return [action for person, held in snap.held.items() for action in _plan_person(snap, person, held, now)]


def _plan_person(snap: Snapshot, person: AgentId, held: Sequence[Message], now: datetime) -> list[Action]:
    own = snap.settings.agents[person].quiet_hours
    windows, zone = (*snap.settings.quiet_hours.windows, *own), snap.settings.quiet_hours.zone
    quiet_now = quiet_hours.until(now, windows, zone) is not None
    passes = snap.settings.quiet_hours.critical_passes
    actions, ends = list[Action](), dict[datetime, list[Message]]()
    for message in held:
        end = quiet_hours.until(message.sent, windows, zone) if message.sent else None
        if (message.critical and passes) or (end is None and not quiet_now):
            why = "critical" if message.critical else "no quiet hours now"
            actions.append(
                Action(
                    act=Act.ANNOUNCE,
                    task=message.task,
                    agent=person,
                    key=str(message.key),
                    why=why,
                    details={"id": message.id},
                )
            )
        elif not quiet_now:
            ends.setdefault(end or now, []).append(message)
    for end, messages in sorted(ends.items()):
        key = f"brief.{person}.{end:%Y%m%dT%H%M%SZ}"
        details = {"ids": [message.id for message in messages]}
        why = f"{len(messages)} held back in the quiet hours"
        actions.append(Action(act=Act.BRIEF, agent=person, key=key, at=end, why=why, details=details))
    return actions
