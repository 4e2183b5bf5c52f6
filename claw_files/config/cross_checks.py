"""Checks across settings: whether the parts of the configuration fit together."""

import re
from datetime import timedelta

from claw_files.config.event_settings import EventHandler, Source, Webhook
from claw_files.config.settings import Agent, Route, Schedule, Settings, Window
from claw_files.config.toml_reader import TomlReading
from claw_files.core.event import is_type
from claw_files.core.model import AgentId, AgentKind
from claw_files.core.text import did_you_mean
from claw_files.core.workflow import BUILT_IN
from claw_files.formats import vocabulary


def check(settings: Settings, found: TomlReading) -> None:
    """Note in `found` everything in `settings` that does not fit together."""
    _check_workspace(settings, found)
    for name in settings.agents:
        _check_agent(settings, name, found)
    for profile in settings.profiles.values():
        if not profile.network and profile.sandbox != "require":
            found.problem(
                ("profiles", profile.name, "network"), 'only has an effect in a sandbox; set sandbox = "require"'
            )
    for route in settings.routes.values():
        _check_names(settings, ("routes", route.type, "to"), route.to, found)
        _check_review(settings, route, found)
        _check_pool(settings, route, found)
        if route.cache and route.cache > settings.heartbeat.archive:
            said = "is longer than heartbeat.archive, and archived results are not reused"
            found.problem(("routes", route.type, "cache"), said)
        if not route.to:
            found.problem(("routes", route.type), 'names no agent; set to = ["NAME", ..., "self"]')
    for schedule in settings.schedules.values():
        _check_schedule(settings, schedule, found)
    for source in settings.sources.values():
        _check_source(source, found)
    for hook in settings.webhooks.values():
        _check_webhook(hook, found)
    for handler in settings.events.handlers.values():
        _check_handler(settings, handler, found)
    for name in settings.budgets.agents:
        _check_names(settings, ("budgets", "agents", name), (name,), found)
    for model in settings.prices:
        _check_price(model, found)
    for flow, pin in settings.workflows.pins.items():
        if pin.use and pin.split:
            found.problem(("workflows", flow), "has `use` and `split`; they exclude each other")
    for state, sentence in vocabulary.problems(settings.words) if settings.words else ():
        found.problem(("words", state), sentence)
    if _minutes(settings.quiet_hours.windows) >= _DAY:
        found.problem(("quiet_hours", "windows"), "leaves no time of day for announcements")


def _check_workspace(settings: Settings, found: TomlReading) -> None:
    path = ("workspace", "coordinator")
    if path not in found.given:
        found.problem(path, "must be given: the agent whose ledger HEARTBEAT.md is")
    _check_names(settings, path, (settings.coordinator,), found)
    coordinator = settings.agents.get(settings.coordinator)
    if coordinator and coordinator.kind is AgentKind.WORKER:
        found.problem(path, f"{coordinator.name} is a worker; it cannot coordinate")
    if ("workspace", "monitor") in found.values:
        _check_names(settings, ("workspace", "monitor"), (settings.monitor,), found)


def _check_names(settings: Settings, path: tuple[str, ...], names: tuple[AgentId, ...], found: TomlReading) -> bool:
    strangers = [name for name in names if name not in settings.agents and name]
    for name in strangers:
        found.problem(path, f"there is no [agents.{name}]{did_you_mean(name, settings.agents)}")
    return not strangers


