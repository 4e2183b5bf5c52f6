"""Maker and reviewer differ, through every door; where nobody else is there, it counts and is said."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from claw_files.app.wiring import App
from claw_files.core.errors import MoveRefused
from claw_files.core.model import AgentId, State, TaskId
from claw_files.operations.dispatch import perform
from claw_files.services.delegation.delegation import SpawnOrder
from tests.integration.conftest import typed
from tests.support.office import TEAM, Office, python

SAM, PETER, IRIS, ME = (AgentId(name) for name in ("sam", "peter", "iris", "dimitrios"))
TASK = TaskId("TC-1")
CHAIN = TEAM.replace("[agents.iris]", '[agents.iris]\nreports_to = "peter"').replace(
    'reviewed = { to = ["peter"], review = "coordinator" }', 'reviewed = { to = ["iris"], review = "iris" }'
)
ALONE = """
[workspace]
coordinator = "sam"
[agents.sam]
[agents.iris]
[routes]
reviewed = { to = ["self"], review = "coordinator" }
"""


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path / "sam", CHAIN)
    yield made
    made.stop()


def made_by(office: Office, maker: AgentId, review: bool = False) -> None:
    """TC-1, made by the reviewer that its route names, and finished."""
    office.new(type="reviewed")
    office.app().claims.claim(TASK, maker)
    office.app().tasks.done(TASK, maker, review=review)


def test_the_reviewers_own_work_goes_to_the_next_manager(office: Office) -> None:
    made_by(office, IRIS)

    office.tick()

    assert (office.box("iris"), office.box("peter"), office.box("sam")) == ([], ["tc-1.1.review"], [])
    with pytest.raises(MoveRefused, match=r"peter may: `clawfiles approve TC-1 --agent peter`"):
        office.app("iris").tasks.approve(TASK, IRIS)
    with pytest.raises(MoveRefused, match="peter may"):
        perform(office.app("iris"), "task_approve", {"task": "TC-1"})
    office.app("peter").tasks.approve(TASK, PETER)
    assert office.state("TC-1") is State.DONE


def test_a_maker_that_names_another_assignee_by_hand_does_not_approve_either(office: Office) -> None:
    made_by(office, IRIS)
    office.write("status/tc-1.md", office.read("status/tc-1.md").replace("assignee: iris", "assignee: sam"))

    with pytest.raises(MoveRefused):
        office.app("iris").tasks.approve(TASK, IRIS)
    assert office.state("TC-1") is State.REVIEW


def test_a_person_who_made_it_does_not_approve_it_by_a_ticked_box(office: Office) -> None:
    office.write(
        "clawfiles.toml",
        CHAIN.replace('{ to = ["iris"], review = "iris" }', '{ to = ["dimitrios"], review = "dimitrios" }'),
    )
    office.delegated("dimitrios", type="reviewed")
    office.app().tasks.done(TASK, ME)
    office.tick()
    assert office.box("sam") == ["tc-1.1.review"], "the coordinator reviews what the person at the top made"
    box = "- [x] approve TC-1 `tc-1.1.review`\n"
    office.write("announcements.md", box)

    office.tick()

    assert office.state("TC-1") is State.REVIEW
    with pytest.raises(MoveRefused, match="sam may"):
        office.app().tasks.approve(TASK, ME)


def test_the_spawner_of_a_worker_reviews_its_work(office: Office) -> None:
    worker = '[agents.research]\nkind = "worker"\n' + python(
        "import os\nrun = os.environ['CLAWFILES_RUN']\n"
        "open('checkpoints/subagent-a.md', 'w').write('---\\nrun: ' + run + '\\nstatus: done\\n---\\nfound\\n')\n"
    )
    office.write("clawfiles.toml", CHAIN.replace("[routes]", f"{worker}\n[routes]"))
    office.app("iris").delegations.spawn(
        SpawnOrder(text="look", label="a", size="S", type="reviewed", worker=AgentId("research")), IRIS
    )
    office.tick()
    office.runs_end()
    office.tick()

    assert office.box("iris") == ["tc-1.1.review"]
    office.app("iris").tasks.approve(TASK, IRIS)
    assert office.state("TC-1") is State.DONE


@pytest.mark.parametrize("how", ["by command", "by hand", "by a report", "after it asked for a review"])
def test_without_another_reviewer_the_work_counts_and_this_is_shown(
    office: Office, capsys: pytest.CaptureFixture[str], how: str
) -> None:
    office.write("clawfiles.toml", ALONE)
    if how == "by command":
        made_by(office, SAM)
    elif how == "after it asked for a review":
        made_by(office, SAM, review=True)
        office.tick()
        with pytest.raises(MoveRefused):
            office.app("iris").tasks.approve(TASK, IRIS)
        office.app("sam").tasks.approve(TASK, SAM)
    else:
        office.delegated("sam", type="reviewed")
        path, text = ("status/tc-1.md", "TC-1: DONE\n") if how == "by hand" else ("status/sam.md", "TC-1: DONE\n")
        office.write(path, text)
        office.tick()

    assert office.state("TC-1") is State.DONE
    (line,) = office.audit(action="no reviewer")
    said = "it is done without the review that its route requires: sam made it, and no other agent can review it"
    assert (line["task"], line["agent"], line["why"]) == ("TC-1", "sam", said)
    assert said in typed(office, capsys, "task", "show", "TC-1")[1]
    assert "(unreviewed)" in typed(office, capsys, "board")[1]
    for _ in range(2):
        office.tick()
    assert office.state("TC-1") is State.DONE


def test_a_reviewed_task_is_not_reported_as_unreviewed(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    made_by(office, IRIS)
    office.app("peter").tasks.approve(TASK, PETER)

    assert office.audit(action="no reviewer") == []
    assert "unreviewed" not in typed(office, capsys, "board")[1]
    assert App(str(office.root), {}, None).board.show(TASK).unreviewed is None
