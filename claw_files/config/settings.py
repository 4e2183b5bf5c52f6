"""The settings: checked values of `clawfiles.toml`, which all other code can rely on."""

from collections.abc import Mapping
from datetime import time, timedelta
from typing import TYPE_CHECKING, Final, Literal

from claw_files.config.event_settings import EventSettings, Source, Webhook
from claw_files.core.errors import NotFound
from claw_files.core.model import AgentId, AgentKind, Size, Value

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from claw_files.formats.vocabulary import Vocabulary

Window = tuple[time, time]
"""From the first time up to, but without, the second; over midnight when the second is earlier; empty when equal."""

Review = str  # "none", "coordinator", or an agent's name


class WorkspaceSettings(Value, frozen=True):
    coordinator: AgentId
    monitor: AgentId
    timezone: str = "UTC"
    prefix: str = "TC"
    ledger: str = "HEARTBEAT.md"

    @property
    def zone(self) -> "ZoneInfo":
        """The time zone that bare times are read in."""
        return _zone(self.timezone)


class RuntimeTraits(Value, frozen=True):
    """The facts about a runtime for the rules. Its behaviour is in its `processes.AgentRuntime`."""

    briefing: str  # how messages reach the agent, one or two sentences for `prime`; {name} is the agent's
    is_woken: bool = True  # False: the agent reads its inbox itself, and nothing is started for its messages
    has_command: bool = False  # its runs start `command` of its configuration, so a sandbox can confine them
    is_prompted: bool = False  # our client speaks to its program: it asks for permission, and a correction is a prompt
    tidies_ledger: bool = False  # its program moves a HEARTBEAT.md out of the root of its workspace

    @property
    def is_elsewhere(self) -> bool:
        """Whether another program's processes do the work: no sandbox of ours confines them."""
        return self.is_woken and not self.has_command


RUNTIMES: Final = {
    "inbox": RuntimeTraits(
        "You are not started by clawfiles: `clawfiles inbox --wait --agent {name}`.", is_woken=False
    ),
    "command": RuntimeTraits(
        "You are started for one message and end after it; name and task are in your environment.", has_command=True
    ),
    "openclaw": RuntimeTraits(
        "Messages reach you in OpenClaw and spell out how to call clawfiles there.", tidies_ledger=True
    ),
    "acp": RuntimeTraits("Messages reach you as prompts, one at a time.", has_command=True, is_prompted=True),
}


class Agent(Value, frozen=True):
    """One agent, with every default filled in."""

    name: AgentId
    kind: AgentKind = AgentKind.NAMED
    reports_to: AgentId | None = None  # who hears of its trouble; None at the top
    takes: tuple[str, ...] = ()
    runtime: str = "inbox"  # a name in RUNTIMES
    session: str = ""  # its lane: one run at a time in each
    runs: int | None = None  # of it at once; None: one for a named agent, as many as there are slots for a worker
    command: tuple[str, ...] = ()
    message: Literal["stdin", "file", "env"] = "stdin"
    env: tuple[str, ...] = ()
    timeout: timedelta = timedelta(minutes=30)
    workspace: str | None = None
    model: str | None = None
    quiet_hours: tuple[Window, ...] = ()
    compartment: bool = False
    channels: tuple[str, ...] = ()
    ping: Literal["process", "turn", "off"] = "process"
    openclaw_agent: str | None = None  # its id in OpenClaw; None: the one that its session names
    permissions: Literal["approve-reads", "approve-all", "deny-all"] = "approve-reads"  # of an ACP agent
    profile: str | None = None  # env, timeout and model above are already what it leaves of them

    @property
    def own_folder(self) -> str | None:
        """The private folder of its files, hidden from other agents; None for the workspace itself."""
        return f"compartments/{self.name}" if self.compartment else None

    @property
    def traits(self) -> RuntimeTraits:
        """The facts about its runtime for the rules."""
        return RUNTIMES[self.runtime]

    @property
    def there(self) -> str:
        """Its id in OpenClaw, in lower case as OpenClaw keeps it."""
        parts = self.session.split(":")
        named = parts[1] if len(parts) > 2 and parts[0] == "agent" else self.name
        return (self.openclaw_agent or named).lower()


