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
        ("coordinator", "agent", None, "Whose ledger HEARTBEAT.md is. Must be given, and be one of the agents."),
        ("monitor", "agent", None, "Where alerts go first; the coordinator when not given."),
        ("timezone", "zone", "UTC", "The zone of bare times in files, and of schedules."),
        ("prefix", "prefix", "TC", "New tasks are TC-1, TC-2, ..."),
        ("ledger", "path", "HEARTBEAT.md", "Where the ledger lies."),
    ),
    *_of(
        "agents.*",
        ("kind", "kind", "named", "named: persistent, messaged. worker: spawned for one task. human: a person."),
        ("reports_to", "agent", None, "Who hears of its trouble. Not given: the coordinator; above that, a person."),
        ("takes", "texts", [], "Task types it may take without a route, and claim by itself."),
        ("runtime", "runtime", None, "How it is woken; not given: command where there is a `command`, else inbox."),
        ("session", "text", None, "Its lane: one run at a time in each. Not given: agent:NAME:main."),
        ("runs", "positive", None, "Of it at once. Not given: one in its session; of a worker, as limits.runs lets."),
        ("command", "command", [], "What to run; fills in {workspace}, {task}, {message_file}, {run_dir}, {model}."),
        ("message", "message", "stdin", "How the command gets its message."),
        ("env", "variables", [], "Variables it may see beside PATH, HOME, LANG, TZ and CLAWFILES_*."),
        ("timeout", "length", "30m", "A run that lasts longer is ended."),
        ("workspace", "text", None, "Where it works, if not here; its status/ there is read as its reports."),
        ("model", "text", None, "The model it works with: for limits, and for the audit."),
        ("quiet_hours", "windows", [], "Windows beside the workspace's, in the zone of [quiet_hours]."),
        ("compartment", "flag", False, "Its work lies in compartments/NAME, unseen by the others."),
        ("channels", "channels", [], "What reaches a person: file:PATH, apprise addresses, env:NAME, addresses:FILE."),
        ("ping", "ping", "process", "Health: process looks at its program or run; turn asks it, which costs a run."),
        ("openclaw_agent", "text", None, "Its id in OpenClaw. Not given: the one in its session, agent:ID:..."),
        ("permissions", "permissions", "approve-reads", "What an ACP agent may do when it asks, in its folder."),
        ("profile", "text", None, "The name of a profile: what it may do, and how its runs are confined."),
    ),
    *_of(
        "profiles.*",
        ("commands", "commands", None, "All it may use; `task` is everything that begins so. Not given: any."),
        ("model", "text", None, "The model of agents that name none."),
        ("env", "variables", None, "All the variables that its agents may see; an agent's own list is cut to these."),
        ("cwd", "folder", None, "Where it works; {agent}, {label} are filled in. Not given: in a sandbox work/NAME."),
        ("timeout", "length", None, "The longest that a run may last, whatever an agent or a spawn says."),
        ("memory", "bytes", None, "The most that each process of a run may use."),
        ("sandbox", "sandbox", "off", "prefer: where bubblewrap works. require: nowhere else."),
        ("network", "flag", True, "false: a run in the sandbox reaches nothing, not even this machine."),
        ("read", "reads", [], "What it may read in the sandbox, beside the system, the workspace and its program."),
    ),
    *_of(
        "routes.*",
        ("to", "agents", [], 'Who does tasks of this type: the next one is the fallback, "self" is the coordinator.'),
        ("how", "how", None, "Not given: workers are spawned, the others are messaged."),
        ("size", "size", None, "Time limit of what is spawned: S 300 s, M 600 s, L 1200 s."),
        ("review", "agent", "none", "Who approves: none, coordinator, or an agent's name."),
        ("verify", "command", [], "A command, run in the workspace, that must succeed before the task counts as done."),
        ("model", "text", None, "The model for tasks of this type, unless the task names one; not given: the agent's."),
        ("pool", "flag", False, "The named agents in `to` take turns: the one that has least to do comes first."),
        ("cache", "length", None, "A spawn that was answered, and verified, within this time is not run again."),
        ("batch", "positive", None, "How many items `spawn --items` puts into one message; not given: 10."),
    ),
    *_of(
        "heartbeat",
        ("check", "ladder", "30m", "Next check when nothing better is known. Of a list, the last repeats."),
        ("announce_gap", "pause", "5m", "Of one task, progress and what is critical are told at most so often."),
        ("ack", "length", "5m", "A message must be acknowledged within."),
        ("silent", "length", "45m", "In progress without a word for longer: nudge."),
        ("lease", "length", "90m", "When to look at a holder again."),
        ("sends", "positive", 2, "Of one message, at most."),
        ("attempts", "positive", 3, "Then the task goes to dead-letter/."),
        ("backoff", "pause", "2s", "Pause before the second attempt; doubled with each failure; jitter only adds."),
        ("auto", "flag", False, "Also delegate what is ready in the backlog."),
        ("archive", "pause", "7d", "The heartbeat moves closed tasks to status/archive/ after."),
    ),
    *_of(
        "retention",
        ("compress_after", "pause", "7d", "The files of a month move into its archive so long after it has ended."),
        ("delete_after", "pause", "0", "Archives are deleted so long after their month has ended; 0 for never."),
    ),
    *_of(
        "quiet_hours",
        ("windows", "windows", [], "When nothing is announced to people; what came up is told at the end."),
        ("timezone", "zone", None, "The zone of the windows; the workspace's when not given."),
        ("critical_passes", "flag", True, "Critical announcements are made even then."),
    ),
    *_of(
        "notify",
        ("timeout", "length", "15s", "How long the delivery to one address may take."),
        ("backoff", "length", "30s", "Pause after one that failed; it doubles with each failure, up to 15m."),
        ("alert", "length", "10m", "What a channel has not taken for longer is told up the chain, once a day."),
        ("give_up", "length", "1d", "After that it is tried no more, and lies in outbox/failed/."),
    ),
    *_of(
        "limits",
        ("runs", "positive", 4, "At once, overall."),
        ("depth", "count", 1, "How deep spawns may nest: 1 means that a worker cannot spawn."),
        ("children", "positive", 5, "Open spawns of one task or session; coordinator and people only inside of runs."),
        ("spawns_per_minute", "positive", 10, "Of all agents together."),
        ("unread", "positive", 100, "Messages of one agent that may wait in one inbox; another one is refused."),
        ("wakes", "positive", 50, "Runs that one message may lead to, whoever is woken on the way; then nobody is."),
        ("per_model.*", "rate", None, "Runs with this model are started at most so often: 15/min."),
        ("breaker", "positive", 3, "Tasks that fail in a row, each counted once, that stop an agent."),
        ("breaker_pause", "pause", "10m", "How long; then one attempt."),
    ),
    *_of(
        "budgets",
        ("month", "money", None, "What all agents together may cost in a calendar month; not given: no limit."),
        ("currency", "text", "USD", "How amounts are labelled. Nothing is converted: agents report US dollars."),
        ("agents.*", "money", None, "What one agent may cost in a month. A budget that is used up lets messages wait."),
    ),
    *_of(
        "prices.*",
        ("input", "money", None, "Of a million tokens in, for work whose cost is not reported. Must be given."),
        ("output", "money", None, "Of a million tokens out. Must be given."),
        ("cached", "money", None, "Of a million tokens in that came from a cache; not given: as `input`."),
    ),
    *_of(
        "daemon",
        ("rescan", "length", "30s", "How often everything that is watched is listed, whatever events have told."),
        ("watch", "watch", "auto", "auto: by events, polled where the file system tells none. Or always one of them."),
        ("drain", "pause", "60s", "How long a daemon that stops waits for what runs."),
        ("sync", "pause", "30m", "How often the doctor looks, and mends what has one meaning; 0 for never."),
        ("metrics", "text", None, "A file for Prometheus's text format; not given: none is written."),
    ),
    *_of(
        "health",
        ("every", "pause", "5m", "How often each agent is asked whether it is there; 0 for never."),
        ("answer", "length", "10s", "How long an answer may take."),
    ),
    *_of(
        "schedules.*",
        ("cron", "cron", None, "Five fields in the workspace's zone, or @hourly, @daily, @weekly, ... Must be given."),
        ("do.spawn", "texts", [], "Workers to spawn at each due time; one named twice is spawned twice."),
        ("do.combine", "agent", None, "Who gets their combined results; the coordinator when not given."),
        ("do.event", "text", None, "The type of the event to emit."),
        ("do.task", "text", None, "The title of the task to make."),
        ("do.text", "wording", [], "What is to be done, in words; a list has one for each of `spawn`."),
        ("do.items", "texts", [], "Do it with each of these, for which `{item}` stands in title and text."),
        ("do.type", "text", None, "The type of what is made; of what is spawned the worker's name when not given."),
        ("catch_up", "catch_up", "once", "After downtime: the latest missed time once, or skip it."),
    ),
    *_of(
        "words",
        ("backlog", "texts", [], "More words that mean this state in files, beside those of file-format.md."),
        ("in_progress", "texts", [], 'The same: in_progress = ["en cours"].'),
        ("review", "texts", [], "The same."),
        ("done", "texts", [], 'The same: done = ["terminé"]. A word that means another state is an error.'),
        ("blocked", "texts", [], "The same."),
        ("failed", "texts", [], "The same."),
        ("cancelled", "texts", [], "The same."),
    ),
    *_of(
        "openclaw",
        ("url", "gateway", "ws://127.0.0.1:18789", "Where the gateway listens."),
        ("token_env", "variable", "OPENCLAW_GATEWAY_TOKEN", "The variable that holds the gateway's token."),
        ("token_file", "text", None, "A file of yours alone (mode 0600) that holds the token, if no variable does."),
        ("push_ledger", "flag", False, "Copy the ledger into the coordinator's heartbeat scratch when it changes."),
    ),
    *_of(
        "serve",
        ("auth", "auth", "token", "token: who asks over HTTP shows one. loopback: all of this machine are believed."),
        ("hosts", "hosts", [], "Other names, with their port, by which callers may name this server in `Host`."),
    ),
)  # fmt: skip

NAMED = ("agents", "profiles", "routes", "prices", "schedules")  # tables of tables with names that the user chooses
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


def nearest_key(name: str, known: list[str]) -> str | None:
    """The known name that was probably meant, or None."""
    import difflib

    same = [key for key in known if key.replace("_", "") == name.lower().replace("-", "").replace("_", "")]
    return next(iter(same or difflib.get_close_matches(name.lower(), known, 1)), None)
