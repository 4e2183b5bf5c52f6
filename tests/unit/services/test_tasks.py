"""Claims and moves as services: what a crash between two steps leaves, and who gets the task then."""

from datetime import timedelta
from pathlib import Path

import pytest

from claw_files.app.wiring import App
from claw_files.core.errors import AlreadyClaimed, Conflict, Refused, StaleGeneration
from claw_files.core.journal_events import JournalEvent
from claw_files.core.model import AgentId, State, TaskId
from claw_files.services.tasks.lifecycle import NewTask
from claw_files.storage.workspace import Workspace
from claw_files.testing import FakeClock

CONFIG = """
[workspace]
coordinator = "sam"
[agents.sam]
[agents.peter]
[agents.iris]
[agents.dimitrios]
kind = "human"
[agents.research]
kind = "worker"
"""
NAMES = ("peter", "iris", "sam", "dimitrios", "research")
PETER, IRIS, SAM, DIMITRIOS, RESEARCH = map(AgentId, NAMES)


class Killed(BaseException):
    """Stands for a kill -9 at this point."""


@pytest.fixture
def app(tmp_path: Path) -> App:
    (tmp_path / "clawfiles.toml").write_text(CONFIG)
    return App(str(tmp_path), {}, None, FakeClock())


def new(app: App, title: str = "API security review", **fields: object) -> TaskId:
    return app.tasks.new(NewTask(title=title, **fields), SAM).id


