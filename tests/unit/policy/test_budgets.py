"""A budget that is used up lets messages wait, tells once, and sends work to the next agent of the route."""

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from claw_files.core.model import AgentId, Box, Kind, Message, State
from claw_files.policy import budgets
from claw_files.policy.dispatch_queue import HoldReason, plan_waits
from claw_files.policy.heartbeat_plan import next_due, plan_ready, plan_tick
from claw_files.policy.line_planner import plan_line
from claw_files.policy.snapshot import Act, Action, MonthSpending, Snapshot, ToldMark
from tests.support import builders as a
from tests.support.builders import BOSS, IRIS, PETER, SAM, START

BUDGETS = """
[budgets]
month = 450.0
currency = "EUR"
[budgets.agents]
peter = 80.0
"""


def spent(total: float, **agents: float) -> MonthSpending:
    return MonthSpending(month="2026-03", total=total, agents={AgentId(name): agents[name] for name in agents})


def waiting(to: AgentId = PETER) -> Message:
    return a.message(a.task(assignee=to), to=to)


def snapshot(money: MonthSpending | None, *messages: Message, **more: object) -> Snapshot:
    return a.snapshot(more=BUDGETS, spent=money, waiting=messages or (waiting(),), **more)


def acts(snap: Snapshot, after: timedelta = timedelta(0)) -> list[tuple[Act, str | None]]:
    return [(action.act, action.agent) for action in plan_tick(snap, START + after)]


def test_an_agent_with_money_left_is_woken() -> None:
    assert acts(snapshot(spent(79.99, peter=79.99))) == [(Act.WAKE, PETER)]


def test_where_nobody_asked_what_was_spent_nothing_is_stopped() -> None:
    assert acts(snapshot(None)) == [(Act.WAKE, PETER)]


def test_the_message_of_an_agent_whose_budget_is_used_up_waits_and_its_boss_is_told_once() -> None:
    snap = snapshot(spent(80.0, peter=80.0))

    (action,) = plan_tick(snap, START)

    assert (action.act, action.agent, action.key) == (Act.ESCALATE, SAM, "budget.2026-03.peter")
    assert "the budget of peter for 2026-03 is used up: 80.00 of 80.00 EUR" in action.text
    read = {"sam/budget.2026-03.peter": ToldMark(box=Box.CUR, sent=START)}
    assert acts(replace(snap, told=read), after=timedelta(hours=1)) == []


def test_an_unread_budget_notice_is_told_one_step_further_up() -> None:
    told = {"sam/budget.2026-03.peter": ToldMark(box=Box.NEW, sent=START)}
    snap = replace(snapshot(spent(80.0, peter=80.0)), told=told)

    assert acts(snap) == []
    assert acts(snap, after=timedelta(minutes=5)) == [(Act.ESCALATE, BOSS)]


@pytest.mark.parametrize(
    ("now", "until"),
    [
        (START, datetime(2026, 3, 31, 22, tzinfo=UTC)),  # summer time in Berlin
        (datetime(2026, 10, 31, 23, 30, tzinfo=UTC), datetime(2026, 11, 30, 23, tzinfo=UTC)),  # November there already
        (datetime(2026, 12, 9, tzinfo=UTC), datetime(2026, 12, 31, 23, tzinfo=UTC)),
    ],
)
def test_what_waits_for_money_is_due_when_the_next_month_begins_in_the_workspaces_zone(
    now: datetime, until: datetime
) -> None:
    snap = snapshot(spent(80.0, peter=80.0))

    (wait,) = plan_waits(snap, now)

    assert (wait.held_by, wait.until) == (HoldReason.BUDGET, until)
    alone = replace(snap, waiting=tuple(replace(it, sent=None, ack_by=None) for it in snap.waiting))
    assert next_due(alone, now) == until


def test_a_new_month_or_a_raised_budget_lets_it_go_on() -> None:
    assert acts(snapshot(MonthSpending(month="2026-04"))) == [(Act.WAKE, PETER)]
    raised = a.snapshot(more=BUDGETS.replace("80", "90"), spent=spent(80.0, peter=80.0), waiting=(waiting(),))
    assert acts(raised) == [(Act.WAKE, PETER)]


def test_the_budget_of_all_together_stops_everybody_but_people_and_is_told_once() -> None:
    used = spent(450.0, iris=450.0)
    snap = snapshot(used, waiting())

    (action,) = plan_tick(snap, START)

    assert (action.key, action.agent) == ("budget.2026-03.all", SAM)
    assert budgets.used_up(snap.settings, used, BOSS) is None
    assert set(budgets.without_money(snap.settings, used)) == set(snap.settings.agents) - {BOSS}


def test_a_budget_of_nothing_stops_from_the_start() -> None:
    snap = a.snapshot(more=BUDGETS.replace("80.0", "0"), spent=spent(0.0), waiting=(waiting(),))

    assert [action.act for action in plan_tick(snap, START)] == [Act.ESCALATE]


def line(money: MonthSpending | None, box: Box = Box.NEW, **fields: object) -> tuple[Action, ...]:
    task = a.task(type="code-review", **fields)
    look = a.look(task, sent=True, box=box)
    return plan_line(look, a.snapshot(look, more=BUDGETS, spent=money), START)


def test_work_goes_elsewhere_only_when_money_is_used_up_and_its_boss_is_told() -> None:
    told, action = line(spent(80.0, peter=80.0))

    assert (told.act, told.agent) == (Act.ESCALATE, SAM)
    assert (action.act, action.agent, action.key) == (Act.NEXT_AGENT, IRIS, "tc-47.2")
    assert line(spent(10.0, peter=10.0)) == ()


def test_a_task_without_a_route_waits() -> None:
    look = a.look(a.task(type=None), sent=True, box=Box.NEW)
    snap = a.snapshot(look, more=BUDGETS, spent=spent(80.0, peter=80.0), waiting=(waiting(),))

    assert plan_line(look, snap, START) == ()
    assert acts(snap) == [(Act.ESCALATE, SAM)]


def test_read_messages_and_live_runs_go_on_without_budget() -> None:
    assert Act.NEXT_AGENT not in [action.act for action in line(spent(80.0, peter=80.0), box=Box.CUR)]
    assert Act.NEXT_AGENT not in [action.act for action in line(spent(80.0, peter=80.0), state=State.IN_PROGRESS)]


def test_the_next_agent_is_one_that_has_money_itself() -> None:
    more = BUDGETS + "iris = 5.0\n"
    look = a.look(a.task(type="code-review"), sent=True, box=Box.NEW)

    _, action = plan_line(look, a.snapshot(look, more=more, spent=spent(85.0, peter=80.0, iris=5.0)), START)

    assert action.agent == SAM


def test_where_everybody_is_out_of_money_the_task_waits() -> None:
    assert line(spent(450.0, peter=10.0)) == ()


def test_a_ready_task_goes_to_an_agent_with_money() -> None:
    more = f"{BUDGETS}[heartbeat]\nauto = true\n"
    ready = a.task(assignee=None, type="bug")
    snap = a.snapshot(more=more, ready=(ready,), spent=spent(80.0, peter=80.0))

    assert [action.agent for action in plan_ready(snap, START)] == [IRIS]
    assert plan_ready(replace(snap, spent=spent(450.0)), START) == []


@pytest.mark.parametrize("kind", [Kind.QUESTION, Kind.ANNOUNCE, Kind.STEER])
def test_every_message_that_would_wake_it_waits(kind: Kind) -> None:
    message = a.note(PETER, "x", kind=kind)

    assert (Act.WAKE, PETER) not in acts(snapshot(spent(80.0, peter=80.0), message))
