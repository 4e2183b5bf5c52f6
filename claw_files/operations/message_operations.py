"""The operations on messages, inboxes and checkpoints.

An answer that OpenClaw's agents know has OpenClaw's names in JSON: `sessionKey`, `runId`, `takesEffect`.
"""

from contextlib import suppress
from datetime import timedelta
from math import inf
from typing import TYPE_CHECKING, Annotated, Any, Literal

from claw_files.core.errors import NotFound, UsageError
from claw_files.operations.fields import (
    JSON_ONLY,
    SHELL_ONLY,
    UNLISTED,
    Flag,
    Json,
    Length,
    Name,
    Shell,
    Task,
    Text,
    Wait,
)
from claw_files.operations.reply import Reply
from claw_files.system import wait_notice
from claw_files.system.clock import awaited

if TYPE_CHECKING:
    from claw_files.app.wiring import App
    from claw_files.core.model import AgentId, Message, TaskId
    from claw_files.policy.session_view import Session
    from claw_files.services.messaging.mailbox import SendResult
    from claw_files.services.sessions.steering import SteerResult


# --- sending


def send(
    app: "App",
    to: Annotated[Name, Shell("AGENT")],
    text: Text,
    *,
    task: Task | None = None,
    wait: Annotated[Length | None, SHELL_ONLY] = None,
    critical: Flag = False,
    question: Annotated[Flag, JSON_ONLY] = False,
) -> Reply:
    """Send a message and return at once: accepted means that it is durably in the agent's inbox.

    Args:
        task: The task that the message is about.
        wait: How long to wait for an answer; the message is accepted either way.
        critical: Deliver to a person even in quiet hours.

    Example:
        clawfiles send peter "the staging host is back" --task TC-47 --agent sam
    """
    if to.lower() not in app.settings.agents and (session := _session_named(app, to)):
        return _answered(app, _send_to(app, session, text, wait))
    receiver = app.settings.agent(to).name
    return _answered(app, _send(app, receiver, text, task, wait, critical, question or wait is not None))


def ask(
    app: "App",
    to: Annotated[Name, Shell("AGENT")],
    question: Text,
    *,
    task: Task | None = None,
    wait: Length | None = None,
    critical: Flag = False,
) -> Reply:
    """Ask an agent a question; the answer arrives in your inbox, or is printed with --wait.

    Args:
        task: The task that the message is about.
        wait: How long to wait for the answer; the question is accepted either way.
        critical: Deliver to a person even in quiet hours.

    Example:
        clawfiles ask iris "Which region is live?" --wait 30s --agent peter
    """
    return send(app, to, question, task=task, wait=wait, critical=critical, question=True)


def send_to_session(app: "App", session: Name, text: Text, *, wait: Length | None = None) -> Reply:
    """Send a message to a session; returns immediately. A session worker takes one turn per message, in order.

    For a running worker without a session the message is a correction; a worker that has ended is refused.

    Args:
        wait: How long to wait for a reply.

    Example:
        clawfiles sessions send peter "Which host?" --wait 30s --agent sam
    """
    return _answered(app, _send_to(app, app.steering.receiver(app.actor, session), text, wait))


def sessions_send(
    app: "App",
    message: Text,
    session_key: Annotated[Name | None, Json("sessionKey")] = None,
    label: Name | None = None,
    agent_id: Annotated[Name | None, Json("agentId")] = None,
    timeout_seconds: Annotated[Wait, Json("timeoutSeconds")] = 0,
    task: Task | None = None,
    critical: Annotated[Flag, UNLISTED] = False,
) -> Reply:
    """Send to the session of that key, else to the label (of that agent's worker), else to the agent."""
    from claw_files.policy.session_view import Session

    name = session_key or label or agent_id
    if not name:
        raise UsageError("sessions_send needs one of `sessionKey`, `label`, `agentId`")
    if label and agent_id and not session_key:
        name = f"agent:{agent_id}:subagent:{label}"
    receiver = app.steering.receiver(app.actor, name)
    patience = timedelta(seconds=timeout_seconds) or None
    if isinstance(receiver, Session):
        return _answered(app, _send_to(app, receiver, message, patience), receiver.key)
    # An agent is asked for a turn; a person is informed, and asked only by a sender that waits.
    question = patience is not None or not app.settings.is_human(receiver)
    sent = _send(app, receiver, message, task, patience, critical, question)
    return _answered(app, sent, app.settings.agents[receiver].session)


def answer(app: "App", id: Name, text: Text) -> Reply:
    """Reply a question from your inbox: the answer goes straight to who asked.

    Example:
        clawfiles answer 20260307T084500Z-peter-1f2e3d "eu-west-1" --agent iris
    """
    sent = app.messages.answer(app.actor, id, text)
    app.wake()
    return _answered(app, sent)


def steer(
    app: "App", target: Annotated[Name, Shell("NUMBER|LABEL|RUN")], message: Annotated[Text, Shell("TEXT")]
) -> Reply:
    """Correct a running worker. Prints when this takes effect: now, or when it next reads steer.md.

    Example:
        clawfiles subagents steer 12 "only the last week" --agent sam
    """
    return _answered(app, _steer(app, target, message))


