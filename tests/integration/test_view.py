"""The read-only view of a workspace: it reads what the workspace reads, and changes nothing."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from claw_files.core.journal_events import JournalEvent
from claw_files.core.model import AgentId, Audit, Box, TaskId
from claw_files.services.tasks.lifecycle import NewTask
from claw_files.storage.view import WorkspaceView
from tests.support.office import TEAM, Office

PETER = AgentId("peter")


def new(office: Office, title: str) -> None:
    office.app("sam").tasks.new(NewTask(title=title), AgentId("sam"))


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    yield Office(tmp_path / "sam", TEAM)


def test_a_view_reads_the_tasks_of_its_workspace(office: Office) -> None:
    new(office, "one")

    assert WorkspaceView(office.app().workspace).load(TaskId("TC-1")).task.title == "one"


def test_a_view_writes_nothing(office: Office) -> None:
    new(office, "one")
    view = WorkspaceView(office.app().workspace)

    with pytest.raises(AttributeError, match="read-only"):
        view.update(TaskId("TC-1"), lambda task: task, Audit(JournalEvent.CONFLICT))
    with pytest.raises(AttributeError, match="read-only"):
        view.note(Audit(JournalEvent.CONFLICT))


def test_a_view_leaves_an_unreadable_message_in_its_inbox(office: Office) -> None:
    path = office.root / "inbox/peter/new/x.md"
    path.parent.mkdir(parents=True)
    path.write_text("no front matter")
    long_ago = office.app().clock.now().timestamp() - 60
    os.utime(path, (long_ago, long_ago))

    assert WorkspaceView(office.app().workspace).messages_in(PETER, Box.NEW) == []
    assert path.exists()
    assert office.app().workspace.messages_in(PETER, Box.NEW) == []
    assert not path.exists()
