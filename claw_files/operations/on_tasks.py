"""The calls on tasks: what each makes of its arguments."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from claw_files.core import instants, text
from claw_files.core.errors import BadValue, UsageError
from claw_files.core.model import State, Task, TaskId
from claw_files.operations import arguments as args
from claw_files.operations import task_moves
from claw_files.operations.handing_work import delegated_json
from claw_files.presentation import views

if TYPE_CHECKING:
    from claw_files.app.wiring import App
    from claw_files.services.tasks.board import TaskListing


def new(app: "App", asked: args.TaskNew) -> Any:
    from claw_files.services.tasks.lifecycle import NewTask

    order = NewTask(
        title=asked.title,
        type=asked.type,
        priority=asked.priority,
        estimate=text.duration(asked.estimate, "estimate") if asked.estimate else None,
        after=tuple(text.task_id(name) for name in asked.after),
        body=asked.body,
    )
    made = task_moves.make(app, order, asked.to)
    return views.task_json(made.shown) | ({"warning": made.warning} if made.warning else {})


def list_(app: "App", asked: args.TaskList) -> Any:
    state = app.settings.vocabulary.state(asked.status) if asked.status else None
    if asked.status and state is None:
        raise BadValue("status", asked.status, f"a state: {', '.join(State)}")
    agent = app.settings.agent(asked.agent).name if asked.agent else None
    return _listing_json(app.board.listing(state, agent, asked.limit))


def board(app: "App", asked: args.BoardArguments) -> Any:
    """The tasks by state: states without any are left out."""
    found = _listing_json(app.board.listing(limit=asked.limit))
    states = {state: [task for task in found["tasks"] if task["status"] == state] for state in State}
    return {"board": {state: rows for state, rows in states.items() if rows}, "unreadable": found["unreadable"]}


def _listing_json(listing: "TaskListing") -> dict[str, Any]:
    unreadable = [{"path": path, "why": why} for path, why in listing.unreadable]
    return {"tasks": [views.task_json(shown) for shown in listing.tasks], "unreadable": unreadable}


def show(app: "App", asked: args.OneTask) -> Any:
    task = text.task_id(asked.task)
    return views.task_json(app.place_to_see(task).board.show(task), body=True)


def claim(app: "App", asked: args.TaskClaim) -> Any:
    if asked.next == bool(asked.task):
        raise UsageError("task_claim: say either `task` or `next`")
    if asked.type and not asked.next:
        raise UsageError("task_claim: `type` goes with `next`")
    if asked.task:
        return views.lease_json(task_moves.claim(app, text.task_id(asked.task), asked.generation))
    return views.lease_json(task_moves.claim_next(app, asked.type))


def delegate(app: "App", asked: args.TaskDelegate) -> Any:
    at = instants.instant(asked.check, app.clock.now(), app.workspace.zone, "check") if asked.check else None
    done = task_moves.delegate(app, text.task_id(asked.task), asked.to, at, asked.urgent)
    return delegated_json(done) | ({"warning": done.warning} if done.warning else {})


# --- moves


def _held(app: "App", asked: args.HeldTask, make_move: Callable[["App", TaskId, int | None], Task]) -> Any:
    task = text.task_id(asked.task)
    generation = app.generation(task, asked.generation)
    return task_moves.move(app, task, lambda place: make_move(place, task, generation)).json()


def progress(app: "App", asked: args.TaskProgress) -> Any:
    eta = instants.instant(asked.eta, app.clock.now(), app.workspace.zone, "eta") if asked.eta else None
    return _held(app, asked, lambda place, task, gen: task_moves.progress(place, task, asked.note, eta, gen))


def beat(app: "App", asked: args.HeldTask) -> Any:
    return _held(app, asked, lambda place, task, gen: place.tasks.beat(task, app.actor, gen))


def done(app: "App", asked: args.TaskDone) -> Any:
    def finish(place: "App", task: TaskId, generation: int | None) -> Task:
        return place.tasks.done(task, app.actor, asked.summary, asked.outputs, generation, asked.review)

    return _held(app, asked, finish)


def unblock(app: "App", asked: args.TaskUnblock) -> Any:
    task = text.task_id(asked.task)
    return task_moves.unblock(app, task, asked.note, app.generation(task, asked.generation)).json()


def comment(app: "App", asked: args.TaskComment) -> Any:
    task = text.task_id(asked.task)
    return task_moves.comment(app, task, asked.text).json()


def fail(app: "App", asked: args.TaskFail) -> Any:
    return _held(app, asked, lambda place, task, gen: place.tasks.fail(task, app.actor, asked.reason, gen))


def block(app: "App", asked: args.TaskBlock) -> Any:
    return _held(app, asked, lambda place, task, gen: place.tasks.block(task, app.actor, asked.note, gen))


def need(app: "App", asked: args.NeedArguments) -> Any:
    other = app.settings.agent(asked.agent).name
    return _held(app, asked, lambda place, task, gen: place.tasks.need(task, app.actor, other, asked.question, gen))


def release(app: "App", asked: args.TaskRelease) -> Any:
    return _held(app, asked, lambda place, task, gen: place.tasks.release(task, app.actor, asked.why, gen))


def approve(app: "App", asked: args.OneTask) -> Any:
    task = text.task_id(asked.task)
    return task_moves.move(app, task, lambda place: place.tasks.approve(task, app.actor)).json()


def reopen(app: "App", asked: args.ReasonedMove) -> Any:
    task = text.task_id(asked.task)
    return task_moves.move(app, task, lambda place: place.tasks.reopen(task, app.actor, asked.why)).json()


def cancel(app: "App", asked: args.ReasonedMove) -> Any:
    task = text.task_id(asked.task)
    return task_moves.move(app, task, lambda place: place.tasks.cancel(task, app.actor, asked.why)).json()
