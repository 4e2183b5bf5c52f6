"""Waits for a worker: stats its run, and ticks only its task when the run has ended.

For the run of a workflow all is ticked: each of its steps is a task.
"""

from typing import TYPE_CHECKING

from claw_files.core.errors import RunFailed
from claw_files.core.model import Run, State, TaskId
from claw_files.operations.reply import Reply
from claw_files.system import wait_notice

if TYPE_CHECKING:
    from claw_files.app.wiring import App
    from claw_files.services.delegation.delegation import DelegationResult

_POLL_SECONDS = 0.1
_TICK_SECONDS = 2.0  # also while nothing runs: it may wait for a slot, or for its next attempt
_OVER = (State.DONE, State.REVIEW, State.DEAD, State.CANCELLED, State.BLOCKED)


def wait_for_result(app: "App", spawned: "DelegationResult") -> Reply:
    """The worker's task, once it is over. Raises RunFailed when it failed for good.

    Beyond the check time nobody waits: then it is accepted, and its result will come as any other.
    """
    from claw_files.policy.verification import verified
    from claw_files.presentation import views

    start = ticked = app.clock.monotonic()
    told = ""
    while app.clock.now() < spawned.check:
        task = app.workspace.in_force(app.workspace.load(spawned.task).task)
        if task.state in _OVER and verified(task, app.settings) is not False:
            break
        since = app.clock.monotonic() - ticked
        if (not _is_running(app, spawned.task) and since >= _TICK_SECONDS / 4) or since >= 30 * _TICK_SECONDS:
            app.heartbeat.tick_task(spawned.task)
            ticked = app.clock.monotonic()
        if (
            wait_notice.say
            and app.clock.monotonic() - start >= wait_notice.AFTER_SECONDS
            and (why := _why(app, spawned)) != told
        ):
            wait_notice.say(told := why)
        app.clock.sleep(_POLL_SECONDS)
    shown = app.board.show(spawned.task)
    if shown.task.state in (State.DEAD, State.CANCELLED):
        raise RunFailed(spawned.run or spawned.task, shown.task.reason or str(shown.task.state))
    result = _result(app, spawned)
    return Reply(
        lambda: views.task_json(shown, body=True) | {"result": result},
        lambda: views.task_text(shown, app.when) + f"\n\n{result or ''}".rstrip(),
    )


def wait_for_run(app: "App", run: TaskId) -> None:
    """Tick until the run of a workflow has ended, however long people take. Raises RunFailed when it failed."""
    with wait_notice.waiting(f"for {run} to end"):
        while not (task := app.workspace.in_force(app.workspace.load(run).task)).state.is_closed:
            if not app.heartbeat.tick().actions:
                app.clock.sleep(_POLL_SECONDS * 3)
    if task.state is not State.DONE:
        raise RunFailed(run, task.reason or str(task.state))


def _why(app: "App", spawned: "DelegationResult") -> str:
    """The reason why the result is not there yet, in one sentence."""
    from claw_files.policy.dispatch_queue import sentence

    if run := next((run.id for run in app.runtime.live() if _belongs(run, spawned.task)), None):
        return f"waiting for {run}, until {app.when(spawned.check)} at most"
    held = (sentence(one, app.when) for one in app.snapshots.waits() if one.message.task == spawned.task)
    return f"{spawned.task} {next(held, f'is waited for until {app.when(spawned.check)} at most')}"


def _is_running(app: "App", task: TaskId) -> bool:
    return any(_belongs(run, task) for run in app.runtime.live())


def _belongs(run: Run, task: TaskId) -> bool:
    return run.task == task and run.alive


def _result(app: "App", spawned: "DelegationResult") -> str | None:
    """The worker's result, safe to show."""
    from claw_files.core.text import safe

    found = app.checkpoints.result(spawned.label) if spawned.label else None
    return safe(found.body.strip(), 100_000, lines=True) if found else None
