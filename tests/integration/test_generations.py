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

    assert claims.given(TaskId("TC-1")).is_spent(1)


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


def test_a_superseded_holder_that_writes_its_old_copy_over_the_file_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "clawfiles.toml").write_text(CONFIG + '[agents.iris]\ntakes = ["bug"]\n')
    (tmp_path / "status").mkdir()
    status = tmp_path / "status/tc-1.md"
    status.write_text("---\nid: TC-1\nstatus: backlog\ntype: bug\n---\n# TC-1: fix it\n")
    app = App(str(tmp_path), {}, None)
    app.delegations.delegate(TaskId("TC-1"), AgentId("sam"), AgentId("peter"))
    app.claims.claim(TaskId("TC-1"), AgentId("peter"))
    old = status.read_text()
    app.tasks.release(TaskId("TC-1"), AgentId("peter"), "too much to do")
    app.delegations.delegate(TaskId("TC-1"), AgentId("sam"), AgentId("iris"))
    held = app.claims.claim(TaskId("TC-1"), AgentId("iris"))
    status.write_text(old.replace("status: in_progress", "status: done") + "\nall done, says peter\n")

    done = App(str(tmp_path), {}, None).heartbeat.tick()

    assert [action.act.value for action in done.actions] == ["conflict"]
    task = app.workspace.load(TaskId("TC-1")).task
    assert (task.state.value, task.assignee, task.generation) == ("in_progress", "iris", held.generation)
    assert "all done, says peter" in status.read_text()
    assert "TC-1 delegated to iris" in (tmp_path / "HEARTBEAT.md").read_text()
    app.tasks.done(TaskId("TC-1"), AgentId("iris"), "fixed", generation=held.generation)


def test_a_blocked_task_may_be_finished_by_hand(tmp_path: Path) -> None:
    app = a_workspace(tmp_path)
    app.delegations.delegate(TaskId("TC-1"), AgentId("sam"), AgentId("peter"))
    app.claims.claim(TaskId("TC-1"), AgentId("peter"))
    app.tasks.block(TaskId("TC-1"), AgentId("peter"), "no key")
    status = tmp_path / "status/tc-1.md"
    status.write_text(status.read_text() + "\nStatus: DONE\n")

    app.heartbeat.tick()

    assert app.workspace.load(TaskId("TC-1")).task.state.value == "done"
    assert "TC-1" not in (tmp_path / "HEARTBEAT.md").read_text()
