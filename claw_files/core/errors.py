"""The errors of clawfiles, one family: each error has a stable code, an exit status and one sentence.

The CLI, HTTP and MCP adapters each translate errors in one place (`docs/reference/errors.md` lists the codes). Expected
outcomes, such as "nothing is ready", are values; only a refused request raises.
"""

from typing import ClassVar


class ClawError(Exception):
    """Base class of all errors of clawfiles. The arguments are the raw values, so an error survives pickling."""

    code: ClassVar[str] = "bug"
    exit_status: ClassVar[int] = 70

    @property
    def sentence(self) -> str:
        """The whole message: what happened, what was done despite the error, and what to type."""
        return ". ".join((str(self), *getattr(self, "__notes__", ())))

    def details(self) -> dict[str, object]:
        """The error's facts for `--json`, beside code and message."""
        return {key: value for key, value in vars(self).items() if not key.startswith("_")}


class UsageError(ClawError):
    """Wrong usage; the message says what the command accepts."""

    code, exit_status = "usage", 2


class BadId(UsageError):
    """The id is invalid or too long: only letters, digits, dot, dash and underscore are allowed."""

    code = "bad-id"

    def __init__(self, text: str, what: str = "id") -> None:
        super().__init__(text, what)
        self.text, self.what = text, what

    def __str__(self) -> str:
        form = "letters, digits, '.', '_' and '-', starting with a letter or digit, and keep it short"
        return f"{self.text[:80]!r} is not a valid {self.what}: use {form}"


class BadValue(UsageError):
    """A value has the wrong format."""

    code = "bad-value"

    def __init__(self, name: str, text: str, wanted: str) -> None:
        super().__init__(name, text, wanted)
        self.name, self.text, self.wanted = name, text, wanted

    def __str__(self) -> str:
        return f"{self.name}: {self.text[:80]!r} is not {self.wanted}"


class NoAgentNamed(UsageError):
    """A command that writes needs an agent name."""

    code = "no-agent-named"

    def __str__(self) -> str:
        return "Which agent are you? Pass --agent NAME or set CLAWFILES_AGENT."


class NotFound(ClawError):
    """The task, agent or message does not exist."""

    code, exit_status = "not-found", 3

    def __init__(self, what: str, name: str, hint: str = "") -> None:
        super().__init__(what, name, hint)
        self.what, self.name, self.hint = what, name, hint

    def __str__(self) -> str:
        return f"no {self.what} {self.name!r}" + (f"; {self.hint}" if self.hint else "")


class NothingReady(NotFound):
    """`claim --next` found no task that the agent may claim now."""

    code = "nothing-ready"

    def __init__(self, agent: str, task_type: str | None = None) -> None:
        ClawError.__init__(self, agent, task_type)
        self.agent, self.type = agent, task_type

    def __str__(self) -> str:
        return f"no task{f' of type {self.type}' if self.type else ''} is ready for {self.agent}"


class Conflict(ClawError):
    """Another agent holds the task, or another process changed the file."""

    code, exit_status = "conflict", 4

    def __init__(self, message: str, holder: str | None = None) -> None:
        super().__init__(message, holder)
        self.message, self.holder = message, holder

    def __str__(self) -> str:
        return self.message


class AlreadyClaimed(Conflict):
    """Another agent holds the task. Choose another task, or run `clawfiles explain` to see when this one is checked."""

    code = "already-claimed"

    def __init__(
        self, task: str, holder: str | None, generation: int, evidence: dict[str, object] | None = None, seen: str = ""
    ) -> None:
        """`evidence` is the place that names the holder: `path`, `line`, `at`; `seen` is the same as text."""
        ClawError.__init__(self, task, holder, generation, evidence, seen)
        self.task, self.holder, self.generation, self.evidence, self._seen = task, holder, generation, evidence, seen

    def __str__(self) -> str:
        if self.holder is None:
            return f"{self.task} is in progress but names no holder; the coordinator frees it: `clawfiles release`"
        seen = f": {self._seen}" if self._seen else ""
        return f"{self.task} is held by {self.holder} (generation {self.generation}){seen}"


