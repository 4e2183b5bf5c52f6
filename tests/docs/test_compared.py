"""The page that compares workflows: our four are run to their ends, the others parsed, and its lines counted."""

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from claw_files.core.model import AgentId, State
from claw_files.services.workflows.runs import begin
from claw_files.system.package_data import template
from tests.integration.test_ready_workflows import answer, asked, carry, made
from tests.support.office import Office

PAGE = Path(__file__).parents[2] / "docs/explanation/workflows-compared.md"
SOURCES = PAGE.with_suffix("")
NAMED = ("researcher", "writer", "editor", "analyst", "support", "engineer", "publisher")
PLAYED = 'runtime = "command"\ncommand = ["python3", "stand-in.py"]\n'
CONFIG = (
    '[workspace]\ncoordinator = "sam"\n[heartbeat]\nattempts = 1\n[agents.sam]\nreports_to = "owner"\n'
    '[agents.owner]\nkind = "human"\nchannels = ["file:announcements.md"]\n'
    f'[agents.reader]\nkind = "worker"\n{PLAYED}' + "".join(f"[agents.{name}]\n{PLAYED}" for name in NAMED)
)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made_office = Office(tmp_path / "team", CONFIG)
    made_office.write("stand-in.py", template("agents/stand-in.py"))
    yield made_office
    made_office.stop()


def run(office: Office, name: str, says: dict[str, str], **given: str) -> State:
    office.write("stand-in.json", json.dumps(says))
    office.write(f"workflows/{name}.md", (SOURCES / f"{name}.md").read_bytes())
    app = office.app("owner")
    workflow = app.workflows.sound(name)
    begin(app.workspace, workflow, app.workflows.copies(workflow, name), given, AgentId("owner"))
    office.settle()
    return carry(office)


def test_the_sequence_hands_its_files_on(office: Office) -> None:
    assert run(office, "sequence", {}, topic="heat pumps") is State.DONE
    assert made(office) == {"facts.md", "draft.md", "article.md"}
    assert "Correct flows/tc-1/draft.md against flows/tc-1/facts.md." in asked(office, "editor", "tc-1-edit.1")


def test_the_map_goes_on_with_three_of_five_and_names_the_others(office: Office) -> None:
    assert run(office, "map", {"read-2": "crash", "read-4": "crash"}, pages="a, b, c, d, e") is State.DONE
    told = asked(office, "analyst", "tc-1-table.1")
    assert ("2: b: run tc-1-read-2.2-s1" in told, "4: d: run tc-1-read-4.2-s1" in told) == (True, True), "tried twice"
    assert made(office) == {"finding-1.md", "finding-3.md", "finding-5.md", "table.md"}


def test_the_map_stops_with_two_of_five(office: Office) -> None:
    says = {f"read-{number}": "crash" for number in (1, 2, 4)}
    assert run(office, "map", says, pages="a, b, c, d, e") is State.DEAD
    assert "table.md" not in made(office)


@pytest.mark.parametrize(("kind", "file"), [("bug", "fix.md"), ("question", "answer.md")])
def test_the_branch_that_was_not_taken_holds_nothing_up(office: Office, kind: str, file: str) -> None:
    assert run(office, "branch", {"sort": kind}, ticket="the page is blank") is State.DONE
    assert made(office) == {file}
    assert f"flows/tc-1/{file}" in asked(office, "support", "tc-1-close.1")


def test_the_approval_goes_back_twice_and_then_on(office: Office) -> None:
    assert run(office, "approval", {}, topic="heat pumps") is State.IN_PROGRESS
    for step in ("TC-1-LOOK", "TC-1-LOOK-P2"):
        answer(office, step, "rework", "shorter", "owner")
        assert carry(office) is State.IN_PROGRESS
    assert "> shorter" in office.message("writer", "tc-1-draft-p3.1")
    answer(office, "TC-1-LOOK-P3", "publish", who="owner")
    assert carry(office) is State.DONE
    assert office.message("publisher", "tc-1-publish-p3.1")


def test_a_third_rework_fails_and_after_a_day_of_silence_it_is_dropped(office: Office) -> None:
    run(office, "approval", {}, topic="heat pumps")
    for step in ("TC-1-LOOK", "TC-1-LOOK-P2", "TC-1-LOOK-P3"):
        answer(office, step, "rework", who="owner")
        state = carry(office)
    assert (state, office.task("TC-1").reason) == (State.DEAD, "rework failed: it went back 2 times already")
    run(office, "approval", {}, topic="heat pumps")
    office.tick(timedelta(days=1, minutes=1))
    carry(office)
    assert office.state("TC-2") is State.DONE
    assert "tc-2-publish.md" not in office.names("status")


def test_the_others_are_yaml_and_python() -> None:
    sources = {path.name: path.read_text() for path in SOURCES.iterdir() if path.is_file()}
    for name, text in sources.items():
        if name.endswith(".yaml"):
            assert all(isinstance(document, dict) for document in yaml.safe_load_all(text)), name
        elif name.endswith(".py"):
            compile(text, name, "exec")
    ends = [name.partition(".")[2] for name in sources if name != "agent.py"]
    assert {end: ends.count(end) for end in ends} == dict.fromkeys(
        ("md", "dagu.yaml", "actions.yaml", "langgraph.py"), 4
    )


def test_the_page_says_how_many_lines_each_has() -> None:
    told = re.findall(r"\[(\d+)\]\(workflows-compared/([\w.]+)\)", PAGE.read_text())
    lines = {name: sum(bool(line.strip()) for line in (SOURCES / name).read_text().splitlines()) for _, name in told}
    assert len(told) == 16
    assert {name: int(count) for count, name in told} == lines
