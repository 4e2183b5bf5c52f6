"""The shell keeps to the profiles: what an agent may use, who acts in a run, and what a worker leaves alone."""

from collections.abc import Callable
from pathlib import Path

import pytest

from claw_files.cli import reference
from claw_files.cli.root import root
from claw_files.config.commands import BOARD, COMMANDS

PROFILE = """
[profiles.readonly]
commands = ["task list", "task show", "inbox", "progress"]
[agents.lena]
profile = "readonly"
command = ["true"]
"""
WORDS = {
    "comment": ["TC-1", "noted"],  # what else a command has to be told before it gets to its rule
    "task new": ["x"],
    "claim": ["TC-1"],
    "need": ["TC-1", "--from", "iris", "x"],
    "block": ["TC-1", "x"],
    "archive": [],
    "delegate": ["TC-1", "--to", "peter"],
}


@pytest.fixture
def office(desk):
    with (desk.root / "clawfiles.toml").open("a") as file:
        file.write(PROFILE)
    return desk


def test_the_table_of_commands_is_that_of_the_program() -> None:
    assert {" ".join(path) for path, _ in reference.walk(root, ())} == set(COMMANDS)


def test_a_profile_lets_its_agent_use_what_it_names_and_refuses_the_rest(office) -> None:
    task = office.task()

    assert office("task", "list", by="lena").status == 0
    assert office("task", "show", task, by="lena").status == 0
    assert office("inbox", by="lena").status == 0
    assert office("inbox", "done", "x", by="lena").status == 3  # permitted; there is no such message
    for words in (["claim", task], ["board"], ["task", "new", "x"], ["send", "peter", "x"], ["log"], ["heartbeat"]):
        answer = office(*words, "--json", by="lena")
        assert (answer.status, answer.error["rule"]) == (5, "profiles.readonly"), words
        assert "commands` under [profiles.readonly]" in answer.error["instead"]
    assert office.show(task)["status"] == "backlog"


def test_an_agent_without_a_profile_is_as_free_as_before(office) -> None:
    task = office.task()

    assert office("claim", task, by="iris").status == 0


@pytest.mark.parametrize("command", BOARD)
def test_a_worker_touches_nothing_of_the_board(office, command: str) -> None:
    office.task()

    answer = office(*command.split(), *WORDS.get(command, ["TC-1"]), "--json", by="research")

    assert (answer.status, answer.error["rule"]) == (5, "workers report")
    assert "checkpoints/subagent-LABEL.md" in answer.error["instead"]


@pytest.fixture
def inside(office, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts us into the run of an agent, as its environment would have it."""

    def enter(agent: str, run: str = "tc-1.1-s1", root: Path | None = None) -> None:
        office.write(f"runs/{run}/run.md", f"---\nrun: {run}\nagent: {agent}\nkey: tc-1.1\n---\nagent: sam\n")
        monkeypatch.setenv("CLAWFILES_WORKSPACE", str(root or office.root))
        monkeypatch.setenv("CLAWFILES_AGENT", agent)
        monkeypatch.setenv("CLAWFILES_RUN", run)

    return enter


def test_a_workers_run_does_nothing_in_anybodys_name(office, inside, monkeypatch: pytest.MonkeyPatch) -> None:
    task = office.task()
    inside("research")

    for by in ("sam", "peter", "dimitrios"):
        for words in (["claim", task], ["cancel", task], ["task", "new", "x"], ["delegate", task, "--to", "peter"]):
            answer = office(*words, "--json", by=by)
            assert (answer.status, answer.error["rule"]) == (5, "one agent in a run")
            assert f"this is research's run tc-1.1-s1, and {by} does not act in it" in answer.error["message"]
    monkeypatch.setenv("CLAWFILES_AGENT", "sam")
    assert office("claim", task).status == 5
    assert "status: backlog" in office.read(f"status/{task.lower()}.md")


def test_in_its_own_run_an_agent_acts_as_ever(office, inside) -> None:
    task = office.task()
    inside("peter")

    assert office("claim", task).status == 0
    assert office("progress", task, "half", by="Peter").status == 0


def test_a_run_binds_nobody_in_another_workspace_or_when_it_is_nobodys(office, inside, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "clawfiles.toml").write_text("")
    inside("research", root=other)
    assert office("task", "new", "x", by="sam").status == 0
    inside("verify-bug", run="tc-2.1.verify-s1")
    assert office("task", "new", "x", by="sam").status == 0


def test_a_run_that_cannot_be_read_keeps_nobody_from_working(office, inside) -> None:
    inside("peter")
    for text in ("", "\0", "---\nagent: [\n---\n"):
        office.write("runs/tc-1.1-s1/run.md", text)
        assert office("task", "new", "x", by="sam").status == 0


def test_under_a_wrong_configuration_the_doctor_still_works(office, inside) -> None:
    inside("lena")
    (office.root / "clawfiles.toml").write_text("rubbish")

    answer = office("doctor")

    assert answer.status == 1
    assert "invalid-config" in answer.out


def test_an_empty_checkpoint_is_none_and_in_a_sandbox_the_file_stays_the_same_one(
    office, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = office.write("checkpoints/peter.md", "")
    assert office("checkpoint", "show", by="peter").status == 3
    inode = file.stat().st_ino
    monkeypatch.setenv("CLAWFILES_SANDBOX", "1")

    assert office("checkpoint", "save", "much to do " * 20, "--pending", "all", by="peter").status == 0
    assert office("checkpoint", "save", "--pending", "the rest", by="peter").status == 0

    assert file.stat().st_ino == inode
    assert office("checkpoint", "resume", by="peter").out == "the rest\n"
    assert "much to do" not in file.read_text()
    file.unlink()
    assert office("checkpoint", "save", by="peter").status == 6