class StaleGeneration(Conflict):
    """The caller's claim was superseded. Write results into a file of your own."""

    code = "stale-generation"

    def __init__(self, task: str, named: int, current: int, holder: str | None) -> None:
        ClawError.__init__(self, task, named, current, holder)
        self.task, self.named, self.current, self.holder = task, named, current, holder

    def __str__(self) -> str:
        now = f"{self.holder} holds" if self.holder else "the current one is"
        said = f"generation {self.named} of {self.task} has been superseded: {now} generation {self.current}"
        return f"{said}; run `clawfiles task show {self.task}`"


class NotYours(Conflict):
    """The task is delegated to, or held by, another agent."""

    code = "not-yours"

    def __init__(self, task: str, owner: str | None, instead: str = "") -> None:
        ClawError.__init__(self, task, owner, instead)
        self.task, self.owner, self.instead = task, owner, instead

    def __str__(self) -> str:
        return f"{self.task} belongs to {self.owner or 'no agent yet'}" + (f"; {self.instead}" if self.instead else "")


class Changed(Conflict):
    """Another process changed the file, and the request no longer applies; the other change was kept."""

    code = "changed"

    def __init__(self, path: str) -> None:
        ClawError.__init__(self, path)
        self.path = path

    def __str__(self) -> str:
        return f"another process changed {self.path} at the same time; check the file and try again"


class Refused(ClawError):
    """A rule forbids the request; the message says what to do instead, and the JSON field `rule` names the rule."""

    code, exit_status = "refused", 5

    def __init__(self, rule: str, message: str, instead: str = "") -> None:
        super().__init__(rule, message, instead)
        self.rule, self.message, self.instead = rule, message, instead

    def __str__(self) -> str:
        return self.message + (f"; {self.instead}" if self.instead else "")


class NoSandbox(Refused):
    """The run needs a sandbox, and this machine cannot provide one."""

    code = "no-sandbox"


class MoveRefused(Refused):
    """The task cannot change to that state, or this agent may not change it."""

    code = "move-refused"


class InvalidFile(ClawError):
    """A file or the configuration is invalid; it is left unchanged."""

    code, exit_status = "invalid-file", 6

    def __init__(self, path: str, problem: str, reason: str, line: int | None = None) -> None:
        super().__init__(path, problem, reason, line)
        self.path, self.problem, self.reason, self.line = path, problem, reason, line

    def __str__(self) -> str:
        return f"{self.path}{f', line {self.line}' if self.line else ''}: {self.reason} [{self.problem}]"


class InvalidConfig(InvalidFile):
    """`clawfiles.toml` is invalid; `problems` lists all problems as (line or None, sentence)."""

    code = "invalid-config"

    def __init__(self, path: str, problems: list[tuple[int | None, str]]) -> None:
        ClawError.__init__(self, path, problems)
        self.path, self.problems = path, problems

    def __str__(self) -> str:
        return "\n".join(f"{self.path}{f', line {n}' if n else ''}: {text}" for n, text in self.problems)


class NoWorkspace(InvalidFile):
    """There is no clawfiles.toml in this folder or any folder above it."""

    code = "no-workspace"

    def __init__(self, start: str) -> None:
        ClawError.__init__(self, start)
        self.start = start

    def __str__(self) -> str:
        return f"no clawfiles.toml in {self.start} or above; run `clawfiles init`, or pass the workspace with -C DIR"


class CannotRead(InvalidFile):
    """The file cannot be opened: a link, not a regular file, too large, or no permission."""

    code = "cannot-read"


class Untrusted(InvalidFile):
    """Other users can control which programs start here, through a file or folder that they own or can write to."""

    code = "untrusted"

    def __str__(self) -> str:
        return self.reason


class Busy(ClawError):
    """A lock was not released in time; the message names the holder."""

    code, exit_status = "busy", 7

    def __init__(self, what: str, holder: str = "") -> None:
        super().__init__(what, holder)
        self.what, self.holder = what, holder

    def __str__(self) -> str:
        return f"{self.what} is busy" + (f", held by {self.holder}" if self.holder else "") + "; try again"


class FilePending(Busy):
    """The file is empty or half saved and less than two seconds old: another process is writing it."""

    code = "pending"

    def __str__(self) -> str:
        return f"another process is writing {self.what}; try again"


