"""The table of operations and commands: every interface is built from these rows.

A row says which function does the work (its signature declares the arguments, see `fields`; its docstring is the help),
which commands call it and whose right each is, and how HTTP and MCP offer it. The module is plain data: the
configuration and the rules read the rights from it, and help loads no service.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

# --- whose business a command is

BOARD = "board"  # moves tasks. No worker may: its spawner looks at the result, then moves the task
OFFICE = "office"  # everything else that an agent does in the workspace
MACHINE = "machine"  # about this machine and all agents. The daemon carries out none of it for a run in a sandbox

# --- the parts of `clawfiles --help`

PARTS = START, TASKS, MESSAGES, WORK, LOOK, OPERATE, _ = "Start", "Tasks", "Messages", "Workers", "Look", "Operate", ""


class CommandRow(NamedTuple):
    """A command of the shell. Where `function` is "", the operation's function does the work."""

    name: str  # "task list": a profile permits it by this name
    right: str
    part: str = ""  # of the help; "" for a command of a group
    says: str = ""  # one line; "" for the operation's
    function: str = ""  # "module:name" in operations/; "cli.module:name" is a click command


class GroupRow(NamedTuple):
    """Commands under one word, which names none itself; `inbox` alone is a command, too."""

    part: str
    right: str
    says: str
    example: str


class HttpRoute(NamedTuple):
    """A method and a path of HTTP that perform the operation."""

    method: str
    path: str  # names in braces are arguments
    name: str  # the description's operationId
    gives: str  # the name of a schema of the answers
    says: str = ""  # one line; "" for the operation's
    fixed: Mapping[str, object] = {}  # arguments that this route sets
    without: tuple[str, ...] = ()  # arguments that are not taken here
    status: int = 200
    is_mine: bool = False  # is about whoever asks, who has to be known
    is_open: bool = False  # needs no token
    is_keyed: bool = False  # `Idempotency-Key` is the argument `key`, which is kept on disk

    @property
    def changes(self) -> bool:
        """Whether it may change something: no GET does."""
        return self.method != "GET"

    @property
    def names(self) -> list[str]:
        """The names in braces in the path."""
        return [part[1:-1] for part in self.path.split("/") if part.startswith("{")]

    @property
    def hidden(self) -> frozenset[str]:
        """The arguments of the operation that nobody gives by name."""
        return frozenset((*self.names, *self.fixed, *self.without))

    @property
    def has_revision(self) -> bool:
        """Whether `If-Match` and `If-None-Match` are looked at: where something is shown, or a task changed."""
        return "task" in self.names if self.changes else self.name != "events"

    @property
    def is_task(self) -> bool:
        """Whether a task is answered, with its revision in `ETag`."""
        return self.gives in ("Task", "WholeTask")

    @property
    def takes_agent(self) -> bool:
        """Whether `agent` beside the arguments says who asks."""
        return self.changes or self.is_mine


class McpResource(NamedTuple):
    """What MCP shows under an address."""

    name: str
    says: str
    arguments: Mapping[str, object] = {}


class Operation(NamedTuple):
    """One thing that can be asked for. Its name is that of the MCP tool; "" where only the shell has it."""

    name: str
    function: str  # "module:name" in operations/
    says: str  # when to use it, for models and for people
    commands: tuple[CommandRow, ...]  # the first one's right is the operation's
    http: tuple[HttpRoute, ...] = ()
    changes: bool = True
    rights: Mapping[str, Mapping[object, str]] = {}  # argument: its values that need another command's right
    is_tool: bool = True
    quoted: str = ""  # the key of texts that others wrote, which a tool marks as data
    resource: McpResource | None = None

    @property
    def command(self) -> str:
        return self.commands[0].name

    def right(self, asked: Mapping[str, object]) -> str:
        """The command whose right these arguments need."""
        found = (commands.get(asked.get(name)) for name, commands in self.rights.items())
        return next((command for command in found if command), self.command)


def _move(name: str, command: str, says: str, **more: Any) -> Operation:
    """A row of `move_operations`, whose function has the command's name."""
    return Operation(name, f"move_operations:{command}", says, (CommandRow(command, BOARD, TASKS),), **more)


