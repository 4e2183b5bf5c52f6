"""What the tick decides for lines of the ledger that are not understood: each is told once, and never rewritten."""

from datetime import timedelta

from msgspec.structs import replace

from claw_files.core.model import AgentId, Box, State, Unclear
from claw_files.policy.heartbeat_plan import plan_tick
from claw_files.policy.ledger_line_rules import plan_entry
from claw_files.policy.line_planner import FEW, plan_line
from claw_files.policy.snapshot import Act, TaskEvidence, ToldMark
from tests.support import builders as a
from tests.support.builders import SAM, START

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def odd(look: TaskEvidence, text: str = "TC-47 delegated to peter, check at noonish", **entry: object) -> TaskEvidence:
    unclear = Unclear(path="HEARTBEAT.md", line=7, text=text, hint='write "10:00"')
    return replace(look, entry=replace(look.entry, unclear=unclear, **entry))


def test_a_line_that_is_not_understood_is_told_to_the_coordinator_with_its_words_and_a_hint() -> None:
    look = odd(a.look(a.task(state=State.IN_PROGRESS), sent=True, at=START + HOUR))
    (told,) = plan_tick(a.snapshot(look), START)

    assert (told.act, told.agent, told.task, told.is_of_line) == (Act.ESCALATE, SAM, "TC-47", False)
    assert "HEARTBEAT.md, line 7" in told.text and "“TC-47 delegated to peter, check at noonish”" in told.text
    assert 'write "10:00"' in told.text
    assert plan_tick(a.snapshot(look, told=[f"{SAM}/{told.key}"]), START) == ()
    (again,) = plan_tick(
        a.snapshot(odd(look, "TC-47 delegated to peter, check at 25:00"), told=[f"{SAM}/{told.key}"]), START
    )
    assert again.key != told.key


def test_a_line_of_a_task_that_has_ended_is_not_told_of() -> None:
    look = odd(a.look(a.task(state=State.CANCELLED), sent=True))
    assert [it.act for it in plan_tick(a.snapshot(look), START)] == [Act.CLOSE]


def test_an_agent_that_nobody_knows_is_told_of_by_its_row_alone() -> None:
    ghost = AgentId("ghost")
    look = odd(a.look(a.task(assignee=ghost), at=START + HOUR), agent=ghost)
    assert [it.key for it in plan_tick(a.snapshot(look), START) if it.act is Act.ESCALATE] == ["tc-47.1.unknown-agent"]


def test_one_tick_tells_of_a_few_of_many_unclear_lines() -> None:
    looks = [
        odd(a.look(a.task(f"TC-{n}", State.IN_PROGRESS), sent=True, at=START + HOUR), f"TC-{n} x") for n in range(99)
    ]
    assert len(plan_tick(a.snapshot(*looks), START)) == FEW


def test_words_where_the_time_should_be_are_never_rewritten_and_the_task_is_looked_at_after_the_usual_interval() -> (
    None
):
    sent = a.message(a.task())
    look = a.look(a.task(state=State.IN_PROGRESS), sent=sent, at=None)
    unread = odd(look, unread=True)
    check = a.snapshot(look).settings.heartbeat.check[0]
    assert sent.sent is not None
    late = sent.sent + 2 * check  # quiet for long enough to be nudged

    assert Act.EXTEND in [it.act for it in plan_entry(look, a.snapshot(look), late)]
    assert plan_line(unread, a.snapshot(unread), sent.sent + check - MINUTE) == ()
    prodded = plan_line(unread, a.snapshot(unread), late)
    assert [it.act for it in prodded] == [Act.NUDGE]
    told = {f"{it.agent}/{it.key}": ToldMark(box=Box.NEW, sent=late) for it in prodded}
    assert plan_line(unread, a.snapshot(unread, told=told), late + check - MINUTE) == ()
    assert [it.act for it in plan_line(unread, a.snapshot(unread, told=told), late + check + MINUTE)] == [Act.ESCALATE]
