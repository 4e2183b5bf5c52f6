"""When the next tick has something to decide, as examples; `tests/properties/test_due.py` has the rest."""

import ast
import importlib
import inspect
import pkgutil
import textwrap
from collections.abc import Callable, Iterable
from datetime import timedelta

from msgspec.structs import replace

from claw_files import policy
from claw_files.core.model import Box, KeyText, Post, State
from claw_files.policy.dispatch_queue import plan_waits
from claw_files.policy.heartbeat_plan import PLANNERS, Planner, due_times, never, next_due, plan_tick
from claw_files.policy.line_planner import plan_lines
from claw_files.policy.snapshot import Act, MonthSpending, Snapshot, ToldMark
from tests.support import builders as a
from tests.support.builders import PETER, SAM, START, WORKER


def test_with_nothing_open_nothing_is_due() -> None:
    assert next_due(a.snapshot(), START) is None


def test_a_line_is_due_at_its_time() -> None:
    look = a.look(a.task(state=State.REVIEW), at=START + timedelta(minutes=7))

    assert next_due(a.snapshot(look), START) == START + timedelta(minutes=7)


def test_a_line_whose_time_is_not_understood_is_due_the_usual_interval_after_what_was_told_last() -> None:
    look = a.look(a.task(state=State.IN_PROGRESS), sent=True, at=None, unread=True)
    nudged = {f"{PETER}/tc-47.1.nudge": ToldMark(box=Box.DONE, sent=START + timedelta(hours=2))}
    check = a.settings().heartbeat.check[0]

    assert (
        next_due(a.snapshot(look, told=nudged), START + timedelta(hours=2, minutes=6))
        == START + timedelta(hours=2) + check
    )


def test_a_half_saved_file_is_looked_at_again_after_two_seconds() -> None:
    look = a.look(a.task(), pending=True, at=START + timedelta(hours=1))

    assert next_due(a.snapshot(look), START) == START + timedelta(seconds=2)


def test_a_due_time_does_not_come_twice() -> None:
    look = a.look(a.task(state=State.REVIEW), at=START)

    assert next_due(a.snapshot(look), START) != START


def test_each_module_that_has_a_planner_is_in_the_table() -> None:
    """A planner takes snapshot and time; whoever writes one and forgets its row, or its due times, sees it here."""
    named = {it.plan for it in PLANNERS}
    found = set[object]()
    for module in (
        importlib.import_module(f"claw_files.policy.{it.name}") for it in pkgutil.iter_modules(policy.__path__)
    ):
        for name, value in vars(module).items():
            is_own = inspect.isfunction(value) and value.__module__ == module.__name__
            if name.startswith("plan_") and is_own and list(inspect.signature(value).parameters) == ["snap", "now"]:
                found.add(value)

    assert found - named == {plan_tick, plan_waits}


def test_a_planner_without_due_times_reads_no_time() -> None:
    """`never` is a promise that a rule makes in its text: it compares nothing with `now`, nor do its helpers."""
    assert compares_time(plan_lines), "the check finds a comparison in a helper"
    for row in (it for it in PLANNERS if it.due is never):
        assert not compares_time(row.plan), row.name


def compares_time(plan: Callable[..., object]) -> bool:
    """Whether the function, or one of its module that it gives the time to, calculates with `now`."""
    code = list(ast.walk(ast.parse(textwrap.dedent(inspect.getsource(plan)))))
    if any(isinstance(it, ast.Compare | ast.BinOp) and has_now(ast.iter_child_nodes(it)) for it in code):
        return True
    called = {
        it.func.id for it in code if isinstance(it, ast.Call) and isinstance(it.func, ast.Name) and has_now(it.args)
    }
    helpers = (vars(inspect.getmodule(plan)).get(name) for name in called)
    return any(compares_time(it) for it in helpers if inspect.isfunction(it) and it.__module__ == plan.__module__)


def has_now(nodes: Iterable[ast.AST]) -> bool:
    return any(isinstance(it, ast.Name) and it.id == "now" for it in nodes)


def planner(name: str) -> Planner:
    return next(it for it in PLANNERS if it.name == name)


def test_a_group_with_a_lost_member_is_due_at_the_check_time_of_the_others() -> None:
    """Two were announced and one has a line: the report waits for the other until that line's check time."""
    at = START + timedelta(minutes=7)
    done = a.task("TC-1", State.DONE, assignee=WORKER, label="one", group="g", group_size=2)
    snap = a.snapshot(a.look(done, at=at))

    assert not [it for it in planner("groups").plan(snap, START) if it.act is Act.REPORT]
    assert [it for it in planner("groups").plan(snap, at) if it.act is Act.REPORT]
    assert at in list(due_times(planner("groups"), snap, START))


def test_the_next_in_the_chain_hears_of_a_silent_channel_when_the_first_message_lies_unread() -> None:
    settings = a.settings()
    post = Post(
        id="p-1", key=KeyText("k"), to=SAM, channel="json", queued=START - timedelta(days=1), tries=3, tried=START
    )
    snap = Snapshot(settings=settings, outbox=(post,))
    [first] = [it for it in planner("posts").plan(snap, START) if it.act is Act.ESCALATE]
    told = {f"{first.agent}/{first.key}": ToldMark(box=Box.NEW, sent=START - timedelta(seconds=1))}

    due = list(due_times(planner("posts"), replace(snap, told=told), START))

    assert START - timedelta(seconds=1) + settings.heartbeat.ack in due


def test_the_next_in_the_chain_hears_of_an_empty_budget_when_the_first_message_lies_unread() -> None:
    """The escalation has its time in the table, though no ledger line names the message."""
    settings = a.settings("[budgets.agents]\npeter = 1.0\n")
    spent = MonthSpending(month="2026-03", agents={PETER: 2.0})
    told = {f"{SAM}/budget.2026-03.{PETER}": ToldMark(box=Box.NEW, sent=START)}
    snap = Snapshot(settings=settings, waiting=(a.note(PETER, "n-1", sent=START),), spent=spent, told=told)

    assert START + settings.heartbeat.ack in list(due_times(planner("budgets"), snap, START))