def _task(name: str, function: str, says: str, *commands: CommandRow, **more: Any) -> Operation:
    return Operation(name, f"task_operations:{function}", says, commands, **more)


def _message(name: str, function: str, says: str, *commands: CommandRow, **more: Any) -> Operation:
    return Operation(name, f"message_operations:{function}", says, commands, **more)


def _session(name: str, function: str, says: str, *commands: CommandRow, **more: Any) -> Operation:
    return Operation(name, f"session_operations:{function}", says, commands, **more)


def _workflow(command: str, function: str, says: str) -> CommandRow:
    return CommandRow(f"workflow {command}", OFFICE, "", says, f"workflow_operations:{function}")


# fmt: off
_NEW = HttpRoute("POST", "/api/tasks", "newTask", "Task", status=201)
_LIST = HttpRoute("GET", "/api/tasks", "listTasks", "Tasks")
_SHOW = HttpRoute("GET", "/api/tasks/{task}", "showTask", "WholeTask")
_CLAIMS = (
    HttpRoute("POST", "/api/tasks/{task}/claim", "claimTask", "Lease",
          "Claim a task; exactly one agent gets it. A holder that sends its generation renews the lease.",
          without=("next", "type")),
    HttpRoute("POST", "/api/claim", "claimNext", "Lease", "Claim the best task that is ready for you.", {"next": True},
          without=("task", "generation")),
)
_DELEGATE = HttpRoute("POST", "/api/tasks/{task}/delegate", "delegateTask", "Delegated")
_SEND = HttpRoute("POST", "/api/messages", "sendMessage", "Sent",
              "Send a message; returns immediately. Accepted: the message is durably in the inbox.")
_ANSWER = HttpRoute("POST", "/api/messages/{id}/answer", "answerMessage", "Sent")
_INBOX = (
    HttpRoute("GET", "/api/inbox", "inbox", "Messages", "Your new messages, oldest first; they stay unread.",
          {"action": "peek"}, ("id", "timeoutSeconds"), is_mine=True),
    HttpRoute("POST", "/api/inbox/read", "readInbox", "Messages",
          "Your new messages, oldest first; marks them as read.", {"action": "read"}, ("id", "timeoutSeconds")),
    HttpRoute("POST", "/api/messages/{id}/done", "finishMessage", "Finished", "Finish a message.",
          {"action": "done"}, ("timeoutSeconds",)),
)

_WORKFLOWS = (
    HttpRoute("GET", "/api/workflows", "listWorkflows", "Workflows", "The workflows, and how many problems each has.",
              {"action": "list"}, ("name", "text", "inputs", "run", "key")),
    HttpRoute("POST", "/api/workflows/check", "checkWorkflow", "Checked", "Everything that is wrong with a workflow.",
              {"action": "check"}, ("inputs", "run", "key")),
    HttpRoute("POST", "/api/workflows/{name}/runs", "runWorkflow", "Task",
              "Begin a run of a workflow, or of a whole `text`; `Idempotency-Key` begins it once, for good.",
              {"action": "run"}, ("run", "key"), 201, is_keyed=True),
    HttpRoute("GET", "/api/flows/{run}", "showRun", "WorkflowRun", "How far each step of a run is.",
              {"action": "show"}, ("name", "text", "inputs", "key")),
)

_STEPS_TEXT = """\
Have work done in steps, without waiting: you receive the end. `check` says what is wrong with a `text`; `run` begins \
it. Each step is a heading, a list, an empty line, and the message. `inputs` are \
like topic=solar:
## read
- to: AGENT; for each: a.md, b.md; enough: 60%; makes: {item.stem}.txt

Summarize {item}

## judge
- to: AGENT; after: read; choices: good, bad; within: 1h, else bad

Judge {read.files}. Missing: {read.failed}

## again
- after: judge = bad; again from: read, at most 2

{judge.says}"""

