"""A done task counts only after a tick has verified its outputs and its check."""

from datetime import timedelta

import pytest

from claw_files.core.model import AgentId, State, TaskId
from claw_files.policy.work_statistics import AttemptEnds
from claw_files.presentation import views
from claw_files.services.accounting.statistics import Statistics
from tests.support.office import TEAM, Office

MINUTE = timedelta(minutes=1)
IRIS = AgentId("iris")
CHECKED = TEAM + 'checked = { to = ["iris"], verify = ["test", "-f", "ok"] }\n'


@pytest.fixture(autouse=True)
def checked(office: Office) -> None:
    office.write("clawfiles.toml", CHECKED)


def done(office: Office, **more: object) -> str:
    """A task with a check that Iris says she has done."""
    task = office.delegated("iris", type="checked", **more)
    office.app("iris").claims.claim(TaskId(task), IRIS)
    office.app("iris").tasks.done(TaskId(task), IRIS, "all well")
    office.settle()
    return task


def is_verified(office: Office, task: str) -> bool | None:
    """What `task show --json` says."""
    found: bool | None = views.task_json(office.app().board.show(TaskId(task)))["verified"]
    return found


def told(office: Office) -> tuple[AttemptEnds, ...]:
    """How attempts ended in the last two days."""
    app = office.app()
    return Statistics(app.workspace, app.runtime).told(timedelta(days=2)).stats.ends


def checks(office: Office) -> list[str]:
    """What the ticks do until the check has run and was looked at."""
    found = office.acts(MINUTE)
    office.runs_end()
    return [*found, *office.acts(MINUTE)]


def test_a_wait_follows_the_verified_end(office: Office) -> None:
    task = done(office)
    after = office.delegated("peter", after=(task,))

    assert is_verified(office, task) is False
    assert f"{task}  iris  A bug (unverified)" in views.board_text(office.app().board.listing())
    assert office.acts(MINUTE) == [f"verify {task}"]
    office.runs_end()
    office.write("ok", "")
    assert office.acts(MINUTE) == [f"reopen {task}", f"deliver {task}"], "it was not there when the check ran"
    assert (office.boxes("peter"), office.box("sam")) == ({}, [f"{task.lower()}.1.redo"])
    assert office.app().explaining.explain(TaskId(after)).not_ready == f"it depends on {task} (backlog)"

    office.app("iris").claims.claim(TaskId(task), IRIS)
    office.app("iris").tasks.done(TaskId(task), IRIS, "now it is")
    office.settle()
    assert office.app().explaining.explain(TaskId(after)).not_ready == f"it depends on {task} (done, not verified)"
    wanted = [f"verify {task}", f"verified {task}", f"inform {task}", f"close {task}", f"deliver {after}"]
    # Where the check ends between the looks at the two lines, the second one sees its end first.
    assert sorted(checks(office)) == sorted(wanted)
    assert is_verified(office, task) is True
    assert "verified" not in office.read(f"definitions/{task.lower()}.md"), "how it went is not what was asked for"
    assert "> now it is\n" in office.message("peter", f"{after.lower()}.1")

    office.app("dimitrios").tasks.reopen(TaskId(task), AgentId("dimitrios"), "one more")
    office.tick(MINUTE)
    assert office.task(task).verified is None


def test_a_check_that_fails_again_is_a_failure_and_in_the_end_a_dead_letter(office: Office) -> None:
    task = done(office)
    checks(office)
    for _ in range(3):
        office.app("iris").claims.claim(TaskId(task), IRIS)
        office.app("iris").tasks.done(TaskId(task), IRIS, "all well")
        office.settle()
        last = checks(office)
        office.tick(10 * MINUTE)

    assert [it for it in last if it.endswith(task)][1:3] == [f"fail {task}", f"dead-letter {task}"], last
    assert office.state(task) is State.DEAD
    assert "`test -f ok` ended with 1" in office.read(f"dead-letter/{task.lower()}.md")
    assert [key for key in office.box("sam") if "redo2" in key] == ["tc-1.2.redo2"]
    (ends,) = told(office)
    assert (ends.agent, ends.done, ends.failed, ends.success) == ("iris", 0, 4, 0.0)


def test_statistics_count_a_task_with_a_check_when_it_has_passed(office: Office) -> None:
    office.write("ok", "")
    done(office)

    assert told(office) == ()
    checks(office)
    (ends,) = told(office)
    assert (ends.done, ends.failed) == (1, 0)


@pytest.mark.parametrize("by_hand", [True, False])
def test_a_holder_that_writes_verified_itself_is_not_believed(office: Office, by_hand: bool) -> None:
    task = office.delegated("iris", type="checked")
    after = office.delegated("peter", after=(task,))
    office.app("iris").claims.claim(TaskId(task), IRIS)
    if not by_hand:
        office.app("iris").tasks.done(TaskId(task), IRIS, "all well")
    text = office.read("status/tc-1.md").replace("status: in_progress\n", "status: done\n")
    office.write("status/tc-1.md", text.replace("title:", "verified: 2030-01-01T00:00:00Z\ntitle:"))

    if by_hand:
        assert is_verified(office, task) is False
    assert f"verify {task}" in office.acts(MINUTE)
    assert office.boxes("peter") == {}
    office.runs_end()
    assert office.acts(MINUTE) == [f"reopen {task}", f"deliver {task}"]
    assert (office.boxes("peter"), office.task(task).verified) == ({}, None)
    assert office.app().explaining.explain(TaskId(after)).not_ready == f"it depends on {task} (backlog)"


def test_outputs_that_are_files_are_looked_at_and_other_words_are_not(office: Office) -> None:
    office.new(type=None), office.new(type=None)
    for task, output in (("TC-1", "./report.md"), ("TC-2", "PR #142")):
        office.delegate(task, "iris")
        office.app("iris").claims.claim(TaskId(task), IRIS)
        office.app("iris").tasks.done(TaskId(task), IRIS, "done", (output,))
    office.settle()
    office.write("report.md", "all well")

    assert [is_verified(office, task) for task in ("TC-1", "TC-2")] == [False, None]
    office.tick(MINUTE)
    assert [is_verified(office, task) for task in ("TC-1", "TC-2")] == [True, None]


def test_work_done_before_the_verified_mark_counts_by_its_check(office: Office) -> None:
    """As a workspace of an earlier version has it: no line any more, the run of the check, no `verified`."""
    office.write("ok", "")
    task = done(office)
    checks(office)
    text = office.read("status/tc-1.md")
    office.write("status/tc-1.md", "".join(it for it in text.splitlines(True) if not it.startswith("verified:")))

    after = office.delegated("peter", after=(task,))

    assert office.boxes("peter") == {"new": [f"{after.lower()}.1"]}
