"""The ready workflows, each in its sample workspace and run to its end by the stand-ins that come along."""

import json
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from claw_files.app.wiring import set_up
from claw_files.cli import run as command
from claw_files.core.model import AgentId, State, TaskId
from claw_files.services.workflows.runs import begin
from claw_files.system.package_data import folder
from tests.support.office import Office

SECOND = timedelta(seconds=1)
READY = {
    "content-pipeline": {"topic": "heat pumps"},
    "support-desk": {"customer": "Ann Lee", "message": "I was charged twice."},
    "research-platform": {"question": "Is it worth it?"},
    "research-develop-deploy": {"wish": "a bot"},
}


@pytest.fixture
def office(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Office]:
    root = tmp_path / "team"
    root.mkdir()
    set_up(str(root), request.param, None)
    made = Office(root)
    yield made
    made.stop()


def start(office: Office, says: dict[str, str]) -> None:
    """Begin the one workflow of the workspace, with stand-ins that answer so."""
    office.write("stand-in.json", json.dumps(says))
    app = office.app("me")
    (name,) = app.workflows.names()
    begin(app.workspace, app.workflows.sound(name), app.workflows.copies(app.workflows.sound(name), name), READY[name],
          AgentId("me"))  # fmt: skip
    office.settle()


def carry(office: Office) -> State:
    """Tick until the run has ended, or a person is asked; a clock that moves makes retries come at once."""
    idle = 0
    for _ in range(150):
        acts = office.tick(SECOND).actions
        office.runs_end()
        is_trying_again = any(entry.task for entry in office.app().workspace.entries() if is_failed(office, entry.task))
        idle = 0 if acts or is_trying_again else idle + 1
        if idle > 2:
            break
    return office.state("TC-1")


def is_failed(office: Office, task: str) -> bool:
    return office.state(task) is State.FAILED


def answer(office: Office, task: str, word: str, why: str = "", who: str = "me") -> None:
    """What the person says, who was told of the choices, and of the time."""
    assert f"answer {task}: {word} <!-- choice:" in office.read("announcements.md")
    app = office.app(who)
    app.claims.claim(TaskId(task), AgentId(who))
    app.tasks.done(TaskId(task), AgentId(who), why, answer=word)
    office.settle()


def steps(office: Office) -> dict[str, str | None]:
    _, _, record = office.app().workflows.run(TaskId("TC-1"))
    return {name: state.word for name, state in record.steps.items()}


def made(office: Office) -> set[str]:
    own = {"workflow.md", "record.md", "inputs.md"}
    return {name for name in office.names("flows/tc-1") if name not in own and not name.endswith(".items")}


def asked(office: Office, agent: str, key: str) -> str:
    return " ".join(line.removeprefix("> ") for line in office.message(agent, key).splitlines())


@pytest.mark.parametrize("office", ["content-pipeline"], indirect=True)
def test_the_content_pipeline_publishes_without_a_language_check_and_names_the_channel_that_failed(
    office: Office,
) -> None:
    start(office, {"check-language": "crash", "post-2": "crash"})
    assert carry(office) is State.IN_PROGRESS
    assert "Without an answer in 2d: drop." in office.read("announcements.md")
    answer(office, "TC-1-APPROVE", "rework", "shorter")
    carry(office)
    assert "(below: approve)" in asked(office, "writer", "tc-1-revise-p2.1")
    assert "> > shorter" in office.message("writer", "tc-1-revise-p2.1")
    answer(office, "TC-1-APPROVE-P2", "publish")
    assert carry(office) is State.DONE
    assert made(office) >= {"facts.md", "draft.md", "fact-check.md", "article.md", "report.md"}
    assert {"post-website.md", "post-linkedin.md"} == {name for name in made(office) if name.startswith("post-")}
    why = "2: newsletter: run tc-1-post-2-p2"
    assert why in office.message("editor", "tc-1-report-p2.1"), "the report is told which channel failed, and why"
    assert "post: 2 of 3 succeeded; failed: check-language" in office.read("announcements.md")


@pytest.mark.parametrize("office", ["support-desk"], indirect=True)
@pytest.mark.parametrize(
    ("says", "word", "files"),
    [
        ({}, "send", "ticket.md known.md answer.md sent.md article.md"),
        ({"triage": "bug", "look-up": "crash"}, "send", "ticket.md reproduction.md answer.md sent.md article.md"),
        ({"triage": "bug"}, None, "ticket.md known.md reproduction.md answer.md holding-note.md"),
    ],
)
def test_the_support_desk_answers_after_a_person_agreed_and_else_sends_a_holding_note(
    office: Office, says: dict[str, str], word: str | None, files: str
) -> None:
    start(office, says)
    assert carry(office) is State.IN_PROGRESS
    assert made(office) & {"sent.md", "holding-note.md"} == set(), "nothing is sent that nobody has seen"
    if word:
        answer(office, "TC-1-APPROVE", word)
    else:
        office.tick(timedelta(hours=4, minutes=1))
    carry(office)
    assert office.state("TC-1") is State.DONE
    assert made(office) == set(files.split())