_ROWS = (
    _task("task_new", "new", "Create a task; `to` delegates it. Lengths are like 30m.",
          CommandRow("task new", BOARD), http=(_NEW,)),
    _task("task_list", "list_tasks", "List tasks: all, of one status, or of one agent.",
          CommandRow("task list", OFFICE), changes=False, http=(_LIST,)),
    _task("task_show", "show", "Show a task with its text and state.", CommandRow("task show", OFFICE),
          changes=False, http=(_SHOW,), quoted="body"),
    _task("task_claim", "claim", "Claim a task before working on it, or `next`: the best one ready for you.",
          CommandRow("claim", BOARD, TASKS), http=_CLAIMS),
    _move("task_progress", "progress", "Report progress; renews your lease, resumes a blocked task."),
    _move("task_beat", "beat", "Renew your lease and change nothing else.",
          is_tool=False),  # a model calls `task_progress` without a note
    Operation("task_done", "move_operations:done", "Finish your task; `review` requests a review.", (
        CommandRow("done", BOARD, TASKS, "Finish a task you hold."),
        CommandRow("review", BOARD, TASKS, "Finish a task you hold and ask for a review.", "move_operations:review"),
    ), rights={"review": {True: "review"}}),
    _move("task_fail", "fail", "Give up this attempt, with the reason."),
    _move("task_block", "block", "Block a task and note what is missing."),
    _move("task_unblock", "unblock", "Unblock a task; its holder continues."),
    _move("task_comment", "comment", "Add a note to any task.", is_tool=False),  # rarely needed
    _move("task_need", "need", "Block your task until an agent answers."),
    _move("task_release", "release", "Return your task to the backlog."),
    _move("task_approve", "approve", "Accept a task in review."),
    _move("task_reopen", "reopen", "Send a finished task back, with the reason."),
    _move("task_cancel", "cancel", "Cancel a task and stop its runs."),
    _move("", "requeue", "Move a task from dead-letter/ back to the backlog."),
    _move("", "archive", "Move old closed tasks to status/archive/."),
    _task("task_delegate", "delegate", "Assign a task to an agent; without `to` its route decides.",
          CommandRow("delegate", BOARD, TASKS), http=(_DELEGATE,)),
    _task("board", "board", "Show all tasks by state.", CommandRow("board", OFFICE, TASKS), changes=False,
          is_tool=False, resource=McpResource("board", "All tasks by state.")),
    _message("message_send", "send", "Send a message; returns immediately.",
             CommandRow("send", OFFICE, MESSAGES),
             CommandRow("ask", OFFICE, MESSAGES, "Ask an agent a question; the answer arrives in your inbox.",
                        "message_operations:ask"),
             http=(_SEND,), is_tool=False),
    _message("sessions_send", "sessions_send", "Message an agent or person; timeoutSeconds waits for the reply. "
             "Work is a task, not a message.",
             CommandRow("sessions send", OFFICE, function="message_operations:send_to_session"), quoted="reply"),
    _session("sessions_spawn", "spawn", "Start a worker for one task; needs label and size (S 5, M 10, L 20 min). "
             "You receive the result.",
             CommandRow("spawn", OFFICE, WORK, "Start a worker for one task, in its own run.")),
    _session("sessions_list", "list_sessions", "List agents and workers with their status.",
             CommandRow("sessions list", OFFICE), changes=False, quoted="text"),
    _session("sessions_history", "history", "Show a session's messages, output and result.",
             CommandRow("sessions history", OFFICE), changes=False, quoted="text"),
    _session("", "close", "Close a worker's session.", CommandRow("sessions close", OFFICE)),
    _session("subagents", "subagents", "List, correct or stop running workers.",
             CommandRow("subagents list", OFFICE, function="session_operations:list_subagents"),
             CommandRow("subagents steer", OFFICE, function="message_operations:steer"),
             CommandRow("subagents kill", OFFICE, function="session_operations:kill"),
             rights={"action": {"steer": "subagents steer", "kill": "subagents kill"}}),
    _message("inbox", "inbox", "Your new messages; `done` finishes one.",
             CommandRow("inbox", OFFICE, MESSAGES, "Read your new messages.", "message_operations:read_inbox"),
             CommandRow("inbox done", OFFICE, "", "Finish a message.", "message_operations:finish_message"),
             http=_INBOX, rights={"action": {"done": "inbox done"}},
             resource=McpResource("inbox", "Your new messages, which stay unread.", {"action": "peek"})),
    _message("answer", "answer", "Answer a question from your inbox.", CommandRow("answer", OFFICE, MESSAGES),
             http=(_ANSWER,)),
    Operation("checkpoint", "checkpoint_operations:checkpoint", "Show or save what you need after a restart.", (
        CommandRow("checkpoint show", OFFICE, function="checkpoint_operations:show"),
        CommandRow("checkpoint save", OFFICE, function="checkpoint_operations:save"),
        CommandRow("checkpoint resume", OFFICE, function="checkpoint_operations:resume"),
    ), rights={"action": {"save": "checkpoint save"}},
             resource=McpResource("checkpoint", "What you need to resume after a restart.")),
    Operation("", "flow_operations:list_flows", "List trees of spawned tasks.", (CommandRow("flow list", OFFICE),)),
    Operation("", "flow_operations:cancel_flow", "Cancel a tree of tasks.", (CommandRow("flow cancel", BOARD),)),
    Operation("workflow", "workflow_operations:workflow", _STEPS_TEXT, (
        _workflow("list", "list_workflows", "List the workflows."),
        _workflow("check", "check", "Say what is wrong with a workflow."),
        _workflow("run", "run", "Begin a run of a workflow."),
        _workflow("show", "show", "Show how far a run is."),
    ), http=_WORKFLOWS, quoted="why", rights={"action": {
        "check": "workflow check", "run": "workflow run", "show": "workflow show", "cancel": "cancel",
        "resume": "workflow resume"}}),
    Operation("", "workflow_operations:new", "", (
        _workflow("new", "new", "Write a new workflow, from a ready one if you want."),)),
    Operation("", "workflow_operations:graph", "", (_workflow("graph", "graph", "Show the steps of a workflow."),)),
    Operation("", "workflow_operations:resume", "", (
        _workflow("resume", "resume", "Let a run that has ended go on."),
        CommandRow("workflow cancel", BOARD, "", "Cancel a run.", "workflow_operations:cancel_run"))),
    Operation("", "workflow_operations:versions", "", (
        _workflow("versions", "versions", "List the versions of a workflow."),)),
    Operation("", "workflow_operations:compare", "", (
        _workflow("compare", "compare", "Compare two versions of a workflow."),)),
    Operation("event_emit", "event_operations:emit", "Emit an event; what handles its type starts.",
              (CommandRow("event emit", BOARD),),
              http=(HttpRoute("POST", "/api/events", "emitEvent", "Emitted", status=202),)),
    Operation("", "event_operations:list_events", "List events.", (CommandRow("event list", OFFICE),)),
    Operation("", "event_operations:replay", "Handle an event once more.", (CommandRow("event replay", BOARD),)),
)

