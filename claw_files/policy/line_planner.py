"""Planner of the ledger lines: the actions for each line, and when a line needs the next decision."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from claw_files.config import Settings
from claw_files.core import text as words
from claw_files.core.keys import wide_key
from claw_files.core.model import AFTER_LIMIT, AgentId, Kind, State, TaskId
from claw_files.policy import liveness, quiet_hours, resilience
from claw_files.policy.ledger_line_rules import plan_entry, timed
from claw_files.policy.probes import is_probe
from claw_files.policy.rule_context import RuleContext, case_of, listed, mark, time_limit
from claw_files.policy.snapshot import Act, Action, FilePlace, Snapshot, TaskEvidence, tell_once
from claw_files.policy.verification import is_accepted


def plan_groups(snap: Snapshot, now: datetime) -> list[Action]:
    """One combined report for workers spawned together, when the last of them has ended; then their lines go.

    Two who ask under the same name have a group each.
    """
    groups: dict[tuple[AgentId, str], list[RuleContext]] = {}
    for look in first_lines(snap):
        if look.task and look.task.group:
            who = look.entry.spawner or look.task.spawner or look.task.requested_by
            who = who if who and who in snap.settings.agents else snap.settings.coordinator
            groups.setdefault((who, look.task.group), []).append(case_of(timed(look, snap, now), snap, now))
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
    why = f"{len(good)} of {max(size, len(cases))} have a result"
    tasks = {case.task.label: case.task.id for case in good if case.task.label}
    details: dict[str, Any] = {"labels": list(tasks), "tasks": tasks, "group": name}
    details |= {"run": asker.run} if asker and asker.run else {}
    text = _combined(name, good, bad, size - len(cases))
    report = Action(act=Act.REPORT, agent=boss, key=key, why=why, text=text, kind=Kind.ANNOUNCE, details=details)
    return [report, *close]


def _is_final(case: RuleContext) -> bool:
    """Whether the task's state is final, and no run of it is alive."""
    if case.is_running or case.look.pending or case.look.unreadable:
        return False
    if case.task.state is State.DEAD:
        return case.look.place is not FilePlace.STATUS
    return case.task.state is State.CANCELLED or (case.task.state is State.DONE and is_accepted(case))


def _combined(name: str, good: list[RuleContext], bad: list[RuleContext], lost: int) -> str:
    lines = [f"{name}: {len(good)} results."]
    for case in bad:
        why = words.said(case.task.reason) if case.task.reason else case.task.state.value
        why = f"promised outputs are missing: {listed(case.look.missing)}" if case.look.missing else why
        lines.append(f"- {case.task.label or case.task.id}: no result ({why})")
    if lost > 0:
        lines.append(f"- {lost} more were announced, but have no line in the ledger")
    return "\n".join(lines)


def groups_due(snap: Snapshot, now: datetime) -> Iterator[datetime]:
    """The check times of the members: after the last of them a group waits no longer for members without a line."""
    yield from (look.entry.at for look in snap.looks if look.entry.at)


AT_ONCE = (timedelta(0),)
FEW = 20  # unclear lines that one tick reports; the others wait for the next
HALF_SAVED = timedelta(seconds=2)  # so long a file that does not parse is taken for one that is being written
_REWRITES = {Act.EXTEND, Act.WAIT_UNTIL, Act.CLOSE, Act.UNWATCH, Act.NEXT_AGENT}


def first_lines(snap: Snapshot) -> tuple[TaskEvidence, ...]:
    """The first line of each task: a further line of the same task is reported and not acted on."""
    first = dict[TaskId, TaskEvidence]()
    for look in snap.looks:
        first.setdefault(look.entry.task, look)
    return tuple(first.values())


def plan_lines(snap: Snapshot, now: datetime) -> list[Action]:
    """The actions for the first line of each task, in the order of the ledger."""
    return [action for look in first_lines(snap) for action in plan_line(look, snap, now)]


def plan_repeats(snap: Snapshot, now: datetime) -> list[Action]:
    """One message to the coordinator per task with a second line; none if the first is removed in this tick."""
    first = set(map(id, first_lines(snap)))
    going = {action.task for action in snap.planned if action.act in (Act.CLOSE, Act.UNWATCH)}
    found = list[Action]()
    for entry in (look.entry for look in snap.looks if id(look) not in first and look.entry.task not in going):
        text = f"the ledger has a second line for {entry.task}; the first line is used: {words.said(entry.line)}"
        key = wide_key(entry.task, "two-lines")
        found += tell_once(snap, snap.settings.coordinator, key, text, text, entry.task)
    return found


