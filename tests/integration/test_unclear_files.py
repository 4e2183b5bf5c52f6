"""Status files that are read, named or refused by the command, as people and agents write them."""

from datetime import timedelta

from claw_files.core.model import State, TaskId
from tests.support.office import Office

MINUTE = timedelta(minutes=1)


def test_a_file_whose_name_mixes_cases_is_found_and_shown(office: Office) -> None:
    office.write("status/API-review.md", b"# Check\n\nStatus: In Progess\n")
    shown = office.app("sam").board.show(TaskId("API-REVIEW"))
    assert (shown.path, shown.task.title) == ("status/API-review.md", "Check")
    assert [one.line for one in shown.task.unclear] == [3]
    (listed,) = office.app("sam").board.listing().tasks
    assert listed.task.unclear == shown.task.unclear
    again = office.app("sam").board.listing().tasks
    assert again[0].task.unclear == shown.task.unclear  # from the index


def test_a_name_that_is_no_agent_of_ours_takes_the_task_from_nobody(office: Office) -> None:
    """Forms of people carry names of people; only the name of another agent shows that the holder wrote nothing."""
    forms = {
        "| Field | Value |\n|---|---|\n| Status | Done |\n| Owner | Jane |\n": State.DONE,
        '---\nStatus: "Done"\nOwner: Jane Doe\n---\nhello\n': State.DONE,
        "---\nStatus: In Progress\nAssigned To: Jane\n---\n": State.IN_PROGRESS,
        "Status: Done\nOwner: Peter\n": State.BACKLOG,
    }
    tasks = {office.delegated("iris"): (text, state) for text, state in forms.items()}
    for task, (text, _) in tasks.items():
        office.write(f"status/{task.lower()}.md", text, office.clock.now() + MINUTE)
    office.tick(2 * MINUTE)
    for task, (text, state) in tasks.items():
        found = office.app("sam").board.show(TaskId(task)).task
        assert (found.state, found.assignee) == (state, "iris"), text