OTHER_COMMANDS = (
    CommandRow("init", MACHINE, START, "Create or complete a workspace; changes no existing file.", "cli.init:init"),
    CommandRow("trust", MACHINE, START, "Trust a workspace that other users can write to.",
            "cli.trust:trust"),
    CommandRow("demo", MACHINE, START, "Run a simulated workday with real agent processes.", "cli.demo:demo"),
    CommandRow("heartbeat", MACHINE, OPERATE, "Run one tick, for cron: read, decide, act, exit.",
               "cli.heartbeat:heartbeat"),
    CommandRow("simulate", MACHINE, OPERATE, "Show what the heartbeat does in the coming hours.",
               "cli.heartbeat:simulate"),
    CommandRow("daemon run", MACHINE, "", "Run the heartbeat until SIGTERM.", "cli.daemon:run"),
    CommandRow("daemon status", MACHINE, "", "Show the daemon's status.", "cli.daemon:status"),
    CommandRow("daemon stop", MACHINE, "", "Stop the daemon.", "cli.daemon:stop"),
    CommandRow("brief", OFFICE, LOOK, "Show the announcements that quiet hours held back.", "cli.heartbeat:brief"),
    CommandRow("explain", OFFICE, LOOK, "Explain a task's state and what happens next.",
               "cli.heartbeat:explain"),
    CommandRow("route", OFFICE, LOOK, "Explain which agent gets a task, or tasks of a type.", "cli.inspection:route"),
    CommandRow("log", OFFICE, LOOK, "Show the journal.", "cli.inspection:log"),
    CommandRow("cost", OFFICE, LOOK, "Show what work has cost, against the budgets.", "cli.spending:cost"),
    CommandRow("stats", OFFICE, LOOK, "Show how long tasks take, how they end and where they wait.",
               "cli.spending:stats"),
    CommandRow("doctor", MACHINE, OPERATE, "Check the workspace; --repair fixes what is unambiguous.",
               "cli.doctor:doctor"),
    CommandRow("probe", MACHINE, OPERATE, "Send an agent a test task and report whether it acts.", "cli.doctor:probe"),
    CommandRow("agents probe", MACHINE, "", "Send an agent a test task and report whether it acts.",
               "cli.doctor:agents_probe"),
    CommandRow("prime", OFFICE, LOOK, "Print an agent's instructions for this workspace.", "cli.inspection:prime"),
    CommandRow("serve", MACHINE, OPERATE, "Serve the board over HTTP on this machine.", "cli.serve:serve"),
    CommandRow("token", MACHINE, OPERATE, "Create an API token for an agent.", "cli.token:token"),
    CommandRow("mcp", MACHINE, OPERATE, "Serve the workspace to models over MCP.", "cli.mcp:mcp"),
    CommandRow("install cron", MACHINE, "", "Install the heartbeat as a cron job.", "cli.install:cron"),
    CommandRow("install systemd", MACHINE, "", "Install the daemon as a systemd unit.", "cli.install:systemd"),
    CommandRow("completion", MACHINE, OPERATE, "Print the completion script for a shell.", "cli.install:completion"),
)
"""The commands that are no operations, because they are about the machine, or only look: click commands."""

