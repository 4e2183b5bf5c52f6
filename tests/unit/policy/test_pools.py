"""The least busy of a pool: a rule over what is given, alive and waiting."""

from collections.abc import Mapping
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from claw_files import config
from claw_files.core.model import AgentId, Box, State
from claw_files.policy import pools, routing
from claw_files.policy.heartbeat_plan import plan_tick
from claw_files.policy.pools import AgentLoad
from claw_files.policy.snapshot import Act
from claw_files.testing.clock import START
from tests.support import builders as a

NAMES = [AgentId(name) for name in ("peter", "iris", "ada", "bob")]
SETTINGS = config.parse(b"""
[workspace]
coordinator = "sam"
[agents.sam]
[agents.peter]
[agents.iris]
[agents.ada]
[agents.bob]
[agents.research]
kind = "worker"
[agents.ann]
kind = "human"
[routes]
many = { to = ["peter", "research", "iris", "ada", "ann", "bob", "self"], pool = true }
one-by-one = { to = ["peter", "iris", "self"] }
""")
ROUTE = SETTINGS.routes["many"]

loads = st.dictionaries(
    st.sampled_from([*NAMES, AgentId("sam"), AgentId("research")]),
    st.builds(AgentLoad, tasks=st.integers(0, 9), runs=st.integers(0, 3), messages=st.integers(0, 9)),
)


@given(loads)
def test_the_least_busy_comes_first_ties_as_in_the_route_and_all_others_where_they_stand(
    found: Mapping[AgentId, AgentLoad],
) -> None:
    order = pools.in_order(SETTINGS, ROUTE, found)

    pool = [agent for agent in order if agent in NAMES]
    assert sorted(order) == sorted(ROUTE.to)
    assert [at for at, agent in enumerate(order) if agent in NAMES] == [0, 2, 3, 5]
    keys = [(found.get(agent, AgentLoad()).total, ROUTE.to.index(agent)) for agent in pool]
    assert keys == sorted(keys)
    assert order == pools.in_order(SETTINGS, ROUTE, dict(reversed(found.items())))


@given(loads, st.integers(1, 20))
def test_many_given_out_at_once_even_out(found: dict[AgentId, AgentLoad], count: int) -> None:
    before = {agent: found.get(agent, AgentLoad()).total for agent in NAMES}
    for _ in range(count):
        choice = routing.pick(SETTINGS, "many", loads=found)
        assert choice is not None
        found = pools.with_one_more(found, choice.agent)

    after = {agent: found.get(agent, AgentLoad()).total for agent in NAMES}
    given_to = [agent for agent in NAMES if after[agent] > before[agent]]
    assert sum(after.values()) == sum(before.values()) + count
    assert max(after[agent] for agent in given_to) <= min(after.values()) + 1


def test_a_route_without_a_pool_keeps_its_order() -> None:
    busy = {AgentId("peter"): AgentLoad(tasks=7)}

    assert routing.candidates(SETTINGS, "one-by-one", loads=busy) == ("peter", "iris", "sam")
    assert pools.members(SETTINGS, SETTINGS.routes["one-by-one"]) == ()


def test_each_thing_is_counted_once_and_what_waits_for_others_not_at_all() -> None:
    at_work = a.task("TC-1", State.IN_PROGRESS, assignee=a.PETER)
    waits = a.task("TC-2", State.BACKLOG, assignee=a.PETER)
    blocked, done = a.task("TC-3", State.BLOCKED), a.task("TC-4", State.DONE)
    review = a.task("TC-5", State.REVIEW, assignee=a.IRIS)
    watched = [(a.entry(task), task) for task in (at_work, waits, blocked, done, review)]
    live = [a.run(at_work), a.run(review, agent=a.PETER, key="tc-5.1.review")]
    waiting = [a.message(waits), a.note(a.PETER, "hello"), a.note(a.IRIS, "hello")]

    found = pools.loads(watched, live, waiting)

    assert found == {a.PETER: AgentLoad(tasks=2, runs=1, messages=1), a.IRIS: AgentLoad(messages=1)}
    assert str(found[a.PETER]) == "2 tasks, 1 other run, 1 other message"
    assert str(AgentLoad()) == "nothing"


def test_a_message_that_nobody_read_goes_on_to_the_least_busy_of_the_pool() -> None:
    task = a.task(assignee=a.IRIS, type="shared")
    look = a.look(task, sent=a.message(task, sends=2), box=Box.NEW)
    pool = '[routes.shared]\nto = ["iris", "peter", "sentry", "self"]\npool = true\n'
    snap = a.snapshot(look, more=pool, loads={a.PETER: AgentLoad(tasks=1), a.IRIS: AgentLoad(tasks=1)})

    (action,) = plan_tick(snap, START + timedelta(hours=1))

    assert (action.act, action.agent) == (Act.NEXT_AGENT, a.SENTRY)
