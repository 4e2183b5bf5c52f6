"""The one table of settings: every key that `clawfiles.toml` may hold. The reader, the hints for typing errors and
`docs/reference/settings.md` are all made from it."""

from claw_files.config.toml_lines import Path
from claw_files.core.model import Value


class Setting(Value, frozen=True):
    """One key. A `*` in its name stands for a name that the user chooses."""

    name: str
    form: str  # a key of `forms.FORMS`
    default: object = None  # as written in TOML; None: none, see `meaning`
    meaning: str = ""

    @property
    def path(self) -> Path:
        return tuple(self.name.split("."))


def _of(section: str, *rows: tuple[str, str, object, str]) -> list[Setting]:
    return [
        Setting(name=f"{section}.{key}", form=form, default=default, meaning=text) for key, form, default, text in rows
    ]


TABLE: tuple[Setting, ...] = (
    *_of(
        "workspace",
        ("coordinator", "agent", None, "The agent that owns the ledger, HEARTBEAT.md. Required."),
        ("monitor", "agent", None, "The agent that receives alerts first; default: the coordinator."),
        ("timezone", "zone", "UTC", "Time zone of schedules, and of times in files that name no zone."),
        ("prefix", "prefix", "TC", "New tasks are TC-1, TC-2, ..."),
        ("ledger", "path", "HEARTBEAT.md", "Path of the ledger."),
    ),
    *_of(
        "agents.*",
        ("kind", "kind", "named", "named: persistent, messaged. worker: spawned for one task. human: a person."),
        ("reports_to", "agent", None, "Who receives its escalations. Default: the coordinator; for it, a person."),
        ("takes", "texts", [], "Task types that the agent may claim, and receive without a route."),
        ("runtime", "runtime", None, "How the agent is woken; default: command if `command` is set, otherwise inbox."),
        ("session", "text", None, "The session, in which runs are serial. Default: agent:NAME:main."),
        ("runs", "positive", None, "Most runs of the agent at once. Default: 1; for a worker, limits.runs."),
        ("command", "command", [], "What to run; fills in {workspace}, {task}, {message_file}, {run_dir}, {model}."),
        ("message", "message", "stdin", "How the command receives its message."),
        ("env", "variables", [], "Variables it receives in addition to PATH, HOME, LANG, TZ and CLAWFILES_*."),
        ("timeout", "length", "30m", "A run that takes longer is stopped."),
        ("workspace", "text", None, "Its own folder, if it has one; status/ in it is read as its reports."),
        ("model", "text", None, "The model that the agent uses, for limits and the journal."),
        ("quiet_hours", "windows", [], "Additional quiet windows, in the zone of [quiet_hours]."),
        ("compartment", "flag", False, "Keep the agent's work in compartments/NAME, hidden from other agents."),
        ("channels", "channels", [], "How to reach a person: file:PATH, apprise addresses, env:NAME, addresses:FILE."),
        ("ping", "ping", "process", "Health check. process: check its program or run. turn: ask it, in a run."),
        ("openclaw_agent", "text", None, "The agent's id in OpenClaw. Default: the id in its session, agent:ID:..."),
        ("permissions", "permissions", "approve-reads", "Which requests of an ACP agent are granted, in its folder."),
        ("profile", "text", None, "The profile that limits the agent's commands and confines its runs."),
    ),
    *_of(
        "profiles.*",
        ("commands", "commands", None, "The permitted commands; `task` includes all `task` commands. Default: all."),
        ("model", "text", None, "The model of agents without a `model`."),
        ("env", "variables", None, "The permitted variables; others in an agent's `env` are dropped."),
        ("cwd", "folder", None, "Working folder; {agent} and {label} are filled in. Default in a sandbox: work/NAME."),
        ("timeout", "length", None, "Upper limit for the timeout of agents and spawns."),
        ("memory", "bytes", None, "Memory limit of each process of a run."),
        ("sandbox", "sandbox", "off", "prefer: use a sandbox if bubblewrap works. require: never run without one."),
        ("network", "flag", True, "false: no network in the sandbox, not even to this machine."),
        ("read", "reads", [], "Paths readable in the sandbox besides the system, the workspace and the program."),
    ),
    *_of(
        "routes.*",
        ("to", "agents", [], 'Agents for this type, in order; later ones are fallbacks, "self" is the coordinator.'),
        ("how", "how", None, "Default: workers are spawned, other agents receive a message."),
        ("size", "size", None, "Time limit of spawned runs: S 300 s, M 600 s, L 1200 s."),
        ("review", "agent", "none", "Who approves: none, coordinator, or an agent's name."),
        ("verify", "command", [], "A command, run in the workspace, that must succeed before the task counts as done."),
        ("model", "text", None, "The model for tasks of this type, unless the task names one. Default: the agent's."),
        ("pool", "flag", False, "Choose the named agent in `to` with the least work."),
        ("cache", "length", None, "Reuse the verified result of the same spawn for this long."),
        ("batch", "positive", None, "Items per message of `spawn --items`. Default: 10."),
    ),
    *_of(
        "heartbeat",
        ("check", "ladder", "30m", "Interval to the next check. The last value of a list repeats."),
        ("announce_gap", "pause", "5m", "Shortest interval between progress or critical announcements about one task."),
        ("ack", "length", "5m", "Time within which a message must be acknowledged."),
        ("silent", "length", "45m", "Send a reminder after this long in progress without an update."),
        ("lease", "length", "90m", "How long a claim is valid before the holder is checked."),
        ("sends", "positive", 2, "Most deliveries of one message."),
        ("attempts", "positive", 3, "Failed attempts before the task moves to dead-letter/."),
        ("backoff", "pause", "2s", "Pause before the second attempt; doubles with each failure, plus jitter."),
        ("auto", "flag", False, "Also delegate ready tasks of the backlog."),
        ("archive", "pause", "7d", "Age at which closed tasks move to status/archive/."),
    ),
    *_of(
        "retention",
        ("compress_after", "pause", "7d", "How long after its end a month is moved into an archive."),
        ("delete_after", "pause", "0", "How long after the end of its month an archive is deleted; 0: never."),
    ),
    *_of(
        "quiet_hours",
        ("windows", "windows", [], "When announcements to people are held back; a brief follows at the end."),
        ("timezone", "zone", None, "Time zone of the windows. Default: the workspace's."),
        ("critical_passes", "flag", True, "Deliver critical announcements during quiet hours."),
    ),
    *_of(
        "notify",
        ("timeout", "length", "15s", "Time limit for the delivery to one address."),
        ("backoff", "length", "30s", "Pause after a failed delivery; doubles with each failure, up to 15m."),
        ("alert", "length", "10m", "Report a channel up the escalation chain, once a day, after failing this long."),
        ("give_up", "length", "1d", "Stop trying after this long; the message moves to outbox/failed/."),
    ),
    *_of(
        "limits",
        ("runs", "positive", 4, "Most runs at once, overall."),
        ("depth", "count", 1, "Depth of nested spawns; 1: a worker cannot spawn."),
        ("children", "positive", 5, "Most open spawns of a task or session; of coordinator and people only in runs."),
        ("spawns_per_minute", "positive", 10, "Most spawns per minute, overall."),
        ("unread", "positive", 100, "Most unread messages of one sender in one inbox; more are refused."),
        ("wakes", "positive", 50, "Most runs that can follow from one message; then no agent is woken for it."),
        ("per_model.*", "rate", None, "Rate limit for runs with this model, such as 15/min."),
        ("breaker", "positive", 3, "Failed tasks in a row, each counted once, that open an agent's circuit breaker."),
        ("breaker_pause", "pause", "10m", "How long the breaker stays open; then one attempt is made."),
    ),
    *_of(
        "budgets",
        ("month", "money", None, "Budget of all agents for a calendar month. Default: no limit."),
        ("currency", "text", "USD", "Label of amounts. Amounts are not converted; agents report US dollars."),
        ("agents.*", "money", None, "Budget of one agent for a month. When it is used up, the agent's messages wait."),
    ),
    *_of(
        "prices.*",
        ("input", "money", None, "Price of a million input tokens, for work whose cost is not reported. Required."),
        ("output", "money", None, "Price of a million output tokens. Required."),
        ("cached", "money", None, "Price of a million cached input tokens. Default: the price of `input`."),
    ),
    *_of(
        "daemon",
        ("rescan", "length", "30s", "Interval of a full scan of the watched folders, in addition to events."),
        ("watch", "watch", "auto", "auto: use events, or poll where the file system sends none."),
        ("drain", "pause", "60s", "How long a stopping daemon waits for running work."),
        ("sync", "pause", "30m", "Interval of the doctor, which repairs unambiguous problems; 0: never."),
        ("metrics", "text", None, "File for metrics in Prometheus text format. Default: none."),
    ),
    *_of(
        "health",
        ("every", "pause", "5m", "Interval of the health check of each agent; 0: never."),
        ("answer", "length", "10s", "Time limit for an answer."),
    ),
    *_of(
        "schedules.*",
        ("cron", "cron", None, "Five fields in the workspace's time zone, or @hourly, @daily, @weekly, ... Required."),
        ("do.spawn", "texts", [], "Workers to spawn at each due time; a name given twice is spawned twice."),
        ("do.combine", "agent", None, "Who receives the combined results. Default: the coordinator."),
        ("do.event", "text", None, "The type of the event to emit."),
        ("do.task", "text", None, "The title of the task to create."),
        ("do.workflow", "text", None, "The workflow to run."),
        ("do.with", "pairs", {}, "Inputs of the workflow; `{item}` is replaced. `text` is its input `text`."),
        ("do.text", "wording", [], "The instructions; a list has one text for each worker in `spawn`."),
        ("do.items", "texts", [], "Repeat for each item; `{item}` in title and text is replaced."),
        ("do.type", "text", None, "The type of the new tasks. Default for spawns: the worker's name."),
        ("catch_up", "catch_up", "once", "After downtime: run the latest missed time once, or skip it."),
    ),
    *_of(
        "sources.*",
        ("every", "length", "5m", "Interval of the polls; a source that fails is polled less often, once an hour."),
        ("type", "event_type", None, "The type of its events. Default: the name of the source."),
        ("key", "wording", "id", "The field, or fields, of a record by which it counts once; not for `files`."),
        ("limit", "length", "2m", "A poll that takes longer is stopped, and has failed."),
        ("command", "command", [], "What to run: it prints a JSON object a line, and at the end its cursor."),
        ("env", "variables", [], "Variables that the command receives in addition, as agents do."),
        ("sql", "text", None, "A SELECT whose rows are the records, in the order of the cursor."),
        ("url_env", "variable", None, "The variable with the address of the database, as SQLAlchemy has it."),
        ("cursor", "texts", [], "Columns by which the rows are ordered; `:NAME` in `sql` is the value read last."),
        ("start", "scalars", [], "The values of the cursor for the first poll."),
        ("overlap", "pause", "10m", "How far the next poll goes back, if the first column of the cursor is a time."),
        ("files", "path", None, "A pattern in the workspace, such as drop/*.pdf: each new file is an event."),
        ("by", "by", "time", "time: a file with another size or time is new. content: one with another content."),
    ),
    *_of(
        "webhooks.*",
        ("scheme", "scheme", None, "Who signs the requests to /hooks/NAME, and how; hmac: anybody else. Required."),
        ("secret_env", "secrets", None, "The variable with the secret; a list of two while it is changed. Required."),
        ("type", "event_type", None, "The type of its events. Default: github.EVENT, or NAME.TYPE of the payload."),
        ("header", "text", None, "The header with the signature, for scheme hmac."),
        ("key", "text", None, "The field of the payload whose value counts once. Default: the scheme's id."),
    ),
    *_of(
        "workflows",
        ("runs", "positive", 20, "Most open runs of workflows; further ones wait in the backlog."),
        ("tasks", "positive", 20_000, "Most tasks that one run may make; then nothing of it begins any more."),
        ("depth", "positive", 3, "How deep workflows may nest."),
        ("at_once", "positive", 100, "The largest `at once` that a workflow may have."),
    ),
    *_of(
        "workflows.*",
        ("use", "positive", None, "The version that runs of this workflow follow. Default: the file as it is."),
        ("split", "shares", [], "Versions with their shares of the runs in percent: { 2 = 50, 3 = 50 }."),
    ),
    *_of(
        "events",
        ("keep", "length", "30d", "How long the key of an event is remembered, at least."),
    ),
    *_of(
        "events.*",
        ("do.spawn", "wording", [], "The worker, or a list of workers, to spawn for each event of this type."),
        ("do.task", "text", None, "The title of the task to create."),
        ("do.workflow", "text", None, "The workflow to run; a workflow can also name the type in `starts on`."),
        ("do.text", "text", None, "The instructions of the task or the worker."),
        ("do.type", "text", None, "The type of the new tasks. Default for spawns: the worker's name."),
        ("with", "pairs", {}, 'Which field each input takes, such as { customer = "data.customer.id" }.'),
        ("at_once", "positive", 5, "Most events of this type at work at once; more wait."),
        ("priority", "priority", None, "Which types are taken first, and the priority of the new tasks."),
    ),
    *_of(
        "words",
        ("backlog", "texts", [], "Additional words for this state in files; file-format.md lists the built-in words."),
        ("in_progress", "texts", [], 'Additional words, such as in_progress = ["en cours"].'),
        ("review", "texts", [], "Additional words."),
        ("done", "texts", [], 'Additional words, such as done = ["terminé"]. A word of another state is an error.'),
        ("blocked", "texts", [], "Additional words."),
        ("failed", "texts", [], "Additional words."),
        ("cancelled", "texts", [], "Additional words."),
    ),
    *_of(
        "openclaw",
        ("url", "gateway", "ws://127.0.0.1:18789", "The address of the gateway."),
        ("token_env", "variable", "OPENCLAW_GATEWAY_TOKEN", "The variable that holds the gateway's token."),
        ("token_file", "text", None, "A file with mode 0600 that holds the token, if the variable is not set."),
    ),
    *_of(
        "serve",
        ("auth", "auth", "token", "token: callers send a token. loopback: any local process can act as any agent."),
        ("hosts", "hosts", [], "Additional names with port that are accepted in `Host`."),
    ),
)  # fmt: skip

NAMED = (
    "agents",
    "profiles",
    "routes",
    "prices",
    "schedules",
    "sources",
    "webhooks",
    "workflows",
    "events",
)  # tables of tables with names that the user chooses
_NAMED_INSIDE = (("limits", "per_model"), ("budgets", "agents"))

SETTINGS: dict[Path, Setting] = {setting.path: setting for setting in TABLE}


def pattern(path: Path) -> Path:
    """The path as the table names it: ("agents", "peter", "kind") becomes ("agents", "*", "kind")."""
    if len(path) > 1 and path[0] in NAMED:
        return (path[0], "*", *path[2:])
    return (*path[:2], "*", *path[3:]) if path[:2] in _NAMED_INSIDE and len(path) > 2 else path


def children(path: Path) -> dict[str, Setting | None]:
    """The names that may stand in the table at `path`, with their setting; None for tables. `*` is any name."""
    here = pattern(path)
    found: dict[str, Setting | None] = {}
    for row, setting in SETTINGS.items():
        if row[: len(here)] == here and len(row) > len(here):
            found[row[len(here)]] = setting if len(row) == len(here) + 1 else None
    return found