class PortTaken(Busy):
    """Another program listens on the port."""

    code = "port-taken"

    def __init__(self, port: int) -> None:
        super().__init__(f"port {port}", "another program")

    def __str__(self) -> str:
        return f"{self.what} is in use by {self.holder}; pass --port N, or --port 0 for any free port"


class DaemonRuns(Busy):
    """Another daemon runs for this workspace."""

    code = "daemon-runs"

    def __init__(self, holder: str) -> None:
        super().__init__("daemon", holder)

    def __str__(self) -> str:
        return f"a daemon already runs here: {self.holder or 'another process'}; see `clawfiles daemon status`"


class DaemonNeeded(Busy):
    """In a sandbox all commands except those on your checkpoint go through the daemon, and no daemon answers."""

    code = "daemon-needed"

    def __init__(self, reason: str) -> None:
        ClawError.__init__(self, reason)
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"in this sandbox the command needs the daemon, and none answers ({self.reason}): start one outside "
            "with `clawfiles daemon run`; you can still write to your working folder, inbox and checkpoint"
        )


class Draining(Busy):
    """The daemon is stopping and accepts no new work; running work is finished or saved first."""

    code = "draining"

    def __init__(self, seconds: int) -> None:
        ClawError.__init__(self, seconds)
        self.seconds = seconds

    def __str__(self) -> str:
        return (
            f"the daemon is stopping and accepts no new work; it stops within {self.seconds} s; "
            "try again after that, or restart it with `clawfiles daemon run`"
        )


class CannotWrite(ClawError):
    """The disk refused the write: full, read-only, missing. Nothing was changed, unless `unknown` is true."""

    code, exit_status = "cannot-write", 6

    def __init__(self, path: str, reason: str, unknown: bool = False) -> None:
        super().__init__(path, reason, unknown)
        self.path, self.reason, self.unknown = path, reason, unknown

    def __str__(self) -> str:
        tail = "written, but may not survive a power cut" if self.unknown else "nothing was changed"
        is_all = self.unknown or not getattr(self, "__notes__", None)  # else what stands is told behind it
        return f"cannot write {self.path}: {self.reason}" + (f" ({tail})" if is_all else "")


class GatewayAway(ClawError):
    """OpenClaw's gateway does not answer, is starting, or closed the connection; try again later."""

    code, exit_status = "gateway-away", 8

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(url, reason)
        self.url, self.reason = url, reason

    def __str__(self) -> str:
        return f"OpenClaw's gateway at {self.url} does not answer: {self.reason}; check `openclaw gateway status`"


class GatewayRefused(ClawError):
    """OpenClaw's gateway refused the request; trying again does not help. `reason` says why."""

    code, exit_status = "gateway-refused", 8

    def __init__(self, what: str, reason: str, instead: str = "") -> None:
        super().__init__(what, reason, instead)
        self.what, self.reason, self.instead = what, reason, instead

    def __str__(self) -> str:
        return f"{self.what}: {self.reason}" + (f"; {self.instead}" if self.instead else "")


# By the names of the libraries: they work from any installation, and no package of our own name is asked for.
INSTALL = {
    "acp": "pip install 'agent-client-protocol>=0.12,<0.13'",
    "notify": "pip install 'apprise>=1.9'",
    "openclaw": "pip install 'websockets>=15'",
    "sql": "pip install 'SQLAlchemy>=2.0.36'",
    "web": "pip install 'starlette>=1.0.1' 'uvicorn>=0.35' 'h11>=0.16'",
    "mcp": "pip install 'mcp>=2.3' 'mcp-types>=2.3' 'anyio>=4.9' 'starlette>=1.0.1' 'uvicorn>=0.35' 'h11>=0.16'",
}


class NotInstalled(ClawError):
    """An optional library is not installed."""

    code, exit_status = "not-installed", 6

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(what, extra)
        self.what, self.extra = what, extra

    def __str__(self) -> str:
        return f"{self.what} needs a library that is not installed: {INSTALL[self.extra]}"


class RunFailed(ClawError):
    """The run failed or timed out."""

    code, exit_status = "run-failed", 8

    def __init__(self, run: str, reason: str, tail: str = "") -> None:
        super().__init__(run, reason, tail)
        self.run, self.reason, self.tail = run, reason, tail

    def __str__(self) -> str:
        return f"run {self.run} failed: {self.reason}"
