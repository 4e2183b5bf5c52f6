"""Who does a task, and why."""

from datetime import timedelta

import pytest

from claw_files import config
from claw_files.core.model import AgentId, Size, Task, TaskId
from claw_files.policy import routing

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
either = { to = ["peter", "research", "self"], model = "cheap" }
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


def test_nobody_reviews_their_own_work() -> None:
    """It goes up `reports_to`, else to the coordinator, else to any person."""
    routes = '[routes]\nx = { to = ["peter", "iris", "self"], review = "iris" }\n'
    mine = routes + 'y = { to = ["self", "peter"], review = "coordinator" }\n'
    team = "[workspace]\ncoordinator = 'sam'\n[agents.ann]\nkind = 'human'\n[agents.iris]\n[agents.peter]\n"
    bosses = config.parse((team + "[agents.bob]\nkind = 'human'\n[agents.sam]\nreports_to = 'bob'\n" + mine).encode())
    flat = config.parse((team + "[agents.sam]\n" + mine).encode())
    nobody = config.parse((team + "[agents.sam]\n" + mine).replace("kind = 'human'", "").encode())

    assert routing.reviewer(bosses, "x", AgentId("peter")) == "iris"
    assert routing.reviewer(bosses, "x", AgentId("iris")) == "sam"
    assert routing.reviewer(bosses, "y", AgentId("sam")) == "bob"
    assert routing.reviewer(flat, "y", AgentId("sam")) == "ann"
    assert routing.reviewer(nobody, "y", AgentId("sam")) is None
    assert routing.reviewer(bosses, None, AgentId("peter"), asked=True) == "sam"
    assert routing.reviewer(bosses, None, AgentId("sam"), asked=True) == "bob"


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
def test_agents_that_may_take_a_type(agent: str, task_type: str | None, may: bool) -> None:
    assert routing.may_take(SETTINGS, AgentId(agent), task_type) is may


@pytest.mark.parametrize(
    ("minutes", "says"), [(4, "do it yourself"), (5, None), (60, None), (61, "split it"), (None, None)]
)
def test_an_estimate_outside_5_to_60_minutes_is_warned_about(minutes: int | None, says: str | None) -> None:
    warning = routing.estimate_warning(None if minutes is None else timedelta(minutes=minutes))

    assert (warning is None) if says is None else (warning is not None and says in warning and "5 to 60" in warning)


def test_a_route_that_says_no_way_lets_the_urgent_ones_be_spawned() -> None:
    assert order("either") == [("peter", "send"), ("research", "spawn"), ("sam", "send")]
    assert order("either", urgent=True) == [("research", "spawn"), ("peter", "send"), ("sam", "send")]


@pytest.mark.parametrize(
    ("priority", "urgent"),
    [(None, False), ("high", False), ("critical", True), ("Urgent", True), ("p0", True), ("at once!", False)],
)
def test_the_highest_priority_means_that_the_answer_is_needed_now(priority: str | None, urgent: bool) -> None:
    task = Task(id=TaskId("TC-1"), priority=priority)

    assert routing.is_urgent(task) is urgent
    assert routing.is_urgent(routing.made_urgent(task))
    if urgent:
        assert routing.made_urgent(task) == task


@pytest.mark.parametrize(
    ("own", "task_type", "agent", "model"),
    [
        ("task's", "either", "peter", "task's"),
        (None, "either", "peter", "cheap"),
        (None, "either", "research", "cheap"),
        (None, "code-review", "peter", "m"),
        (None, None, "peter", "m"),
        (None, "code-review", "research", None),
    ],
)
def test_the_model_is_the_tasks_the_routes_or_the_agents(
    own: str | None, task_type: str | None, agent: str, model: str | None
) -> None:
    assert routing.model_for(SETTINGS, AgentId(agent), task_type, own) == model