def killed(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def die(*_: object, **__: object) -> None:
        raise Killed

    monkeypatch.setattr(Workspace, name, die)


def claims_and_is_killed(app: App, task: TaskId, agent: AgentId, at: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        killed(patch, at)
        with pytest.raises(Killed):
            app.claims.claim(task, agent)


def test_a_worker_moves_no_task(app: App) -> None:
    task = new(app)

    for move in (app.tasks.block, app.tasks.fail, app.tasks.cancel):
        with pytest.raises(Refused, match="workers cannot change the state of"):
            move(task, RESEARCH, "because")
    with pytest.raises(Refused, match="workers cannot change the state of"):
        app.claims.claim(task, RESEARCH)

    assert app.workspace.load(task).task.state is State.BACKLOG


def test_a_claimant_killed_before_its_ledger_line_leaves_nothing(app: App) -> None:
    task = new(app)

    claims_and_is_killed(app, task, PETER, "put_entry")

    assert app.workspace.entries() == ()
    assert app.claims.claim(task, IRIS).generation == 1


def test_a_claimant_killed_before_its_status_is_written_leaves_a_line_and_a_free_task(app: App) -> None:
    task = new(app)

    claims_and_is_killed(app, task, PETER, "update")

    assert [(entry.task, entry.agent) for entry in app.workspace.entries()] == [(task, PETER)]
    assert app.board.show(task).task.state is State.BACKLOG
    assert app.claims.claim(task, IRIS).generation == 1, "its number was not spent"
    assert [(entry.task, entry.agent) for entry in app.workspace.entries()] == [(task, IRIS)]


def test_a_living_claimant_is_not_passed_by_when_the_task_s_lock_was_tidied_away(app: App) -> None:
    task = new(app)

    with app.workspace.claims.take(task, 1, PETER):  # its claim file is made, its status not yet written
        with pytest.raises(AlreadyClaimed, match="peter"):
            app.claims.claim(task, IRIS)
        assert app.board.show(task).task.state is State.BACKLOG

    assert app.claims.claim(task, IRIS).generation == 2, "that block ended well, so its number is spent"


def test_the_same_agent_may_try_again_after_a_crash(app: App) -> None:
    task = new(app)

    claims_and_is_killed(app, task, PETER, "update")

    assert app.claims.claim(task, PETER).holder == PETER
    assert len(app.workspace.entries()) == 1


def test_counting_goes_on_from_the_status_file_when_the_private_folder_is_gone(app: App, tmp_path: Path) -> None:
    import shutil

    task = new(app)
    app.claims.claim(task, PETER)
    app.tasks.release(task, PETER)
    released = app.board.show(task).task.generation
    shutil.rmtree(tmp_path / ".clawfiles")

    assert app.claims.claim(task, IRIS).generation > released


def test_the_generation_of_a_task_rises_with_every_move_that_takes_it_away(app: App) -> None:
    task = new(app)
    seen = [app.claims.claim(task, PETER).generation]
    app.tasks.release(task, PETER)
    seen.append(app.board.show(task).task.generation)
    seen.append(app.claims.claim(task, PETER).generation)
    app.tasks.done(task, PETER)
    app.tasks.reopen(task, DIMITRIOS, "again")
    seen.append(app.board.show(task).task.generation)
    app.tasks.cancel(task, DIMITRIOS)
    seen.append(app.board.show(task).task.generation)

    assert seen == sorted(set(seen))


def test_a_holder_that_was_superseded_finishes_nothing(app: App) -> None:
    task = new(app)
    first = app.claims.claim(task, PETER).generation
    app.tasks.release(task, SAM)
    second = app.claims.claim(task, PETER).generation

    for move in (app.tasks.done, app.tasks.beat, app.tasks.progress):
        with pytest.raises(StaleGeneration):
            move(task, PETER, generation=first)
    app.tasks.done(task, PETER, generation=second)


def test_an_expired_lease_alone_does_not_release_the_task(app: App) -> None:
    task = new(app)
    app.claims.claim(task, PETER)

    app.clock.advance(timedelta(days=2))

    with pytest.raises(AlreadyClaimed):
        app.claims.claim(task, IRIS)


def test_the_lease_begins_when_the_lock_is_ours_not_when_we_asked(app: App) -> None:
    lease = app.claims.claim(new(app), PETER)

    assert lease.until == app.clock.now() + timedelta(minutes=90)


def test_the_next_task_is_another_where_somebody_was_faster(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = new(app), new(app)
    ready = app.claims.ready(PETER)
    app.claims.claim(first, IRIS)
    monkeypatch.setattr(app.claims, "ready", lambda *_: ready)

    lease = app.claims.claim_next(PETER)

    assert lease is not None
    assert lease.task == second


def test_a_task_before_its_backoff_is_not_ready(app: App) -> None:
    from msgspec.structs import replace

    from claw_files.core.model import Audit

    task, later = new(app), app.clock.now() + timedelta(seconds=8)
    app.workspace.update(task, lambda found: replace(found, not_before=later), Audit(JournalEvent.RETRY))

    assert app.claims.ready(PETER) == []
    app.clock.advance(timedelta(seconds=9))
    assert [ready.id for ready in app.claims.ready(PETER)] == [task]


def test_a_number_that_somebody_takes_meanwhile_is_passed_over(app: App, tmp_path: Path) -> None:
    new(app)
    (tmp_path / "status/tc-2.md").write_text("TC-2: TODO\n")
    taken = app.workspace.files.read("status/tc-2.md").data

    made = app.tasks.new(NewTask(title="x"), SAM)

    assert made.id == "TC-3"
    assert app.workspace.files.read("status/tc-2.md").data == taken


def test_two_that_reckon_with_the_same_number_get_one_each(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app.workspace, "next_number", lambda: 1)

    assert [new(app), new(app), new(app)] == ["TC-1", "TC-2", "TC-3"]


def test_a_refused_move_leaves_the_file_and_the_ledger_as_they_were(app: App, tmp_path: Path) -> None:
    task = new(app)
    app.claims.claim(task, PETER)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.md")}

    for move in (
        lambda: app.tasks.done(task, IRIS),
        lambda: app.tasks.approve(task, DIMITRIOS),
        lambda: app.tasks.cancel(task, IRIS),
        lambda: app.tasks.reopen(task, DIMITRIOS, "x"),
        lambda: app.tasks.block(task, IRIS, " "),
    ):
        with pytest.raises((Refused, Conflict)):
            move()

    assert {path: path.read_bytes() for path in tmp_path.rglob("*.md")} == before


def test_a_live_run_is_stopped_before_its_task_is_cancelled(app: App) -> None:
    from claw_files.services.tasks.lifecycle import TaskService

    task = new(app)
    stopped: list[tuple[TaskId, State]] = []
    service = TaskService(app.workspace, lambda id: stopped.append((id, app.board.show(id).task.state)))

    with pytest.raises(Refused):
        service.cancel(task, IRIS)
    assert stopped == [], "a refused cancel stops nothing"
    service.cancel(task, SAM)

    assert stopped == [(task, State.BACKLOG)]


def test_a_requeue_killed_between_its_two_steps_is_finished_by_the_next(app: App, tmp_path: Path) -> None:
    (tmp_path / "dead-letter").mkdir()
    (tmp_path / "dead-letter/tc-9.md").write_text("---\nstatus: dead\nrecorded: dead\n---\n# TC-9: it\n")
    with pytest.MonkeyPatch.context() as patch:
        killed(patch, "update")
        with pytest.raises(Killed):
            app.tasks.requeue(TaskId("TC-9"), DIMITRIOS)

    assert app.board.show(TaskId("TC-9")).task.state is State.DEAD
    assert app.tasks.requeue(TaskId("TC-9"), DIMITRIOS).state is State.BACKLOG
