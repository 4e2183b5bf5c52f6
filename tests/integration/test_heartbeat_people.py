"""What reaches people, and what happens by the clock: each thing once, also where a tick dies in the middle."""

import os
import re
import shutil
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from claw_files.config.channels import CAP_BYTES
from claw_files.core.model import AgentId, TaskId
from claw_files.doctor.checkup import examine
from claw_files.services.heartbeat.heartbeat import TickResult
from claw_files.services.people import notifications
from claw_files.services.people.notifications import Outbox
from claw_files.storage.workspace import Workspace
from claw_files.testing import Crash
from tests.support.office import TEAM, Office

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
NIGHT = """
[quiet_hours]
windows = ["03:00-08:00"]
"""
HOURLY = """
[schedules.tidy]
cron = "30 * * * *"
do = { task = "Tidy up" }
"""


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path / "sam", TEAM + NIGHT)


def at(office: Office, hour: int, minute: int = 0) -> datetime:
    office.clock.set(office.clock.now().replace(hour=hour, minute=minute))
    return office.clock.now()


def send(office: Office, text: str, critical: bool = False) -> str:
    return office.app().messages.send(AgentId("sam"), AgentId("dimitrios"), text, critical=critical).status


def told(office: Office) -> str:
    return office.read("announcements.md") if office.exists("announcements.md") else ""


def test_outside_the_quiet_hours_a_person_is_told_at_once_and_once(office: Office) -> None:
    assert send(office, "the build is green") == "accepted"

    assert office.acts() == ["announce dimitrios"]

    assert told(office).count("the build is green") == 1
    assert office.acts() == []
    assert "inbox/dimitrios/new" not in "".join(office.tree())


def test_news_of_the_quiet_hours_is_in_one_brief_at_their_end(office: Office) -> None:
    at(office, 4)
    assert send(office, "the backup was slow") == "deferred"
    assert office.acts() == []
    assert send(office, "the disk is full", critical=True) == "accepted"
    assert office.acts(MINUTE) == ["announce dimitrios"]
    at(office, 7, 59)
    send(office, "the mail is read")
    assert office.acts() == []
    assert "slow" not in told(office)

    at(office, 8)
    assert office.acts() == ["brief dimitrios"]

    assert told(office).count("the backup was slow") == 1
    assert told(office).count("the mail is read") == 1
    assert told(office).count("the disk is full") == 1
    assert "the backup was slow" in office.read("briefs/2026-03-07.md")
    assert "the disk is full" not in office.read("briefs/2026-03-07.md")
    assert office.acts() == []
    assert office.acts(HOUR) == []
    assert office.app().people.read(AgentId("dimitrios"), office.clock.now()).count("slow") == 1


def test_held_back_news_leaves_the_workspace_once_and_critical_news_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Outbox, "start", lambda *_: None)
    config = (TEAM + NIGHT).replace('["file:', '["json://127.0.0.1:9/", "file:')
    office = Office(tmp_path / "sam", config)
    at(office, 4)
    send(office, "the backup was slow")
    send(office, "the disk is full", critical=True)
    office.acts()
    (critical,) = posts(office)
    assert "title: CRITICAL clawfiles\n" in critical
    assert "the disk is full" in critical

    at(office, 8)
    office.acts()
    office.acts(MINUTE)

    (brief,) = (post for post in posts(office) if post != critical)
    assert brief.count("the backup was slow") == 1
    assert "the disk is full" not in brief
    assert "key: brief.dimitrios.20260307T080000Z" in brief
    assert told(office).count("the backup was slow") == 1


def posts(office: Office) -> list[str]:
    return [office.read(f"outbox/{name}") for name in office.names("outbox")]


def test_work_goes_on_in_the_quiet_hours(office: Office) -> None:
    at(office, 4)
    office.delegated("peter")
    office.write("status/tc-1.md", "TC-1: DONE\n")

    assert office.acts(MINUTE) == ["record TC-1", "inform TC-1", "close TC-1"]


@pytest.mark.parametrize("how", ["approve", "reopen"])
def test_a_decided_review_ends_the_wait_for_it(tmp_path: Path, how: str) -> None:
    office = Office(tmp_path / "sam", TEAM + 'asked = { to = ["peter"], review = "dimitrios" }\n')
    task = office.delegated(type="asked")
    office.write("status/tc-1.md", "TC-1: DONE\n")
    office.acts(MINUTE)
    office.acts(MINUTE)
    assert "tc-1.1.review" in office.box("dimitrios", "cur")

    if how == "approve":
        office.app().tasks.approve(TaskId(task), AgentId("dimitrios"))
    else:
        office.app().tasks.reopen(TaskId(task), AgentId("dimitrios"), "no tests")

    assert "tc-1.1.review" in office.box("dimitrios", "done")


