"""An agent that speaks ACP, in a sandbox: our client stays outside, and its program finds the walls of any other."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from claw_files.core.model import RunId
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


PLACES = (".envrc", ".git/config", ".git/hooks/post-commit", ".mcp.json", ".claude/settings.json", "clawfiles.toml")


def test_neither_its_program_nor_its_client_writes_what_others_obey(team: Team) -> None:
    subprocess.run(["git", "init", "-q", str(team.desk)], check=True)
    (team.desk / "store.git").mkdir()
    subprocess.run(["git", "init", "-q", "--bare", str(team.desk / "store.git")], check=True)
    places = (*PLACES, "sub/.vscode/tasks.json", "store.git/config", "store.git/hooks/post-update")
    before = {path: path.read_bytes() for path in team.desk.rglob("*") if path.is_file()}

    team.work(
        *(f"!write {team.desk / place} forged" for place in places),
        *(f"!shell echo forged > {team.desk / place}" for place in (*PLACES, *places[-2:])),
        f"!write {team.desk / 'mine.txt'} mine",
    )

    assert [one["error"] is None for one in team.saw("write")] == [False] * len(places) + [True]
    assert [one["exit"] for one in team.saw("ran")].count(0) == 0
    now = {path: path.read_bytes() for path in team.desk.rglob("*") if path.is_file() and path.parent.name != "state"}
    assert now == before | {team.desk / "mine.txt": b"mine\n"}


def test_its_working_folder_holds_no_secret_that_its_client_could_read_for_it(team: Team) -> None:
    secret = '[agents.me]\nkind = "human"\nchannels = ["addresses:desk/addresses.txt"]\n'
    team.configure(PROFILE.format(program=str(PROGRAM), python=sys.prefix) + secret)
    (team.desk / "addresses.txt").write_text("hush")

    run = team.work(f"!read {team.desk / 'addresses.txt'}")

    assert (run.reason or "").startswith("could not start: ")
    assert "contains a secret and is inside the working folder" in (run.reason or "")
    assert "hush" not in team.log()
