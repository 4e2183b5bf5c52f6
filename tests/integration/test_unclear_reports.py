"""What an agent writes about a task in a file of its own and nobody understands is asked about like any other words."""

from datetime import timedelta

from tests.support.office import TEAM, Office

MORE = '\n[heartbeat]\nack = "1m"\nsends = 2\n[routes.job]\nto = ["peter", "iris"]\n'


def test_an_unclear_line_in_an_agents_report_is_asked_about_and_nothing_is_sent_again(tmp_path) -> None:
    office = Office(tmp_path / "sam", TEAM + MORE)
    office.new(title="Checkout", type="job")
    office.delegate("TC-1", "peter")
    office.clock.advance(timedelta(seconds=10))
    office.write("status/peter.md", b"# My work\n\nTC-1: In Progess\n")

    for _ in range(5):
        office.clock.advance(timedelta(minutes=20))
        office.app().heartbeat.tick()
        office.settle()

    keys = [key for found in office.boxes("peter").values() for key in found]
    assert "tc-1.1.unclear" in keys and not office.names("inbox/iris/new")
    message = office.app().workspace.find_message("peter", "tc-1.1")
    assert message and message[0].sends == 1
    asked = office.app().workspace.find_message("peter", "tc-1.1.unclear")
    assert asked and "status/peter.md, line 3" in asked[0].body and "In Progess" in asked[0].body
    assert any("status/peter.md, line 3" in line["why"] for line in office.audit(action="escalate", task="TC-1"))


def test_a_clear_line_that_follows_is_carried_over(tmp_path) -> None:
    office = Office(tmp_path / "sam", TEAM + '\n[heartbeat]\nack = "1m"\n')
    office.new(title="Checkout", type="bug")
    office.delegate("TC-1", "peter")
    office.clock.advance(timedelta(seconds=10))
    office.write("status/peter.md", b"TC-1: In Progess\nTC-1: IN PROGRESS\n")

    office.app().heartbeat.tick()

    assert "status: in_progress" in office.read("status/tc-1.md")
    keys = [key for found in office.boxes("peter").values() for key in found]
    assert "tc-1.1.unclear" not in keys
