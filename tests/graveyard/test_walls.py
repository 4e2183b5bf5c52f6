"""Agents and clients at the doors: turns that end oddly, permissions, sessions, floods, services, approvals."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from claw_files.core.model import RunId
from claw_files.testing.patience import until
from tests.acp.conftest import Team
from tests.support.office import Office

Asked = Callable[..., Any]
SECOND = RunId("tc-2.1-s1")


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Team]:
    made = Team(tmp_path)
    yield made
    for run in made.app.runtime.live():
        made.app.runtime.stop(run.id)
        made.ended(run.id)
    assert made.processes() == []


# --- requests that are given up


class Wire:
    """A server on its pipes, spoken to line by line."""

    def __init__(self, root: Path) -> None:
        from tests.mcp.conftest import Team as Board

        self.board = Board(root)
        self.process = self.board.start("--agent", "peter")

    def say(self, method: str, number: int | None = None, **params: Any) -> None:
        message = {"jsonrpc": "2.0", "method": method, "params": params} | ({} if number is None else {"id": number})
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()

    def hears(self, number: int) -> dict[str, Any]:
        """The answer to that request."""
        assert self.process.stdout is not None
        while line := self.process.stdout.readline():
            if json.loads(line).get("id") == number:
                found: dict[str, Any] = json.loads(line)
                return found
        raise AssertionError("the server is gone")

    def begin(self) -> None:
        info = {"name": "x", "version": "1"}
        self.say("initialize", 1, protocolVersion="2025-06-18", capabilities={}, clientInfo=info)
        self.hears(1)
        self.say("notifications/initialized")


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    from tests.mcp.conftest import CONFIG

    root = tmp_path / "board"
    root.mkdir()
    (root / "clawfiles.toml").write_text(CONFIG)
    made = Wire(root)
    yield made
    made.process.kill()
    made.process.communicate()


def test_a_request_that_is_cancelled_is_over_and_its_server_goes_on(wire: Wire) -> None:
    """openai/codex#20925, modelcontextprotocol/python-sdk#2507: a client took back a request and never heard of it
    again, or took its whole server down with it; only a restart helped.

    Here: the wait that was taken back holds up nothing and takes no message away, and the next call is answered.
    """
    wire.begin()
    wire.say("tools/call", 2, name="inbox", arguments={"timeoutSeconds": 50})
    wire.say("notifications/cancelled", requestId=2, reason="enough")
    wire.say("tools/call", 9, name="task_list", arguments={})
    wire.hears(9)  # so both were heard before there is a message
    wire.board.type("send", "peter", "Which host?", "--agent", "sam")

    wire.say("tools/call", 3, name="inbox", arguments={})
    answer = wire.hears(3)

    assert "Which host?" in json.dumps(answer)
    assert wire.process.poll() is None


# --- agents that end where nobody expects it


def test_an_agent_that_dies_in_its_turn_ends_its_run_and_its_task_goes_on(team: Team) -> None:
    """zed-industries/zed#64603: the agent's program was killed in a turn; the turn stayed open, the
    spinner turned for ever, and nothing else could be started in its place.

    Here: the run ends with one sentence, nothing waits for it, and the task is given on by its next attempt.
    """
    team.begin("!hang")
    until(lambda: team.saw("prompt"), "its turn")
    [program] = [one for one in team.processes() if "agent.py" in one and "claw_files" not in one]
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode() == program:
                os.kill(int(folder.name), 9)
        except (OSError, ProcessLookupError):
            continue

    ended = team.ended()

    assert (ended.reason, ended.exit) == ("exited", 1)
    assert "the agent ended before it did end its turn (SIGKILL)" in "".join(team.said)
    assert team.app.runtime.live() == []


def test_an_agent_that_ends_right_after_its_turn_has_done_it(team: Team) -> None:
    """gajae-code#5107: a program that answered and ended at once was taken for one that had
    crashed, and its answer was thrown away.

    Here: the answer that came before the end counts.
    """
    run = team.work("!say the answer is 42", "!last_words")

    assert (run.reason, run.exit) == ("exited", 0), team.log("stderr.log")
    assert "the answer is 42" in team.log()


# --- permissions


def test_a_permission_that_is_asked_for_twice_under_one_id_is_answered_twice(team: Team) -> None:
    """assistant-ui/assistant-ui#6027, macro#6194: two questions carried one id; only one was shown, the other waited
    for ever, or got the answer that was meant for the first.

    Here: each is answered, by what it asks now, and each answer is a line of the journal.
    """
    team.configure('permissions = "approve-reads"')
    same = {"toolCallId": "call-1"}
    asks = [same | {"kind": "read", "title": "look"}, same | {"kind": "edit", "title": "change"}]

    run = team.work(*(f"!raw_ask {json.dumps({'id': 'call-1', 'call': one})}" for one in (*asks, asks[0])))

    assert run.exit == 0
    assert [one["outcome"]["optionId"] for one in team.saw("raw")] == [
        *("id-allow_once", "id-reject_once", "id-allow_once"),
    ]
    assert len(team.audit("permission")) == 3


# --- sessions


def test_a_session_that_cannot_be_loaded_is_begun_anew(team: Team) -> None:
    """getpaseo/paseo#1592: one error while an old session was loaded made the agent useless until somebody made
    another one by hand.

    Here: the run says that the session is gone, begins a new one, and does its work.
    """
    team.work("!say first")
    team.script("forgets")
    team.begin("!say second")
    run = team.ended(SECOND)

    assert run.exit == 0
    assert len(team.saw("new")) == 2
    assert "the last session no longer exists, so a new one begins" in team.log("stderr.log", SECOND)


def test_replayed_messages_of_a_loaded_session_are_not_shown_twice(team: Team) -> None:
    """nexu-io/open-design#6721: a loaded session told its whole past once more, and all of it went into the new
    run's transcript; an answer without a body stopped the turn.

    Here: the past is passed over, and only what the new turn says stands in its log.
    """
    team.work("!say first")
    team.begin("!say second")
    run = team.ended(SECOND)

    assert run.exit == 0
    assert [one["session"] for one in team.saw("load")] == [one["session"] for one in team.saw("new")]
    assert "what was said before" not in team.log("stdout.log", SECOND)
    assert "second" in team.log("stdout.log", SECOND)


# --- words of a newer peer


@pytest.mark.parametrize("ending", ["error", "paused", "end_turn_with_remarks"])
def test_an_end_that_the_list_does_not_know_loses_no_answer(team: Team, ending: str) -> None:
    """QwenLM/qwen-code#4925: a word that was not in the other side's list failed a whole answer, though the work
    was done.

    Here: the turn was answered, the run ends well, and run and journal name the word.
    """
    run = team.work("!say done and dusted", f"!new_ending {ending}")

    assert run.exit == 0
    assert "done and dusted" in team.log()
    assert ending in " ".join(one["why"] for one in team.audit("acp"))


# --- floods


def test_an_agent_that_floods_its_standard_error_is_not_stopped_by_it(team: Team) -> None:
    """kubestellar/console#7960, Eidon-AI#247: nobody read the agent's standard error; once the pipe was full the
    agent stood still, in the middle of its work.

    Here: all of it is read and a megabyte kept, and the turn ends as ever.
    """
    run = team.work("!stderr 3000000", "!say still here")

    assert run.exit == 0
    assert "still here" in team.log()
    assert len(team.log("stderr.log")) < 1_100_000


# --- services


def test_a_service_finds_the_programs_that_the_shell_finds(tmp_path: Path) -> None:
    """huanyingtianhe/agents-chat#17, openchamber#1842: what worked in a shell failed as a service, because the
    service had another PATH and found neither the agent's program nor its own.

    Here: the unit holds the PATH of whoever installed it, with our own program's folder.
    """
    tools, root = tmp_path / "tools", tmp_path / "team"
    for folder in (tools, root):
        folder.mkdir()
    (tools / "my-agent").write_text("#!/bin/sh\ntouch it-ran\n")
    (tools / "my-agent").chmod(0o755)
    agents = '[agents.sam]\n[agents.peter]\ncommand = ["my-agent"]\n'
    (root / "clawfiles.toml").write_text(f'[workspace]\ncoordinator = "sam"\n{agents}')
    shell = {name: value for name, value in os.environ.items() if not name.startswith("CLAWFILES_")}
    shell |= {"PATH": f"{tools}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    command = [str(Path(sys.executable).with_name("clawfiles")), "-C", str(root)]
    unit = subprocess.run([*command, "install", "systemd", "--print"], env=shell, capture_output=True, text=True).stdout
    path = re.search(r'^Environment="?PATH=(.*?)"?$', unit, re.MULTILINE)
    assert path is not None, unit

    alone = {"PATH": path[1], "HOME": str(tmp_path)}
    made = subprocess.run(
        [*command, "task", "new", "A bug", "--to", "peter", "--agent", "sam"], env=alone, capture_output=True, text=True
    )

    assert made.returncode == 0, made.stderr
    until((root / "it-ran").exists, "the agent's program was found")


def test_install_warns_that_the_service_ends_with_the_login_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """openclaw/openclaw#118430: the service was installed, looked well, and was gone as soon as its user logged out.

    Here: installing says so, with the command that keeps it.
    """
    from claw_files.cli import run, systemd

    for name in [name for name in os.environ if name.startswith("CLAWFILES_")]:
        monkeypatch.delenv(name)
    (tmp_path / "clawfiles.toml").write_text('[workspace]\ncoordinator = "sam"\n[agents.sam]\n')
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(systemd, "LINGERING", str(tmp_path / "linger"))

    assert run(["-C", str(tmp_path), "install", "systemd"]) == 0
    assert "loginctl enable-linger" in capsys.readouterr().err


# --- approvals


def test_an_agent_does_not_approve_its_own_step(office: Office, asked: Asked) -> None:
    """openclaw/lobster#44: whoever held the token could approve, also the agent whose step was waiting.

    Here: who did the work is refused and told who may; that one's word counts.
    """
    asked("task", "new", "Change the price", "--type", "reviewed", "--to", "peter")
    office.settle()
    asked("claim", "TC-1", by="peter")
    asked("done", "TC-1", "changed", by="peter")

    refused = asked("approve", "TC-1", by="peter")

    assert refused["error"]["rule"] == "maker and reviewer differ"
    assert asked("task", "show", "TC-1")["status"] == "review"
    assert "error" not in asked("approve", "TC-1")


def test_a_pending_approval_is_listed(office: Office, asked: Asked) -> None:
    """openclaw/lobster#87: steps that waited for an approval could not be listed: a token was lost, and so was the
    step.

    Here: who has to decide has a message, and the board shows the task in review.
    """
    asked("task", "new", "Change the price", "--type", "reviewed", "--to", "peter")
    office.settle()
    asked("claim", "TC-1", by="peter")
    asked("done", "TC-1", "changed", by="peter")
    office.tick()

    listed = asked("task", "list", "--status", "review")
    assert "TC-1" in json.dumps(listed)
    assert "TC-1" in json.dumps(asked("inbox", "--peek"))
