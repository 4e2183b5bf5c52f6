"""What a whole tick decides: whom it wakes, what is ready, due and held back; and what holds for every snapshot."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from claw_files.core.model import AgentId, Box, Kind, Message, Need, Run, State
from claw_files.policy.dispatch_queue import plan_wakes
from claw_files.policy.due_times import GONE, EventMarks, rule
from claw_files.policy.heartbeat_plan import plan_ready, plan_tick
from claw_files.policy.ledger_line_rules import plan_entry
from claw_files.policy.resilience import RunOutcome
from claw_files.policy.rule_context import lane
from claw_files.policy.snapshot import Act, Action, FilePlace, Snapshot, TaskEvidence, ToldMark
from tests.proofs import examples
from tests.support import builders as a
from tests.support.builders import BOSS, IRIS, PETER, SAM, SENTRY, START, WORKER

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def plan(*looks: TaskEvidence, after: timedelta = timedelta(0), **around: object) -> list[Action]:
    return list(plan_tick(a.snapshot(*looks, **around), START + after))


def acts(*looks: TaskEvidence, **kwargs: object) -> list[Act]:
    return [action.act for action in plan(*looks, **kwargs)]


# --- lines


def test_without_changes_no_action_is_planned() -> None:
    assert plan(a.look(a.task(state=State.IN_PROGRESS), sent=True, at=START + HOUR)) == []


def test_a_time_without_a_date_gets_one() -> None:
    (date,) = plan(a.look(a.task(state=State.IN_PROGRESS), sent=True, at=START + HOUR, dated=False))

    assert (date.act, date.at, date.key) == (Act.DATE, START + HOUR, "tc-47.date")


def test_a_line_that_is_rewritten_anyway_gets_its_date_with_that() -> None:
    assert acts(a.look(a.task(state=State.IN_PROGRESS), sent=True, dated=False)) == [Act.EXTEND]
    assert acts(a.look(a.task(state=State.DONE), dated=False)) == [Act.INFORM, Act.CLOSE]


def test_nothing_is_planned_for_a_file_that_is_being_written_not_even_a_date() -> None:
    assert plan(a.look(a.task(), pending=True, dated=False)) == []


def test_of_two_lines_for_one_task_the_first_acts_and_the_second_is_reported_once() -> None:
    first, second = a.look(a.task(assignee=IRIS)), a.look(a.task(assignee=PETER))

    deliver, told = plan(first, second)

    assert (deliver.act, deliver.agent) == (Act.DELIVER, IRIS)
    assert (told.act, told.agent, told.key) == (Act.ESCALATE, SAM, "tc-47.two-lines")
    assert acts(first, second, told=("sam/tc-47.two-lines",)) == [Act.DELIVER]


# --- waking


def messages(count: int, to: AgentId = WORKER) -> list[Message]:
    return [a.message(a.task(f"TC-{n}", assignee=to)) for n in range(1, count + 1)]


def woken(waiting: list[Message], live: tuple[Run, ...] = (), more: str = "", **kwargs: object) -> list[str]:
    snap = a.snapshot(live=live, waiting=tuple(waiting), more=more, **kwargs)
    return [action.key for action in plan_wakes(snap, START)]


def test_seven_at_four_slots_are_woken_in_their_order_as_slots_come_free() -> None:
    seven = messages(7)
    running = tuple(a.run(a.task(f"TC-{n}", assignee=WORKER)) for n in range(1, 5))

    assert woken(seven) == ["tc-1.1", "tc-2.1", "tc-3.1", "tc-4.1"]
    assert woken(seven[4:], live=running) == []
    assert woken(seven[4:], live=running[1:]) == ["tc-5.1"]
    assert woken(seven[4:], live=()) == ["tc-5.1", "tc-6.1", "tc-7.1"]


def test_one_run_at_a_time_in_each_lane_in_the_order_they_were_sent() -> None:
    early, late = replace(messages(2, PETER)[1], sent=START - HOUR), messages(1, PETER)[0]

    assert woken([late, early]) == ["tc-2.1"]
    assert woken([late], live=(a.run(a.task("TC-9")),)) == []


def test_messages_of_the_same_moment_keep_their_order() -> None:
    assert woken([messages(10)[9], messages(9)[8]], more="[limits]\nruns = 1\n") == ["tc-10.1"]


def test_a_lane_that_is_busy_holds_up_nobody_else() -> None:
    assert woken([*messages(1, PETER), *messages(2)[1:]], live=(a.run(a.task("TC-9")),)) == ["tc-2.1"]


def test_workers_are_started_at_most_so_often_a_minute() -> None:
    more = "[limits]\nspawns_per_minute = 3\n"
    recent = (START - 50 * timedelta(seconds=1), START - timedelta(seconds=70))

    assert woken(messages(4), more=more, spawned=recent) == ["tc-1.1", "tc-2.1"]


def test_an_open_breaker_keeps_its_agent_asleep_and_a_half_open_one_lets_one_run_begin() -> None:
    def failing(ago: timedelta) -> dict[AgentId, list[RunOutcome]]:
        return {WORKER: [RunOutcome(at=START - ago, is_good=False)] * 3}

    assert woken(messages(3), outcomes=failing(9 * MINUTE)) == []
    assert woken(messages(3), outcomes=failing(10 * MINUTE)) == ["tc-1.1"]
    assert woken(messages(3)[1:], live=(a.run(a.task("TC-1", assignee=WORKER)),), outcomes=failing(HOUR)) == []


def test_what_a_tick_delivers_it_wakes_for_in_the_same_tick() -> None:
    look = a.look(a.task())

    assert acts(look) == [Act.DELIVER, Act.WAKE]
    assert acts(a.look(a.task(assignee=IRIS))) == [Act.DELIVER], "she looks for herself"
    assert acts(look, live=(a.run(a.task("TC-1")),)) == [Act.DELIVER], "in its lane something runs"


def test_the_next_agent_is_woken_with_the_message_of_the_new_attempt() -> None:
    task = a.task(assignee=SAM, type="bug")
    unread = a.look(task, sent=a.message(task, sends=2), box=Box.NEW)

    planned = plan(unread, after=HOUR, told=())

    assert [(action.act, action.agent, action.key) for action in planned] == [
        (Act.NEXT_AGENT, PETER, "tc-47.2"),
        (Act.WAKE, PETER, "tc-47.2"),
    ]


def test_a_tick_delivers_to_an_agent_whose_breaker_is_open_but_does_not_wake_it() -> None:
    assert acts(a.look(a.task()), outcomes={PETER: (RunOutcome(at=START, is_good=False),) * 3}) == [Act.DELIVER]


def test_what_follows_from_no_single_line_is_marked_as_such() -> None:
    assert [(action.act, not action.is_of_line) for action in plan(a.look(a.task()))] == [
        (Act.DELIVER, False),
        (Act.WAKE, True),
    ]


# --- the backlog


def ready(*tasks: object, looks: tuple[TaskEvidence, ...] = (), auto: str = "true") -> list[str]:
    snap = a.snapshot(*looks, more=f"[heartbeat]\nauto = {auto}\n", ready=tasks)
    return [f"{action.task} {action.agent}" for action in plan_ready(snap, START)]


def test_with_auto_what_is_ready_is_delegated_within_the_limits() -> None:
    free = [a.task(f"TC-{n}", type="bug", assignee=None) for n in range(1, 6)]
    busy = (a.look(a.task("TC-9", State.IN_PROGRESS)), a.look(a.task("TC-8", State.DONE)))

    assert ready(*free, looks=busy) == ["TC-1 peter", "TC-2 peter", "TC-3 peter"]


def test_without_auto_nothing_is_delegated_by_itself() -> None:
    assert ready(a.task(type="bug", assignee=None), auto="false") == []


# --- schedules

DAILY = '[schedules.report]\ncron = "45 8 * * *"\ndo = { event = "report" }\n'
DUE = datetime(2026, 3, 7, 7, 45, tzinfo=UTC)  # 08:45 in Berlin


def test_a_due_time_becomes_one_event() -> None:
    (event,) = plan(more=DAILY, marks={"report": EventMarks(found=((DUE - HOUR, None),))})

    assert (event.act, event.key, event.at) == (Act.EVENT, "schedule.report.20260307T074500Z", DUE)
    assert plan(more=DAILY, marks={"report": EventMarks(found=((DUE, None),))}) == []


RULE = rule("45 8 * * *", "Europe/Berlin")


def counted(at: datetime, word: str = RULE, *times: datetime) -> dict[str, EventMarks]:
    """Marks of a schedule whose counting began, or ended, at that time; beside it events."""
    return {"report": EventMarks(found=((at, word), *((it, None) for it in times)))}


def test_an_event_from_a_clock_that_was_ahead_is_named_once_and_counting_goes_on() -> None:
    marks = counted(DUE - HOUR, RULE, DUE + 365 * 24 * HOUR)

    ahead, event = plan(more=DAILY, marks=marks)

    key = "schedule.report.20270307T074500Z.ahead"
    assert (ahead.act, ahead.agent, ahead.key) == (Act.ESCALATE, SENTRY, key)
    assert (event.act, event.at) == (Act.EVENT, DUE)
    again = plan(more=DAILY, marks=counted(DUE - HOUR, RULE, DUE, DUE + 365 * 24 * HOUR), told=(f"sentry/{key}",))
    assert again == []


def test_a_due_time_that_a_clock_ahead_has_made_is_not_made_again_when_it_comes() -> None:
    marks = counted(DUE - HOUR, RULE, DUE, DUE + 48 * HOUR)

    assert [action.at for action in plan(more=DAILY, marks=marks, after=24 * HOUR) if action.act is Act.EVENT] == []
    assert plan(more=DAILY, marks=marks, after=47 * HOUR) == plan(more=DAILY, marks=marks, after=49 * HOUR) == []


@pytest.mark.parametrize("word", [rule("0 19 * * *", "Europe/Berlin"), rule("45 8 * * *", "UTC"), GONE])
def test_a_schedule_that_was_changed_or_is_back_counts_from_when_that_is_seen(word: str) -> None:
    """Its line, its zone, or that a tick saw it gone from the configuration; the due time before it is not made."""
    (mark,) = plan(more=DAILY, marks=counted(DUE - 7 * 24 * HOUR, word))

    assert (mark.act, mark.at, mark.details) == (Act.EVENT, START, {"arm": "report"})
    assert mark.key.endswith(f".{RULE}")
    assert plan(more=DAILY, marks=counted(START)) == []


def test_a_schedule_that_left_the_configuration_is_marked_once() -> None:
    (mark,) = plan(marks=counted(DUE - HOUR))

    assert mark.key.endswith(".gone")
    assert plan(marks=counted(START, GONE)) == []


def test_a_schedule_that_was_only_missed_is_made_up_for() -> None:
    assert [action.at for action in plan(more=DAILY, marks=counted(DUE - 7 * 24 * HOUR))] == [DUE]


def test_a_change_is_marked_once_also_beside_a_mark_that_lies_a_little_ahead() -> None:
    old = counted(START + HOUR, rule("0 19 * * *", "Europe/Berlin"))
    (mark,) = plan(more=DAILY, marks=old)
    assert mark.at is not None
    now = EventMarks(found=(*old["report"].found, (mark.at, RULE)))

    assert plan(more=DAILY, marks={"report": now}) == []


def test_a_new_schedule_owes_nothing_for_the_past() -> None:
    (arm,) = plan(more=DAILY)

    assert (arm.act, arm.details) == (Act.EVENT, {"arm": "report"})


# --- people and quiet hours

NIGHT = '[quiet_hours]\nwindows = ["03:00-08:00"]\n'
AT_FOUR, AT_EIGHT = datetime(2026, 3, 7, 3, 0, tzinfo=UTC), datetime(2026, 3, 7, 7, 0, tzinfo=UTC)


def held(at: datetime, *messages: Message, more: str = NIGHT) -> list[Action]:
    return list(plan_tick(a.snapshot(more=more, held={BOSS: messages}), at))


def test_outside_the_quiet_hours_people_are_told_at_once() -> None:
    (told,) = held(START, a.note(BOSS, "x", sent=START))

    assert (told.act, told.agent, told.details) == (Act.ANNOUNCE, BOSS, {"id": "x"})


def test_inside_the_quiet_hours_nothing_is_announced() -> None:
    assert held(AT_FOUR, a.note(BOSS, "x", sent=AT_FOUR), a.note(BOSS, "y", sent=AT_FOUR - 9 * HOUR)) == []


def test_at_their_end_one_brief_delivers_what_was_held_back() -> None:
    (brief,) = held(AT_EIGHT, *(a.note(BOSS, key, sent=AT_FOUR + n * HOUR) for n, key in enumerate("xy")))

    assert (brief.act, brief.key, brief.details) == (
        Act.BRIEF,
        "brief.dimitrios.20260307T070000Z",
        {"ids": ["x", "y"]},
    )


def test_critical_announcements_pass_if_the_configuration_lets_them() -> None:
    critical = a.note(BOSS, "x", sent=AT_FOUR, critical=True)

    assert [step.act for step in held(AT_FOUR, critical, more=NIGHT + "critical_passes = true\n")] == [Act.ANNOUNCE]
    assert held(AT_FOUR, critical, more=NIGHT + "critical_passes = false\n") == []


# --- what holds for every snapshot

TIMES = st.sampled_from([START + n * 7 * MINUTE for n in range(-20, 21)])
MAYBE = st.one_of(st.none(), TIMES)
AGENTS = st.sampled_from([PETER, IRIS, SAM, WORKER, BOSS, AgentId("bob")])
STATES = st.sampled_from(list(State))


@st.composite
def tasks(draw: st.DrawFn, number: int) -> object:
    is_worker = draw(st.booleans())
    return a.task(
        f"TC-{number}",
        draw(STATES),
        recorded=draw(st.one_of(st.none(), STATES)),
        assignee=draw(st.one_of(st.none(), AGENTS)),
        requested_by=draw(st.one_of(st.none(), AGENTS)),
        type=draw(st.sampled_from([None, "bug", "code-review", "checked", "odd"])),
        attempt=draw(st.integers(1, 3)),
        failures=draw(st.integers(0, 4)),
        generation=draw(st.integers(0, 3)),
        eta=draw(MAYBE),
        lease=draw(MAYBE),
        not_before=draw(MAYBE),
        updated=draw(MAYBE),
        need=draw(st.one_of(st.none(), st.builds(Need, agent=AGENTS, question=st.just("which?")))),
        label=f"w{number}" if is_worker else None,
        timeout=10 * MINUTE if draw(st.booleans()) else None,
        group=draw(st.sampled_from([None, "g", "h"])) if is_worker else None,
        group_size=draw(st.sampled_from([None, 1, 3])),
    )


@st.composite
def looks(draw: st.DrawFn, number: int) -> TaskEvidence:
    task = draw(tasks(number))
    run = None
    if draw(st.booleans()):
        run = a.run(task, draw(MAYBE), agent=draw(AGENTS), generation=draw(st.one_of(st.none(), st.integers(0, 3))))
        run = replace(run, exit=draw(st.sampled_from([None, 0, 1])), alive=run.ended is None and draw(st.booleans()))
    message = a.message(task, sends=draw(st.integers(1, 3)), sent=draw(MAYBE), ack_by=draw(MAYBE))
    said = a.report(task, draw(STATES), draw(TIMES), author=draw(AGENTS))
    verify = a.run(task, draw(MAYBE), agent=SAM, key="tc.verify")
    return a.look(
        task,
        sent=message if draw(st.booleans()) else False,
        box=draw(st.sampled_from(list(Box))),
        at=draw(MAYBE),
        dated=draw(st.booleans()),
        ticked=draw(st.integers(0, 9)) == 0,
        spawner=draw(st.sampled_from([None, IRIS])),
        place=draw(st.sampled_from(list(FilePlace))),
        pending=draw(st.integers(0, 9)) == 0,
        unreadable="binary" if draw(st.integers(0, 9)) == 0 else None,
        reports=(said,) if draw(st.booleans()) else (),
        result=a.result(task, run=draw(st.sampled_from([None, "x", run.id if run else "y"]))) if task.label else None,
        run=run,
        missing=draw(st.sampled_from([(), ("./a",)])),
        verify=draw(st.sampled_from([None, verify])),
    )


class ToldSome(dict):
    """Whoever was told what: decided by the name alone, so that a plan asked twice hears the same."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def get(self, name: str, default: object = None) -> object:
        dice = (hash_of(name) + self.seed) % 4
        return {1: ToldMark(box=Box.NEW, sent=START), 2: ToldMark(box=Box.DONE, sent=START)}.get(dice, default)