@pytest.mark.parametrize("step", ["before", "after", "marked"])
def test_a_brief_is_delivered_once_though_a_tick_dies_in_the_middle(
    office: Office, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(office, 4)
    send(office, "the backup was slow")
    send(office, "the mail is read")
    at(office, 8)
    write = notifications.write_to_file

    def dies(*args: object) -> None:
        if step != "before":
            write(*args)
        raise Crash

    with monkeypatch.context() as patch:
        if step == "marked":
            patch.setattr(Workspace, "shift", lambda *_: (_ for _ in ()).throw(Crash()))
        else:
            patch.setattr(notifications, "write_to_file", dies)
        with pytest.raises(Crash):
            office.app().heartbeat.tick()
    send(office, "good morning")  # something new meanwhile

    office.acts(MINUTE)
    office.acts(MINUTE)

    for text in ("the backup was slow", "the mail is read", "good morning"):
        assert told(office).count(text) == 1
    assert office.boxes("dimitrios")["done"] == office.box("dimitrios", "done")
    assert office.box("dimitrios") == []


def test_a_channel_that_fails_keeps_the_rest_going_and_is_tried_again(tmp_path: Path) -> None:
    config = TEAM.replace('"file:announcements.md"', '"file:gone/away.md", "file:announcements.md"')
    office = Office(tmp_path / "sam", config)
    office.write("gone", "a file where a folder should be")
    send(office, "hello")
    office.delegated("peter")
    office.write("status/tc-1.md", "TC-1: DONE\n")

    ticked = office.app().heartbeat.tick()

    assert len(ticked.problems) == 1
    assert office.lines == []
    (office.root / "gone").unlink()
    office.tick(MINUTE)
    assert office.read("gone/away.md").count("hello") == 1
    assert told(office).count("hello") == 1


def close_file(office: Office, how: str) -> None:
    """Put something in the place of announcements.md that takes nothing."""
    path, other = office.root / "announcements.md", office.root.parent / "other.md"
    other.write_text("somebody's\n")
    if how == "folder":
        path.mkdir()
    elif how == "link":
        path.symlink_to(other)
    elif how == "hard link":
        path.hardlink_to(other)
    elif how == "too large":
        path.touch()
        os.truncate(path, CAP_BYTES + 1)
    else:
        path.parent.joinpath("far").symlink_to(office.root.parent)


def late(office: Office, after: timedelta) -> TickResult:
    """A tick that may meet problems."""
    office.clock.advance(after)
    office.settle()
    return office.app().heartbeat.tick()


CLOSED = {
    "folder": "it is not a regular file",
    "link": "symbolic link",
    "hard link": "it has a hard link",
    "too large": "larger than 64 MiB",
    "behind a link": "symbolic link",
}


@pytest.mark.parametrize("how", CLOSED)
def test_a_failing_file_channel_is_escalated_and_delivered_to_once_it_works(tmp_path: Path, how: str) -> None:
    channel = "far/announcements.md" if how == "behind a link" else "announcements.md"
    office = Office(tmp_path / "sam", TEAM.replace("announcements.md", channel))
    close_file(office, how)
    send(office, "hello")

    ticks = [late(office, MINUTE) for _ in range(3)]

    assert all(ticked.problems for ticked in ticks)
    assert office.app().heartbeat.preview().actions, "`heartbeat --check` says that something is to be done"
    (key,) = [name for name in office.box("sentry") if name.startswith("channel.dimitrios.")]
    assert CLOSED[how] in office.message("sentry", key)
    assert office.box("sam") == []
    late(office, timedelta(minutes=30))
    assert office.box("sam") == [key], "unread at sentry, it goes one step up"
    assert "channel-unusable" in [one.code for one in examine(str(office.root), office.clock.now().timestamp())]

    for path in (office.root / "announcements.md", office.root / "far"):
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
    office.tick(MINUTE)
    assert office.read(channel).count("hello") == 1
    assert len([name for name in office.box("sentry") if name.startswith("channel.")]) == 1


def test_an_item_is_one_entry_and_keeps_no_other_away_whatever_its_text_forges(office: Office) -> None:
    victim = office.delegated("peter")
    key = f"{victim.lower()}.1.dead"
    send(office, f"done <!-- {key} -->\n- 08:00, sam: forged\n\x1b[2J")
    office.acts()
    assert "\x1b" not in told(office)
    assert len(re.findall("^- ", told(office), re.MULTILINE)) == 1
    office.write("definitions/tc-1.md", office.read("definitions/tc-1.md").replace("type:", "attempts: 1\ntype:"))
    office.add("status/tc-1.md", "\nTC-1: FAILED - no access\n")

    office.acts(MINUTE)

    assert told(office).count("failed once and is a dead letter") == 1


# --- schedules


def due(office: Office) -> list[str]:
    """Names of the tasks that the schedule has made."""
    return [name for name in office.names("status") if "tidy" in name]


def test_a_schedule_fires_once_for_each_due_time_and_for_the_last_one_after_a_pause(tmp_path: Path) -> None:
    office = Office(tmp_path / "sam", TEAM + HOURLY)
    office.tick()
    assert due(office) == []  # counting starts now, at 08:45
    office.tick(44 * MINUTE)
    assert due(office) == []

    office.tick(MINUTE)
    assert due(office) == ["tc-tidy-20260307t0930.md"]
    office.tick()
    office.tick(30 * MINUTE)
    assert len(due(office)) == 1

    office.tick(5 * HOUR)
    assert due(office) == ["tc-tidy-20260307t0930.md", "tc-tidy-20260307t1430.md"]
    office.clock.set(office.clock.now() - 3 * HOUR)
    office.tick()
    office.tick(3 * HOUR)
    assert len(due(office)) == 2  # a clock that was set back makes nothing come due again
    assert len(office.lines) == 2
    assert Counter(office.box("sam")).total() == 2


def test_a_tick_with_a_clock_far_ahead_suppresses_no_schedule_and_is_reported_once(tmp_path: Path) -> None:
    office = Office(tmp_path / "sam", TEAM + HOURLY)
    office.tick()
    office.clock.set(office.clock.now() + 366 * 24 * HOUR)
    office.tick()
    assert len(due(office)) == 1
    office.clock.set(office.clock.now() - 366 * 24 * HOUR)

    for hours in range(1, 4):
        office.tick(HOUR)
        assert len(due(office)) == 1 + hours

    monitor = office.app().settings.monitor
    assert [name for name in office.box(str(monitor)) if "ahead" in name] == ["schedule.tidy.20270308T083000Z.ahead"]


def test_a_schedule_whose_line_or_zone_is_edited_fires_no_time_before_the_edit(tmp_path: Path) -> None:
    office = Office(tmp_path / "sam", TEAM + HOURLY.replace("30 *", "0 10"))
    office.tick()
    office.tick(2 * HOUR)
    assert due(office) == ["tc-tidy-20260307t1000.md"]
    text = office.read("clawfiles.toml")

    for before, after in (('"0 10', '"0 9'), ("[workspace]", '[workspace]\ntimezone = "Asia/Tokyo"')):
        text = text.replace(before, after)
        office.write("clawfiles.toml", text)
        whys = [action.why for action in office.tick(HOUR).actions]
        assert "its times were changed; counting restarts" in whys
        assert due(office) == ["tc-tidy-20260307t1000.md"]

    office.tick(24 * HOUR)
    assert due(office)[1:] == ["tc-tidy-20260308t0000.md"]


def test_a_schedule_that_was_out_for_a_week_owes_nothing_and_one_that_slept_for_a_week_owes_once(
    tmp_path: Path,
) -> None:
    office = Office(tmp_path / "sam", TEAM + HOURLY)
    office.tick()
    text = office.read("clawfiles.toml")

    office.tick(7 * 24 * HOUR)
    assert len(due(office)) == 1, "nothing ran for a week"
    office.write("clawfiles.toml", text.replace(HOURLY, ""))
    office.tick()
    office.tick(7 * 24 * HOUR)
    office.write("clawfiles.toml", text)
    office.tick()
    assert len(due(office)) == 1, "it was out of the configuration, and a tick saw that"
    assert len([name for name in office.names("events/done") if name.endswith(".gone.md")]) == 1

    office.tick(HOUR)
    assert len(due(office)) == 2


def test_event_files_from_before_names_told_the_rule_count_on(tmp_path: Path) -> None:
    office = Office(tmp_path / "sam", TEAM + HOURLY)
    office.write("events/done/schedule.tidy.20260307T063000Z.md", "counting starts here\n")

    office.tick()

    assert len(due(office)) == 1
    office.write("clawfiles.toml", office.read("clawfiles.toml").replace("30 *", "50 *"))
    office.tick(10 * MINUTE)
    assert len(due(office)) == 1


def test_a_task_for_a_person_says_what_a_person_does_with_it(office: Office) -> None:
    at(office, 9)
    office.delegated("dimitrios", type=None, body="The bill lies on the desk.\nIt is due on Friday.")
    office.tick()

    assert "The bill lies on the desk." in told(office)
    assert "`clawfiles done TC-1" in told(office)
    for rule_of_agents in ("First, run", "clawfiles claim", "Do not delegate the task", "generation"):
        assert rule_of_agents not in told(office), rule_of_agents


def test_what_the_quiet_hours_held_back_is_told_on_one_line_and_reminded_of_later(office: Office) -> None:
    at(office, 4)
    office.delegated("dimitrios", type=None, body="The bill lies on the desk.\nIt is due on Friday.")
    office.tick()
    assert "\\x0a" not in office.app().people.read(AgentId("dimitrios"), office.clock.now())

    at(office, 8)
    assert office.acts() == ["brief dimitrios"]
    assert "desk. > It is due on Friday." in told(office)
    assert office.acts(29 * MINUTE) == []
    assert office.acts(MINUTE) == ["nudge TC-1", "announce TC-1"]
    assert office.acts(10 * HOUR) == []


def test_a_person_who_says_that_it_cannot_be_done_is_not_asked_again_and_its_requester_hears_of_it(
    office: Office,
) -> None:
    at(office, 9)
    office.delegated("dimitrios", type=None)
    office.tick()
    office.app().tasks.fail(TaskId("TC-1"), AgentId("dimitrios"), "the desk is gone")

    assert office.acts(HOUR) == ["dead-letter TC-1", "close TC-1"]

    assert "the desk is gone" in office.message("sam", "tc-1.1.dead")
    assert "the desk is gone" not in told(office)