@pytest.mark.parametrize("office", ["support-desk"], indirect=True)
def test_the_support_desk_answers_no_spam(office: Office) -> None:
    start(office, {"triage": "spam"})
    assert carry(office) is State.DONE
    assert made(office) == {"ticket.md"}


@pytest.mark.parametrize("office", ["research-platform"], indirect=True)
def test_the_research_platform_reports_what_two_of_three_found_and_names_the_third(office: Office) -> None:
    start(office, {"read-2": "crash"})
    carry(office)
    office.tick(timedelta(hours=2, minutes=1))  # nobody looked at the lines of inquiry
    assert carry(office) is State.DONE
    assert steps(office)["scope"] == "go"
    assert made(office) >= {
        "finding-1.md",
        "finding-3.md",
        "verified-finding-1.md",
        "verified-finding-3.md",
        "report.md",
    }
    told = office.message("lead", "tc-1-synthesise.1")
    assert "“2: the second line that the stand-in wrote for TC-1-PLAN: run tc-1-read-2.2" in told
    assert "read: 2 of 3 succeeded" in office.read("announcements.md")


@pytest.mark.parametrize("office", ["research-platform"], indirect=True)
def test_the_research_platform_stops_when_too_little_was_found(office: Office) -> None:
    start(office, {"read-1": "crash", "read-2": "crash"})
    carry(office)
    answer(office, "TC-1-SCOPE", "go")
    assert carry(office) is State.DEAD
    assert "read failed: 1 of 3 succeeded" in office.read("announcements.md")


@pytest.mark.parametrize("office", ["research-develop-deploy"], indirect=True)
def test_what_is_developed_has_to_pass_its_check_is_mended_decided_on_deployed_and_taken_back(office: Office) -> None:
    start(office, {"test": "fail", "test-p2": "pass", "smoke": "broken"})
    assert carry(office) is State.IN_PROGRESS
    assert steps(office)["verdict"] is None
    assert office.task("TC-1-DEVELOP-P2").verified
    answer(office, "TC-1-VERDICT-P2", "ship")
    assert carry(office) is State.DONE
    assert steps(office)["take-back"] == "done"
    assert made(office) >= {"findings.md", "program.py", "README.md", "test-report.md", "deployment.md", "take-back.md"}


@pytest.mark.parametrize("office", ["research-develop-deploy"], indirect=True)
def test_a_program_whose_check_fails_is_not_tested_and_not_deployed(office: Office) -> None:
    office.write("check.sh", "exit 1\n")
    start(office, {})
    assert carry(office) is State.DEAD
    assert "develop failed" in (office.task("TC-1").reason or "")
    assert steps(office).keys() == {"research", "develop"}


def test_each_ready_workflow_is_sound_in_its_workspace_and_named_by_the_help(tmp_path: Path, capsys) -> None:
    ready = sorted(name for name in os.listdir(f"{folder('templates')}/workspaces") if name != "default")
    assert ready == sorted(READY)
    command(["workflow", "new", "--help"])
    shown = " ".join(capsys.readouterr().out.split()).replace("- ", "-")
    for name in ready:
        assert name in shown
        at = ["-C", str(tmp_path / name)]
        assert command(["init", str(tmp_path / name), "--template", name]) == 0
        assert command([*at, "doctor"]) == 0
        capsys.readouterr()
        assert command([*at, "workflow", "check"]) == 0
        assert capsys.readouterr().out.startswith(f"workflows/{name}.md: ")
        assert command(["init", str(tmp_path / f"{name}-2"), "--template", name, "--for", "claude"]) == 0
        config = (tmp_path / f"{name}-2" / "clawfiles.toml").read_text()
        assert ('command = ["claude"' in config, "stand-in" in config) == (True, False)


def test_a_new_workflow_is_sound_or_says_what_the_workspace_lacks_for_it(tmp_path: Path, capsys) -> None:
    at = ["-C", str(tmp_path), "--agent", "sam"]
    command(["init", str(tmp_path)])
    assert command([*at, "workflow", "new", "mine"]) == 0
    assert command([*at, "workflow", "check", "mine"]) == 0
    capsys.readouterr()
    assert command([*at, "workflow", "new", "desk", "--from", "support-desk"]) == 0
    told = capsys.readouterr().out
    assert "line 12: there is no agent `triage`" in told
    with (tmp_path / "clawfiles.toml").open("a") as file:
        file.write(told.partition("programs of your own:")[2])
    assert command([*at, "workflow", "check", "desk"]) == 0
    assert command([*at, "workflow", "new", "desk"]) == 4
    assert command([*at, "workflow", "new", "x", "--from", "../agents"]) == 3
    assert "there are content-pipeline, research-develop-deploy" in capsys.readouterr().err
