"""Handing work and words to agents: `delegate`, `spawn`, `send`, `ask`, `answer`, `inbox`."""

from typing import TYPE_CHECKING

import click

from claw_files.cli.base import TEXT, Command, command, group, open_app, shared, show, warn

if TYPE_CHECKING:
    from claw_files.app.wiring import App
    from claw_files.services.delegation.delegation import DelegationResult
    from claw_files.services.messaging.mailbox import SendResult
    from claw_files.services.sessions.steering import SteerResult


@command("delegate", example="clawfiles delegate TC-47 --to peter --check 10:00 --agent sam")
@click.argument("task_id", metavar="TASK")
@click.option("--to", metavar="AGENT", help="Not given: the route of its type decides.")
@click.option("--check", metavar="WHEN", help="When to look at it: 10:00, +30m. Not given: `check` under [heartbeat].")
@click.option("--urgent", is_flag=True, help="The answer is needed now: its priority becomes critical.")
def delegate(task_id: str, to: str | None, check: str | None, urgent: bool) -> None:
    """Give a task to an agent: writes the ledger line, sends the message, wakes the agent. Waits for nothing."""
    from claw_files.core import instants
    from claw_files.core import text as words
    from claw_files.operations import task_moves

    app = open_app()
    at = instants.instant(check, app.clock.now(), app.workspace.zone, "--check") if check else None
    _show_delegated(app, task_moves.delegate(app, words.task_id(task_id), to, at, urgent))


@command(
    "spawn",
    example='clawfiles spawn "sum up the inbox" --label email --size S --worker research --agent sam',
)
@click.argument("text", metavar="TASK", type=TEXT)
@click.option("--label", metavar="L", help="Required: its result lies in checkpoints/subagent-L.md.")
@click.option("--size", metavar="S|M|L", help="Required: the time limit, 300, 600 or 1200 seconds.")
@click.option("--worker", metavar="NAME", help="Which worker; not needed where there is one.")
@click.option("--task", "task_id", metavar="TASK", help="Do this task, instead of a new one.")
@click.option(
    "--type", "task_type", type=TEXT, metavar="T", help="The type of the new task; its route picks the worker."
)
@click.option(
    "--timeout", "--timeoutSeconds", "timeout", metavar="LENGTH", help="Another limit than the size's: 90s, or seconds."
)
@click.option("--model", type=TEXT, metavar="M", help="The model it works with.")
@click.option("--cwd", type=TEXT, metavar="DIR", help="Where it works; not given: the agent's own folder.")
@click.option("--group", metavar="NAME", help="Spawned together with others: one combined report for all of them.")
@click.option("--of", "group_size", type=click.IntRange(1, 1000), metavar="N", help="How many the group has.")
@click.option(
    "--attempts", type=click.IntRange(1, 100), metavar="N", help="How often it may fail before it is given up."
)
@click.option("--mode", type=click.Choice(["run", "session"]), default="run", help="session: it stays.")
@click.option(
    "--runtime", metavar="R", help="The worker's own, as the configuration says, or subagent, which means it."
)
@click.option(
    "--sandbox",
    type=click.Choice(["inherit", "require"]),
    default="inherit",
    help="require: in one or not at all.",
)
@click.option("--thread", is_flag=True, help="Bind it to a channel's thread, where its runtime has threads.")
@click.option("--cleanup", type=click.Choice(["keep"]), default="keep", help="What it leaves is kept.")
@click.option(
    "--items", metavar="FILE", help="Do TASK with each line or list item of a file, in batches; - reads stdin."
)
@click.option(
    "--batch", type=click.IntRange(1, 1000), metavar="N", help="Items in one message. Not given: the route's."
)
@click.option("--no-cache", is_flag=True, help="Have it done, also where its route has a result of the same already.")
@click.option("--wait", is_flag=True, help="Wait for its result; exits 8 when it failed.")
def spawn(
    text: str,
    label: str | None,
    size: str | None,
    worker: str | None,
    task_id: str | None,
    task_type: str | None,
    timeout: str | None,
    model: str | None,
    cwd: str | None,
    group: str | None,
    group_size: int | None,
    attempts: int | None,
    mode: str,
    runtime: str | None,
    sandbox: str,
    thread: bool,
    cleanup: str,
    items: str | None,
    batch: int | None,
    no_cache: bool,
    wait: bool,
) -> None:
    """Have a worker do one task in a run of its own; its result comes to you. Label and size are its contract."""
    from claw_files.cli.wait_for_worker import wait_for_result
    from claw_files.core import text as words
    from claw_files.operations import handing_work
    from claw_files.services.delegation.delegation import SpawnOrder

    app = open_app()
    order = SpawnOrder(
        text=text,
        label=label,
        size=size,
        worker=app.settings.agent(worker).name if worker else None,
        task=words.task_id(task_id) if task_id else None,
        type=task_type,
        timeout=words.duration(timeout, "--timeout") if timeout else None,
        model=model,
        cwd=cwd,
        group=words.label(group) if group else None,
        group_size=group_size,
        attempts=attempts,
        mode=mode,
        runtime=runtime,
        sandbox=sandbox,
        cache=not no_cache,
        thread=thread,
    )
    if items or batch:
        from claw_files.cli.batches import spawn_items

        spawn_items(app, order, items, batch, wait)
        return
    place, spawned = handing_work.spawn(app, order)
    if wait:
        wait_for_result(place, spawned)
    else:
        _show_delegated(place, spawned)


