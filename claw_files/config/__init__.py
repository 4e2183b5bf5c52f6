"""The configuration: `parse` reads `clawfiles.toml` and reports every problem at once."""

from typing import TYPE_CHECKING, Any

import msgspec

from claw_files.config.event_settings import EventHandler, EventSettings, Source, Webhook
from claw_files.config.settings import (
    RUNTIMES,
    Agent,
    Budgets,
    DaemonSettings,
    HealthSettings,
    HeartbeatSettings,
    LimitSettings,
    NotifySettings,
    OpenClaw,
    Price,
    Profile,
    QuietHours,
    Rate,
    Retention,
    Route,
    Schedule,
    ServeSettings,
    Settings,
    Window,
    WorkflowPin,
    WorkflowSettings,
    WorkspaceSettings,
)
from claw_files.core.errors import BadId, InvalidConfig
from claw_files.core.model import AgentId, AgentKind, Size
from claw_files.core.text import agent_id

if TYPE_CHECKING:  # what reads the file is loaded when a file is read: mostly its settings are kept
    from claw_files.config.table import TABLE, Setting
    from claw_files.config.toml_reader import TomlReading

__all__ = [
    "RUNTIMES",
    "TABLE",
    "Agent",
    "Budgets",
    "DaemonSettings",
    "EventHandler",
    "EventSettings",
    "HealthSettings",
    "HeartbeatSettings",
    "LimitSettings",
    "NotifySettings",
    "OpenClaw",
    "Price",
    "Profile",
    "QuietHours",
    "Rate",
    "Route",
    "Schedule",
    "ServeSettings",
    "Setting",
    "Settings",
    "Source",
    "Webhook",
    "Window",
    "WorkflowPin",
    "WorkspaceSettings",
    "parse",
]


def __getattr__(name: str) -> Any:
    if name in ("TABLE", "Setting"):
        from claw_files.config import table

        return getattr(table, name)
    raise AttributeError(name)


def parse(text: bytes, path: str = "clawfiles.toml") -> Settings:
    """The settings that the file's bytes say, checked, with every default filled in.

    Raises InvalidConfig(path, [(line, sentence), ...]) with everything that is wrong, in the order of the lines.
    """
    from claw_files.config import cross_checks
    from claw_files.config.toml_reader import read

    found = read(text, path)
    settings = _build(found)
    cross_checks.check(settings, found)
    if found.problems:
        raise InvalidConfig(path, sorted(found.problems, key=lambda problem: problem[0] or 0))
    return settings


def _build(found: "TomlReading") -> Settings:
    workspace = _workspace(found)
    profiles = {name: _profile(found, name) for name in found.names["profiles"]}
    agents = _agents(found, workspace.coordinator, profiles)
    quiet = found.section(("quiet_hours",), "quiet_hours")
    return Settings(
        workspace=workspace,
        agents=agents,
        routes={name: _route(found, name, workspace.coordinator) for name in found.names["routes"]},
        heartbeat=HeartbeatSettings(**found.section(("heartbeat",), "heartbeat")),
        quiet_hours=QuietHours(**{**quiet, "timezone": quiet["timezone"] or workspace.timezone}),
        limits=LimitSettings(**found.section(("limits",), "limits"), per_model=_per_model(found)),
        budgets=_budgets(found),
        prices={name: _price(found, name) for name in found.names["prices"]},
        daemon=DaemonSettings(**found.section(("daemon",), "daemon")),
        health=HealthSettings(**found.section(("health",), "health")),
        schedules={name: _schedule(found, name, workspace.coordinator) for name in found.names["schedules"]},
        openclaw=OpenClaw(**found.section(("openclaw",), "openclaw")),
        serve=ServeSettings(**found.section(("serve",), "serve")),
        profiles=profiles,
        sources={
            name: Source(**{**found.section(("sources", name), "sources.*"), "name": name})
            for name in found.names["sources"]
        },
        webhooks={name: _webhook(found, name) for name in found.names["webhooks"]},
        events=EventSettings(
            **found.section(("events",), "events"),
            handlers={name: _handler(found, name) for name in found.names["events"]},
        ),
        retention=Retention(**found.section(("retention",), "retention")),
        notify=NotifySettings(**found.section(("notify",), "notify")),
        workflows=WorkflowSettings(**found.section(("workflows",), "workflows"), pins=_pins(found)),
        words=tuple((state, more) for state, more in found.section(("words",), "words").items() if more),
    )


def _workspace(found: "TomlReading") -> WorkspaceSettings:
    values = found.section(("workspace",), "workspace")
    coordinator = values["coordinator"] or AgentId("")
    return WorkspaceSettings(**{**values, "coordinator": coordinator, "monitor": values["monitor"] or coordinator})


