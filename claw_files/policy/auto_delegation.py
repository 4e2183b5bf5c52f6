"""Planner of `heartbeat.auto`: ready tasks of the backlog go to the agents of their routes."""

from datetime import datetime

from claw_files.core.keys import task_key
from claw_files.policy import budgets, pools, routing
from claw_files.policy.snapshot import Act, Action, Snapshot


def plan_ready(snap: Snapshot, now: datetime) -> list[Action]:
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
        key = task_key(task)
        found.append(Action(act=Act.DELEGATE, task=task.id, agent=choice.agent, key=key, why=choice.why))
    return found