def _check_agent(settings: Settings, name: AgentId, found: TomlReading) -> None:
    agent, path = settings.agents[name], ("agents", name)
    if name == BUILT_IN:
        found.problem(path, "is the name under which the heartbeat carries out workflows; call the agent otherwise")
    if agent.reports_to and (*path, "reports_to") in found.values:
        _check_names(settings, (*path, "reports_to"), (agent.reports_to,), found)
    circle = _circle(settings, name)
    if circle and min(circle) == name:  # told once, not once for each in it
        found.problem((*path, "reports_to"), f"forms a cycle: {' -> '.join((*circle, name))}")
    if agent.traits.has_command and not agent.command:
        found.problem(
            (*path, "runtime"), f'is "{agent.runtime}", so it needs one: command = ["PROGRAM", "ARGUMENT", ...]'
        )
    if agent.model is None and any("{model}" in part for part in agent.command):
        found.problem((*path, "command"), "has {model} in it, so the agent needs one: model = ...")
    if not agent.traits.is_prompted and (*path, "permissions") in found.values:
        found.problem((*path, "permissions"), 'is only for runtime = "acp"; other programs do not ask')
    if agent.traits.is_elsewhere and agent.kind is not AgentKind.NAMED:
        found.problem((*path, "runtime"), f'is "{agent.runtime}", which is for named agents; {name} is a {agent.kind}')
    if agent.openclaw_agent and agent.session.lower().split(":")[:2] != ["agent", agent.there]:
        found.problem(
            (*path, "session"), f'is of another agent than openclaw_agent: "agent:{agent.there}:main" is its own'
        )
    _check_profile(settings, agent, found)
    if agent.compartment and (agent.kind is not AgentKind.NAMED or name == settings.coordinator):
        found.problem((*path, "compartment"), "is for named agents, and not for the coordinator, whose ledger it is")
    if name in ("self", "coordinator", "none"):
        found.problem(path, f"{name!r} is a reserved word in routes; choose another name")
    if _minutes(settings.quiet_hours.windows + agent.quiet_hours) >= _DAY > _minutes(settings.quiet_hours.windows):
        found.problem((*path, "quiet_hours"), "leaves no time of day for announcements")


def _check_profile(settings: Settings, agent: Agent, found: TomlReading) -> None:
    path = ("agents", agent.name, "profile")
    if not agent.profile:
        return
    profile = settings.profiles.get(agent.profile)
    if profile is None:
        near = did_you_mean(agent.profile, settings.profiles)
        found.problem(path, f"there is no [profiles.{agent.profile}]{near}")
    elif profile.sandbox == "require" and not agent.traits.has_command:
        found.problem(path, f"requires a sandbox, which {agent.runtime}, the runtime of {agent.name}, cannot provide")


def _circle(settings: Settings, start: AgentId) -> tuple[AgentId, ...]:
    """The agents from `start` back to it along reports_to; empty where the way up ends or joins another circle."""
    way = [start]
    while above := settings.reports_to(way[-1]):
        if above in way:
            return tuple(way) if above == start else ()
        way.append(above)
    return ()


def _check_review(settings: Settings, route: Route, found: TomlReading) -> None:
    path, name = ("routes", route.type, "review"), route.review
    if name not in ("none", "coordinator"):
        _check_names(settings, path, (AgentId(name),), found)


def _check_pool(settings: Settings, route: Route, found: TomlReading) -> None:
    if not route.pool:
        return
    known = [settings.agents[name] for name in route.to if name in settings.agents and name != settings.coordinator]
    named = [agent for agent in known if agent.kind is AgentKind.NAMED]
    path = ("routes", route.type, "pool")
    if len(named) < 2:
        found.problem(path, "needs two or more named agents in `to`, beside the coordinator")
    for agent in named:
        if agent.compartment:
            found.problem(path, f"cannot see what {agent.name} has to do in its compartment")


def _check_price(model: str, found: TomlReading) -> None:
    lacking = [key for key in ("input", "output") if ("prices", model, key) not in found.given]
    if lacking:
        found.problem(("prices", model), f"lacks {' and '.join(lacking)}, the price of a million tokens")


MOST_JOBS = 1_000  # tasks of one due time, as in one group


def _check_schedule(settings: Settings, schedule: Schedule, found: TomlReading) -> None:
    path = ("schedules", schedule.name)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,37}", schedule.name, re.ASCII):  # part of a file's name
        found.problem(path, "must be a name of up to 38 letters, digits, '-' and '_', a letter or digit first")
    if (*path, "cron") not in found.given:
        found.problem(path, 'needs a time: cron = "45 8 * * 1-5"')
    if len([one for one in (schedule.spawn, schedule.event, schedule.task, schedule.workflow) if one]) != 1:
        found.problem((*path, "do"), "must contain exactly one of spawn, event, task and workflow")
    for name in ("text", "items", "type"):
        if schedule.event and getattr(schedule, name):
            found.problem((*path, "do", name), "goes with spawn and task, not with event")
    if schedule.workflow and schedule.type:
        found.problem((*path, "do", "type"), "goes with spawn and task; the steps of a workflow have types")
    if schedule.given and not schedule.workflow:
        found.problem((*path, "do", "with"), "goes with workflow, whose inputs it names")
    if len(schedule.text) not in (0, 1, len(schedule.spawn)):
        found.problem((*path, "do", "text"), "must be one text for all, or as many as `spawn` has workers")
    if len(schedule.items) * max(1, len(schedule.spawn)) > MOST_JOBS:
        found.problem((*path, "do", "items"), f"makes more than {MOST_JOBS:,} tasks at once")
    _check_workers(settings, schedule.spawn, schedule.type, (*path, "do", "spawn"), found)
    if schedule.combine:
        _check_names(settings, (*path, "do", "combine"), (schedule.combine,), found)