def _profile(found: "TomlReading", name: str) -> Profile:
    return Profile(**{**found.section(("profiles", name), "profiles.*"), "name": name})


def _agents(found: "TomlReading", coordinator: AgentId, profiles: dict[str, Profile]) -> dict[AgentId, Agent]:
    agents: dict[AgentId, Agent] = {}
    for written in found.names["agents"]:
        try:
            name = agent_id(written)
        except BadId as wrong:
            found.problem(("agents", written), str(wrong))
            continue
        if name in agents:
            found.problem(("agents", written), f"the name is used twice: {name}")
        agent = _agent(found, written, name)
        profile = profiles.get(agent.profile or "")
        agents[name] = _narrowed(agent, profile, found, written) if profile else agent
    return {name: _placed(agent, agents, coordinator) for name, agent in agents.items()}


def _agent(found: "TomlReading", written: str, name: AgentId) -> Agent:
    values = found.section(("agents", written), "agents.*")
    runtime = values["runtime"] or ("command" if values["command"] else "inbox")
    return Agent(
        **{
            **values,
            "name": name,
            "kind": AgentKind(values["kind"]),
            "runtime": runtime,
            "session": values["session"] or f"agent:{(values['openclaw_agent'] or name).lower()}:main",
        }
    )


def _narrowed(agent: Agent, profile: Profile, found: "TomlReading", written: str) -> Agent:
    """The agent as its profile leaves it: of rights and limits the narrower one, of the rest its own."""
    own = {key for key in ("env", "timeout") if ("agents", written, key) in found.given}
    env, timeout = agent.env, agent.timeout
    if profile.env is not None:
        env = tuple(name for name in agent.env if name in profile.env) if "env" in own else profile.env
    if profile.timeout is not None:
        timeout = min(agent.timeout, profile.timeout) if "timeout" in own else profile.timeout
    return msgspec.structs.replace(agent, env=env, timeout=timeout, model=agent.model or profile.model)


def _placed(agent: Agent, agents: dict[AgentId, Agent], coordinator: AgentId) -> Agent:
    """The agent with who it reports to, where the file does not say: the coordinator; above that, the first person."""
    if agent.reports_to or agent.kind is AgentKind.HUMAN:
        return agent
    above: AgentId | None = coordinator or None
    if agent.name == coordinator:
        people = (other for other in agents.values() if other.kind is AgentKind.HUMAN and not other.reports_to)
        above = next((person.name for person in people), None)
    return msgspec.structs.replace(agent, reports_to=above)


def _route(found: "TomlReading", name: str, coordinator: AgentId) -> Route:
    values = found.section(("routes", name), "routes.*")
    to = tuple(dict.fromkeys(coordinator if agent == "self" else agent for agent in values["to"]))
    size = Size(values["size"]) if values["size"] else None
    return Route(**{**values, "type": name, "to": to, "size": size})


def _per_model(found: "TomlReading") -> dict[str, Rate]:
    return {path[2]: value for path, value in found.values.items() if path[:2] == ("limits", "per_model")}


def _budgets(found: "TomlReading") -> Budgets:
    agents = {path[2].lower(): value for path, value in found.values.items() if path[:2] == ("budgets", "agents")}
    return Budgets(**found.section(("budgets",), "budgets"), agents={AgentId(name): agents[name] for name in agents})


def _pins(found: "TomlReading") -> dict[str, WorkflowPin]:
    names = found.names["workflows"]
    return {name: WorkflowPin(**found.section(("workflows", name), "workflows.*")) for name in names}


def _price(found: "TomlReading", name: str) -> Price:
    values = found.section(("prices", name), "prices.*")
    return Price(**{**values, "input": values["input"] or 0.0, "output": values["output"] or 0.0})


def _schedule(found: "TomlReading", name: str, coordinator: AgentId) -> Schedule:
    values = found.section(("schedules", name), "schedules.*")
    do = found.section(("schedules", name, "do"), "schedules.*.do")
    do["given"] = do.pop("with")
    combine = (do["combine"] or coordinator or None) if do["spawn"] else do["combine"]
    return Schedule(**{**values, **do, "name": name, "cron": values["cron"] or "", "combine": combine})


def _webhook(found: "TomlReading", name: str) -> Webhook:
    values = found.section(("webhooks", name), "webhooks.*")
    missing = {key: values[key] or empty for key, empty in (("scheme", "hmac"), ("secret_env", ()), ("header", ""))}
    return Webhook(**{**values, **missing, "name": name})


def _handler(found: "TomlReading", name: str) -> EventHandler:
    values = found.section(("events", name), "events.*")
    do = found.section(("events", name, "do"), "events.*.do")
    return EventHandler(event=name, given=values.pop("with"), **values, **do)
