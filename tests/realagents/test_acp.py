"""Real ACP programs, `claude-agent-acp` and `codex-acp`, behind our client; only the model behind them is a script."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from .conftest import Hire, Team, found
from .fake_model import Model, Shell, Write

pytestmark = pytest.mark.realagents
PROGRAMS = {"claude": "claude-agent-acp", "codex": "codex-acp"}
every_program = pytest.mark.parametrize("name", list(PROGRAMS))
CLAIM, DONE = Shell("clawfiles claim {task}"), Shell("clawfiles done {task} 'looked at it'")


def hired(hire: Hire, name: str, mode: str) -> tuple[Team, Model]:
    """A team whose agent of that name speaks ACP."""
    program = found(PROGRAMS[name])
    team, model = hire(name)
    # On the command line of `codex exec` this is "-c allow_login_shell=false".
    codex = team.root.parent / "home/.codex/config.toml"
    codex.write_text(f"allow_login_shell = false\n{codex.read_text()}")
    file = team.root / "clawfiles.toml"
    text = file.read_text().replace('runtime = "command"', f'runtime = "acp"\npermissions = "{mode}"')
    file.write_text(re.sub(r"^command = .*$", f'command = ["{program}"]', text, flags=re.MULTILINE))
    return team, model


def decisions(team: Team) -> list[str]:
    lines = [line for path in sorted(team.root.glob("audit/*.jsonl")) for line in path.read_text().splitlines()]
    found: list[dict[str, Any]] = [json.loads(line) for line in lines]
    return [one["why"] for one in found if one["action"] == "permission"]


def report(team: Team) -> Path:
    return team.root / "report.md"


@every_program
def test_a_delegated_task_is_claimed_worked_on_and_done(hire: Hire, name: str) -> None:
    team, model = hired(hire, name, "approve-all")
    model.steps += [CLAIM, Write(str(report(team)), "nothing found\n"), DONE]

    task = team.task()

    assert task["status"] == "done", (model.results, team.read("runs/tc-1.1-s1/stderr.log"))
    assert report(team).read_text() == "nothing found\n"
    assert team.processes() == []


def test_claude_may_look_and_speak_of_its_task_and_change_nothing(hire: Hire) -> None:
    team, model = hired(hire, "claude", "approve-reads")
    model.steps += [CLAIM, Write(str(report(team)), "x\n"), Shell("touch made; clawfiles done {task} x"), DONE]

    task = team.task()

    assert task["status"] == "done", (model.results, team.read("runs/tc-1.1-s1/stderr.log"))
    assert not report(team).exists()
    assert not (team.root / "made").exists()
    assert [why.split()[0] for why in decisions(team)] == ["allowed", "refused", "refused", "allowed"]


def test_codex_is_put_into_its_mode_that_asks_and_changes_nothing(hire: Hire) -> None:
    team, model = hired(hire, "codex", "approve-reads")
    model.steps += [Write(str(report(team)), "x\n"), CLAIM]

    task = team.task()

    assert task["status"] == "failed", model.results
    assert not report(team).exists()


@every_program
def test_the_next_run_goes_on_with_the_session(hire: Hire, name: str) -> None:
    team, model = hired(hire, name, "approve-all")
    team.task("Look at the login")
    session = re.search(r"^session: (.*)$", team.read(f"sessions/{name}.md"), re.MULTILINE)
    team.task("Look at the logout")

    assert session
    assert f"session: {session[1]}\n" in team.read(f"sessions/{name}.md")
    assert "run: tc-2.1-s1" in team.read(f"sessions/{name}.md")
    assert "Look at the login" in model.seen[-1].text


@every_program
def test_the_doctor_meets_it_before_it_sends_anything(hire: Hire, name: str) -> None:
    team, model = hired(hire, name, "approve-all")
    model.steps += [Shell("clawfiles claim $CLAWFILES_TASK"), Shell("clawfiles done $CLAWFILES_TASK x")]

    said = team("doctor", "--agent", name, "--patience", "80s")

    assert "is installed" in said
    assert "it answers after" in said
    assert "it opens a session" in said
