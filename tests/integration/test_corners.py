"""What fails where no task's line tells of it: told once to the monitor, and seen by a check before that."""

from datetime import timedelta

import pytest

from claw_files.config import parse
from claw_files.errors import InvalidConfig
from claw_files.model import State
from claw_files.testing.office import TEAM, Office, python

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
    return bool(office.app().heartbeat.tick(dry_run=True).actions)


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
        assert len(office.names("events/failed")) == 1
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

    assert "'emial' is neither a worker nor a type under [routes]; did you mean 'email'?" in str(wrong.value)
    parse(f"{TEAM}{workers}{schedule.replace('emial', 'email')}".encode(), "clawfiles.toml")