def hash_of(text: str) -> int:
    return sum(ord(letter) * (n + 1) for n, letter in enumerate(text))


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    found = [draw(looks(number)) for number in range(1, draw(st.integers(1, 6)) + 1)]
    if draw(st.booleans()):
        found.append(found[0])
    waiting = [a.message(a.task(f"TC-{n}", assignee=draw(st.sampled_from([PETER, WORKER])))) for n in range(20, 26)]
    ends = st.lists(st.builds(RunOutcome, at=TIMES, is_good=st.booleans()), max_size=4).map(tuple)
    snap = a.snapshot(
        *found,
        waiting=tuple(waiting[: draw(st.integers(0, 6))]),
        outcomes={PETER: draw(ends), WORKER: draw(ends)},
        tried={look.entry.task: draw(st.sampled_from([(), (PETER,), (PETER, IRIS)])) for look in found},
        ready=tuple(a.task(f"TC-{n}", type="bug", assignee=None) for n in (30, 31)),
        held={BOSS: (a.note(BOSS, "x", sent=draw(TIMES), critical=draw(st.booleans())),)},
        spawned=tuple(draw(st.lists(TIMES, max_size=3))),
        more=NIGHT + "[limits]\nruns = 3\n[heartbeat]\nauto = true\n" + DAILY,
        marks=draw(st.sampled_from([{}, {"report": EventMarks(found=((START - 24 * HOUR, None),))}])),
    )
    # Never more live runs than slots, and one in each lane: what earlier ticks kept to.
    lanes = {lane(snap.settings, run.agent, run.key): run for run in snap.live}
    return replace(snap, told=ToldSome(draw(st.integers(0, 3))), live=tuple(lanes.values())[:3])


