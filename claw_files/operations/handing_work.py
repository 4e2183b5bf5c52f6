"""Words and work to other agents, whatever door they are asked for through, and what is answered about them."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from claw_files.system import wait_notice

if TYPE_CHECKING:
    from claw_files.app.wiring import App
    from claw_files.core.model import AgentId, Message, TaskId
    from claw_files.policy.session_view import Session, SessionFilter
    from claw_files.services.delegation.batches import SpawnedBatch
    from claw_files.services.delegation.delegation import DelegationResult
    from claw_files.services.delegation.spawn_contract import SpawnOrder
    from claw_files.services.messaging.mailbox import SendResult
    from claw_files.services.sessions.steering import KilledRun, SteerResult

_POLL_SECONDS = 0.2


def send(
    app: "App",
    receiver: "AgentId",
    text: str,
    task: "TaskId | None" = None,
    patience: timedelta | None = None,
    critical: bool = False,
    question: bool = False,
) -> "SendResult":
    """Send in the name of whoever acts, wake the receiver, and wait for the answer where there is patience."""
    from claw_files.core.model import Kind
    from claw_files.policy.delegation import check_wait

    by = app.actor
    app.check_takes_work(receiver)
    if patience:
        check_wait(app.settings, by, receiver, app.lanes_held())
    kind = Kind.QUESTION if question else Kind.ANNOUNCE
    app.begin("send", receiver, text, task, critical, kind)
    sent = app.messages.send(by, receiver, text, task, critical, kind, app.woken_by)
    if sent.status != "silent":
        app.wake()
    if not patience or not sent.id:
        return sent
    with wait_notice.waiting(f"for {receiver} to answer {sent.id}, {_until(app, patience)}"):
        return app.messages.wait_for_answer(by, sent, patience)


def _until(app: "App", patience: timedelta | None) -> str:
    return f"until {app.when(app.clock.now() + patience)}" if patience else "for as long as it takes"


def send_to_session(app: "App", receiver: "AgentId | Session", text: str, patience: timedelta | None) -> Any:
    """Ask an agent, or a worker that stays, for a turn (`Sent`); or hand another one at work a correction (`Steered`).

    Args:
        receiver: as `Steering.receiver` found it.
    """
    from claw_files.core.model import Stay
    from claw_files.policy.session_view import Session

    if isinstance(receiver, Session) and receiver.stays is Stay.OPEN and receiver.task:
        return _send_turn(app, receiver.task, text, patience)
    if isinstance(receiver, Session):
        return steer(app, receiver.run or receiver.key, text)
    return send(app, receiver, text, patience=patience, question=True)


def steer(app: "App", name: str, text: str) -> "SteerResult":
    """Hand a correction to what is at work there."""
    app.begin("steer", name, text)
    return app.steering.steer(app.actor, name, text)


def _send_turn(app: "App", task: "TaskId", text: str, patience: timedelta | None) -> "SendResult":
    """The next message of a worker's session, with its answer, if it comes in time."""
    app.check_takes_work()
    app.begin("sessions send", task, text)
    sent = app.staying.send(app.actor, task, text)
    if sent.id is None:
        return sent
    app.afterwards(lambda: app.heartbeat.tick_task(task))
    if patience is None:
        return sent
    end = app.clock.monotonic() + patience.total_seconds()
    with wait_notice.waiting(f"for the answer to {sent.id}, {_until(app, patience)}"):
        while app.clock.monotonic() < end:
            if not any(run.alive and run.task == task for run in app.runtime.live()):
                app.heartbeat.tick_task(task)
            if (found := app.messages.wait_for_answer(app.actor, sent, timedelta())).answer:
                return found
            app.clock.sleep(_POLL_SECONDS)
    return sent


def session_named(app: "App", name: str) -> "Session | None":
    """The session of a worker that `name` means; None where there is none: then it is told as for any agent."""
    from contextlib import suppress

    from claw_files.core.errors import NotFound

    with suppress(NotFound):
        found = app.steering.receiver(app.actor, name)
        return None if isinstance(found, str) else found
    return None


