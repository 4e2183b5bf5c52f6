"""`next_due` is never later than the first thing that a tick would decide although no file changes."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from claw_files.core.model import AgentId, Box, KeyText, Need, Post, Run, RunId, State, TaskId, Unclear
from claw_files.policy import delivery
from claw_files.policy.due_times import EventMarks
from claw_files.policy.flow_tree import Asker
from claw_files.policy.heartbeat_plan import PLANNERS, due_times, next_due, plan_tick
from claw_files.policy.resilience import RunOutcome
from claw_files.policy.snapshot import FilePlace, Snapshot, TaskEvidence, ToldMark
from tests.proofs import examples
from tests.support import builders as a
from tests.support.builders import BOSS, IRIS, PETER, SAM, START, WORKER

MORE = """
[agents.dimitra]
kind = "human"
channels = ["file:a.md", "json://127.0.0.1:1/"]
[quiet_hours]
windows = ["03:00-08:00", "22:00-23:30"]
[limits]
runs = 2
spawns_per_minute = 2
[schedules.report]
cron = "45 8 * * *"
do = { event = "report" }
"""
SETTINGS = a.settings(MORE)
WEEK = timedelta(days=7)

NEAR = Asker(agent=WORKER, boss=PETER, passed=(WORKER,))
ASKERS = (None, replace(NEAR, run=RunId("tc-9.1-s1")), replace(NEAR, waits=True), replace(NEAR, agent=PETER))

moments = st.integers(-43_200, 43_200).map(lambda seconds: START + timedelta(seconds=seconds))
near = st.integers(-7_200, 7_200).map(lambda seconds: START + timedelta(seconds=seconds))
maybe = st.one_of(st.none(), near, moments)
agents = st.sampled_from([PETER, IRIS, WORKER, SAM, BOSS])
WORDS = (Unclear(path="status/tc-1.md", line=3, text="In Progess", hint="Write `Status: in progress`."),)


@st.composite
def looks(draw: st.DrawFn, number: int) -> TaskEvidence:
    agent = draw(agents)
    state = draw(st.sampled_from(list(State)))
    label = f"l{number}" if agent == WORKER else None
    task = a.task(
        f"TC-{number}",
        state,
        assignee=agent,
        type=draw(st.sampled_from([None, "bug", "code-review", "checked"])),
        lease=draw(maybe),
        eta=draw(maybe),
        not_before=draw(maybe),
        updated=draw(near),
        attempt=draw(st.integers(1, 3)),
        failures=draw(st.integers(0, 3)),
        label=label,
        timeout=timedelta(minutes=10) if label else None,
        need=draw(st.sampled_from([None, Need(agent=IRIS, question="Which region?")])),
        requested_by=draw(st.sampled_from([SAM, BOSS])),
        reason=draw(st.sampled_from([None, "no key"])),
        unclear=draw(st.sampled_from([(), WORDS])),
    )
    sent = draw(st.booleans())
    of_message = {"sent": draw(near), "ack_by": draw(maybe), "status_hash": draw(st.sampled_from([None, "other"]))}
    message = a.message(task, sends=draw(st.integers(1, 2)), **of_message) if sent else False
    unread = draw(st.integers(0, 3)) == 0  # the line's time is not understood
    run: Run | None = None
    if draw(st.booleans()):
        ended = draw(st.sampled_from([None, START]))
        run = a.run(task, ended, started=draw(near))
    return a.look(
        task,
        sent=message,
        box=draw(st.sampled_from(list(Box))),
        at=None if unread else draw(near),
        unread=unread,
        run=run,
        last_word=draw(maybe),
        modified=draw(near),
        note=draw(st.sampled_from(["", "half way"])),
        announced=draw(maybe),
        critical=draw(st.sampled_from([(), ("the key is public",)])),
        warned=draw(maybe),
        asker=draw(st.sampled_from(ASKERS)) if label else None,
        next_turn=draw(st.sampled_from([None, SAM])) if label else None,
        place=FilePlace.DEAD_LETTER if state is State.DEAD else FilePlace.STATUS,
    )


def told_of(found: list[TaskEvidence], draw: st.DrawFn) -> dict[str, ToldMark]:
    """What the rules ask about, some of it told: found by planning again with what was answered."""
    told: dict[str, ToldMark] = {}
    for _ in range(4):
        snap = Snapshot(settings=SETTINGS, looks=tuple(found), told=told)
        for moment in (START, START + WEEK):
            for action in plan_tick(snap, moment):
                name = f"{action.agent}/{action.key}"
                if action.key and action.agent and name not in told and draw(st.integers(0, 3)):
                    told[name] = ToldMark(box=draw(st.sampled_from(list(Box))), sent=draw(near))
    return told


@st.composite
def post(draw: st.DrawFn, number: int) -> Post:
    """Something for a channel that there is, or is no more."""
    tries = draw(st.integers(0, 12))
    return Post(
        id=f"post-{number}",
        key=KeyText(f"k{number}"),
        to=AgentId("dimitra"),
        channel=draw(st.sampled_from(["json-2", "json-2", "json-3"])),
        queued=draw(st.one_of(near, st.just(START - timedelta(hours=22)))),
        critical=draw(st.booleans()),
        tries=tries,
        tried=draw(near) if tries else draw(maybe),
    )


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    found = [draw(looks(number)) for number in range(1, draw(st.integers(1, 2)) + 1)]
    live = tuple(look.run for look in found if look.run and look.run.alive)
    outcomes = {
        agent: tuple(
            RunOutcome(at=at, is_good=draw(st.booleans()), task=TaskId(f"TC-{draw(st.integers(1, 3))}"))
            for at in sorted(draw(st.lists(near, max_size=4)))
        )
        for agent in (PETER, WORKER)
    }
    waiting = tuple(
        a.note(to, f"note-{n}", sent=START) for n, to in enumerate(draw(st.lists(st.just(PETER), max_size=2)))
    )
    held = {BOSS: tuple(a.note(BOSS, f"held-{n}", sent=draw(near)) for n in range(draw(st.integers(0, 2))))}
    return Snapshot(
        settings=SETTINGS,
        looks=tuple(found),
        told=told_of(found, draw),
        live=live,
        waiting=waiting,
        outcomes=outcomes,
        held=held,
        outbox=tuple(draw(post(number)) for number in range(draw(st.integers(0, 2)))),
        marks={"report": EventMarks(found=((draw(near) if draw(st.booleans()) else START, None),))},
        spawned=tuple(draw(st.lists(near, max_size=3))),
    )


def decided(snap: Snapshot, at: datetime) -> set[tuple[object, ...]]:
    """What is decided, apart from the time that a line would get; and what is sent."""
    sent = {("send", post.id) for post in delivery.ready(snap.settings, snap.outbox, at)}
    return {(action.act, action.task, action.agent, action.key) for action in plan_tick(snap, at)} | sent


@pytest.mark.proof
@given(snapshots(), near)
@settings(max_examples=examples(300), deadline=None)
def test_no_new_decision_is_made_before_the_next_due_time(snap: Snapshot, now: datetime) -> None:
    """Walked from one due time to the next, for days: each must come before anything is new."""
    end = now + timedelta(hours=14)
    while now < end:
        already = decided(snap, now)

        due = next_due(snap, now)

        assert due is None or due > now
        last = min((due or end) - timedelta(microseconds=1), end)
        for at in (now + (last - now) / 2, last):
            news = decided(snap, at) - already
            assert not news, f"due {due}, but at {at}: {news}"
        now = due or end


# The dispatch queue follows from what the other planners put into inboxes, so its decisions have their due times, too.
ALONE = tuple(planner for planner in PLANNERS if planner.name != "dispatch queue")


@pytest.mark.proof
@given(snapshots(), near)
@settings(max_examples=examples(400), deadline=None)
def test_a_planner_names_each_instant_at_which_it_decides_something_new(snap: Snapshot, now: datetime) -> None:
    for planner in ALONE:
        at, end = now, now + timedelta(hours=14)
        while at < end:
            already = {(it.act, it.task, it.agent, it.key) for it in planner.plan(snap, at)}

            due = min((it for it in due_times(planner, snap, at) if it > at), default=end)

            last = due - timedelta(microseconds=1)
            news = {(it.act, it.task, it.agent, it.key) for it in planner.plan(snap, last)} - already
            assert not news, f"{planner.name} is due {due}, but decides at {last}: {news}"
            at = due


def test_a_breaker_that_a_clock_set_back_opens_later_is_due_then() -> None:
    """Three failures dated ahead hold nothing up at first: ten minutes before the last of them they begin to."""
    later = START + timedelta(minutes=30)
    failed = a.look(a.task("TC-1", State.FAILED, assignee=PETER, type="bug", attempt=1, updated=START))
    snap = Snapshot(settings=SETTINGS, looks=(failed,), outcomes={PETER: (RunOutcome(at=later, is_good=False),) * 3})
    opens = later - timedelta(minutes=10)
    at = START

    while at < opens:
        due = next_due(snap, at)
        assert due is not None
        at = due

    assert at == opens