class Profile(Value, frozen=True):
    """Rights and limits of agents and their runs. None: not set."""

    name: str
    commands: tuple[str, ...] | None = None  # all that they may use: names of commands, or how several begin
    model: str | None = None
    env: tuple[str, ...] | None = None
    cwd: str | None = None  # relative to clawfiles.toml; {agent} and {label} still to be filled
    timeout: timedelta | None = None
    memory: int | None = None  # bytes, of each process
    sandbox: Literal["off", "prefer", "require"] = "off"
    network: bool = True
    read: tuple[str, ...] = ()  # absolute, or with ~ in front


class Route(Value, frozen=True):
    """The agents for tasks of one type. `to` names agents only: "self" was replaced by the coordinator."""

    type: str
    to: tuple[AgentId, ...] = ()
    how: Literal["send", "spawn"] | None = None
    size: Size | None = None
    review: Review = "none"
    verify: tuple[str, ...] = ()
    model: str | None = None
    pool: bool = False  # the named agents in `to` take turns: least busy first
    cache: timedelta | None = None  # a spawn that was answered within this time is not run again
    batch: int | None = None  # how many items `spawn --items` puts into one message


class HeartbeatSettings(Value, frozen=True):
    check: tuple[timedelta, ...]  # a ladder; the last rung repeats
    announce_gap: timedelta
    ack: timedelta
    silent: timedelta
    lease: timedelta
    sends: int
    attempts: int
    backoff: timedelta
    auto: bool
    archive: timedelta


class Retention(Value, frozen=True):
    """When what is over moves into the archive of its month, and when that goes; no `delete_after`: never."""

    compress_after: timedelta = timedelta(days=7)
    delete_after: timedelta = timedelta(0)


class QuietHours(Value, frozen=True):
    windows: tuple[Window, ...]
    timezone: str
    critical_passes: bool

    @property
    def zone(self) -> "ZoneInfo":
        """The time zone of the windows, also of those that an agent has of its own."""
        return _zone(self.timezone)


class NotifySettings(Value, frozen=True):
    """How what goes to a person's channels outside of the workspace is delivered."""

    timeout: timedelta = timedelta(seconds=15)
    backoff: timedelta = timedelta(seconds=30)
    alert: timedelta = timedelta(minutes=10)
    give_up: timedelta = timedelta(days=1)


class Rate(Value, frozen=True):
    """At most `count` in any stretch of `per`."""

    count: int
    per: timedelta


class LimitSettings(Value, frozen=True):
    runs: int
    depth: int
    children: int
    spawns_per_minute: int
    unread: int
    wakes: int
    per_model: dict[str, Rate]
    breaker: int
    breaker_pause: timedelta


class Budgets(Value, frozen=True):
    """The cost limits of a calendar month in the workspace's zone, in `currency`; None: no limit."""

    month: float | None
    currency: str
    agents: dict[AgentId, float]

    @property
    def is_set(self) -> bool:
        """Whether there is any limit at all."""
        return self.month is not None or bool(self.agents)


class Price(Value, frozen=True):
    """The price per million tokens of one model, in the currency of the budgets."""

    input: float
    output: float
    cached: float | None = None  # None: as `input`


class DaemonSettings(Value, frozen=True):
    rescan: timedelta
    watch: Literal["auto", "events", "polling"]
    drain: timedelta
    sync: timedelta
    metrics: str | None


class HealthSettings(Value, frozen=True):
    every: timedelta
    answer: timedelta


class WorkflowPin(Value, frozen=True):
    """Which versions of a workflow its runs follow; none: the file as it is."""

    use: int | None = None
    split: tuple[tuple[int, int], ...] = ()  # versions, each with its percent of the runs


class WorkflowSettings(Value, frozen=True):
    runs: int = 20  # open, outside of other runs
    tasks: int = 20_000  # of one run
    depth: int = 3
    at_once: int = 100
    pins: Mapping[str, WorkflowPin] = {}  # by the names of workflows


class Schedule(Value, frozen=True):
    """Work that starts by the clock: exactly one of `spawn`, `event`, `task` and `workflow` is set."""

    name: str
    cron: str  # five fields; @daily and its like have been spelled out
    spawn: tuple[str, ...] = ()
    combine: AgentId | None = None  # who gets the combined results of `spawn`
    event: str | None = None
    task: str | None = None
    workflow: str | None = None
    given: tuple[tuple[str, str], ...] = ()  # the workflow's inputs
    text: tuple[str, ...] = ()  # what is to be done: one for all, or one for each of `spawn`
    items: tuple[str, ...] = ()  # it is done with each of them
    type: str | None = None
    catch_up: Literal["once", "skip"] = "once"


