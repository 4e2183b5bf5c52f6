"""`doctor --agent NAME` for agents that speak ACP: installed, answering, signed in; and only then a task is sent."""

import re
import sys
from datetime import timedelta

import pytest

from claw_files.cli import run
from claw_files.core.errors import INSTALL, NotInstalled
from claw_files.integrations.acp import runtime
from claw_files.integrations.acp.runtime import AcpRuntime
from claw_files.processes import Surroundings
from claw_files.services.heartbeat.probe import ProbeResult

from .conftest import Team

PATIENCE = timedelta(seconds=40)


def probed(team: Team, patience: timedelta = PATIENCE) -> ProbeResult:
    return team.app.probing.probe("peter", patience)


def steps(found: ProbeResult) -> list[str]:
    return [step.what for step in found.steps]


def test_one_that_acts_is_met_first(team: Team) -> None:
    team.script("obeys")

    found = probed(team)

    assert found.acts, found
    assert steps(found)[0] == f"{sys.executable} is installed"
    assert "scripted 1.0" in steps(found)[1]
    said = steps(found)[2]  # nothing was asked of it yet, and it has no key
    assert said.startswith("it opens a session; whether it is signed in shows at its first prompt; if not: ")
    assert steps(found)[-1] == "peter acts"
    assert [one["write"] for one in team.saw("initialize")] == [False, True]


@pytest.mark.parametrize(
    ("script", "problem", "advice"),
    [
        ("crash", "the agent ended before it did answer `initialize` (exit 1)", "start it by hand"),
        ("sign-in-by-hand", "the agent requires its user to sign in", "sign in: "),
        ("other-version", "the agent uses ACP 9", "start it by hand"),
    ],
)
def test_one_that_cannot_work_is_sent_nothing(team: Team, script: str, problem: str, advice: str) -> None:
    team.script(script)

    found = probed(team)

    assert not found.acts
    assert problem in steps(found)[-1]
    assert found.advice[0].startswith(advice)
    assert found.task is None
    assert list((team.root / "runs").glob("*")) == []
    assert not any((team.root / "status").glob("*"))


def test_an_acp_program_that_never_answers_is_stopped_at_the_limit(team: Team) -> None:
    team.script("hang-at-initialize")
    around = Surroundings(settings=team.app.settings, base=str(team.root), root=str(team.root), environ=team.env)

    met = AcpRuntime(around).probe(team.app.settings.agent("peter"), lambda _: None, timedelta(seconds=1))

    assert met.problem == "the agent did not answer `initialize` within 1s"


def test_a_program_that_is_not_there_is_named_with_what_to_type(team: Team, capsys: pytest.CaptureFixture[str]) -> None:
    file = team.root / "clawfiles.toml"
    file.write_text(file.read_text().replace(repr(sys.executable), "'codex-acp'"))
    team.env["PATH"] = "/nowhere"

    found = probed(team)

    assert steps(found) == ["there is no program 'codex-acp' on the PATH"]
    assert found.advice[0].startswith("npm install -g @agentclientprotocol/codex-acp")


def test_the_plain_doctor_starts_no_program(team: Team, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["-C", str(team.root), "doctor"]) == 0

    assert not (team.state / "seen").exists()


def test_without_the_library_one_line_says_what_to_install(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "acp", None)

    with pytest.raises(NotInstalled, match=re.escape(INSTALL["acp"])):
        probed(team)


def test_a_run_without_the_library_says_the_same(team: Team) -> None:
    import subprocess

    # An interpreter without site-packages has no library, and everything else that we need by a path.
    code = (
        "import runpy, sys; sys.modules['acp'] = None; sys.argv = ['x', '--', 'true'];"
        f"runpy.run_path({runtime.CLIENT[2]!r}, run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, input="", env=team.env)

    assert done.returncode == 1
    assert done.stderr == f"clawfiles: an ACP agent needs a library that is not installed: {INSTALL['acp']}\n"
