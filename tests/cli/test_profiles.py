"""The shell keeps to the profiles: what an agent may use, who acts in a run, and what a worker leaves alone."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from claw_files.cli.root import root
from claw_files.core import operation_table
from claw_files.core.operation_table import RIGHTS
from docs.generate import commands
from tests import runs

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
    assert {" ".join(path) for path, _ in commands.walk(root, ())} == set(RIGHTS)


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


@pytest.mark.parametrize("command", [name for name, right in RIGHTS.items() if right == operation_table.BOARD])
def test_a_worker_touches_nothing_of_the_board(office, command: str) -> None:
    office.task()

    answer = office(*command.split(), *WORDS.get(command, ["TC-1"]), "--json", by="research")

    assert (answer.status, answer.error["rule"]) == (5, "workers report")
    assert "checkpoints/subagent-LABEL.md" in answer.error["instead"]


def test_a_workers_run_does_nothing_in_anybodys_name(office) -> None:
    task = office.task()

    for by in ("sam", "peter", "dimitrios"):
        for words in (["claim", task], ["cancel", task], ["task", "new", "x"], ["delegate", task, "--to", "peter"]):
            answer = office.inside("research", *words, "--agent", by, "--json")
            assert (answer.status, answer.error["rule"]) == (5, "one agent in a run")
            assert f"this is run tc-1.1-s1 of research, so {by} cannot act in it" in answer.error["message"]
    assert "status: backlog" in office.read(f"status/{task.lower()}.md")


def test_in_its_own_run_an_agent_acts_as_ever(office) -> None:
    task = office.task()

    assert office.inside("peter", "claim", task).status == 0
    assert office.inside("peter", "progress", task, "half", "--agent", "Peter").status == 0


def test_a_run_binds_nobody_in_another_workspace(office, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    command = [sys.executable, "-m", "claw_files", "-C", str(office.root), "task", "new", "x", "--agent", "sam"]

    assert subprocess.run(runs.within(other, "research", command), capture_output=True).returncode == 0


def test_in_the_run_of_a_check_no_agent_acts_and_reading_is_allowed(office) -> None:
    task = office.task()

    for by in ("sam", "peter", "dimitrios"):
        answer = office.inside("verify-bug", "claim", task, "--agent", by, "--json", run="tc-2.1.verify-s1")
        assert (answer.status, answer.error["rule"]) == (5, "one agent in a run")
    assert office.inside("verify-bug", "claim", task).status != 0
    assert office.inside("verify-bug", "task", "list").status == 0


def test_variables_make_no_run(office, monkeypatch: pytest.MonkeyPatch) -> None:
    task = office.task()
    office.ok("claim", task, by="peter")
    office.write("runs/tc-1.1-s1/run.md", "---\nrun: tc-1.1-s1\nagent: research\nkey: tc-1.1\n---\n")
    names = {"WORKSPACE": str(office.root), "RUN": "tc-1.1-s1", "RUN_DIR": str(office.root / "runs/tc-1.1-s1")}
    for name, value in (names | {"TASK": task, "GENERATION": "7", "SUPERVISES": names["RUN_DIR"]}).items():
        monkeypatch.setenv(f"CLAWFILES_{name}", value)

    assert office("beat", task, by="peter").status == 0, "the generation of the variables is not believed"
    assert office("task", "new", "x", "--json", by="peter").json["parent"] is None


def test_a_process_without_the_lock_is_no_supervisor(office) -> None:
    words = [sys.executable, "-m", "claw_files", "-C", str(office.root), "task", "new", "x", "--agent", "dimitrios"]
    says = [f"CLAWFILES_SUPERVISES={office.root}/runs/x-s1", "CLAWFILES_AGENT=dimitrios"]
    opens = f"exec 3>{office.root}/.clawfiles/runs/x-s1.lock; {shlex.join(words)}; true"

    done = subprocess.run(runs.within(office.root, "peter", ["env", *says, "sh", "-c", opens]), capture_output=True)

    assert b"this is run tc-1.1-s1 of peter, so dimitrios cannot act in it" in done.stderr
    assert office.ok("task", "list", "--json").json == []


def test_under_a_wrong_configuration_the_doctor_still_works(office) -> None:
    (office.root / "clawfiles.toml").write_text("rubbish")

    answer = office.inside("lena", "doctor")

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
