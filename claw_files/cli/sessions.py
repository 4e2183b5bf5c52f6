"""`sessions list`, `history`, `send`, `close`; `subagents list`, `steer`, `kill`."""

from typing import TYPE_CHECKING

import click

from claw_files.cli.base import TEXT, Command, group, open_app, show
from claw_files.cli.delegation import show_answered

if TYPE_CHECKING:
    from claw_files.presentation.views import When
    from claw_files.services.sessions.session_list import SessionListing


@group("sessions", example="clawfiles sessions list --kinds subagent --active-minutes 30")
def sessions() -> None:
    """Who works, what they did, and a word to them: read anew from runs, inboxes and status files each time.

    A session is seen by its agent, by who spawned it, by the coordinator, by people, and by whoever names no agent.
    """


@group("subagents", example="clawfiles subagents list")
def subagents() -> None:
    """Correct or end what is at work. A number is the one in the task's id, so it never means another one later."""


# --- lists


@sessions.command("list", cls=Command, example="clawfiles sessions list --kinds main,subagent --message-limit 3")
@click.option("--kinds", type=TEXT, metavar="K,...", help="Only these: main, subagent, other.")
@click.option("--active-minutes", type=click.IntRange(min=1), metavar="N", help="Running, waiting, or changed since.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, metavar="N", help="At most N.")
@click.option(
    "--message-limit", type=click.IntRange(0, 20), default=1, show_default=True, metavar="N", help="Messages of each."
)
@click.option("--agent", metavar="A", help="Only sessions of this agent. Who looks is in CLAWFILES_AGENT.")
def list_sessions(
    kinds: str | None, active_minutes: int | None, limit: int, message_limit: int, agent: str | None
) -> None:
    """List sessions, the one that changed last first."""
    from claw_files.operations.handing_work import wanted

    app, names = open_app(), [name.strip().lower() for name in (kinds or "").split(",") if name.strip()]
    asked = wanted(app, names, active_minutes, limit, agent)
    _show_list(app.sessions.listing(app.agent, asked, message_limit), app.when, "sessions", numbered=False)


@subagents.command("list", cls=Command, example="clawfiles subagents list --active-minutes 60")
@click.option(
    "--active-minutes",
    type=click.IntRange(min=1),
    default=1440,
    show_default=True,
    metavar="N",
    help="Running, waiting, or changed since.",
)
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, metavar="N", help="At most N.")
def list_subagents(active_minutes: int, limit: int) -> None:
    """List workers, and named agents at work in a run, in the order in which they started."""
    from claw_files.operations.handing_work import wanted

    app = open_app()
    asked = wanted(app, (), active_minutes, limit, None)
    _show_list(app.sessions.subagents(app.agent, asked), app.when, "subagents", numbered=True)


def _show_list(found: "SessionListing", when: "When", name: str, numbered: bool) -> None:
    from claw_files.presentation import views

    rows = [views.session_json(it) for it in found.sessions]
    document = {"count": len(rows), name: rows, "has_more": found.more > 0}
    more = f"\n({found.more} more; say a larger --limit)" if found.more else ""
    show(document, lambda: views.sessions_text(found.sessions, when, numbered) + more)


# --- one


@sessions.command("history", cls=Command, example="clawfiles sessions history agent:research:subagent:email --limit 20")
@click.argument("name", metavar="SESSION", type=TEXT)
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, metavar="N", help="The last N.")
@click.option(
    "--max-bytes",
    type=click.IntRange(1, 8 << 20),
    default=256 << 10,
    show_default=True,
    metavar="N",
    help="Of all texts together.",
)
def history(name: str, limit: int, max_bytes: int) -> None:
    """Show all that a session left: messages, output, result, how its task moved; by key, run, number, task, label."""
    from claw_files.presentation import views

    app = open_app()
    found = app.records.history(app.agent, name, limit, max_bytes)
    show(views.history_json(found), lambda: views.history_text(found, app.when))


@sessions.command("send", cls=Command, example='clawfiles sessions send peter "Which host?" --wait 30s --agent sam')
@click.argument("name", metavar="SESSION", type=TEXT)
@click.argument("text", type=TEXT)
@click.option("--wait", metavar="LENGTH", help="Wait so long for one reply; without it the reply comes as a message.")
def send(name: str, text: str, wait: str | None) -> None:
    """Ask a session for a turn: accepted at once. A worker that stays has one for each message, in their order.

    To another worker at work it is a correction; one that ended is refused.
    """
    from claw_files.core import text as words
    from claw_files.operations import handing_work

    app = open_app()
    receiver = app.steering.receiver(app.actor, name)
    patience = words.duration(wait, "--wait") if wait else None
    show_answered(app, handing_work.send_to_session(app, receiver, text, patience))


@sessions.command("close", cls=Command, example="clawfiles sessions close mail --agent sam")
@click.argument("name", metavar="SESSION", type=TEXT)
def close(name: str) -> None:
    """End the session of a worker that stays: it takes no more messages; what it works on, it finishes.

    Of a named agent that speaks ACP, its program's session ends: its next run begins a new one.
    """
    app = open_app()
    session = app.sessions.to_steer(app.actor, name)
    if session.task is None or session.label is None:
        app.staying.close_named(app.actor, session.agent)
        show({"key": session.key, "task": None, "stays": None, "withdrawn": []}, f"closed {session.key}")
        return
    ended = app.staying.close(app.actor, session.task)
    told = f"closed {session.key}" + "".join(f"\nwithdrawn: {id}" for id in ended.withdrawn)
    show({"key": session.key, "task": ended.task.id, "stays": ended.task.session, "withdrawn": ended.withdrawn}, told)


@subagents.command("steer", cls=Command, example='clawfiles subagents steer 12 "only the last week" --agent sam')
@click.argument("name", metavar="NUMBER|LABEL|RUN", type=TEXT)
@click.argument("text", type=TEXT)
def steer(name: str, text: str) -> None:
    """Correct what is at work. Says when it takes effect: now, or at its next look into the run's steer.md."""
    from claw_files.operations import handing_work

    app = open_app()
    show_answered(app, handing_work.steer(app, name, text))


@subagents.command("kill", cls=Command, example="clawfiles subagents kill 12 --agent sam")
@click.argument("name", metavar="NUMBER|LABEL|RUN|all", type=TEXT)
def kill(name: str) -> None:
    """End a run, or all runs that you may end. Its task then goes on as after any failure; to stop that, cancel it."""
    from claw_files.core.text import safe
    from claw_files.operations.handing_work import killed_json

    app = open_app()
    killed = app.steering.kill(app.actor, name)
    lines = [
        f"stopping {it.run} of {it.agent}" + (f"; {it.task} may be tried again" if it.task else "") for it in killed
    ]
    text = safe("\n".join(lines) or "nothing runs", lines=True)
    show(killed_json(killed), text)
