"""Each generation is given once: the number that fences off a superseded holder never comes back."""

from pathlib import Path

import pytest

from claw_files.app import App
from claw_files.errors import AlreadyClaimed, StaleGeneration
from claw_files.locks import Claims
from claw_files.model import AgentId, TaskId

CONFIG = '[workspace]\ncoordinator = "sam"\n[agents.sam]\n[agents.peter]\ntakes = ["bug"]\n'


def a_workspace(root: Path) -> App:
    (root / "clawfiles.toml").write_text(CONFIG)
    (root / "status").mkdir()
    (root / "status/tc-1.md").write_text("---\nid: TC-1\nstatus: backlog\ntype: bug\n---\n# TC-1: fix it\n")
    return App(str(root), {}, None)


def test_a_generation_that_was_claimed_to_the_end_is_spent(tmp_path: Path) -> None:
    claims = Claims(str(tmp_path))
    with claims.take(TaskId("TC-1"), 1, AgentId("peter")):
        pass

    with pytest.raises(AlreadyClaimed), claims.take(TaskId("TC-1"), 1, AgentId("peter")):
        pass


def test_a_claim_that_was_cut_short_may_be_taken_over(tmp_path: Path) -> None:
    claims = Claims(str(tmp_path))
    with pytest.raises(RuntimeError), claims.take(TaskId("TC-1"), 1, AgentId("peter")):
        raise RuntimeError("killed before the status was written")

    with claims.take(TaskId("TC-1"), 1, AgentId("iris")):
        pass

    assert claims.is_spent(TaskId("TC-1"), 1)


def test_writing_the_file_back_to_backlog_by_hand_gives_the_next_claim_a_new_generation(tmp_path: Path) -> None:
    app = a_workspace(tmp_path)
    app.delegations.delegate(TaskId("TC-1"), AgentId("sam"), AgentId("peter"))
    first = app.claims.claim(TaskId("TC-1"), AgentId("peter"))
    status = tmp_path / "status/tc-1.md"
    status.write_text(status.read_text().replace("status: in_progress", "status: backlog"))

    second = app.claims.claim(TaskId("TC-1"), AgentId("peter"))

    assert second.generation > first.generation
    with pytest.raises(StaleGeneration):
        app.tasks.done(TaskId("TC-1"), AgentId("peter"), "too late", generation=first.generation)
