"""Ledger lines that were not understood: the coordinator is told of each once, and the line stays as it is."""

from datetime import datetime

from claw_files.core import text as words
from claw_files.core.keys import wide_key
from claw_files.policy.rule_context import mark
from claw_files.policy.snapshot import Action, Snapshot, TaskEvidence, tell_once

FEW = 20  # lines that are told of in one tick; the others wait for the next


def plan_unclear(snap: Snapshot, now: datetime) -> list[Action]:
    """Messages about unclear lines, one for each wording; none about a task that has ended."""
    boss, found = snap.settings.coordinator, dict[str, list[Action]]()
    for look in snap.looks:
        one = look.entry.unclear
        if one is None or (look.task and look.task.state.is_closed) or _is_told_by_its_row(look, snap):
            continue
        key = wide_key(look.entry.task, f"unclear-line.{mark(one.text)}")
        text = (
            f"{words.safe(one.path)}, line {one.line}, is not understood: {words.said(one.text)}; {one.hint}. "
            f"The line stays as it is, and {look.entry.task} goes on being watched."
        )
        if key not in found:
            found[key] = tell_once(snap, boss, key, text, text, look.entry.task)
    return [action for actions in found.values() for action in actions][:FEW]


def _is_told_by_its_row(look: TaskEvidence, snap: Snapshot) -> bool:
    """Whether the line is clear but for an agent that nobody knows, of which a row of the table tells."""
    agent = look.entry.agent
    return agent is not None and agent not in snap.settings.agents and not look.entry.unread
