"""The names of all commands, by whose business each is. MCP tools and HTTP calls go by the same names.

A new command belongs into exactly one of the three groups; a test holds them and the command line together.
"""

BOARD = (
    *("task new", "claim", "progress", "beat", "done", "review", "fail", "block", "unblock", "need", "approve"),
    *("reopen", "comment", "release", "cancel", "requeue", "archive", "delegate", "flow cancel"),
)
"""What moves tasks. No worker may: its spawner looks at the result, then moves the task."""

OFFICE = (
    *("task", "task list", "task show", "board", "spawn", "send", "ask", "answer", "inbox", "inbox done"),
    *("sessions", "sessions list", "sessions history", "sessions send", "sessions close", "flow", "flow list"),
    *("subagents", "subagents list", "subagents steer", "subagents kill"),
    *("checkpoint", "checkpoint save", "checkpoint show", "checkpoint resume"),
    *("brief", "explain", "route", "log", "cost", "stats", "prime"),
)
"""Everything else that an agent does in the workspace."""

MACHINE = (
    *("init", "demo", "heartbeat", "daemon", "daemon run", "daemon status", "daemon stop", "doctor"),
    *("install", "install cron", "install systemd", "completion", "serve", "token", "trust", "mcp"),
)
"""What is about this machine and all agents. The daemon carries out none of it for a run in a sandbox."""

COMMANDS = (*BOARD, *OFFICE, *MACHINE)


def is_command(name: str) -> bool:
    """Whether a command has that name, or begins with these words."""
    return any(begins(command, name) for command in COMMANDS)


def begins(command: str, words: str) -> bool:
    """Whether the command is named so, or is one of the group that is."""
    return command == words or command.startswith(f"{words} ")


OWN_FOLDERS = frozenset(
    (
        *("status", "inbox", "checkpoints", "runs", "audit", "events", "dead-letter", "compartments", "quarantine"),
        *("conflicts", "briefs", "outbox", "sessions", "definitions", "wakes", ".clawfiles"),
    )
)
"""In which the workspace keeps its own files: no run in a sandbox works there."""