GROUPS = {
    "task": GroupRow(TASKS, OFFICE, "Create, list and show tasks.",
                  'clawfiles task new "API security review" --type code-review --agent sam'),
    "sessions": GroupRow(WORK, OFFICE, "List agents at work, read their history, send them a message.",
                      "clawfiles sessions list --kinds subagent --active-minutes 30"),
    "subagents": GroupRow(WORK, OFFICE, "List running workers, correct or stop them.", "clawfiles subagents list"),
    "flow": GroupRow(WORK, OFFICE, "List trees of spawned tasks; cancel a whole tree.",
                  "clawfiles flow list\nclawfiles flow cancel TC-7 --agent sam"),
    "workflow": GroupRow(WORK, OFFICE, "Work in steps, each written down in one Markdown file.",
                         "clawfiles workflow check content"),
    "event": GroupRow(WORK, OFFICE, "Emit events, which start what their type is handled by; list and replay them.",
                      "clawfiles event list"),
    "checkpoint": GroupRow(WORK, OFFICE, "Save and show the notes for a restart.",
                        'clawfiles checkpoint save --completed "read the code" --pending "write it up" --agent peter'),
    "daemon": GroupRow(OPERATE, MACHINE, "Run the heartbeat continuously: run, status, stop.",
                       "clawfiles daemon run &\nclawfiles daemon status"),
    "agents": GroupRow(OPERATE, MACHINE, "Check that agents act when they are woken.",
                       "clawfiles agents probe peter"),
    "install": GroupRow(OPERATE, MACHINE, "Install the heartbeat as a cron job or a systemd unit.",
                        "clawfiles install cron --print"),
}
# fmt: on

OPERATIONS: dict[str, Operation] = {row.name: row for row in _ROWS if row.name}


_OF_ROWS = [(row, command) for row in _ROWS for command in row.commands]
COMMANDS: dict[str, CommandRow] = {
    **{it.name: it._replace(says=it.says or row.says, function=it.function or row.function) for row, it in _OF_ROWS},
    **{it.name: it for it in OTHER_COMMANDS},
}
"""All commands by name, each with its function and its line of help."""

RIGHTS: dict[str, str] = {name: row.right for rows in (COMMANDS, GROUPS) for name, row in rows.items()}
"""Whose business each command and group is."""


def row_of(name: str) -> CommandRow | GroupRow:
    """The row of a command or a group."""
    return COMMANDS.get(name) or GROUPS[name]


def begins(command: str, words: str) -> bool:
    """Whether the command is named so, or is one of the group that is; every command begins with no words."""
    return command == words or command.startswith(f"{words} ".lstrip())


def is_command(name: str) -> bool:
    """Whether a command has that name, or begins with these words."""
    return any(begins(command, name) for command in RIGHTS)
