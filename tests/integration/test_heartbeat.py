"""Delegations from their ledger line to their end, with agents and people who edit files by hand."""

from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from claw_files.core.errors import ClawError
from claw_files.core.model import AgentId, State, TaskId
from tests.support.office import TEAM, Office

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def test_a_delegation_is_followed_from_its_line_to_the_end_without_anybody_asking(office: Office) -> None:
    task = office.delegated("peter")
    assert office.lines == ["- TC-1 delegated to peter, check at 2026-03-07 09:15"]
    assert office.acts(MINUTE) == []  # it is not due yet

    office.write("status/tc-1.md", "TC-1: IN PROGRESS\n")
    assert office.acts(MINUTE) == ["record TC-1"]
    assert "title: A bug" in office.read("status/tc-1.md")  # what his overwriting lost is restored

    office.add("status/tc-1.md", "ETA: 11:00\n")
    office.acts(30 * MINUTE)
    assert office.lines == ["- TC-1 delegated to peter, wait until 2026-03-07 11:00"]
    before = office.tree()
    assert office.acts(90 * MINUTE) == []
    assert office.tree() == before  # waiting writes nothing

    office.add("status/tc-1.md", "Found it: a missing index.\nStatus: DONE - see PR #142\n")
    assert office.acts(MINUTE) == ["record TC-1", "inform TC-1", "close TC-1"]

    assert office.lines == []
    assert office.boxes("peter") == {"done": ["tc-1.1"]}
    assert office.boxes("sam") == {"new": ["tc-1.1.done"]}
    assert "PR #142" in office.message("sam", "tc-1.1.done")
    assert office.state(task) is State.DONE
    assert "TC-1: IN PROGRESS\nETA: 11:00\nFound it: a missing index.\n" in office.read("status/tc-1.md")
    assert office.acts(HOUR) == []


@pytest.mark.parametrize(
    "line",
    [
        "- TC-1 delegated to peter, check at 2026-03-07 09:15",
        "TC-1 delegated to Peter, check at 10:00",
        "* [ ] **TC-1** → Peter (check 10:00)",
        "1. TC-1 -> @peter",
        "- TC-1 handed over to peter, wait until 2026-03-07 11:00",
    ],
)
@pytest.mark.parametrize("has_file", [True, False], ids=["with a file", "without a file"])
def test_a_line_that_a_person_writes_is_a_delegation_that_has_not_been_sent_yet(
    office: Office, line: str, has_file: bool
) -> None:
    if has_file:
        office.new()
    office.write("HEARTBEAT.md", f"# Heartbeat\n\nCheck the mail.\n\n{line}\n")

    assert office.acts() == ["deliver TC-1"]

    assert office.boxes("peter") == {"new": ["tc-1.1"]}
    assert office.task("TC-1").assignee == "peter"
    assert office.task("TC-1").generation == 1
    assert office.acts() == []
    office.write("status/tc-1.md", "Status: DONE\n")
    assert office.acts(MINUTE) == ["record TC-1", "inform TC-1", "close TC-1"]
    assert office.read("HEARTBEAT.md") == "# Heartbeat\n\nCheck the mail.\n\n"


def test_a_line_without_an_agent_goes_along_the_route(office: Office) -> None:
    office.new(type="bug")
    office.write("HEARTBEAT.md", "- TC-1 check at 2026-03-07 10:00\n")

    assert office.acts() == ["next-agent TC-1"]

    assert office.boxes("peter") == {"new": ["tc-1.2"]}
    assert office.lines == ["- TC-1 delegated to peter, check at 2026-03-07 09:15"]


def test_nothing_is_sent_again_before_a_look_at_the_status_file(office: Office) -> None:
    office.delegated("peter")
    office.write("status/tc-1.md", "TC-1: WIP\n")

    assert office.acts(HOUR) == ["record TC-1"]

    assert "sends" not in office.message("peter", "tc-1.1")


def test_an_overdue_acknowledgement_is_asked_for_again_with_the_same_key(office: Office) -> None:
    office.delegated("peter")
    assert office.acts(4 * MINUTE) == []

    assert office.acts(MINUTE) == ["resend TC-1"]

    assert office.boxes("peter") == {"new": ["tc-1.1"]}
    message = office.message("peter", "tc-1.1")
    assert "sends: 2" in message
    assert "ack_by: 2026-03-07T08:55:00Z" in message
    assert office.acts(4 * MINUTE) == []


def test_a_message_that_was_read_is_never_sent_again_its_reader_is_asked(office: Office) -> None:
    office.delegated("peter")
    office.app("peter").messages.inbox(AgentId("peter"))
    assert office.boxes("peter") == {"cur": ["tc-1.1"]}

    assert office.acts(5 * MINUTE) == ["nudge TC-1"]

    assert office.boxes("peter") == {"cur": ["tc-1.1"], "new": ["tc-1.1.nudge"]}


