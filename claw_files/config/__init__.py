"""The configuration: `parse` reads `clawfiles.toml` and reports every problem at once."""

from typing import TYPE_CHECKING, Any

from claw_files.config.settings import (
    Agent,
    Budgets,
    Daemon,
    Health,
    Heartbeat,
    Limits,
    Notify,
    OpenClaw,
    Price,
    Profile,
    Quiet,
    Rate,
    Retention,
    Route,
    Schedule,
    Serve,
    Settings,
    Window,
    Workspace,
)
from claw_files.errors import BadId, InvalidConfig
from claw_files.model import AgentId, AgentKind, Runtime, Size
from claw_files.words import agent_id

if TYPE_CHECKING:  # what reads the file is loaded when a file is read: mostly its settings are kept
    from claw_files.config.reading import Reading
    from claw_files.config.table import TABLE, Setting

__all__ = [
    "TABLE",
    "Agent",
    "Budgets",
    "Daemon",
    "Health",
    "Heartbeat",
    "Limits",
    "Notify",
    "OpenClaw",
    "Price",
    "Profile",
    "Quiet",
    "Rate",
    "Route",
    "Schedule",
    "Serve",
    "Setting",
    "Settings",
    "Window",
    "Workspace",
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
    from claw_files.config import checks
    from claw_files.config.reading import read

    found = read(text, path)
    settings = _build(found)
    checks.check(settings, found)
    if found.problems:
        raise InvalidConfig(path, sorted(found.problems, key=lambda problem: problem[0] or 0))
    return settings


def _build(found: "Reading") -> Settings:
    workspace = _workspace(found)
    profiles = {name: _profile(found, name) for name in found.names["profiles"]}
    agents = _agents(found, workspace.coordinator, profiles)
    quiet = found.section(("quiet_hours",), "quiet_hours")
    return Settings(
        workspace=workspace,
        agents=agents,
        routes={name: _route(found, name, workspace.coordinator) for name in found.names["routes"]},
        heartbeat=Heartbeat(**found.section(("heartbeat",), "heartbeat")),
        quiet_hours=Quiet(**{**quiet, "timezone": quiet["timezone"] or workspace.timezone}),
        limits=Limits(**found.section(("limits",), "limits"), per_model=_per_model(found)),
        budgets=_budgets(found),
        prices={name: _price(found, name) for name in found.names["prices"]},
        daemon=Daemon(**found.section(("daemon",), "daemon")),
        health=Health(**found.section(("health",), "health")),
        schedules={name: _schedule(found, name, workspace.coordinator) for name in found.names["schedules"]},
        openclaw=OpenClaw(**found.section(("openclaw",), "openclaw")),
        serve=Serve(**found.section(("serve",), "serve")),
        profiles=profiles,
        retention=Retention(**found.section(("retention",), "retention")),
        notify=Notify(**found.section(("notify",), "notify")),
        words=tuple((state, more) for state, more in found.section(("words",), "words").items() if more),
    )


def _workspace(found: "Reading") -> Workspace:
    values = found.section(("workspace",), "workspace")
    coordinator = values["coordinator"] or AgentId("")
    return Workspace(**{**values, "coordinator": coordinator, "monitor": values["monitor"] or coordinator})


def _profile(found: "Reading", name: str) -> Profile:
    return Profile(**{**found.section(("profiles", name), "profiles.*"), "name": name})


def _agents(found: "Reading", coordinator: AgentId, profiles: dict[str, Profile]) -> dict[AgentId, Agent]:
    agents: dict[AgentId, Agent] = {}
    for written in found.names["agents"]:
        try:
            name = agent_id(written)
        except BadId as wrong:
            found.problem(("agents", written), str(wrong))
            continue
        if name in agents:
            found.problem(("agents", written), f"there are two of that name: {name}")
        agent = _agent(found, written, name)
        profile = profiles.get(agent.profile or "")
        agents[name] = _narrowed(agent, profile, found, written) if profile else agent
    return {name: _placed(agent, agents, coordinator) for name, agent in agents.items()}


def _agent(found: "Reading", written: str, name: AgentId) -> Agent:
    values = found.section(("agents", written), "agents.*")
    runtime = values["runtime"] or ("command" if values["command"] else "inbox")
    return Agent(
        **{
            **values,
            "name": name,
            "kind": AgentKind(values["kind"]),
            "runtime": Runtime(runtime),
            "session": values["session"] or f"agent:{(values['openclaw_agent'] or name).lower()}:main",
        }
    )


def _narrowed(agent: Agent, profile: Profile, found: "Reading", written: str) -> Agent:
    """The agent as its profile leaves it: of rights and limits the narrower one, of the rest its own."""
    import msgspec

    own = {key for key in ("env", "timeout") if ("agents", written, key) in found.given}
    env, timeout = agent.env, agent.timeout
    if profile.env is not None:
        env = tuple(name for name in agent.env if name in profile.env) if "env" in own else profile.env
    if profile.timeout is not None:
        timeout = min(agent.timeout, profile.timeout) if "timeout" in own else profile.timeout
    return msgspec.structs.replace(agent, env=env, timeout=timeout, model=agent.model or profile.model)


def _placed(agent: Agent, agents: dict[AgentId, Agent], coordinator: AgentId) -> Agent:
    """The agent with who it reports to, where the file does not say: the coordinator; above that, the first person."""
    import msgspec

    if agent.reports_to or agent.kind is AgentKind.HUMAN:
        return agent
    above: AgentId | None = coordinator or None
    if agent.name == coordinator:
        people = (other for other in agents.values() if other.kind is AgentKind.HUMAN and not other.reports_to)
        above = next((person.name for person in people), None)
    return msgspec.structs.replace(agent, reports_to=above)


def _route(found: "Reading", name: str, coordinator: AgentId) -> Route:
    values = found.section(("routes", name), "routes.*")
    to = tuple(dict.fromkeys(coordinator if agent == "self" else agent for agent in values["to"]))
    size = Size(values["size"]) if values["size"] else None
    return Route(**{**values, "type": name, "to": to, "size": size})


def _per_model(found: "Reading") -> dict[str, Rate]:
    return {path[2]: value for path, value in found.values.items() if path[:2] == ("limits", "per_model")}


def _budgets(found: "Reading") -> Budgets:
    agents = {path[2].lower(): value for path, value in found.values.items() if path[:2] == ("budgets", "agents")}
    return Budgets(**found.section(("budgets",), "budgets"), agents={AgentId(name): agents[name] for name in agents})


def _price(found: "Reading", name: str) -> Price:
    values = found.section(("prices", name), "prices.*")
    return Price(**{**values, "input": values["input"] or 0.0, "output": values["output"] or 0.0})


def _schedule(found: "Reading", name: str, coordinator: AgentId) -> Schedule:
    values = found.section(("schedules", name), "schedules.*")
    do = found.section(("schedules", name, "do"), "schedules.*.do")
    combine = (do["combine"] or coordinator or None) if do["spawn"] else do["combine"]
    return Schedule(**{**values, **do, "name": name, "cron": values["cron"] or "", "combine": combine})
