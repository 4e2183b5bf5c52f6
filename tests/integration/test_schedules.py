"""What a schedule makes at each due time: the words, the items, the names, each task once."""

from datetime import timedelta
from pathlib import Path

import pytest

from claw_files.testing import Crash
from tests.support.office import TEAM, Office, python

HOUR = timedelta(hours=1)
WRITES = """
import os
from pathlib import Path
label, run, task = (os.environ["CLAWFILES_" + name] for name in ("LABEL", "RUN", "TASK"))
given = __import__("sys").stdin.read()
found = [line[2:] for line in given.splitlines() if line.startswith("> ")]
text = f"---\\nlabel: {label}\\nrun: {run}\\ntask: {task}\\nstatus: done\\n---\\nsaw {found}\\n"
Path(f"checkpoints/subagent-{label}.md").write_text(text)
"""


def office_with(root: Path, do: str, name: str = "mon") -> Office:
    workers = "".join(f"[agents.{it}]\nkind = 'worker'\n{python(WRITES)}\n" for it in ("helper", "monitor"))
    office = Office(root / "sam", f"{TEAM}{workers}[schedules.{name}]\ncron = '30 * * * *'\ndo = {{ {do} }}\n")
    office.write("checkpoints/.keep", "")
    office.tick()
    return office


def ended(office: Office, times: int = 8) -> None:
    for _ in range(times):
        office.tick(timedelta(seconds=61))
        office.runs_end()


def test_the_text_of_a_schedule_reaches_its_worker(tmp_path: Path) -> None:
    office = office_with(tmp_path, 'spawn = ["helper"], text = "Look for new invoices."')

    office.tick(HOUR)

    (name,) = office.box("helper", "cur")
    message = office.message("helper", name)
    assert "> Look for new invoices.\n" in message and "no further description" not in message
    office.stop()


def test_one_worker_named_twice_is_spawned_twice_and_reported_once(tmp_path: Path) -> None:
    office = office_with(tmp_path, 'spawn = ["helper", "helper"], text = ["one half", "the other half"]')

    office.tick(HOUR)
    assert office.names("status") == ["tc-mon-20260307t0930-helper-1.md", "tc-mon-20260307t0930-helper-2.md"]
    ended(office)

    (report,) = [key for key in office.box("sam") if key.startswith("group.")]
    text = office.message("sam", report)
    assert "saw ['one half']" in text and "saw ['the other half']" in text
    assert office.lines == []


def test_each_item_has_a_worker_of_its_own_with_its_words(tmp_path: Path) -> None:
    do = 'spawn = ["monitor"], items = ["acme", "Globex & Sons"], text = "Look at {item} now."'
    office = office_with(tmp_path, do)

    office.tick(HOUR)
    ended(office)

    report = next(office.message("sam", key) for key in office.box("sam") if key.startswith("group."))
    assert "## monitor-acme\n" in report and "saw ['Look at acme now.']" in report
    assert "## monitor-globex-sons\n" in report and "saw ['Look at Globex & Sons now.']" in report


def test_a_task_of_a_schedule_has_its_text_and_its_type(tmp_path: Path) -> None:
    office = office_with(tmp_path, 'task = "Review the week", text = "What went wrong?", type = "bug"')

    office.tick(HOUR)

    task = office.task("TC-MON-20260307T0930")
    assert (task.type, task.assignee, task.title) == ("bug", "peter", "Review the week")
    assert "> What went wrong?" in office.message("peter", "tc-mon-20260307t0930.1")


def test_fifty_items_are_fifty_tasks_once_though_a_tick_dies_in_between(tmp_path: Path) -> None:
    items = ", ".join(f'"site {number}"' for number in range(50))
    office = office_with(tmp_path, f'spawn = ["monitor"], items = [{items}], text = "Look at {{item}}."')
    calm, office.make_files = office.make_files, lambda path, **more: _dying(calm(path, **more))
    with pytest.raises(Crash):
        office.tick(HOUR)
    made = len(office.names("status"))
    assert 0 < made < 50
    office.make_files = calm

    office.tick()

    assert len(office.names("status")) == len(office.lines) == 50
    assert len(office.audit(action="task new")) == 50
    office.stop()


def _dying(files):
    """The twentieth message that is written kills the process."""
    commit, left = files.commit, iter(range(20))

    def dies(path: str, *more, **named):
        if path.startswith("inbox/") and next(left, None) is None:
            raise Crash(path)
        return commit(path, *more, **named)

    files.commit = dies
    return files


def test_one_item_that_cannot_be_spawned_keeps_nobody_from_the_others(tmp_path: Path) -> None:
    office = office_with(tmp_path, 'spawn = ["monitor"], items = ["a", "b", "c"]')
    office.app("sam").delegations.spawn(_order(label="monitor-a"), "sam")

    office.tick(HOUR)

    assert [name for name in office.names("status") if "-b.md" in name or "-c.md" in name] != []
    assert sorted(str(office.task(f"TC-MON-20260307T0930-MONITOR-{it}").label) for it in "BC") == [
        "monitor-b",
        "monitor-c",
    ]
    assert len(office.names("events/failed")) == 2  # and its reason
    office.stop()


def _order(label: str):
    from claw_files.core.model import AgentId
    from claw_files.services.delegation.delegation import SpawnOrder

    return SpawnOrder(text="by hand", label=label, size="S", worker=AgentId("monitor"))


def test_long_names_of_items_stay_apart(tmp_path: Path) -> None:
    long = "x" * 80
    office = office_with(
        tmp_path, f'spawn = ["monitor"], items = ["{long}1", "{long}2"]', name="a-schedule-with-a-long-name-of-its-own"
    )

    office.tick(HOUR)

    names = [name.removesuffix(".md") for name in office.names("status")]
    assert len(names) == 2 and all(len(name) <= 64 for name in names)
    assert len({office.task(name.upper()).label for name in names}) == 2
    office.stop()