_GATEWAYS_OWN = "OPENCLAW_GATEWAY_TOKEN"  # the variable in which OpenClaw itself looks for it


class OpenClaw(Value, frozen=True):
    """How the gateway of OpenClaw is reached."""

    url: str = "ws://127.0.0.1:18789"
    token_env: str = _GATEWAYS_OWN
    token_file: str | None = None


class ServeSettings(Value, frozen=True):
    """The callers allowed over HTTP."""

    auth: Literal["token", "loopback"] = "token"
    hosts: tuple[str, ...] = ()  # names of this server beside those of the address it listens on, with their port


class Settings(Value, frozen=True):
    """The whole configuration. Everything but the workspace's coordinator and its agent has a default."""

    workspace: WorkspaceSettings
    agents: dict[AgentId, Agent]
    routes: dict[str, Route]
    heartbeat: HeartbeatSettings
    quiet_hours: QuietHours
    limits: LimitSettings
    budgets: Budgets
    prices: dict[str, Price]
    daemon: DaemonSettings
    health: HealthSettings
    schedules: dict[str, Schedule]
    profiles: dict[str, Profile]
    sources: dict[str, Source]
    webhooks: dict[str, Webhook]
    openclaw: OpenClaw = OpenClaw()
    serve: ServeSettings = ServeSettings()
    notify: NotifySettings = NotifySettings()
    retention: Retention = Retention()
    workflows: WorkflowSettings = WorkflowSettings()
    events: EventSettings = EventSettings()
    words: tuple[tuple[str, tuple[str, ...]], ...] = ()  # states, each with more words that mean it

    @property
    def vocabulary(self) -> "Vocabulary":
        """The state words and the agents of this workspace."""
        from claw_files.formats.vocabulary import vocabulary

        return vocabulary(self.words, frozenset(self.agents))

    @property
    def coordinator(self) -> AgentId:
        return self.workspace.coordinator

    @property
    def monitor(self) -> AgentId:
        return self.workspace.monitor

    def agent(self, name: str) -> Agent:
        """The agent with that name, in any case. Raises NotFound with the known names."""
        if found := self.agents.get(AgentId(name.lower())):
            return found
        known = (agent.name for agent in self.agents.values() if not agent.compartment)
        raise NotFound("agent", name[:80], f"clawfiles.toml knows {', '.join(known)}")

    def may_know(self, viewer: AgentId | None, agent: AgentId | None) -> bool:
        """Whether `viewer` may know of `agent`'s work; None is a person at a terminal without a name."""
        known = self.agents.get(agent) if agent else None
        return known is None or not known.compartment or agent == viewer

    def profile(self, agent: str) -> Profile | None:
        """The profile of an agent; None without one, and for an unknown name."""
        found = self.agents.get(AgentId(agent))
        return self.profiles.get(found.profile) if found and found.profile else None

    def route(self, task_type: str | None) -> Route | None:
        """The route of a task type, or None."""
        return self.routes.get(task_type) if task_type else None

    def reports_to(self, agent: str) -> AgentId | None:
        """The next manager; None at the top, and for an unknown name."""
        found = self.agents.get(AgentId(agent))
        return found.reports_to if found else None

    def above(self, agent: str) -> tuple[AgentId, ...]:
        """Everybody up `reports_to` from the agent, each once."""
        way, at = dict[AgentId, None](), self.reports_to(agent)
        while at and at not in way:
            way[at] = None
            at = self.reports_to(at)
        return tuple(way)

    def is_human(self, agent: str) -> bool:
        """Whether it is a person; not for an unknown name."""
        found = self.agents.get(AgentId(agent))
        return found is not None and found.kind is AgentKind.HUMAN

    def is_worker(self, agent: str | None) -> bool:
        """Whether it is spawned for one task at a time; not for an unknown name."""
        found = self.agents.get(AgentId(agent or ""))
        return found is not None and found.kind is AgentKind.WORKER

    def is_woken(self, agent: str | None) -> bool:
        """Whether clawfiles starts its runs; not for an unknown name."""
        found = self.agents.get(AgentId(agent or ""))
        return found is not None and found.traits.is_woken


def _zone(name: str) -> "ZoneInfo":
    from zoneinfo import ZoneInfo  # 3 ms that most commands do not need

    return ZoneInfo(name)
