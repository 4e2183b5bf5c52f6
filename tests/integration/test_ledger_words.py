"""Words in the ledger that people write, from the file to what is told: nothing that is theirs is ever rewritten."""

from datetime import timedelta

import pytest

from claw_files.core.model import AgentId, TaskId
from tests.support.office import Office

MINUTE = timedelta(minutes=1)


def ledger(office: Office) -> str:
    return office.read("HEARTBEAT.md")


@pytest.mark.parametrize("words", ["noonish", "25:00", "07/12/2031 23:00", "in a while"])
def test_a_time_that_is_not_understood_is_named_once_and_stays(office: Office, words: str) -> None:
    task = office.new(type=None)
    office.write("HEARTBEAT.md", f"- {task} delegated to peter, check at {words}\n", office.clock.now() - MINUTE)
    before = ledger(office)

    office.tick()
    assert office.box("peter") == [f"{task.lower()}.1"]
    (told,) = [name for name in office.box("sam") if "unclear-line" in name]
    assert words in office.message("sam", told) and "HEARTBEAT.md, line 1" in office.message("sam", told)
    office.app("peter").claims.claim(TaskId(task), AgentId("peter"))
    for _ in range(6):
        office.tick(20 * MINUTE)
    assert ledger(office) == before
    assert len([name for name in office.box("sam") if "unclear-line" in name]) == 1
    (shown,) = office.app().board.listing().tasks
    assert [it.path for it in shown.task.unclear] == ["HEARTBEAT.md"]

    office.app("peter").tasks.done(TaskId(task), AgentId("peter"), "it is there")
    office.tick()
    assert task not in ledger(office)


def test_who_does_not_answer_is_escalated_the_usual_interval_after_the_nudge_though_no_time_is_understood(
    office: Office,
) -> None:
    task = office.new(type=None)
    office.write("HEARTBEAT.md", f"- {task} delegated to peter, check at noonish\n", office.clock.now() - MINUTE)
    office.tick()
    office.app("peter").claims.claim(TaskId(task), AgentId("peter"))
    seen: dict[str, int] = {}
    for minute in range(5, 150, 5):
        for act in office.acts(5 * MINUTE):
            seen.setdefault(act, minute)

    beat = office.app().settings.heartbeat
    assert seen[f"nudge {task}"] * MINUTE >= beat.silent
    assert (seen[f"escalate {task}"] - seen[f"nudge {task}"]) * MINUTE == beat.check[0]


@pytest.mark.parametrize(
    "line",
    [
        "- ~~{} delegated to peter, check at 10:00~~ cancelled, not needed",
        "- ~~{}~~ delegated to peter, check at 10:00",
        "- [-] {} delegated to peter, check at 10:00",
    ],
)
def test_struck_and_unwanted_lines_are_left_alone(office: Office, line: str) -> None:
    task = office.new(type=None)
    office.write("HEARTBEAT.md", f"# Mine\r\n{line.format(task)}\n", office.clock.now() - MINUTE)
    before = ledger(office)
    assert office.acts() == [] and office.acts(60 * MINUTE) == []
    assert ledger(office) == before and office.boxes("peter") == {}


@pytest.mark.parametrize(
    ("line", "after"),
    [
        ("- {}: peter, check 10:00", "- {}: peter, check 2026-03-07 10:00"),
        ("{}: Peter is on it, check 10:00 <!-- x -->", "{}: Peter is on it, check 2026-03-07 10:00 <!-- x -->"),
        (
            "- [/] [{}](status/x.md) → **peter** (check 10:00)",
            "- [/] [{}](status/x.md) → **peter** (check 2026-03-07 10:00)",
        ),
        (
            "- {} delegated to peter, check at tomorrow 9am, please",
            "- {} delegated to peter, check at 2026-03-08 09:00, please",
        ),
        ("- {} delegated to peter, check at 23:00 CET", "- {} delegated to peter, check at 2026-03-07 22:00"),
    ],
)
def test_a_time_gets_its_date_and_no_other_byte_changes(office: Office, line: str, after: str) -> None:
    task = office.new(type=None)
    office.write("HEARTBEAT.md", f"a\r\n{line.format(task)}\r\nb\n", office.clock.now() - MINUTE)
    office.tick()
    assert ledger(office) == f"a\r\n{after.format(task)}\r\nb\n"
    assert office.box("peter") == [f"{task.lower()}.1"]


def test_the_ledger_does_not_grow_by_a_line_a_cycle(office: Office) -> None:
    office.write("HEARTBEAT.md", "# H\n\n## Delegations\n\n## Other\n", office.clock.now() - MINUTE)
    before = ledger(office)
    for _ in range(3):
        task = office.delegated("peter", type=None)
        office.app("sam").tasks.cancel(TaskId(task), AgentId("sam"), "not needed")
        office.tick(MINUTE)
        assert ledger(office) == before


def test_an_id_with_the_prefix_is_an_entry_whatever_follows(office: Office) -> None:
    lines = [
        "- TC-77 delegated to peter, check at 2031-01-01 10:00",
        "- TC-900-EXTRACT-29 delegated to peter, check at 2031-01-01 10:00",
    ]
    office.write("HEARTBEAT.md", "\n".join(lines), office.clock.now() - MINUTE)
    assert office.lines == lines