def test_after_the_last_send_the_message_is_withdrawn_and_the_next_agent_of_the_route_gets_it(office: Office) -> None:
    office.delegated("peter")
    assert office.acts(5 * MINUTE) == ["resend TC-1"]

    assert office.acts(5 * MINUTE) == ["next-agent TC-1"]

    assert office.boxes("peter") == {"done": ["tc-1.1"]}
    assert office.boxes("iris") == {"new": ["tc-1.2"]}
    assert office.task("TC-1").assignee == "iris"
    assert office.task("TC-1").generation > 1
    assert office.lines == ["- TC-1 delegated to iris, check at 2026-03-07 09:25"]
    with pytest.raises(ClawError):  # Peter wakes up and knows only the generation he was given
        office.app("peter").claims.claim(TaskId("TC-1"), AgentId("peter"), 1)


def test_at_the_end_of_the_route_the_coordinator_takes_over_and_then_a_person_hears_of_it(office: Office) -> None:
    office.delegated("peter")
    for _ in range(4):
        office.acts(5 * MINUTE)
    assert office.task("TC-1").assignee == "sam"
    assert office.box("sam") == ["tc-1.3"]

    said = [act for _ in range(4) for act in office.acts(5 * MINUTE)]

    assert said == ["resend TC-1", "escalate TC-1", "announce TC-1"]
    assert "no other agent" in office.read("announcements.md")


def test_a_message_that_was_read_but_never_acknowledged_is_escalated_to_nobody_else_given(office: Office) -> None:
    office.delegated("peter")
    office.acts(5 * MINUTE)
    office.app("peter").messages.inbox(AgentId("peter"))

    assert office.acts(5 * MINUTE) == ["nudge TC-1"]
    assert office.acts(5 * MINUTE) == ["escalate TC-1"]

    assert office.boxes("iris") == {}
    assert office.box("sam") == ["tc-1.1.silent"]
    assert "the message was read (inbox/peter/cur/" in office.message("sam", "tc-1.1.silent")
    assert office.acts(4 * MINUTE) == []
    assert office.acts(MINUTE) == ["escalate TC-1", "announce TC-1"]  # sam has not read it: one step further up
    assert office.acts(HOUR) == []


def test_a_list_of_ones_own_tasks_is_a_report(office: Office) -> None:
    office.delegated("peter")
    office.delegated("peter")
    office.clock.advance(MINUTE)
    office.write("status/peter.md", "# Peter\n\nTC-1: IN PROGRESS\nTC-2: DONE - PR #7\n")
    report = office.read("status/peter.md")

    acts = Counter(office.acts(MINUTE))

    assert acts == Counter(["carry TC-1", "carry TC-2", "inform TC-2", "close TC-2"])
    assert office.state("TC-1") is State.IN_PROGRESS
    assert office.task("TC-1").generation == 1
    assert "PR #7" in office.message("sam", "tc-2.1.done")
    assert office.read("status/peter.md") == report
    assert office.acts(MINUTE) == []


def test_a_status_file_in_the_agents_own_workspace_is_a_report(tmp_path: Path) -> None:
    office = Office(tmp_path / "sam", TEAM.replace("[agents.peter]", '[agents.peter]\nworkspace = "../peter"'))
    office.delegated("peter")
    office.clock.advance(MINUTE)
    office.write("../peter/status/tc-1.md", "# TC-1: A bug\n\nStatus: in progress\nETA: 11:00\n")

    assert office.acts(MINUTE) == ["carry TC-1"]

    assert office.state("TC-1") is State.IN_PROGRESS
    assert f"{office.task('TC-1').eta:%H:%M}" == "11:00"
    report = "# TC-1: A bug\n\nStatus: done\nOutput: PR #9\n"
    office.clock.advance(MINUTE)
    office.write("../peter/status/tc-1.md", report)
    assert office.acts(MINUTE) == ["carry TC-1", "inform TC-1", "close TC-1"]
    assert "PR #9" in office.message("sam", "tc-1.1.done")
    assert office.read("../peter/status/tc-1.md") == report


def test_a_report_by_another_agent_moves_nothing_and_is_told_once(office: Office) -> None:
    office.delegated("peter")
    office.clock.advance(MINUTE)
    office.write("status/iris.md", "TC-1: DONE\n")

    assert office.acts(MINUTE) == ["conflict TC-1"]
    assert office.state("TC-1") is State.BACKLOG
    assert "iris reports done in status/iris.md, but peter has it" in office.message("sentry", office.box("sentry")[0])
    assert office.acts(MINUTE) == []


