"""Words to an agent or a session: what `send`, `ask`, `sessions send` and `subagents steer` have in common."""

from typing import TYPE_CHECKING, Any

from claw_files.cli.base import show

if TYPE_CHECKING:
    from claw_files.app import App
    from claw_files.model import AgentId
    from claw_files.rules.sessions import Session
    from claw_files.services.messages import Sent


def send_to(
    app: "App", receiver: "AgentId", text: str, task_id: str | None, wait: str | None, critical: bool, question: bool
) -> None:
    """Send in the name of whoever acts, wake the receiver, and wait for the answer where that was asked for."""
    from claw_files import words
    from claw_files.model import Kind
    from claw_files.rules.delegation import check_wait

    by = app.actor
    app.check_takes_work(receiver)
    patience = words.duration(wait, "--wait") if wait else None
    if patience:
        check_wait(app.settings, by, receiver, app.lanes_held())
    task = words.task_id(task_id) if task_id else None
    kind = Kind.QUESTION if question else Kind.ANNOUNCE
    sent = app.messages.send(by, receiver, text, task, critical, kind, app.woken_by)
    if sent.status != "silent":
        app.wake()
    show_sent(app.messages.wait_for_answer(by, sent, patience) if patience and sent.id else sent)


def show_sent(sent: "Sent") -> None:
    """Print what a send answers."""
    from claw_files import views
    from claw_files.words import render_instant, safe

    document: dict[str, Any] = {"status": sent.status}
    document |= {"id": sent.id} if sent.id else {}
    document |= {"until": sent.until} if sent.until else {}
    document |= {"answer": views.message_json(sent.answer)} if sent.answer else {}
    told = f"{sent.status} {sent.id or ''}".rstrip()
    told += f" until {render_instant(sent.until)}" if sent.until else ""
    show(document, f"{told}\n\n{safe(sent.answer.body.strip(), 20_000, lines=True)}" if sent.answer else told)


def speak(app: "App", session: "Session", text: str, wait: str | None) -> None:
    """Give a worker's session its next message, or correct one that does not stay."""
    from claw_files import words
    from claw_files.cli.waiting import wait_for_turn
    from claw_files.model import Stay

    if session.stays is not Stay.OPEN or session.task is None:
        steer_at(app, session.run or session.key, text)
        return
    patience = words.duration(wait, "--wait") if wait else None
    app.check_takes_work()
    sent = app.staying.send(app.actor, session.task, text)
    if sent.id:
        app.heartbeat.tick(only=session.task)
    show_sent(wait_for_turn(app, sent, session.task, patience) if patience and sent.id else sent)


def steer_at(app: "App", name: str, text: str) -> None:
    """Correct what is at work there, and say when that takes effect."""
    done = app.steering.steer(app.actor, name, text)
    session = done.session
    document: dict[str, Any] = {"status": "accepted", "id": done.id, "takes_effect": done.takes_effect}
    document |= {"key": session.key, "number": session.number, "run": session.run, "task": session.task}
    show(document, f"accepted {done.id}: takes effect {done.takes_effect}")
