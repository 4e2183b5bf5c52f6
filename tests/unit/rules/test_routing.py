"""Who does a task, and why."""

from datetime import timedelta

import pytest

from claw_files import config
from claw_files.model import AgentId, Size
from claw_files.rules import routing

SETTINGS = config.parse(b"""
[workspace]
coordinator = "sam"
[agents.sam]
[agents.peter]
takes = ["bug"]
command = ["agent"]
model = "m"
[agents.looks]
[agents.coder]
runtime = "acp"
command = ["codex-acp"]
[agents.research]
kind = "worker"
takes = ["bug", "digging"]
command = ["worker"]
[agents.ann]
kind = "human"
takes = ["sign-off"]
[routes]
code-review = { to = ["peter", "research", "self"], how = "send", review = "coordinator", verify = ["pytest", "-q"] }
isolated = { to = ["peter", "coder", "looks", "ann", "self"], how = "spawn", size = "L", review = "ann" }
""")


def ids(*names: str) -> tuple[AgentId, ...]:
    return tuple(AgentId(name) for name in names)


def order(task_type: str | None, urgent: bool = False) -> list[tuple[str, str]]:
    """Everybody who is picked, one after the other, until nobody is left."""
    tried, found = ids(), list[tuple[str, str]]()
    while choice := routing.pick(SETTINGS, task_type, tried, urgent):
        tried = (*tried, choice.agent)
        found.append((choice.agent, choice.how))
    return found


def test_a_route_is_followed_to_its_end_and_self_is_the_coordinator() -> None:
    assert order("code-review") == [("peter", "send"), ("research", "spawn"), ("sam", "send")]


def test_a_route_may_ask_for_runs_of_their_own_from_who_can_be_started() -> None:
    started = [("peter", "spawn"), ("coder", "spawn")]
    assert order("isolated") == [*started, ("looks", "send"), ("ann", "send"), ("sam", "send")]


def test_without_a_route_who_takes_the_type_comes_before_the_coordinator() -> None:
    assert order("bug") == [("peter", "send"), ("research", "spawn"), ("sam", "send")]
    assert order("unheard-of") == order(None) == [("sam", "send")]


def test_an_answer_needed_now_is_spawned_for_first() -> None:
    assert order("bug", urgent=True) == [("research", "spawn"), ("peter", "send"), ("sam", "send")]
    assert order("code-review", urgent=True) == order("code-review")  # the route's order is the user's


def test_a_choice_carries_what_the_route_says() -> None:
    choice = routing.pick(SETTINGS, "isolated")
    assert choice is not None
    assert (choice.size, choice.review, choice.model) == (Size.L, "ann", "m")
    choice = routing.pick(SETTINGS, "code-review", ids("peter"))
    assert choice is not None
    assert choice.verify == ("pytest", "-q")
    assert choice.why == "route code-review: peter, research, sam; research is next, after peter"


def test_the_reviewer_is_who_the_route_names() -> None:
    assert routing.reviewer(SETTINGS, "code-review") == "sam"
    assert routing.reviewer(SETTINGS, "isolated") == "ann"
    assert routing.reviewer(SETTINGS, "bug") is None
    assert routing.reviewer(SETTINGS, None) is None


@pytest.mark.parametrize(
    ("agent", "task_type", "may"),
    [
        ("peter", "bug", True),
        ("looks", "bug", False),
        ("sam", "bug", True),
        ("looks", "code-review", False),
        ("research", "code-review", True),
        ("looks", None, True),
        ("looks", "unheard-of", True),
    ],
)
def test_who_may_take_a_type(agent: str, task_type: str | None, may: bool) -> None:
    assert routing.may_take(SETTINGS, AgentId(agent), task_type) is may


@pytest.mark.parametrize(
    ("minutes", "says"), [(4, "do it yourself"), (5, None), (60, None), (61, "split it"), (None, None)]
)
def test_an_estimate_outside_5_to_60_minutes_is_warned_about(minutes: int | None, says: str | None) -> None:
    warning = routing.estimate_warning(None if minutes is None else timedelta(minutes=minutes))

    assert (warning is None) if says is None else (warning is not None and says in warning and "5 to 60" in warning)


def test_the_explanation_names_route_next_review_and_end() -> None:
    said = " | ".join(routing.explain(SETTINGS, "code-review", ids("peter")))
    for part in ("route code-review", "already tried: peter", "next: research, by spawn", "review by sam", "pytest -q"):
        assert part in said
    assert "escalated" in routing.explain(SETTINGS, None, ids("sam"))[-1]
    assert "taken by peter, research" in routing.explain(SETTINGS, "bug")[0]
    assert "nobody takes it" in routing.explain(SETTINGS, "unheard-of")[0]
