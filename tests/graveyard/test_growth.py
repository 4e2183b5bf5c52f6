"""What other tools lose, shift or leave behind when they tidy up."""

from datetime import timedelta
from pathlib import Path

from claw_files.core.model import AgentId, TaskId
from tests.support.office import Office

PETER, SAM = AgentId("peter"), AgentId("sam")


def done(office: Office, task: str) -> None:
    office.app("peter").claims.claim(TaskId(task), PETER)
    office.app("peter").tasks.done(TaskId(task), PETER, "mended")
    office.settle()


def test_no_task_gets_another_number_when_others_are_archived(tmp_path: Path) -> None:
    """todotxt/todo.txt-cli#254: a task's number was the number of its line, so archiving gave others new numbers, and
    the next command changed the wrong task.

    Here: an id stays with its task, in the archive of a month too, and a new task gets a number that nobody ever had.
    """
    office = Office(tmp_path / "sam")
    first, second, third = (office.delegated("peter", title=f"Task {n}") for n in range(1, 4))
    done(office, second)
    office.tick()
    for _ in range(3):
        office.tick(timedelta(days=40))

    assert not office.exists(f"status/{second.lower()}.md")
    assert [office.task(task).title for task in (first, second, third)] == ["Task 1", "Task 2", "Task 3"]
    assert office.new() == "TC-4"


def test_no_blank_line_stays_where_a_line_of_the_ledger_was(tmp_path: Path) -> None:
    """benrhughes/todotxt.net#309: archiving left an empty line for each task that it took out.

    Here: the line goes with its line break, and every other byte of the ledger stays as its author wrote it.
    """
    office = Office(tmp_path / "sam")
    office.write("HEARTBEAT.md", "# Our ledger\n\n- remember the milk\n")
    before = office.read("HEARTBEAT.md")
    for task in [office.delegated("peter") for _ in range(3)]:
        done(office, task)
    office.tick()

    assert office.read("HEARTBEAT.md").rstrip() == before.rstrip()
    assert "\n\n\n" not in office.read("HEARTBEAT.md")


def test_a_folder_that_was_emptied_is_not_taken_at_its_word(tmp_path: Path) -> None:
    """pimutils/vdirsyncer#42, #1099: one side was empty for a moment, and everything on the other side was deleted.

    Here: where every status file is gone at once, a tick takes out no line, sends nothing, and says what it saw.
    """
    office = Office(tmp_path / "sam")
    for _ in range(3):
        office.delegated("peter")
    office.tick()
    lines = office.lines
    for path in (office.root / "status").glob("*.md"):
        path.unlink()
    office.clock.advance(timedelta(hours=3))
    office.settle()

    ticked = office.app().heartbeat.tick()

    assert ticked.problems and "status" in ticked.problems[0]
    assert office.lines == lines and ticked.actions == ()
