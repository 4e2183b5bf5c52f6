"""Status files that are read, named or refused by the command, as people and agents write them."""

from claw_files.core.model import TaskId
from claw_files.testing.office import Office


def test_a_file_whose_name_mixes_cases_is_found_and_shown(office: Office) -> None:
    office.write("status/API-review.md", b"# Check\n\nStatus: In Progess\n")
    shown = office.app("sam").board.show(TaskId("API-REVIEW"))
    assert (shown.path, shown.task.title) == ("status/API-review.md", "Check")
    assert [one.line for one in shown.task.unclear] == [3]
    (listed,) = office.app("sam").board.listing().tasks
    assert listed.task.unclear == shown.task.unclear
    again = office.app("sam").board.listing().tasks
    assert again[0].task.unclear == shown.task.unclear  # from the index
