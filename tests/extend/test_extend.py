"""Each section of docs/how-to/extend.md, followed once on a copy of the package."""

import json
import os
import time
from pathlib import Path

import pytest

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


def test_an_agent_of_a_new_runtime_is_woken_and_does_its_task(
    extended: Extended, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extended.follow("Add a runtime")
    extended.configure(TEAM.replace("[agents.peter]\n", '[agents.peter]\nruntime = "pool"\n'))
    assert "program-missing" in extended.run("doctor", status=None)
    program = tmp_path / "bin/agent-pool"
    program.parent.mkdir()
    words = r'printf "\nStatus: DONE\n\n%s read: %s\n" "$1" "$(head -c 9)"'
    program.write_text(f"#!/bin/sh\n{words} >> status/tc-1.md\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    assert "program-missing" not in extended.run("doctor", status=None)

    extended.run("task", "new", "Checkout charges twice", "--to", "peter")
    until = time.monotonic() + WAIT_SECONDS
    while "peter read: " not in extended.read("status/tc-1.md") and time.monotonic() < until:
        extended.run("heartbeat")
        time.sleep(0.05)
    extended.run("heartbeat")

    assert json.loads(extended.run("task", "show", "TC-1", "--json"))["status"] == "done"
    assert "your name there is peter" in extended.run("prime", by="peter")


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


ASK = """
import json
from claw_files.http.openapi import describe
from claw_files.mcp.tools import listed
from docs.generate.calls import calls_page
request = describe()["paths"]["/api/tasks/{task}/priority"]["post"]
tool = next(tool for tool in listed() if tool["name"] == "task_priority")
arguments = sorted(tool["inputSchema"]["properties"])
print(json.dumps([request["operationId"], arguments, "## task_priority" in calls_page()]))
"""


def test_a_new_operation_is_a_command_a_request_and_a_tool_and_workers_may_not_use_it(extended: Extended) -> None:
    extended.follow("Add an operation")
    extended.configure(TEAM + '[agents.r]\nkind = "worker"\ncommand = ["true"]\n')
    extended.run("task", "new", "Tidy up")
    extended.run("task", "new", "Checkout charges twice")

    answer = json.loads(extended.run("priority", "TC-2", "high", "--json"))

    assert (answer["id"], answer["priority"]) == ("TC-2", "high")
    assert json.loads(extended.run("claim", "--next", "--json", by="peter"))["task"] == "TC-2"
    assert "priority high" in extended.run("log", "--task", "TC-2")
    assert "Change the priority of a task." in extended.run("--help")
    assert "clawfiles priority TC-47 high --agent sam" in extended.run("priority", "--help")
    extended.run("priority", "TC-1", "soon", status=2)
    extended.run("priority", "TC-1", "low", by="r", status=5)
    assert json.loads(extended.python(ASK)) == ["setPriority", ["level", "task"], True]


A_WEEK = """
import json, sys
from datetime import UTC, datetime, timedelta
from claw_files.app.wiring import open_workspace
from claw_files.policy.heartbeat_plan import PLANNERS
from claw_files.testing import FakeClock
clock = FakeClock(datetime.now(UTC))
old = next(planner for planner in PLANNERS if planner.name == "old tasks")
start, told, due = clock.now(), [], []
for days in (0, 6, 8, 8):
    clock.set(start + timedelta(days=days))
    app = open_workspace(sys.argv[1], {}, "sam", clock)
    told.append([action.key for action in app.heartbeat.tick().actions if action.key.endswith(".old")])
    due += old.due(app.heartbeat.take_seen()[0], clock.now())
print(json.dumps([told, [round((at - start) / timedelta(days=1), 1) for at in due]]))
"""


def test_a_new_timed_rule_acts_once_when_its_time_has_come_and_the_daemon_knows_the_time(extended: Extended) -> None:
    extended.follow("Add a timed rule")
    extended.configure(TEAM.replace('"1s"', '"30d"'))
    extended.run("task", "new", "Checkout charges twice", "--to", "peter")

    told, due = json.loads(extended.python(A_WEEK, str(extended.root)))

    assert told == [[], [], ["tc-1.old"], []]
    assert due == [7.0] * 4
    assert "TC-1 is still backlog after 7 days" in extended.run("inbox")