def answer(app: "App", message_id: str, text: str) -> "SendResult":
    """Answer a question from the inbox of whoever acts, and wake who asked."""
    sent = app.messages.answer(app.actor, message_id, text)
    app.wake()
    return sent


def spawn(app: "App", order: "SpawnOrder") -> "tuple[App, DelegationResult]":
    """Have a worker do one task, and wake it; where the task lies comes first."""
    app.check_takes_work()
    place = app.place_to_see(order.task) if order.task else app
    place.begin("spawn", order)
    spawned = place.delegations.spawn(order, app.actor, app.inside)
    app.wake()
    return place, spawned


def spawn_items(app: "App", order: "SpawnOrder", items_text: str, batch: int | None) -> "SpawnedBatch":
    """Queue the items of a list in batches, and wake whoever may start."""
    from claw_files.services.delegation.batches import BatchSpawner

    app.check_takes_work()
    app.begin("spawn items", order, items_text, batch)
    made = BatchSpawner(app.workspace, app.delegations).spawn(order, items_text, app.actor, app.inside, batch)
    app.wake()
    return made


def batched_json(made: "SpawnedBatch") -> dict[str, Any]:
    """What `spawn --items` prints."""
    found = {"status": "accepted", "group": made.group, "items": made.items, "batch": made.batch}
    return found | {"tasks": [delegated_json(it) for it in made.tasks]}


def read_inbox(app: "App", peek: bool, wait: bool = False, patience: timedelta | None = None) -> "list[Message]":
    """The new messages of whoever acts, oldest first; with `wait` once there are any.

    Args:
        patience: how long to wait; None waits for ever.
    """
    agent, start = app.actor, app.clock.monotonic()
    if (found := app.messages.inbox(agent, peek)) or not wait:
        return found
    with wait_notice.waiting(f"for a message to {agent}, {_until(app, patience)}"):
        while not (found := app.messages.inbox(agent, peek)):
            if patience is not None and timedelta(seconds=app.clock.monotonic() - start) >= patience:
                break
            app.clock.sleep(_POLL_SECONDS)
    return found


def wanted(
    app: "App", kinds: "list[str] | tuple[str, ...]", minutes: int | None, limit: int, agent: str | None
) -> "SessionFilter":
    """Which sessions are asked for. Raises BadValue, NotFound."""
    from claw_files.core.errors import BadValue
    from claw_files.policy.session_view import SessionFilter, SessionKind

    for name in kinds:
        if name not in list(SessionKind):
            raise BadValue("kinds", name, f"one of {', '.join(SessionKind)}")
    return SessionFilter(
        kinds=tuple(SessionKind(name) for name in kinds),
        agent=app.settings.agent(agent).name if agent else None,
        active=timedelta(minutes=minutes) if minutes else None,
        limit=limit,
    )


# --- what is answered


def delegated_json(done: "DelegationResult") -> dict[str, Any]:
    """What `delegate` and `spawn` print."""
    found = {"status": "accepted", "task": done.task, "agent": done.agent, "id": done.message, "check": done.check}
    return found | {
        "label": done.label,
        "run": done.run,
        "cached": done.cached,
        "waits_for": [it.task for it in done.waits_for],
    }


def sent_json(sent: "SendResult") -> dict[str, Any]:
    """What `send` prints."""
    from claw_files.presentation import views

    found: dict[str, Any] = {"status": sent.status}
    found |= {"id": sent.id} if sent.id else {}
    found |= {"until": sent.until} if sent.until else {}
    return found | ({"answer": views.message_json(sent.answer)} if sent.answer else {})


def steered_json(done: "SteerResult") -> dict[str, Any]:
    """What `subagents steer` prints."""
    session = done.session
    found = {"status": "accepted", "id": done.id, "takes_effect": done.takes_effect}
    return found | {"key": session.key, "number": session.number, "run": session.run, "task": session.task}


def killed_json(killed: "tuple[KilledRun, ...]") -> dict[str, Any]:
    """What `subagents kill` prints."""
    import msgspec

    return {"killed": [msgspec.structs.asdict(it) for it in killed]}