NOWS = st.sampled_from([START + n * 5 * MINUTE for n in range(-3, 30)])
TOUCHES = {Act.DELIVER, Act.RESEND, Act.NEXT_AGENT, Act.RETRY}


@pytest.mark.proof
@settings(max_examples=examples(400), deadline=None)
@given(snap=snapshots(), now=NOWS)
def test_every_plan_keeps_the_promises_of_a_tick(snap: Snapshot, now: datetime) -> None:
    planned = plan_tick(snap, now)

    assert planned == plan_tick(snap, now), "planning twice gives the same"
    wakes = [action for action in planned if action.act is Act.WAKE]
    lanes = [lane(snap.settings, action.agent or SAM, action.key) for action in wakes]
    busy = [lane(snap.settings, run.agent, run.key) for run in snap.live]
    assert len({*lanes, *busy}) == len(lanes) + len(busy), "one run in each lane"
    assert len(wakes) + len(snap.live) <= max(snap.settings.limits.runs, len(snap.live)), "within the limit of runs"
    for look in snap.looks:
        mine = {action.act for action in planned if action.task == look.entry.task}
        if look.pending:
            assert not plan_entry(look, snap, now)
            assert mine <= {Act.ESCALATE, Act.WAKE}, "a second line for it is all that is told"
        if any(run.task == look.entry.task for run in snap.live) and look.run:
            assert not mine & TOUCHES, "no second attempt beside a live run"
    for action in planned:
        assert action.key, f"{action.act} has no key"
        if action.act is Act.CLOSE:
            closed = next(look for look in snap.looks if look.entry.task == action.task)
            assert closed.task is not None
            assert closed.task.state.is_closed or (closed.task.recorded or State.BACKLOG).is_closed
    told = [(action.agent, action.key) for action in planned if action.kind]
    assert len(told) == len(set(told)), "nobody is told one thing twice"


@pytest.mark.proof
@settings(max_examples=examples(200), deadline=None)
@given(snap=snapshots(), now=NOWS)
def test_no_agent_gets_the_same_notice_twice(snap: Snapshot, now: datetime) -> None:
    once = {Act.NUDGE, Act.ASK, Act.REVIEW, Act.ESCALATE, Act.CONFLICT, Act.INFORM, Act.REPORT}
    said = [action for action in plan_tick(snap, now) if action.act in once]
    told = {f"{action.agent}/{action.key}": ToldMark(box=Box.DONE, sent=now) for action in said}

    class Both(dict):
        def get(self, name: str, default: object = None) -> object:
            return told.get(name) or snap.told.get(name) or default

    again = {(action.agent, action.key) for action in plan_tick(replace(snap, told=Both()), now) if action.act in once}

    assert not again & {(action.agent, action.key) for action in said}


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_of_message_can_wake(kind: Kind) -> None:
    assert woken([a.note(PETER, "x", kind=kind)]) == ["x"]
