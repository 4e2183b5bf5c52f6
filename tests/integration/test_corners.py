"""What fails where no task's line tells of it: told once to the monitor, and seen by a check before that."""

from datetime import timedelta

import pytest

from claw_files.config import parse
from claw_files.core.errors import AlreadyClaimed, InvalidConfig
from claw_files.core.model import AgentId, State, TaskId
from claw_files.doctor.checkup import examine
from claw_files.presentation import figures
from tests.support.office import TEAM, Office, python

MINUTE = timedelta(minutes=1)
SLEEPER = f"""{TEAM}
[agents.w]
kind = "worker"
{python("import time; time.sleep(60)")}
[schedules.p]
cron = "*/5 * * * *"
do = {{ spawn = ["w"] }}
"""


def to_monitor(office: Office, word: str) -> list[str]:
    """What lies with the monitor, for what a key begins with."""
    names = [name for name in office.box("sentry") if name.startswith(word)]
    return [office.message("sentry", name) for name in names]


def check(office: Office) -> bool:
    """Whether `heartbeat --check` would find something."""
    return bool(office.app().heartbeat.preview().actions)


@pytest.fixture
def office(tmp_path):
    made = Office(tmp_path / "sam")
    yield made
    made.stop()


@pytest.mark.parametrize("path", ["events/customer_query.json", "events/new/customer_query.json"])
def test_an_event_that_nobody_handles_is_named_once(office: Office, path: str) -> None:
    office.write(path, "{}")
    assert check(office)

    office.tick()
    (text,) = to_monitor(office, "event-unknown")
    assert path in text
    assert not check(office)
    office.tick(MINUTE)
    assert len(to_monitor(office, "event-unknown")) == 1


def test_a_due_time_that_was_dropped_because_the_last_one_runs_is_told_and_leaves_no_task_in_backlog(tmp_path) -> None:
    office = Office(tmp_path / "sam", SLEEPER)
    try:
        office.tick()
        office.tick(5 * MINUTE)
        office.tick(5 * MINUTE)  # the second one is dropped
        assert len(office.names("events/failed")) == 2  # and its reason
        (failed,) = office.audit(action="event failed")
        assert "label" in failed["why"]
        tasks = [name.removesuffix(".md").upper() for name in office.names("status")]
        assert [office.state(task) for task in tasks].count(State.CANCELLED) == 1
        assert "dropped" in str([office.task(task).reason for task in tasks])
        assert check(office)

        office.tick(MINUTE)
        (text,) = to_monitor(office, "event-failed")
        assert office.names("events/failed")[0] in text
        assert len(office.audit(action="event failed")) == 1
    finally:
        office.stop()


def test_a_zeroed_message_of_an_agent_that_looks_for_itself_is_set_aside_told_and_delivered_anew(
    office: Office,
) -> None:
    office.delegated("peter", title="Rotate the keys")
    (name,) = office.names("inbox/peter/new")
    office.write(f"inbox/peter/new/{name}", b"\0" * 40, office.clock.now() - MINUTE)

    office.tick(MINUTE)
    office.tick(MINUTE)

    assert "Rotate the keys" in office.message("peter", "tc-1.1")
    (text,) = to_monitor(office, "set-aside")
    assert "quarantine/inbox-peter-new" in text
    for _ in range(3):
        office.tick(MINUTE)
    assert len(to_monitor(office, "set-aside")) == 1


def test_a_misspelt_worker_of_a_schedule_is_told_when_the_configuration_is_read() -> None:
    workers = '[agents.email]\nkind = "worker"\ncommand = ["true"]\n[agents.v]\nkind = "worker"\ncommand = ["true"]\n'
    schedule = '[schedules.p]\ncron = "0 8 * * *"\ndo = { spawn = ["emial"] }\n'

    with pytest.raises(InvalidConfig) as wrong:
        parse(f"{TEAM}{workers}{schedule}".encode(), "clawfiles.toml")

    assert "'emial' is neither a worker nor a type under [routes]; did you mean `email`?" in str(wrong.value)
    parse(f"{TEAM}{workers}{schedule.replace('emial', 'email')}".encode(), "clawfiles.toml")


def test_a_brief_inside_quiet_hours_says_what_is_held_back_now(tmp_path) -> None:
    config = TEAM.replace(
        'channels = ["file:announcements.md"]', 'channels = ["file:announcements.md"]\nquiet_hours = ["00:00-12:00"]'
    )
    office = Office(tmp_path / "sam", config)
    app = office.app("sam")
    for text in ("the staging host is back", "the bill is paid"):
        app.messages.send(AgentId("sam"), AgentId("dimitrios"), text)
    office.tick()

    text = office.app().people.read(AgentId("dimitrios"), office.clock.now())

    assert "the staging host is back" in text
    assert "the bill is paid" in text
    assert text.startswith("## Held back until 12:00 (in 3 h 15 min)")
    office.tick(timedelta(hours=4))
    assert "Held back until" not in office.app().people.read(AgentId("dimitrios"), office.clock.now())


@pytest.mark.parametrize("line", ["TC-9 wait until 11:00", "- TC-9 delegated to peter, check at 09:50"])
def test_the_doctor_says_of_a_line_without_a_task_what_the_tick_then_does(office: Office, line: str) -> None:
    office.write("HEARTBEAT.md", f"{line}\n")
    (found,) = [
        it for it in examine(str(office.root), office.clock.now().timestamp()) if it.code == "line-unknown-task"
    ]
    said = [it.act for it in office.app().heartbeat.preview().actions if it.act != "date"]
    done = [it.act for it in office.tick().actions if it.act != "date"]

    assert said == done
    expected = f"the next heartbeat: {done[0]}" if done else "a heartbeat does nothing with it now"
    assert expected in found.detail


def test_a_claim_of_a_held_task_is_refused_with_file_line_and_time(office: Office) -> None:
    office.delegated("peter")
    office.app("peter").claims.claim(TaskId("TC-1"), AgentId("peter"))
    office.settle()
    office.clock.advance(12 * MINUTE)

    with pytest.raises(AlreadyClaimed) as refused:
        office.app("sam").delegations.delegate(TaskId("TC-1"), AgentId("sam"), AgentId("iris"))
    with pytest.raises(AlreadyClaimed) as claimed:
        office.app("iris").claims.claim(TaskId("TC-1"), AgentId("iris"))
    found = office.app().explaining.explain(TaskId("TC-1"))
    text = figures.explain_text(found, office.app().when)

    for error in (refused, claimed):
        assert "status/tc-1.md, line 4, 08:45 (12 min ago)" in str(error.value)
    assert "recorded" in [str(trace.kind) for trace in found.traces]
    assert "evidence:      " in text
    assert "(12 min ago)" in text
    assert "a state was recorded (status/tc-1.md" in text
