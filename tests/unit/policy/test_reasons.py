"""Why a task goes where it goes, step by step."""

from datetime import timedelta

from claw_files import config
from claw_files.core.model import AgentId
from claw_files.policy.pools import AgentLoad
from claw_files.policy.route_explanation import RouteQuestion, reasons
from tests.support.builders import IRIS, PETER

SETTINGS = config.parse(b"""
[workspace]
coordinator = "sam"
[agents.sam]
[agents.peter]
takes = ["bug"]
model = "large"
[agents.iris]
[agents.research]
kind = "worker"
takes = ["bug", "digging"]
[routes]
code-review = { to = ["peter", "iris", "self"], pool = true, review = "coordinator", verify = ["pytest", "-q"] }
triage = { to = ["research", "self"], model = "small", cache = "1h", batch = 20 }
fixed = { to = ["peter", "research"], how = "send" }
""")
LOADS = {PETER: AgentLoad(tasks=2, messages=1), IRIS: AgentLoad(runs=1)}


def said(asked: RouteQuestion, **more: object) -> str:
    return " | ".join(reasons(SETTINGS, asked, **more).why)


def test_a_pool_says_who_has_how_much() -> None:
    found = reasons(SETTINGS, RouteQuestion(type="code-review"), LOADS)

    assert "pool, least busy first: iris has 1 other run; peter has 2 tasks, 1 other message" in found.why
    assert found.why[-3:] == (
        "model: none is set; the agent's command decides",
        "review by sam",
        "verified by running pytest -q",
    )
    shown = found.as_json(RouteQuestion(type="code-review"))
    assert (shown["agent"], shown["how"], shown["pool"]) == ("iris", "send", {"peter": 3, "iris": 1})


def test_the_model_says_where_it_comes_from() -> None:
    for own, task_type, told in (
        ("huge", "triage", "model: huge, the task names it"),
        (None, "triage", "model: small, route triage names it"),
        (None, "fixed", "model: large, peter's own"),
    ):
        assert told in said(RouteQuestion(type=task_type, model=own))


def test_cache_and_batch_are_told() -> None:
    told = said(RouteQuestion(type="triage"))

    assert "a verified result of the same spawn is reused for 1h" in told
    assert "puts 20 items into one message" in told


def test_urgency_says_what_it_changes() -> None:
    assert "urgent: spawned workers come first: research | next: research, by spawn" in said(
        RouteQuestion(type="bug", urgent=True)
    )
    assert 'the route says how = "send": its order stays | next: peter' in said(
        RouteQuestion(type="fixed", urgent=True)
    )
    assert "but the route has no worker" in said(RouteQuestion(type="code-review", urgent=True))


def test_who_has_no_money_is_passed_over_unless_nobody_else_is_left() -> None:
    poor = {PETER: "the budget of peter is used up"}

    assert "skipped: the budget of peter is used up | next: iris" in said(
        RouteQuestion(type="code-review"), no_money=poor
    )
    told = said(RouteQuestion(type="fixed", tried=(AgentId("research"),)), no_money=poor)
    assert "already tried: research" in told
    assert "budget: the budget of peter is used up, and no other agent is left, so it waits" in told


def test_the_end_of_the_route_the_source_and_the_estimate() -> None:
    assert said(RouteQuestion(tried=(AgentId("sam"),))).endswith("no agent is left, so it is escalated")
    assert "taken by peter, research" in said(RouteQuestion(type="bug"))
    assert "no agent takes it" in said(RouteQuestion(type="unheard-of"))
    assert "split it into smaller tasks" in said(RouteQuestion(type="bug", estimate=timedelta(hours=2)))
    assert "already assigned to iris" in said(RouteQuestion(type="bug", assignee=IRIS))