def _check_handler(settings: Settings, handler: EventHandler, found: TomlReading) -> None:
    path = ("events", handler.event)
    if not is_type(handler.event):
        found.problem(path, "is no type of events: use letters, digits, '_', '-', and '.' between them, at most 64")
    if len([one for one in (handler.spawn, handler.task, handler.workflow) if one]) > 1:
        found.problem((*path, "do"), "must contain one of spawn, task and workflow")
    for name in ("text", "type"):
        if getattr(handler, name) and not (handler.spawn or handler.task):
            found.problem((*path, "do", name), "goes with spawn and task")
    _check_workers(settings, handler.spawn, handler.type, (*path, "do", "spawn"), found)


def _check_workers(
    settings: Settings, spawn: tuple[str, ...], type: str | None, path: tuple[str, ...], found: TomlReading
) -> None:
    """A name in `spawn` is a worker or a type that is routed; with one worker alone it may be any label for it."""
    workers = [agent.name for agent in settings.agents.values() if agent.kind is AgentKind.WORKER]
    known = {*workers, *settings.routes}
    if type in settings.routes:
        return
    for name in dict.fromkeys(spawn):
        if name not in known and len(workers) != 1:
            near = did_you_mean(name, sorted(known))
            found.problem(path, f"{name!r} is neither a worker nor a type under [routes]{near}")


_IN_PATH = r"[a-z0-9][a-z0-9-]{0,39}"
# Which keys go with which kind of source.
_SOURCE_KEYS = {"command": ("env",), "sql": ("url_env", "cursor", "start", "overlap"), "files": ("by",)}


def _check_source(source: Source, found: TomlReading) -> None:
    path = ("sources", source.name)
    if not re.fullmatch(_IN_PATH, source.name, re.ASCII):
        found.problem(path, "wants up to 40 small letters, digits and hyphens: it is part of names of files")
    kinds = [kind for kind in _SOURCE_KEYS if getattr(source, kind)]
    if len(kinds) != 1:
        found.problem(path, "wants exactly one of command, sql and files")
    for kind, keys in _SOURCE_KEYS.items():
        for key in (key for key in keys if kind not in kinds and (*path, key) in found.given):
            found.problem((*path, key), f"goes with {kind}")
    if source.every < timedelta(seconds=1):
        found.problem((*path, "every"), "wants a second or more")
    if source.sql and not source.url_env:
        found.problem((*path, "sql"), "wants url_env, the variable with the address of the database")
    if len(source.start) != len(source.cursor):
        found.problem((*path, "start"), "wants one value for each column of cursor")


def _check_webhook(hook: Webhook, found: TomlReading) -> None:
    path = ("webhooks", hook.name)
    if not re.fullmatch(_IN_PATH, hook.name, re.ASCII):
        found.problem(path, "wants up to 40 small letters, digits and hyphens: it is part of an address")
    for key in ("scheme", "secret_env"):
        if (*path, key) not in found.given:
            found.problem((*path, key), "must be given: a request counts by its signature alone")
    if bool(hook.header) is not (hook.scheme == "hmac"):
        found.problem((*path, "header"), 'goes with scheme = "hmac", and is required there')


_DAY = 24 * 60


def _minutes(windows: tuple[Window, ...]) -> int:
    """How many minutes of a day begin inside one of the windows."""
    inside = set[int]()
    for start, end in windows:
        first, last = start.hour * 60 + start.minute, end.hour * 60 + end.minute
        inside.update(range(first, last) if first <= last else (*range(first, _DAY), *range(last)))
    return len(inside)