def _send(
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


def _send_to(
    app: "App", receiver: "AgentId | Session", text: str, patience: timedelta | None
) -> "SendResult | SteerResult":
    """Ask an agent, or a worker that stays, for a turn; correct another worker."""
    from claw_files.core.model import Stay
    from claw_files.policy.session_view import Session

    if not isinstance(receiver, Session):
        return _send(app, receiver, text, patience=patience, question=True)
    if receiver.stays is Stay.OPEN and receiver.task:
        return _send_turn(app, receiver.task, text, patience)
    return _steer(app, receiver.run or receiver.key, text)


def _steer(app: "App", name: str, text: str) -> "SteerResult":
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

    def answered() -> "SendResult | None":
        if not any(run.alive and run.task == task for run in app.runtime.live()):
            app.heartbeat.tick_task(task)
        found = app.messages.wait_for_answer(app.actor, sent, timedelta())
        return found if found.answer else None

    with wait_notice.waiting(f"for the answer to {sent.id}, {_until(app, patience)}"):
        return awaited(app.clock, answered, patience.total_seconds()) or sent


def _session_named(app: "App", name: str) -> "Session | None":
    """The session of a worker that `name` means; None where there is none."""
    with suppress(NotFound):
        found = app.steering.receiver(app.actor, name)
        return None if isinstance(found, str) else found
    return None


def _answered(app: "App", done: "SendResult | SteerResult", session: str | None = None) -> Reply:
    """What became of words to an agent or a session; for OpenClaw's operations with the session's key."""
    from claw_files.services.sessions.steering import SteerResult

    if isinstance(done, SteerResult):
        told = f"accepted {done.id}: takes effect {done.takes_effect}"
        return Reply(lambda: _steered_json(done), lambda: told, shell_json=lambda: _steered_facts(done))
    return Reply(lambda: _sent_json(done, session), lambda: _sent_text(app, done))


def _sent_json(sent: "SendResult", session: str | None) -> dict[str, Any]:
    from claw_files.presentation import views

    found: dict[str, Any] = {"status": sent.status}
    found |= {"id": sent.id} if sent.id else {}
    found |= {"until": sent.until} if sent.until else {}
    found |= {"answer": views.message_json(sent.answer)} if sent.answer else {}
    if session is None:
        return found
    found |= {"sessionKey": session}
    if sent.answer:
        return found | {"status": "ok", "reply": sent.answer.body}
    return found | ({"delivery": {"status": "pending", "mode": "announce"}} if sent.id else {})


def _sent_text(app: "App", sent: "SendResult") -> str:
    from claw_files.core.text import safe

    told = f"{sent.status} {sent.id or ''}".rstrip()
    told += f" until {app.when(sent.until)}" if sent.until else ""
    return told + (f"\n\n{safe(sent.answer.body.strip(), 20_000, lines=True)}" if sent.answer else "")


def _steered_facts(done: "SteerResult") -> dict[str, Any]:
    session = done.session
    found = {"status": "accepted", "id": done.id, "takes_effect": done.takes_effect}
    return found | {"key": session.key, "number": session.number, "run": session.run, "task": session.task}


def _steered_json(done: "SteerResult") -> dict[str, Any]:
    session = done.session
    found = {"status": "accepted", "id": done.id, "takesEffect": done.takes_effect, "sessionKey": session.key}
    return found | {"runId": session.run, "task": session.task, "targetDisposition": "steered"}


# --- the inbox


def inbox(
    app: "App",
    action: Literal["read", "peek", "done"] = "read",
    id: Name | None = None,
    timeout_seconds: Annotated[Wait, Json("timeoutSeconds")] = 0,
) -> Reply:
    """Read or peek at your new messages, or finish one."""
    if action != "done":
        patience = timedelta(seconds=timeout_seconds)
        return read_inbox(app, wait=bool(patience), timeout=patience, peek=action == "peek")
    if not id:
        raise UsageError("inbox: `done` needs `id`")
    return finish_message(app, id)


def read_inbox(
    app: "App",
    *,
    wait: Flag = False,
    timeout: Length | None = None,
    peek: Flag = False,
) -> Reply:
    """Read your new messages, oldest first. Read messages stay in cur/ until you finish them.

    Args:
        wait: Wait until a message arrives.
        timeout: With --wait: the longest time to wait.
        peek: Leave the messages unread.

    Example:
        clawfiles inbox --agent peter
        clawfiles inbox done tc-47.1 --agent peter
    """
    from claw_files.presentation import views

    found = _new_messages(app, wait, timeout, peek)
    rows = [views.message_json(message) for message in found]
    return Reply(lambda: {"messages": rows}, lambda: views.inbox_text(found), shell_json=lambda: rows)


def _new_messages(app: "App", wait: bool, timeout: timedelta | None, peek: bool) -> "list[Message]":
    """The new messages of whoever acts; with `wait` once there are any, or after `timeout` (None: never)."""
    agent, seconds = app.actor, inf if timeout is None else timeout.total_seconds()
    app = app.view if peek else app
    if (found := app.messages.inbox(agent, peek)) or not wait:
        return found
    with wait_notice.waiting(f"for a message to {agent}, {_until(app, timeout)}"):
        return awaited(app.clock, lambda: app.messages.inbox(agent, peek), seconds)


def finish_message(app: "App", id: Name) -> Reply:
    """Finish a message; it moves to done/.

    Example:
        clawfiles inbox done tc-47.1 --agent peter
    """
    from claw_files.presentation import views

    message = app.messages.finish(app.actor, id)
    row = views.message_json(message)
    return Reply(lambda: {"done": row}, lambda: f"{message.id} is done", shell_json=lambda: row)
