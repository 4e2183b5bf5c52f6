"""Traces of an attempt in a real workspace: what was known is never sent again, handed on, made anew or run twice."""

import os
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from claw_files.core.errors import CannotWrite, ClawError, InvalidFile
from claw_files.core.model import AgentId, Message, State, TaskId
from claw_files.presentation.figures import explain_json, explain_text
from claw_files.services.heartbeat.run_launcher import RunLauncher
from tests.support.office import TEAM, Office, python

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
PETER = AgentId("peter")


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path / "sam")


def claimed(office: Office) -> str:
    """A task that was delegated to Peter, who has claimed it; its id."""
    task = office.delegated("peter")
    office.app("peter").claims.claim(TaskId(task), PETER)
    office.settle()
    return task


def quiet_acts(office: Office, *after: timedelta) -> list[str]:
    return [act for pause in after for act in office.acts(pause)]


# --- the file is gone


def test_a_status_file_that_is_gone_is_told_once_and_nothing_is_made_in_its_place(office: Office) -> None:
    office.new(title="Keeps the folder from being empty", type=None)
    task = office.delegated("peter", body="the whole description")
    message = office.message("peter", "tc-2.1")
    (office.root / "status/tc-2.md").unlink()

    assert office.acts(MINUTE) == ["escalate TC-2"]
    assert quiet_acts(office, MINUTE, 5 * MINUTE) == []
    assert office.acts(30 * MINUTE) == ["escalate TC-2"], "still so at the next check: one step up"

    assert not office.exists("status/tc-2.md")
    assert office.message("peter", "tc-2.1") == message
    (told,) = [key for key in office.box("sentry") if key.startswith("tc-2")]
    assert "status/tc-2.md" in office.message("sentry", told)
    assert task == "TC-2"


@pytest.mark.parametrize("witness", [".clawfiles", "inbox", "audit"])
def test_one_witness_is_enough_to_know_a_task(office: Office, witness: str) -> None:
    office.new(type=None)
    claimed(office)
    (office.root / "status/tc-2.md").unlink()
    for folder in {"inbox", "audit", ".clawfiles"} - {witness}:
        shutil.rmtree(office.root / folder)

    office.acts(MINUTE)

    assert not office.exists("status/tc-2.md")


def test_a_hand_written_line_for_a_task_that_nothing_knows_makes_and_delivers_it(office: Office) -> None:
    office.write("HEARTBEAT.md", "- TC-7 delegated to peter, check at 10:00\n")

    assert "deliver TC-7" in office.acts()
    assert office.exists("status/tc-7.md")


def test_a_holder_goes_on_when_its_file_is_back(office: Office) -> None:
    office.new(type=None)
    claimed(office)
    held = (office.root / "status/tc-2.md").read_bytes()
    (office.root / "status/tc-2.md").unlink()
    quiet_acts(office, MINUTE, HOUR, HOUR)
    office.write("status/tc-2.md", held)

    office.app("peter").tasks.done(TaskId("TC-2"), PETER, "all of it", generation=1)

    assert office.state("TC-2") is State.DONE


def test_a_status_folder_that_changed_a_moment_ago_is_waited_for(office: Office) -> None:
    office.new(type=None)
    claimed(office)
    (office.root / "status/tc-2.md").unlink()
    now = office.clock.now().timestamp()
    os.utime(office.root / "status", (now, now))

    assert office.acts() == []
    assert office.acts(timedelta(seconds=3)) == ["escalate TC-2"]


# --- status/ is empty


@pytest.mark.parametrize("is_there", [True, False])
def test_an_emptied_status_folder_stops_the_tick_with_one_sentence(office: Office, is_there: bool) -> None:
    claimed(office)
    away = office.root / "away"
    (office.root / "status").rename(away)
    if is_there:
        (office.root / "status").mkdir()
    before = office.tree()

    for dry_run in (True, False):
        ticked = office.app().heartbeat.preview() if dry_run else office.app().heartbeat.tick()
        assert ticked.actions == ()
        (sentence,) = ticked.problems
        assert f"status/ is {'empty' if is_there else 'missing'}" in sentence
        assert "TC-1" in sentence
    assert office.tree() == before

    shutil.rmtree(office.root / "status", ignore_errors=True)
    away.rename(office.root / "status")
    assert office.acts() == []
    office.app("peter").tasks.done(TaskId("TC-1"), PETER, "ok", generation=1)


