"""A release that dies half way is a release, or none; the task is never sent out again behind anybody's back."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from claw_files.app.wiring import App
from claw_files.core.model import AgentId, TaskId
from claw_files.services.tasks.lifecycle import NewTask
from claw_files.testing import Crash, FakeClock

CONFIG = '[workspace]\ncoordinator = "sam"\n[agents.sam]\n[agents.peter]\ntakes = ["bug"]\n'
SAM, PETER, TASK = AgentId("sam"), AgentId("peter"), TaskId("TC-1")


def held(root: Path) -> None:
    root.mkdir()
    (root / "clawfiles.toml").write_text(CONFIG)
    app = App(str(root), {}, None)
    app.tasks.new(NewTask(title="fix it", type="bug"), SAM)
    app.delegations.delegate(TASK, SAM, PETER)
    app.claims.claim(TASK, PETER)


def dying_at(root: Path, step: int, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Release, but die before the n-th write; whether it died."""
    app, count = App(str(root), {}, None), [0]
    for name in ("commit", "move"):
        real = getattr(app.files, name)

        def counting(*args: object, real: object = real, **named: object) -> object:
            count[0] += 1
            if count[0] == step:
                raise Crash
            return real(*args, **named)

        monkeypatch.setattr(app.files, name, counting)
    try:
        app.tasks.release(TASK, PETER, "too much to do")
    except Crash:
        return True
    return False


def test_a_release_that_dies_at_any_write_is_finished_or_undone_but_never_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = 0
    died = True
    while died:
        step += 1
        root = tmp_path / str(step)
        held(root)
        died = dying_at(root, step, monkeypatch)

        for minutes in (0, 20, 40):
            later = FakeClock(datetime.now(UTC) + timedelta(minutes=minutes))
            App(str(root), {}, None, clock=later).heartbeat.tick()

        task = App(str(root), {}, None).workspace.load(TASK).task
        new = list((root / "inbox/peter/new").iterdir())
        sent = [*new, *(root / "inbox/peter/cur").iterdir(), *(root / "inbox/peter/done").iterdir()]
        assert len(sent) == 1, f"doubled after dying at write {step}"
        assert "sends: 2" not in sent[0].read_text(), f"sent again after dying at write {step}"
        assert task.state.value in ("in_progress", "backlog")
        assert task.state.value == "in_progress" or task.assignee is None
    assert step > 3


def test_an_agent_that_looks_for_itself_keeps_its_messages(tmp_path: Path) -> None:
    (tmp_path / "clawfiles.toml").write_text(CONFIG + '[agents.iris]\nruntime = "inbox"\n')
    app = App(str(tmp_path), {}, None)
    app.messages.send(SAM, AgentId("iris"), "hello")

    done = App(str(tmp_path), {}, None).heartbeat.tick()

    assert not done.actions
    assert len(list((tmp_path / "inbox/iris/new").iterdir())) == 1