def plan_unclear(snap: Snapshot, now: datetime) -> list[Action]:
    """One message to the coordinator for each wording that is not understood; none about a task that has ended."""
    found, known = dict[str, list[Action]](), snap.settings.agents
    for look in snap.looks:
        one, agent = look.entry.unclear, look.entry.agent
        if one is None or (look.task and look.task.state.is_closed):
            continue
        if agent is not None and agent not in known and not look.entry.unread:
            continue  # clear except for an unknown agent, which a row of the table reports
        key = wide_key(look.entry.task, f"unclear-line.{mark(one.text)}")
        text = (
            f"{words.safe(one.path)}, line {one.line}, is not understood: {words.said(one.text)}; {one.hint}. "
            f"The line is not changed, and {look.entry.task} is still watched."
        )
        if key not in found:
            found[key] = tell_once(snap, snap.settings.coordinator, key, text, text, look.entry.task)
    return [action for actions in found.values() for action in actions][:FEW]


def plan_line(look: TaskEvidence, snap: Snapshot, now: datetime) -> tuple[Action, ...]:
    """The actions for one ledger line; a bare time gets its date, unless the line is rewritten anyway."""
    entry = look.entry
    if is_probe(entry.task):  # the probe watches it; remove a line that a killed probe left
        is_left = entry.at is None or entry.at <= now
        return (Action(act=Act.UNWATCH, task=entry.task, key=entry.task.lower(), why="a probe"),) if is_left else ()
    planned = plan_entry(look, snap, now)
    if entry.unread:  # unclear words are reported and kept
        planned = tuple(action for action in planned if action.act not in (Act.EXTEND, Act.WAIT_UNTIL))
    if entry.dated or entry.at is None or look.pending or any(action.act in _REWRITES for action in planned):
        return planned
    key = wide_key(entry.task, "date")
    return (
        Action(act=Act.DATE, task=entry.task, key=key, at=entry.at, why="its time had no date", entry=entry),
        *planned,
    )


def lines_due(snap: Snapshot, now: datetime) -> Iterator[datetime]:
    """The instants at which the decision for a line may change, apart from waits for an answer."""
    for look in snap.looks:
        yield from _line_due(timed(look, snap, now), snap.settings, now)
    yield from breakers_due(snap, now)
    yield from quiet_due(snap, now)


def _line_due(look: TaskEvidence, settings: Settings, now: datetime) -> Iterator[datetime]:
    """Every time that the rules for a line count from, plus each pause that they let pass from then on."""
    task, message, run, beat = look.task, look.message, look.run, settings.heartbeat
    counted: list[tuple[datetime | None, tuple[timedelta, ...]]] = [
        (look.entry.at, AT_ONCE),
        (now if look.pending else None, (HALF_SAVED,)),
        (look.announced, (beat.announce_gap,)),
        (look.warned, (beat.announce_gap,)),
    ]
    if message:  # one from a clock ahead is not taken for sent until then
        counted += [(message.ack_by, AT_ONCE), (message.sent, (*AT_ONCE, beat.ack))]
        counted += [(quiet_hours.held_since_sent(settings, message), (beat.check[0],))]
    if run:
        limit = time_limit(task, run) if task and task.label else None
        counted += [(run.started, (beat.ack, *((limit + AFTER_LIMIT,) if limit else ())))]
    if task:
        word = liveness.last_word(look, now)  # after it the holder becomes quiet, and then suspect
        counted += [(word, (beat.silent, beat.lease))]
        counted += [(at, AT_ONCE) for at in (task.not_before, task.eta, task.lease)]
        if task.unclear or State.BACKLOG in (task.state, task.recorded):  # its agent is asked for its state
            counted += [(look.last_word, (beat.ack,)), (word, (beat.ack,))]
        if task.state is State.FAILED:
            counted += [(task.updated, (resilience.retry_pause(beat.backoff, task),))]
    yield from (at + pause for at, pauses in counted if at for pause in pauses)


def breakers_due(snap: Snapshot, now: datetime) -> Iterator[datetime]:
    """When a breaker becomes half-open; and when a failure dated ahead of a clock set back opens one."""
    pause = snap.settings.limits.breaker_pause
    yield from (at for ends in snap.outcomes.values() if ends for at in (ends[-1].at - pause, ends[-1].at + pause))


def quiet_due(snap: Snapshot, now: datetime) -> Iterator[datetime]:
    """When the quiet hours end of each person who has them at `now`."""
    people = (agent for agent in snap.settings.agents if snap.settings.is_human(agent))
    yield from filter(None, (quiet_hours.held_until(snap.settings, person, now) for person in people))
