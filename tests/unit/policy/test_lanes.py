"""What is ahead of each waiting message: lane, agent, slots, rates, breaker."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from claw_files.core.model import AgentId, Message
from claw_files.core.text import render_for_people
from claw_files.policy.dispatch_queue import HoldReason, QueuedMessage, long_waits, plan_waits, plan_wakes, sentence
from tests.proofs import examples
from tests.support import builders as a
from tests.support.builders import PETER, START, WORKER

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
MODEL = '[limits.per_model]\nbig = "3/min"\n'


def messages(count: int, to: AgentId = WORKER, model: str | None = None) -> tuple[Message, ...]:
    """Sent a second apart."""
    definition = {"model": model} if model else {}
    made = (a.message(a.task(f"TC-{n}", assignee=to), definition=definition) for n in range(1, count + 1))
    return tuple(replace(message, sent=START + n * SECOND) for n, message in enumerate(made))


def waits(
    *waiting: Message, more: str = "", now: datetime = START + MINUTE, **around: object
) -> tuple[QueuedMessage, ...]:
    return plan_waits(a.snapshot(waiting=waiting, more=more, **around), now)


def holds(*waiting: Message, **around: object) -> list[HoldReason | None]:
    return [wait.held_by for wait in waits(*waiting, **around)]


def test_of_five_at_once_the_fifth_waits_for_a_slot_and_knows_what_is_ahead() -> None:
    *first, fifth = waits(*messages(5))

    assert [wait.held_by for wait in first] == [None] * 4
    assert (fifth.held_by, fifth.ahead, fifth.runs) == (HoldReason.RUNS, 4, ())
    assert fifth.messages == tuple(wait.message.id for wait in first)


def test_behind_live_runs_a_message_names_them() -> None:
    live = tuple(a.run(a.task(f"TC-{n}", assignee=WORKER)) for n in range(11, 15))

    (wait,) = waits(*messages(1), live=live)

    assert (wait.held_by, wait.runs, wait.ahead) == (HoldReason.RUNS, tuple(run.id for run in live), 0)
    assert sentence(wait, lambda at: render_for_people(at, START + MINUTE, UTC)) == (
        "waits for limits.runs since 08:45 (1 min ago), behind 4 runs (tc-11.1-s1, tc-12.1-s1, tc-13.1-s1, ...)"
    )


def test_a_lane_keeps_its_order_also_behind_a_message_that_something_else_holds() -> None:
    """The first waits for its model; the second, of another model, would otherwise overtake it in the same session."""
    first, second = messages(1, PETER, "big")[0], messages(2, PETER, "small")[1]

    assert holds(first, second, more=MODEL, started={"big": (START + 30 * SECOND,) * 3}) == [
        HoldReason.MODEL,
        HoldReason.LANE,
    ]


def test_a_model_that_has_had_its_rate_waits_until_the_oldest_of_them_is_a_minute_ago() -> None:
    started = {"big": tuple(START + n * 10 * SECOND for n in (1, 2, 3)), "small": (START,) * 9}

    (wait,) = waits(*messages(1, model="big"), more=MODEL, started=started)

    assert (wait.held_by, wait.until) == (HoldReason.MODEL, START + 70 * SECOND)
    assert holds(*messages(1, model="big"), more=MODEL, started=started, now=START + 70 * SECOND) == [None]
    assert holds(*messages(1, model="small"), more=MODEL, started=started) == [None]


def test_what_starts_in_the_same_moment_counts_against_the_rate_as_well() -> None:
    assert holds(*messages(4, model="big"), more=MODEL) == [None, None, None, HoldReason.MODEL]


def test_the_model_of_an_agent_counts_where_its_task_names_none() -> None:
    more = MODEL + "[agents.coder]\ncommand = ['x']\nmodel = 'big'\n"
    (wait,) = waits(*messages(1, AgentId("coder")), more=more, started={"big": (START + 50 * SECOND,) * 3})

    assert wait.held_by is HoldReason.MODEL


def test_an_agents_own_limit_holds_its_third_run_and_nobody_elses() -> None:
    more = "[agents.two]\nkind = 'worker'\ncommand = ['x']\nruns = 2\n"
    three, other = messages(3, AgentId("two")), replace(messages(4)[3], to=WORKER)

    assert holds(*three, other, more=more) == [None, None, HoldReason.AGENT, None]


def test_a_named_agent_with_two_runs_has_two_at_once_in_its_session() -> None:
    more = "[agents.pair]\ncommand = ['x']\nruns = 2\n"

    assert holds(*messages(3, AgentId("pair")), more=more) == [None, None, HoldReason.LANE]
    assert holds(*messages(2, PETER)) == [None, HoldReason.LANE]


def test_spawns_wait_until_the_minute_lets_them() -> None:
    more = "[limits]\nspawns_per_minute = 2\n"

    (wait,) = waits(*messages(1), more=more, spawned=(START + 10 * SECOND, START + 40 * SECOND))

    assert (wait.held_by, wait.until) == (HoldReason.SPAWNS, START + 70 * SECOND)


def test_messages_that_wait_longer_than_two_seconds_are_named() -> None:
    found = waits(*messages(6), now=START + 7 * SECOND)

    assert [wait.message.key for wait in long_waits(found, START + 7 * SECOND)] == ["tc-5.1"]
    assert long_waits(found, START + 6 * SECOND) == ()


@pytest.mark.proof
@settings(max_examples=examples(800), deadline=None)
@given(
    to=st.lists(st.sampled_from([PETER, WORKER]), max_size=12),
    live=st.integers(0, 4),
    rate=st.integers(0, 3),
    now=st.integers(0, 120),
)
def test_a_message_that_nothing_holds_is_woken_and_no_other(to: list[AgentId], live: int, rate: int, now: int) -> None:
    waiting = tuple(replace(messages(n + 1, who)[-1], definition={"model": "big"}) for n, who in enumerate(to))
    runs = tuple(a.run(a.task(f"TC-{n}", assignee=WORKER)) for n in range(50, 50 + live))
    snap = a.snapshot(waiting=waiting, live=runs, more=MODEL, started={"big": (START,) * rate})
    at = START + now * SECOND

    found, woken = plan_waits(snap, at), plan_wakes(snap, at)

    assert [message.key for message in waiting] == [wait.message.key for wait in found], "each once, in order"
    assert [action.key for action in woken] == [wait.message.key for wait in found if wait.held_by is None]
    assert len(woken) + live <= 4
    assert len(woken) + (rate if now < 60 else 0) <= 3
    for wait in found:
        assert (wait.held_by is None) <= (wait.ahead == 0 and not wait.runs)
        assert wait.until is None or wait.until > at


@pytest.mark.parametrize("count", [1, 30])
def test_of_many_ahead_the_first_are_named_and_all_are_counted(count: int) -> None:
    *_, last = waits(*messages(count + 1), more="[limits]\nruns = 1\n")

    assert (last.ahead, len(last.messages)) == (count, min(count, 20))
