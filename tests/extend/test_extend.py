"""Each section of docs/how-to/extend.md, followed once on a copy of the package."""

import json
import time
from pathlib import Path

from tests.extend.conftest import Extended

TEAM = """
[workspace]
coordinator = "sam"
[heartbeat]
check = "1s"
silent = "1s"
[agents.sam]
reports_to = "ann"
[agents.peter]
reports_to = "sam"
[agents.ann]
kind = "human"
"""
WAIT_SECONDS = 20


def test_a_new_document_field_is_shown_and_survives_an_edit(extended: Extended) -> None:
    extended.follow("Add a document field")
    extended.configure(TEAM)
    extended.run("task", "new", "Checkout charges twice")
    extended.write("status/tc-1.md", extended.read("status/tc-1.md").replace("status:", "customer: ACME\nstatus:"))

    extended.run("claim", "TC-1", by="peter")

    assert json.loads(extended.run("task", "show", "TC-1", "--json"))["customer"] == "ACME"
    assert "customer: ACME\n" in extended.read("status/tc-1.md")


def test_a_new_state_is_read_recorded_shown_and_sends_no_reminder(extended: Extended) -> None:
    extended.follow("Add a state")
    extended.configure(TEAM)
    extended.run("task", "new", "Checkout charges twice", "--to", "peter")
    extended.run("claim", "TC-1", by="peter")
    extended.write("status/tc-1.md", extended.read("status/tc-1.md").replace("in_progress", "postponed", 1))

    extended.run("heartbeat")
    time.sleep(2.1)  # past `silent` and `check`
    later = extended.run("heartbeat")

    assert json.loads(extended.run("task", "show", "TC-1", "--json"))["status"] == "deferred"
    assert "deferred by its holder" in later
    assert "nudge" not in later
    assert "check-failed" not in extended.run("doctor", status=None)
    refused = extended.run("done", "TC-1", by="peter", status=5)
    assert "to continue: write `Status: in progress`" in refused
    extended.write("status/tc-1.md", extended.read("status/tc-1.md").replace("status: deferred", "status: in progress"))
    extended.run("heartbeat")
    assert "TC-1 is done" in extended.run("done", "TC-1", by="peter")


def test_a_new_notification_channel_delivers_each_announcement_once(extended: Extended, tmp_path: Path) -> None:
    extended.follow("Add a notification channel")
    spool = tmp_path / "spool"
    spool.mkdir()
    extended.configure(TEAM + f'channels = ["spool:{spool}"]\n')

    extended.run("send", "ann", "The staging host is back.")
    extended.run("heartbeat")
    until = time.monotonic() + WAIT_SECONDS
    while not list(spool.iterdir()) and time.monotonic() < until:
        time.sleep(0.05)
    extended.run("heartbeat")

    [delivered] = spool.iterdir()
    assert "The staging host is back." in delivered.read_text()
    assert "channel-unusable" not in extended.run("doctor", status=None)
    extended.configure(TEAM + f'channels = ["spool:{tmp_path}/nowhere"]\n')
    assert "its folder is not writable" in extended.run("doctor", status=1)