def _show_delegated(app: "App", done: "DelegationResult") -> None:
    from claw_files.operations.handing_work import delegated_json
    from claw_files.policy.snapshot import standing_of

    if done.warning:
        warn(done.warning)
    told = f"accepted: {done.task} delegated to {done.agent}, check at {app.when(done.check)}"
    if done.waits_for:
        told = f"accepted: {done.task} goes to {done.agent} when this is done: {standing_of(done.waits_for)}"
    if done.cached:
        told = f"from cache: {done.task} has the result of {done.cached}, in checkpoints/subagent-{done.label}.md"
    show(delegated_json(done), told)


@command("send", example='clawfiles send peter "the staging host is back" --task TC-47 --agent sam')
@click.argument("to", metavar="AGENT")
@click.argument("text", type=TEXT)
@click.option("--task", "task_id", metavar="TASK", help="The task it is about.")
@click.option("--wait", metavar="LENGTH", help="Wait so long for an answer; without one it is still accepted.")
@click.option("--critical", is_flag=True, help="Reaches a person in quiet hours, too.")
def send(to: str, text: str, task_id: str | None, wait: str | None, critical: bool) -> None:
    """Send a message and return at once: accepted means that it is durably in the agent's inbox."""
    _send(to, text, task_id, wait, critical, question=wait is not None)


@command("ask", example='clawfiles ask iris "Which region is live?" --wait 30s --agent peter')
@click.argument("to", metavar="AGENT")
@click.argument("question", type=TEXT)
@click.option("--task", "task_id", metavar="TASK", help="The task it is about.")
@click.option("--wait", metavar="LENGTH", help="Wait so long for the answer; without one it is still accepted.")
@click.option("--critical", is_flag=True, help="Reaches a person in quiet hours, too.")
def ask(to: str, question: str, task_id: str | None, wait: str | None, critical: bool) -> None:
    """Ask an agent; the answer comes to your inbox, or here with --wait."""
    _send(to, question, task_id, wait, critical, question=True)


def _send(to: str, text: str, task_id: str | None, wait: str | None, critical: bool, question: bool) -> None:
    from claw_files.core import text as words
    from claw_files.operations import handing_work

    app = open_app()
    patience = words.duration(wait, "--wait") if wait else None
    if to.lower() not in app.settings.agents and (session := handing_work.session_named(app, to)):
        show_answered(app, handing_work.send_to_session(app, session, text, patience))
        return
    receiver, task = app.settings.agent(to).name, words.task_id(task_id) if task_id else None
    show_sent(app, handing_work.send(app, receiver, text, task, patience, critical, question))


def show_answered(app: "App", done: "SendResult | SteerResult") -> None:
    """Say what became of words to a session: a message, or a correction."""
    from claw_files.operations.handing_work import steered_json
    from claw_files.services.sessions.steering import SteerResult

    if isinstance(done, SteerResult):
        show(steered_json(done), f"accepted {done.id}: takes effect {done.takes_effect}")
    else:
        show_sent(app, done)


def show_sent(app: "App", sent: "SendResult") -> None:
    """Say what became of a message, and what was answered."""
    from claw_files.core.text import safe
    from claw_files.operations.handing_work import sent_json

    told = f"{sent.status} {sent.id or ''}".rstrip()
    told += f" until {app.when(sent.until)}" if sent.until else ""
    if sent.answer:
        told += f"\n\n{safe(sent.answer.body.strip(), 20_000, lines=True)}"
    show(sent_json(sent), told)


@command("answer", example='clawfiles answer 20260307T084500Z-peter-1f2e3d "eu-west-1" --agent iris')
@click.argument("message_id", metavar="ID")
@click.argument("text", type=TEXT)
def answer(message_id: str, text: str) -> None:
    """Answer a question from your inbox: the answer goes straight to who asked."""
    from claw_files.operations import handing_work

    app = open_app()
    show_sent(app, handing_work.answer(app, message_id, text))


@group(
    "inbox",
    example="clawfiles inbox --agent peter\nclawfiles inbox done tc-47.1 --agent peter",
    invoke_without_command=True,
)
@click.option("--wait", is_flag=True, help="Wait until there is a message.")
@click.option("--timeout", metavar="LENGTH", help="With --wait: not longer than this.")
@click.option("--peek", is_flag=True, help="Leave them unread.")
@click.pass_context
def inbox(context: click.Context, wait: bool, timeout: str | None, peek: bool) -> None:
    """Read your new messages, oldest first; read ones wait in cur/ until they are done."""
    if context.invoked_subcommand:
        return
    from claw_files.core import text as words
    from claw_files.operations import handing_work
    from claw_files.presentation import views

    patience = words.duration(timeout, "--timeout") if timeout else None
    found = handing_work.read_inbox(open_app(), peek, wait, patience)
    show([views.message_json(message) for message in found], lambda: views.inbox_text(found))


@inbox.command("done", cls=Command, example="clawfiles inbox done tc-47.1 --agent peter")
@click.argument("message_id", metavar="ID")
def inbox_done(message_id: str) -> None:
    """Finish a message: it moves to done/."""
    from claw_files.presentation import views

    app = open_app()
    message = app.messages.finish(app.actor, message_id)
    show(views.message_json(message) if shared("json") else None, f"{message.id} is done")
