"""An agent that speaks ACP, in a sandbox: our client stays outside, and its program finds the walls of any other."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from claw_files.model import RunId
from claw_files.testing.patience import until
from tests.acp.conftest import PROGRAM, Team

PROFILE = """
profile = "boxed"
permissions = "approve-all"
[profiles.boxed]
sandbox = "require"
read = [{program!r}, {python!r}]
"""


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Team]:
    made = Team(tmp_path)
    made.state = made.desk / "state"  # the only place where its program may write
    made.state.mkdir()
    made.configure(PROFILE.format(program=str(PROGRAM), python=sys.prefix))
    yield made
    for run in made.app.runtime.live():
        made.app.runtime.stop(run.id)
        made.ended(run.id)
    assert made.processes() == []


def test_its_program_is_behind_the_walls_and_its_client_is_not(team: Team) -> None:
    forged = team.root / "status/tc-9.md"
    acts = [
        "!shell echo made > made",
        f"!shell echo 'TC-9: DONE' > {forged}",
        f"!shell ls {team.root}/.clawfiles/locks",
    ]

    run = team.work(*acts)

    assert [one["exit"] == 0 for one in team.saw("ran")] == [True, False, False], team.log("stderr.log")
    assert (team.desk / "made").read_text() == "made\n"
    assert not forged.exists()
    assert [one["why"].partition(" ")[0] for one in team.audit("permission")] == ["allowed"] * 3
    assert (run.reason, run.exit) == ("exited", 0)


def test_one_that_hangs_there_is_asked_to_end_by_its_client_and_leaves_nothing(team: Team) -> None:
    made = team.app
    team.begin("!hang")
    until(lambda: team.saw("prompt"), "its turn")

    made.runtime.stop(RunId("tc-1.1-s1"))

    assert team.ended().reason == "stopped"
    assert [one["count"] for one in team.saw("cancel")] == [1]


def test_its_client_writes_no_file_of_the_board_for_it(team: Team) -> None:
    status = team.root / "status/tc-1.md"

    team.begin(f"!write {status} forged")
    before = status.read_bytes()
    team.ended()

    assert [one["error"] is not None for one in team.saw("write")] == [True], team.log("stderr.log") + team.log()
    assert status.read_bytes() == before