def test_the_first_line_in_a_fresh_workspace_is_no_emptied_folder(office: Office) -> None:
    office.write("HEARTBEAT.md", "- TC-7 delegated to peter, check at 10:00\n")

    assert office.app().heartbeat.tick().problems == ()


def test_no_run_is_started_for_a_task_whose_file_is_gone(tmp_path: Path) -> None:
    config = TEAM.replace('takes = ["bug"]', 'takes = ["bug"]\ncommand = ["touch", "ran"]')
    office = Office(tmp_path / "sam", config)
    office.delegated("peter")
    shutil.rmtree(office.root / "status")

    office.app().heartbeat.wake()
    office.app().heartbeat.tick_after_message()

    assert office.names("runs") == []


def test_a_wake_that_fails_before_the_lines_are_read_is_a_problem_of_the_tick(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = Office(tmp_path / "sam", TEAM.replace('takes = ["bug"]', 'takes = ["bug"]\ncommand = ["true"]'))
    office.delegated("peter")
    real, failed = RunLauncher.wake, list[str]()

    def fails_once(launcher: RunLauncher, message: Message) -> bool:
        if failed:
            return real(launcher, message)
        failed.append(message.id)
        raise CannotWrite("runs", "no space left")

    monkeypatch.setattr(RunLauncher, "wake", fails_once)

    ticked = office.app().heartbeat.tick_after_message()

    assert [it for it in ticked.problems if "no space left" in it]
    assert ticked.woken == ("peter",), "the tick itself tries again"


# --- the file is empty, cut off


@pytest.mark.parametrize(
    "content", [b"", b"\n \n", b"\xef\xbb\xbf", b"---\nid: TC-1\nstatus: in_pro", b"\xff\xfe\x00T"]
)
def test_an_emptied_or_cut_off_file_is_unreadable_and_the_claim_stands(office: Office, content: bytes) -> None:
    claimed(office)
    held = (office.root / "status/tc-1.md").read_bytes()
    office.write("status/tc-1.md", content)

    assert office.acts() == [], "young: it is being written"
    assert office.acts(3 * MINUTE) == ["escalate TC-1"]
    assert set(quiet_acts(office, 5 * MINUTE, 30 * MINUTE, HOUR)) <= {"escalate TC-1", "announce TC-1"}
    with pytest.raises(InvalidFile, match=r"status/tc-1\.md") as caught:
        office.app("peter").tasks.done(TaskId("TC-1"), PETER, "ok")
    assert caught.value.exit_status == 6
    assert (office.root / "status/tc-1.md").read_bytes() == content
    assert office.boxes("iris") == {}

    office.write("status/tc-1.md", held)
    office.app("peter").tasks.done(TaskId("TC-1"), PETER, "ok", generation=1)
    assert office.state("TC-1") is State.DONE


# --- the file was written anew


def test_a_claim_stands_though_its_file_was_written_anew_and_says_nothing(office: Office) -> None:
    claimed(office)
    office.write("status/tc-1.md", "# What I found\n\nThe cart is empty.\n")

    assert office.acts(5 * MINUTE) == ["record TC-1"]

    office.app("peter").tasks.done(TaskId("TC-1"), PETER, "ok", generation=1)
    assert office.state("TC-1") is State.DONE
    assert "The cart is empty." in office.read("status/tc-1.md")


def test_a_file_that_was_changed_and_says_nothing_is_asked_about_and_goes_to_nobody_else(office: Office) -> None:
    office.delegated("peter")
    office.clock.advance(MINUTE)
    office.write("status/tc-1.md", "I have begun to look into it.\n")

    assert office.acts(4 * MINUTE) == []
    assert office.acts(2 * MINUTE) == ["nudge TC-1"]
    assert office.acts(5 * MINUTE) == ["escalate TC-1"]
    assert "status/tc-1.md" in office.message("sam", "tc-1.1.silent")
    assert office.boxes("iris") == {}


# --- an older copy was put back


def finished(office: Office, how: str = "") -> tuple[bytes, bytes, bytes]:
    """A task from backlog to done and closed; its file as it stood in backlog, delegated, and in progress."""
    task = office.new(type="bug", body="count them")
    backlog = (office.root / "status/tc-1.md").read_bytes()
    office.clock.advance(MINUTE)
    office.delegate(task, "peter")
    delegated = (office.root / "status/tc-1.md").read_bytes()
    office.clock.advance(MINUTE)
    office.app("peter").claims.claim(TaskId(task), PETER)
    held = (office.root / "status/tc-1.md").read_bytes()
    office.clock.advance(MINUTE)
    office.app("peter").tasks.done(TaskId(task), PETER, "counted")
    office.settle()
    office.acts()
    office.clock.advance(MINUTE)
    assert office.lines == []
    return backlog, delegated, held


@pytest.mark.parametrize("which", [0, 1, 2])
def test_finished_work_does_not_run_again_when_git_puts_an_older_copy_back(office: Office, which: int) -> None:
    copy = finished(office)[which]
    office.write("status/tc-1.md", copy)
    office.write("HEARTBEAT.md", "- TC-1 delegated to peter, check at 2026-03-07 08:50\n")

    acts = quiet_acts(office, MINUTE, 6 * MINUTE, HOUR)

    assert acts == ["conflict TC-1", "close TC-1"]
    assert office.state("TC-1") is State.DONE
    assert "recorded: done" in office.read("status/tc-1.md"), "brought forward"
    assert office.lines == []


def test_the_file_as_it_was_sent_does_not_hide_what_was_recorded_since(office: Office) -> None:
    office.delegated("peter")
    sent = (office.root / "status/tc-1.md").read_bytes()
    office.clock.advance(MINUTE)
    office.write("status/tc-1.md", b"TC-1: BLOCKED - no access\n")
    office.acts()
    office.clock.advance(MINUTE)
    office.write("status/tc-1.md", sent)

    assert office.acts(10 * MINUTE)[0] == "conflict TC-1"
    assert office.state("TC-1") is State.BLOCKED
    assert office.boxes("iris") == {}


@pytest.mark.parametrize("lost", ["gone", "empty"])
def test_a_task_whose_file_is_lost_ends_as_the_report_of_it_says(office: Office, lost: str) -> None:
    task = claimed(office)
    office.new("Another one")
    os.unlink(office.root / "status/tc-1.md") if lost == "gone" else office.write("status/tc-1.md", "")
    office.acts(HOUR)
    (said,) = (
        text for name in office.names("inbox/sentry/new") if "`" in (text := office.read(f"inbox/sentry/new/{name}"))
    )

    office.write("status/tc-1.md", said.split("`")[1] + "\n")

    assert office.acts(MINUTE) == ["record TC-1", "close TC-1"]
    assert office.task(task).title == "A bug"


def test_an_older_copy_in_the_backlog_is_not_handed_out_again(tmp_path: Path) -> None:
    office = Office(tmp_path / "sam", TEAM + "\n[heartbeat]\nauto = true\n")
    copy = finished(office)[0]
    office.write("status/tc-1.md", copy)

    assert quiet_acts(office, MINUTE, MINUTE) == []

    assert_done_and_nobodys(office)


def assert_done_and_nobodys(office: Office) -> None:
    """Every list says that TC-1 is done, nobody gets it, and whoever may reopen it can."""
    assert office.state("TC-1") is State.DONE
    assert [it.task.state for it in office.app().board.listing().tasks] == [State.DONE]
    assert office.app("peter").claims.claim_next(PETER) is None
    for agent in ("iris", "peter"):
        with pytest.raises(ClawError):
            office.app(agent).claims.claim(TaskId("TC-1"), AgentId(agent))
    with pytest.raises(ClawError):
        office.app().delegations.delegate(TaskId("TC-1"), AgentId("sam"), AgentId("iris"))
    office.app().tasks.reopen(TaskId("TC-1"), AgentId("dimitrios"), "the sum is missing")
    office.acts()
    assert "count them" in office.read(f"inbox/peter/new/{office.names('inbox/peter/new')[-1]}")


@pytest.mark.parametrize("words", ["# Notes\n\nAll counted.\n", "TC-1: IN PROGRESS\n", "Status: DONE\n", "DNOE\n"])
@pytest.mark.parametrize("how", ["by command", "by hand"])
def test_a_closed_task_whose_file_was_written_over_stays_done(office: Office, how: str, words: str) -> None:
    if how == "by command":
        finished(office)
    else:
        _finished_by_hand(office)
    office.write("status/tc-1.md", words)

    assert quiet_acts(office, MINUTE, MINUTE) == []
    assert_done_and_nobodys(office)


def test_an_older_copy_of_what_was_finished_by_hand_is_not_work_again(office: Office) -> None:
    sent = _finished_by_hand(office)
    office.write("status/tc-1.md", sent)

    assert quiet_acts(office, MINUTE, MINUTE) == []
    assert_done_and_nobodys(office)


def _finished_by_hand(office: Office) -> bytes:
    """TC-1, delivered, finished in the file and closed; its file as it was sent."""
    office.delegate(office.new(type="bug", body="count them"), "peter")
    office.acts()
    sent = (office.root / "status/tc-1.md").read_bytes()
    office.clock.advance(MINUTE)
    office.add("status/tc-1.md", "\nTC-1: DONE\n")
    assert office.acts() == ["record TC-1", "inform TC-1", "close TC-1"]
    office.clock.advance(MINUTE)
    return sent


@pytest.mark.parametrize("state", [State.REVIEW, State.DEAD])
def test_what_waits_for_somebody_else_can_go_back_though_its_file_was_written_over(
    office: Office, state: State
) -> None:
    office.delegated("peter", type="reviewed", body="count them")
    office.app("peter").claims.claim(TaskId("TC-1"), PETER)
    if state is State.REVIEW:
        office.app("peter").tasks.done(TaskId("TC-1"), PETER)
    else:
        for _ in range(3):
            office.app("peter").tasks.fail(TaskId("TC-1"), PETER, "no")
            office.acts(HOUR)
            office.acts(MINUTE)
            if office.state("TC-1") is State.BACKLOG:
                office.app("peter").claims.claim(TaskId("TC-1"), PETER)
    office.acts()
    office.clock.advance(MINUTE)
    where = "status" if state is State.REVIEW else "dead-letter"
    office.write(f"{where}/tc-1.md", "# Notes\n")

    assert office.state("TC-1") is state
    tasks, sam = office.app().tasks, AgentId("sam")
    tasks.reopen(TaskId("TC-1"), sam, "why") if state is State.REVIEW else tasks.requeue(TaskId("TC-1"), sam)
    office.acts()
    assert "count them" in office.read(f"inbox/peter/new/{office.names('inbox/peter/new')[-1]}")


def test_a_task_that_was_given_back_stays_free_though_an_older_copy_was_put_back(office: Office) -> None:
    task = office.new(type="bug")
    backlog = (office.root / "status/tc-1.md").read_bytes()
    office.app("peter").claims.claim(TaskId(task), PETER)
    office.app("peter").tasks.release(TaskId(task), PETER)
    office.settle()
    office.write("status/tc-1.md", backlog)

    assert office.app("iris").claims.claim(TaskId(task), AgentId("iris")).generation == 2


# --- words that are not understood


def test_words_that_are_not_understood_are_asked_about_and_go_to_nobody_else(office: Office) -> None:
    office.delegated("peter")
    office.clock.advance(MINUTE)
    office.write("status/tc-1.md", "Status: In Progess\n")

    assert office.acts(4 * MINUTE) == []
    assert office.acts(2 * MINUTE) == ["nudge TC-1"]
    asked = office.message("peter", "tc-1.1.unclear")
    assert "status/tc-1.md, line 1, says “" in asked
    assert "In Progess" in asked
    assert office.acts(5 * MINUTE) == []
    assert office.acts(30 * MINUTE) == ["escalate TC-1"]
    assert office.boxes("iris") == {}

    office.write("status/tc-1.md", "Status: In Progress\n")
    assert office.acts(MINUTE) == ["record TC-1"]


def test_a_command_agent_whose_words_are_not_understood_runs_once_and_is_asked_once(tmp_path: Path) -> None:
    script = "import os; open('ran', 'a').write(os.environ['CLAWFILES_RUN'] + chr(10)); "
    script += "open('status/tc-1.md', 'w').write('Status: dnoe' + chr(10))"
    config = TEAM.replace('takes = ["bug"]', f'takes = ["bug"]\n{python(script)}') + '\n[heartbeat]\nbackoff = "0s"\n'
    office = Office(tmp_path / "sam", config)
    office.delegated("peter")

    for pause in (0, 3, 6, 6, 31, 31, 61):
        office.tick(pause * MINUTE)
        office.runs_end()

    assert office.read("ran").split() == ["tc-1.1-s1", "tc-1.1.unclear-s1"]
    assert office.names("dead-letter") == []
    assert "tc-1.1.unclear" in " ".join(office.box("sam"))


def test_explain_names_words_that_were_not_understood_and_a_file_that_is_gone(office: Office) -> None:
    office.new(type=None)
    office.delegated("peter")
    office.write("status/tc-2.md", "Status: In Progess\n")
    found = office.app().explaining.explain(TaskId("TC-2"))
    assert "unclear:       status/tc-2.md, line 1: " in explain_text(found, lambda at: str(at))
    assert explain_json(found)["unclear"][0].line == 1

    (office.root / "status/tc-2.md").unlink()

    with pytest.raises(InvalidFile, match=r"status/tc-2\.md: it is missing"):
        office.app().explaining.explain(TaskId("TC-2"))


# --- people


def with_the_boss(office: Office) -> str:
    task = office.delegated("dimitrios")
    office.acts()
    return task


def test_a_person_says_by_command_that_it_is_done_without_a_claim(office: Office) -> None:
    task = with_the_boss(office)

    office.app("dimitrios").tasks.done(TaskId(task), AgentId("dimitrios"), "ready")

    assert office.state(task) is State.DONE
    with pytest.raises(ClawError, match="claim it first"):
        office.app("peter").tasks.done(TaskId(office.delegated("peter")), PETER, "an agent has to")


def test_a_person_says_by_a_ticked_box_in_the_ledger_that_it_is_done(office: Office) -> None:
    task = with_the_boss(office)
    office.write("HEARTBEAT.md", office.read("HEARTBEAT.md").replace(f"- {task}", f"- [x] {task}"))

    assert office.acts(MINUTE) == [f"carry {task}", f"inform {task}", f"close {task}"]
    assert office.state(task) is State.DONE


def test_a_person_is_told_once_and_reminded_once_in_a_week(office: Office) -> None:
    task = with_the_boss(office)

    acts = [act for _ in range(7 * 24) for act in office.acts(HOUR)]

    assert acts == [f"nudge {task}", "announce TC-1"]
    assert office.boxes("sam") == {}
    assert office.read("announcements.md").count("<!-- tc-1.1 -->") == 1


# --- the message is gone


@pytest.mark.parametrize("box", ["cur", "done"])
def test_a_message_that_was_read_and_then_removed_is_not_sent_again_nor_handed_on(office: Office, box: str) -> None:
    task = office.delegated("peter")
    (message,) = office.app("peter").messages.inbox(PETER)
    if box == "done":
        office.app("peter").messages.finish(PETER, message.id)
    for lost in (office.root / f"inbox/peter/{box}").iterdir():
        lost.unlink()

    assert office.acts(MINUTE) == [], "it has its time to answer"
    assert "the journal says that the message was read" in explain_text(
        office.app().explaining.explain(TaskId(task)), office.app().workspace.when
    )
    acts = quiet_acts(office, *[10 * MINUTE] * 3)
    assert "08:45 (11 min ago))" in office.message("peter", "tc-1.1.nudge"), "local and relative, for people"
    assert "08:45 (21 min ago)), but peter has not reported" in office.message("sam", "tc-1.1.silent")
    acts += quiet_acts(office, HOUR, HOUR)
    assert acts[:2] == [f"nudge {task}", f"escalate {task}"]
    assert set(acts) == {f"nudge {task}", f"escalate {task}", f"announce {task}"}
    assert (office.task(task).assignee, office.state(task)) == (PETER, State.BACKLOG)
    assert office.boxes("iris") == {}


def test_a_message_that_was_removed_unread_is_sent_again(office: Office) -> None:
    task = office.delegated("peter")
    for lost in (office.root / "inbox/peter/new").iterdir():
        lost.unlink()

    assert office.acts(MINUTE) == [f"deliver {task}"]


def test_a_task_that_is_given_anew_is_sent_though_an_earlier_message_of_it_was_read(office: Office) -> None:
    task = office.delegated("peter")
    office.app("peter").messages.inbox(PETER)
    for lost in (office.root / "inbox/peter/cur").iterdir():
        lost.unlink()
    office.delegate(task, "peter")
    office.settle()
    office.tick(MINUTE)

    assert office.box("peter") == [f"{task.lower()}.1"]