def test_a_holder_who_falls_silent_is_nudged_once_and_then_escalated_once(office: Office) -> None:
    office.delegated("peter")
    office.write("status/tc-1.md", "TC-1: IN PROGRESS\n")
    office.acts()

    said = [act for _ in range(8) for act in office.acts(31 * MINUTE)]

    assert Counter(said) == Counter(["nudge TC-1", "escalate TC-1", "escalate TC-1", "announce TC-1"])
    assert said[0] == "nudge TC-1"
    assert office.box("peter") == ["tc-1.1", "tc-1.1.nudge"]
    assert office.state("TC-1") is State.IN_PROGRESS  # an expired lease alone gives it to nobody
    assert office.task("TC-1").assignee == "peter"


def test_a_blocked_task_with_a_need_has_the_other_agent_asked_and_her_answer_goes_straight_back(office: Office) -> None:
    office.delegated("peter")
    office.write("status/tc-1.md", "TC-1: BLOCKED\nNeeds: iris - which fields does the token have?\n")

    assert office.acts(MINUTE) == ["record TC-1", "ask TC-1"]

    (asked,) = office.box("iris")
    question = office.message("iris", asked)
    assert "reply_to: peter" in question
    assert "from: sam" in question
    assert "which fields does the token have?" in question
    assert office.acts(MINUTE) == []
    office.app("iris").messages.answer(AgentId("iris"), asked, "sub, exp and aud")
    assert "sub, exp and aud" in office.message("peter", f"{asked}.answer")
    assert office.boxes("iris") == {"done": [asked]}
    assert office.boxes("sam") == {}
    assert office.acts(MINUTE) == []
    office.add("status/tc-1.md", "TC-1: IN PROGRESS\n")
    assert office.acts(MINUTE) == ["record TC-1"]


def test_a_blocked_task_that_names_nobody_is_escalated_once_with_what_is_missing(office: Office) -> None:
    office.delegated("peter")
    office.write("status/tc-1.md", "TC-1: BLOCKED - no access to staging\n")

    assert office.acts(MINUTE) == ["record TC-1", "escalate TC-1"]

    (told,) = office.box("sam")
    assert "no access to staging" in office.message("sam", told)
    assert office.acts(MINUTE) == []


def test_a_review_is_asked_for_once_and_its_approval_closes_the_task(office: Office) -> None:
    office.delegated("peter", type="reviewed")
    office.write("status/tc-1.md", "TC-1: DONE - PR #3\n")

    assert office.acts(MINUTE) == ["record TC-1", "review TC-1"]

    assert office.state("TC-1") is State.REVIEW  # the route wants a review: done by hand is not done yet
    assert "PR #3" in office.message("sam", "tc-1.1.review")
    assert office.acts(HOUR) == []
    office.app("sam").tasks.approve(TaskId("TC-1"), AgentId("sam"))
    assert office.acts(MINUTE) == ["inform TC-1", "close TC-1"]


def test_a_reviewers_own_work_is_approved_by_somebody_else(office: Office) -> None:
    office.write(
        "clawfiles.toml", TEAM.replace('to = ["peter"], review = "coordinator"', 'to = ["iris"], review = "iris"')
    )
    office.delegated("iris", type="reviewed")
    office.write("status/tc-1.md", "TC-1: DONE - PR #3\n")

    assert office.acts(MINUTE) == ["record TC-1", "review TC-1"]

    assert office.app().explaining.explain(TaskId("TC-1")).reviewer == "sam"
    assert (office.box("iris"), office.box("sam")) == (["tc-1.1"], ["tc-1.1.review"])
    with pytest.raises(ClawError, match="sam may"):
        office.app("iris").tasks.approve(TaskId("TC-1"), AgentId("iris"))
    office.write("status/tc-1.md", office.read("status/tc-1.md").replace("status: review", "status: done"))
    assert office.acts(MINUTE) == ["conflict TC-1"]
    assert office.state("TC-1") is State.REVIEW
    office.app("sam").tasks.approve(TaskId("TC-1"), AgentId("sam"))
    assert office.state("TC-1") is State.DONE


def test_promised_outputs_that_are_missing_send_the_task_back_once_and_then_up(office: Office) -> None:
    office.delegated("peter")
    office.write("status/tc-1.md", "Status: DONE\nOutput: ./reports/audit.md\n")

    assert office.acts(MINUTE) == ["record TC-1", "reopen TC-1", "deliver TC-1"]

    assert office.boxes("peter")["new"] == ["tc-1.2"]
    assert 'promised outputs are missing: "./reports/audit.md"' in office.message("peter", "tc-1.2")
    office.clock.advance(MINUTE)
    office.write("status/tc-1.md", "Status: DONE\nOutput: ./reports/audit.md\n")
    assert office.acts(MINUTE) == ["record TC-1", "escalate TC-1", "fail TC-1"]
    assert "for the second time" in office.message("sam", "tc-1.2.redo2")
    assert office.state("TC-1") is State.FAILED

    assert office.acts(MINUTE) == ["retry TC-1", "deliver TC-1"]
    office.write("reports/audit.md", "all well\n")
    office.write("status/tc-1.md", "Status: DONE\nOutput: ./reports/audit.md\n")
    assert office.acts(MINUTE) == ["record TC-1", "verified TC-1", "inform TC-1", "close TC-1"]
    assert office.task("TC-1").verified is not None


