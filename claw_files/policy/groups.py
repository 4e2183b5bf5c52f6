"""Planner of groups: one report for workers that were spawned together."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from claw_files.core import text as words
from claw_files.core.model import AgentId, Kind, State
from claw_files.policy.ledger_line_rules import timed
from claw_files.policy.line_planner import first_lines
from claw_files.policy.rule_context import RuleContext, case_of, listed
from claw_files.policy.snapshot import Act, Action, FilePlace, Snapshot
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
    """Whether nothing more will come of the task by itself, and nothing of it still runs."""
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
