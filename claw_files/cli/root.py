"""The root of the commands: a table of names, so that nothing is loaded that is not called."""

import click

from claw_files import __version__
from claw_files.cli.base import group

COMMANDS = {  # name: (where it is, what it does in one line); in the order of the help
    "init": ("claw_files.cli.init:init", "Make or complete a workspace; touches nothing that exists."),
    "trust": ("claw_files.cli.trust:trust", "Obey a workspace that others can write, or that lies inside another."),
    "demo": ("claw_files.cli.demo:demo", "Live through the example workspace's day, with real agents."),
    "task": ("claw_files.cli.task:task", "Make, list and show tasks."),
    "board": ("claw_files.cli.task:board", "Show all tasks by state."),
    "claim": ("claw_files.cli.task_moves:claim", "Take a task; exactly one agent gets it."),
    "progress": ("claw_files.cli.task_moves:progress", "Say how it goes; renews the lease."),
    "beat": ("claw_files.cli.task_moves:beat", "Renew the lease, nothing else."),
    "done": ("claw_files.cli.task_moves:done", "Finish a task you hold."),
    "review": ("claw_files.cli.task_moves:review", "Finish a task you hold and ask for a review."),
    "fail": ("claw_files.cli.task_moves:fail", "Give up this attempt, with the reason."),
    "block": ("claw_files.cli.task_moves:block", "Say what a task waits for."),
    "unblock": ("claw_files.cli.task_moves:unblock", "Let a blocked task go on, with its holder."),
    "comment": ("claw_files.cli.task_moves:comment", "Add a note to a task; it counts as nobody's word."),
    "need": ("claw_files.cli.task_moves:need", "Block a task until another agent has answered."),
    "approve": ("claw_files.cli.task_moves:approve", "Accept what is in review."),
    "reopen": ("claw_files.cli.task_moves:reopen", "Send it back to the same agent, with the reason."),
    "release": ("claw_files.cli.task_moves:release", "Give a task back to the backlog."),
    "cancel": ("claw_files.cli.task_moves:cancel", "Cancel a task; what runs for it is ended first."),
    "requeue": ("claw_files.cli.task_moves:requeue", "Bring a task back out of dead-letter/."),
    "archive": ("claw_files.cli.task_moves:archive", "Move long closed tasks to status/archive/."),
    "delegate": (
        "claw_files.cli.delegation:delegate",
        "Give a task to an agent; routes, writes the ledger line, sends.",
    ),
    "spawn": ("claw_files.cli.delegation:spawn", "Have a worker do one task in a run of its own."),
    "send": ("claw_files.cli.delegation:send", "Send a message; returns at once."),
    "ask": ("claw_files.cli.delegation:ask", "Ask an agent; the answer comes to your inbox."),
    "answer": ("claw_files.cli.delegation:answer", "Answer a question from your inbox."),
    "inbox": ("claw_files.cli.delegation:inbox", "Read your new messages."),
    "sessions": ("claw_files.cli.sessions:sessions", "Who works, what they did, and a word to them."),
    "subagents": ("claw_files.cli.sessions:subagents", "Correct or end what is at work."),
    "flow": ("claw_files.cli.flow:flow", "Trees of spawned work: list them, cancel one whole."),
    "checkpoint": ("claw_files.cli.checkpoint:checkpoint", "What an agent needs to go on after a restart."),
    "heartbeat": ("claw_files.cli.heartbeat:heartbeat", "One tick, for cron: look, decide, act, exit."),
    "daemon": ("claw_files.cli.daemon:daemon", "The heartbeat, awake: run, status, stop."),
    "brief": ("claw_files.cli.heartbeat:brief", "Show what quiet hours held back."),
    "explain": ("claw_files.cli.heartbeat:explain", "Why a task stands where it stands, and what happens next."),
    "route": ("claw_files.cli.inspection:route", "Explain who does tasks of a type."),
    "log": ("claw_files.cli.inspection:log", "Show the journal."),
    "cost": ("claw_files.cli.spending:cost", "What work has cost, against the budgets."),
    "stats": ("claw_files.cli.spending:stats", "How long work takes, how it ends, and where it waits."),
    "doctor": ("claw_files.cli.doctor:doctor", "Name what is wrong or odd in the workspace, and mend it."),
    "prime": ("claw_files.cli.inspection:prime", "Tell an agent how to work here."),
    "serve": ("claw_files.cli.serve:serve", "Serve the board over HTTP, on this machine."),
    "token": ("claw_files.cli.token:token", "Make the token by which a caller is taken for an agent."),
    "mcp": ("claw_files.cli.mcp:mcp", "Serve the workspace to models, by MCP."),
    "install": ("claw_files.cli.install:install", "Let the heartbeat run by itself."),
    "completion": ("claw_files.cli.install:completion", "Print the completion script for a shell."),
}


@group(
    "clawfiles",
    lazy=COMMANDS,
    example='clawfiles init\nclawfiles task new "API security review" --to peter --agent sam\nclawfiles board',
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="clawfiles")
def root() -> None:
    """Several agents work together through a folder of Markdown files, and no task gets lost."""