def test_a_box_that_a_person_ticks_ends_the_watch_and_changes_no_state(office: Office) -> None:
    office.delegated("peter")
    office.write("status/tc-1.md", "TC-1: IN PROGRESS\n")
    office.acts()
    office.write("HEARTBEAT.md", "- [x] TC-1 delegated to peter, check at 2026-03-07 09:15\n")

    assert office.acts(MINUTE) == ["unwatch TC-1"]

    assert office.lines == []
    assert office.state("TC-1") is State.IN_PROGRESS


def test_a_second_ledger_line_of_a_task_is_ignored_and_reported_once(office: Office) -> None:
    office.new()
    office.write(
        "HEARTBEAT.md", "- TC-1 delegated to peter, check at 10:00\n- TC-1 delegated to iris, check at 11:00\n"
    )

    assert Counter(office.acts()) == Counter(["deliver TC-1", "escalate TC-1"])

    assert office.boxes("iris") == {}
    assert office.boxes("sam") == {"new": ["tc-1.two-lines"]}
    assert office.acts(MINUTE) == []


PROSE = (
    "# Heartbeat\r\n\r\nTC-1 is the nasty one. Ask Ana\tfirst.  \r\n\r\n"
    "| task | state |\r\n|---|---|\r\n| TC-1 | open |\r\n\r\n"
    "```\r\n- TC-1 delegated to nobody, check at 10:00\r\n```\r\n"
    "<!-- - TC-1 delegated to iris, check at 10:00 -->\r\n\r\n"
    "## Delegations\r\n\r\n\xff\xfe not UTF-8\r\n## Notes\r\n- buy milk"
).encode("latin-1")


def test_every_other_byte_of_a_ledger_full_of_prose_stays_from_delegation_to_close(office: Office) -> None:
    office.write("HEARTBEAT.md", PROSE)
    office.delegated("peter")
    assert len(office.lines) == 1
    office.acts(HOUR)
    office.write("status/tc-1.md", "TC-1: IN PROGRESS\nETA: 12:00\n")
    office.acts(HOUR)
    office.add("status/tc-1.md", "TC-1: DONE\n")

    office.acts(HOUR)

    assert office.lines == []
    assert (office.root / "HEARTBEAT.md").read_bytes() == PROSE


def test_a_move_that_nobody_may_make_by_hand_is_told_once_and_does_not_count(office: Office) -> None:
    office.delegated("peter", type="reviewed")
    office.write("status/tc-1.md", "TC-1: DONE\n")
    office.acts(MINUTE)
    text = office.read("status/tc-1.md").replace("status: review", "status: done")
    office.write("status/tc-1.md", text)  # Peter approves his own work

    assert office.acts(MINUTE) == ["conflict TC-1"]

    assert office.state("TC-1") is State.REVIEW
    assert office.read("status/tc-1.md") == text
    assert len(office.box("sentry")) == 1
    assert office.acts(MINUTE) == []


@pytest.mark.parametrize("by", ["file and line", "delegate"])
def test_the_task_of_an_agent_that_left_the_configuration_can_be_given_to_another(office: Office, by: str) -> None:
    office.delegated("iris", type=None)
    office.write("clawfiles.toml", TEAM.replace("[agents.iris]\n", "").replace('"iris", ', ""))
    assert office.acts(MINUTE) == ["escalate TC-1"]

    if by == "delegate":
        office.delegate("TC-1", "peter")
    else:
        office.write("status/tc-1.md", office.read("status/tc-1.md").replace("iris", "peter"))
        assert "escalate TC-1" in office.acts(40 * MINUTE), "the line still names it"
        office.write("HEARTBEAT.md", office.read("HEARTBEAT.md").replace("iris", "peter"))
        assert office.acts(MINUTE) == ["deliver TC-1"]

    assert office.task("TC-1").assignee == "peter"
    assert office.box("peter") == ["tc-1.1"]
    assert not [it for it in office.box("sentry") if "conflict" in it]


def test_a_line_that_names_nobody_we_know_is_told_once(office: Office) -> None:
    office.write("HEARTBEAT.md", "- TC-9 delegated to petra, check at 10:00\n")

    assert office.acts() == ["escalate TC-9"]

    assert office.box("sam") == ["tc-9.1.unknown-agent"]
    assert office.acts(MINUTE) == []
    assert not office.exists("status/tc-9.md")
