"""Each generation is given once: the number that fences off a superseded holder never comes back."""

import os
import time
from pathlib import Path

import pytest

from claw_files.app.wiring import App
from claw_files.core.errors import AlreadyClaimed, NotYours, StaleGeneration
from claw_files.core.model import AgentId, TaskId
from claw_files.storage import locks
from claw_files.storage.locks import Claims

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


# --- programs that cannot hold our lock


def claim_log(root: Path, text: str, age_seconds: float = 0) -> Path:
    log = root / ".clawfiles/claims/tc-1.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(text)
    at = time.time() - age_seconds
    os.utime(log, (at, at))
    return log


def test_a_number_that_another_program_took_is_refused_while_that_program_may_still_write(tmp_path: Path) -> None:
    app = a_workspace(tmp_path)
    claim_log(tmp_path, "1 taken iris 9f3c\n")

    with pytest.raises(AlreadyClaimed, match="iris"):
        app.claims.claim(TaskId("TC-1"), AgentId("peter"))

    assert "status: backlog" in (tmp_path / "status/tc-1.md").read_text()


def test_a_number_that_was_taken_and_never_written_is_passed_over_after_a_minute(tmp_path: Path) -> None:
    app = a_workspace(tmp_path)
    claim_log(tmp_path, "1 taken iris 9f3c\n", age_seconds=61)

    assert app.claims.claim(TaskId("TC-1"), AgentId("peter")).generation == 2


def test_the_first_claim_line_of_a_generation_wins(tmp_path: Path) -> None:
    claims, task = Claims(str(tmp_path)), TaskId("TC-1")
    lines = (
        "1 taken iris 9f3c",
        "1 by peter 812",
        "2 by peter 813",
        "2 taken iris 77aa",
        "3 taken sam 1",
        "3 for iris",
    )
    claim_log(tmp_path, "".join(f"{line}\n" for line in lines))

    given = claims.given(task)

    assert [given.owner(number) for number in (1, 2, 3)] == ["iris", "peter", "sam"]
    assert [given.is_taken(number) for number in (1, 2, 3)] == [True, False, True]
    with pytest.raises(NotYours):
        claims.reserve(task, 3, AgentId("iris"))


def test_only_the_agent_that_a_number_is_reserved_for_takes_it(tmp_path: Path) -> None:
    claim_log(tmp_path, "3 for iris\n3 taken peter 9f3c\n4 for iris\n4 taken iris 9f3c\n")

    given = Claims(str(tmp_path)).given(TaskId("TC-1"))

    assert [given.is_taken(number) for number in (3, 4)] == [False, True]


def test_a_generation_reserved_for_one_agent_is_taken_by_no_other(tmp_path: Path) -> None:
    claims, task = Claims(str(tmp_path)), TaskId("TC-1")
    claims.reserve(task, 1, AgentId("iris"))

    with pytest.raises(NotYours), claims.take(task, 1, AgentId("peter")):
        pytest.fail("peter holds what is reserved for iris")

    with claims.take(task, 1, AgentId("iris")):
        assert claims.given(task).owner(1) == "iris"


def test_a_line_that_another_program_adds_before_ours_wins_the_number(tmp_path: Path, monkeypatch) -> None:
    claims, real = Claims(str(tmp_path)), locks.write_all

    def slower(fd: int, data: bytes) -> None:
        if b" by " in data:
            real(fd, b"1 taken iris 9f3c\n")
        real(fd, data)

    monkeypatch.setattr(locks, "write_all", slower)

    with pytest.raises(AlreadyClaimed, match="iris"), claims.take(TaskId("TC-1"), 1, AgentId("peter")):
        pytest.fail("both would hold it")


def test_a_claim_by_another_program_is_recorded_and_not_taken_for_an_old_copy(tmp_path: Path) -> None:
    app = a_workspace(tmp_path)
    claim_log(tmp_path, "1 taken peter aa\n1 written\n")
    (tmp_path / "status/tc-1.md").write_text(
        "---\nid: TC-1\nstatus: in_progress\nassignee: peter\ngeneration: 1\nlease: 2099-11-30T05:00:00Z\n"
        "recorded: backlog\ntype: bug\n---\n# TC-1: fix it\n"
    )
    (tmp_path / "HEARTBEAT.md").write_text("- TC-1 delegated to peter, check at 2099-03-07 10:00\n")

    ticked = app.heartbeat.tick()

    assert [action.act.value for action in ticked.actions] == ["record"]
    kept = (tmp_path / "status/tc-1.md").read_text()
    assert "recorded: in_progress" in kept and "lease: 2099-11-30T05:00:00Z" in kept


def test_a_reserved_number_that_was_taken_and_never_written_is_passed_over_as_well(tmp_path: Path) -> None:
    app = a_workspace(tmp_path)
    app.delegations.delegate(TaskId("TC-1"), AgentId("sam"), AgentId("peter"))
    log = tmp_path / ".clawfiles/claims/tc-1.log"
    claim_log(tmp_path, log.read_text() + "1 taken peter aa\n", age_seconds=61)

    assert app.claims.claim(TaskId("TC-1"), AgentId("peter")).generation == 2
