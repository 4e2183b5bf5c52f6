"""Workers spawned together: one report when the last of them has ended, with what succeeded and what did not."""

from datetime import timedelta

from msgspec.structs import replace

from claw_files.core.model import State
from claw_files.policy.heartbeat_plan import plan_tick
from claw_files.policy.snapshot import Act, Action, FilePlace, TaskEvidence
from tests.support import builders as a
from tests.support.builders import IRIS, PETER, SAM, START

HOUR = timedelta(hours=1)
REPORT = "group.morning.report"


def member(number: int, state: State = State.DONE, **more: object) -> TaskEvidence:
    """One of five workers of the group "morning"; dead ones lie in dead-letter/ already."""
    of_look = {name: more.pop(name) for name in ("at", "unread", "missing", "spawner", "run", "place") if name in more}
    fields = {"id": f"TC-{number}", "group": "morning", "group_size": 5, "reason": None, **more}
    place = FilePlace.DEAD_LETTER if state is State.DEAD else FilePlace.STATUS
    return a.look(a.worker_task(f"w{number}", state, **fields), **{"place": place, **of_look})


def plan(*looks: TaskEvidence, told: tuple[str, ...] = (), **around: object) -> list[Action]:
    return [step for step in plan_tick(a.snapshot(*looks, told=told, **around), START) if step.act is not Act.WAKE]


def test_with_2_of_5_failed_the_report_holds_3_and_names_the_2() -> None:
    dead = [member(n, State.DEAD, reason="no network") for n in (2, 4)]

    report, *rest = plan(member(1), dead[0], member(3), dead[1], member(5))

    assert (report.act, report.agent, report.key, report.why) == (Act.REPORT, SAM, REPORT, "3 of 5 have a result")
    assert report.details["labels"] == ["w1", "w3", "w5"]
    assert "- w2: no result (“no network”)" in report.text
    assert "- w4: no result (“no network”)" in report.text
    assert [step.act for step in rest] == [Act.CLOSE] * 5


def test_nothing_is_reported_while_one_of_them_may_still_succeed() -> None:
    done = [member(n) for n in range(1, 5)]
    for state in State:
        if not state.is_closed:
            planned = plan(*done, member(5, state, at=START + HOUR))
            assert not {Act.REPORT, Act.CLOSE} & {step.act for step in planned}, state


def test_one_that_failed_but_has_attempts_left_is_waited_for() -> None:
    planned = plan(*(member(n) for n in range(1, 5)), member(5, State.FAILED, failures=1, updated=START - HOUR))

    assert [step.act for step in planned] == [Act.RETRY]


def test_a_member_whose_check_time_is_not_understood_is_waited_with_for_the_usual_interval() -> None:
    for sent, expected in ((START, []), (START - HOUR, [Act.REPORT, Act.CLOSE])):
        look = member(1, at=None, unread=True)
        message = a.message(look.task, sent=sent) if look.task else None
        assert [step.act for step in plan(replace(look, message=message))] == expected


def test_a_dead_one_counts_only_once_it_lies_in_dead_letter() -> None:
    planned = plan(*(member(n) for n in range(1, 5)), member(5, State.DEAD, place=FilePlace.STATUS))

    assert [step.act for step in planned] == [Act.DEAD_LETTER]


def test_a_cancelled_one_with_a_live_run_is_stopped_before_the_report() -> None:
    last = member(5, State.CANCELLED)
    alive = replace(last, run=a.run(last.task))

    assert [step.act for step in plan(*(member(n) for n in range(1, 5)), alive)] == [Act.STOP]


def test_the_report_goes_to_the_spawner() -> None:
    report, *_ = plan(*(member(n, spawner=IRIS) for n in range(1, 6)))

    assert report.agent == IRIS


def test_after_a_crash_between_report_and_close_only_the_lines_are_closed() -> None:
    left = [member(n, at=START + HOUR) for n in (4, 5)]

    planned = plan(*left, told=(f"sam/{REPORT}",))

    assert [step.act for step in planned] == [Act.CLOSE] * 2


def test_while_others_are_still_being_spawned_nothing_is_reported() -> None:
    assert plan(*(member(n, at=START + HOUR) for n in (1, 2))) == []


def test_lines_that_went_missing_are_named_when_the_others_are_due() -> None:
    report, *_ = plan(*(member(n) for n in (1, 2)))

    assert report.why == "2 of 5 have a result"
    assert "3 more were announced" in report.text


def test_one_that_misses_outputs_is_reopened_failed_and_reported_when_it_is_dead() -> None:
    good, bad = [member(n) for n in range(1, 5)], member(5, missing=("./report.md",))

    first = plan(*good, bad)
    again = replace(bad, task=replace(bad.task, attempt=2))
    second = plan(*good, again, told=("sam/tc-5.1.redo", "sam/tc-5.2.redo2"))
    lost = replace(again.task, state=State.DEAD, recorded=State.DEAD, reason="no report")
    dead = replace(again, task=lost, place=FilePlace.DEAD_LETTER, missing=())
    third = plan(*good, dead)

    assert [step.act for step in first] == [Act.REOPEN]
    assert [step.act for step in second] == [Act.FAIL]
    assert "- w5: no result (“no report”)" in third[0].text
    assert third[0].details["labels"] == ["w1", "w2", "w3", "w4"]


def test_each_group_is_reported_on_its_own() -> None:
    others = [member(n, group="evening", group_size=1) for n in (8,)]

    planned = plan(*(member(n) for n in range(1, 6)), *others)

    assert [step.key for step in planned if step.act is Act.REPORT] == [REPORT, "group.evening.report"]


def test_groups_of_one_name_are_reported_to_whoever_asked_for_each() -> None:
    mine = [member(n, group_size=2) for n in (1, 2)]
    peters = [member(n, spawner=PETER, group_size=2) for n in (3, 4)]
    by_task = [replace(it, task=replace(it.task, spawner=IRIS)) for it in (member(5, group_size=1),)]

    reports = [step for step in plan(mine[0], peters[0], mine[1], peters[1], *by_task) if step.act is Act.REPORT]

    assert [(step.agent, step.details["labels"]) for step in reports] == [
        (SAM, ["w1", "w2"]),
        (PETER, ["w3", "w4"]),
        (IRIS, ["w5"]),
    ]
    after = plan(*mine, *peters, told=(f"sam/{REPORT}",))
    assert [step.act for step in after] == [Act.CLOSE, Act.CLOSE, Act.REPORT, Act.CLOSE, Act.CLOSE]
