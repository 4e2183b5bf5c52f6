"""What an agent may use, and who may act in a run: one rule for the shell, MCP and HTTP. `docs/explanation/sandbox.md`
tells what it holds against, and what only a sandbox does."""

from datetime import timedelta

import msgspec

from claw_files.config import Profile, Settings
from claw_files.config.value_forms import OWN_FOLDERS
from claw_files.core.errors import Refused
from claw_files.core.model import AgentId, AgentKind, RunId, Task
from claw_files.core.operation_table import BOARD, MACHINE, RIGHTS, begins

CONFIG = "clawfiles.toml"
WORK = "work"  # the folder in which runs in a sandbox work, each agent and each worker in one of its own


def check_command(settings: Settings, agent: AgentId, command: str) -> None:
    """Raises Refused if the agent may not use the command; passes for an unknown name.

    Args:
        command: as it is typed without its arguments: "task list". MCP tools and HTTP calls go by the same names.
    """
    known = settings.agents.get(agent)
    if known is None:
        return
    if known.kind is AgentKind.WORKER and RIGHTS.get(command) == BOARD:
        right = "write the result to checkpoints/subagent-LABEL.md; the next heartbeat verifies it and updates the task"
        raise Refused("workers report", f"{agent} is a worker and may not use `{command}`", right)
    profile = settings.profile(agent)
    if profile is None or profile.commands is None or any(begins(command, name) for name in profile.commands):
        return
    allowed = ", ".join(profile.commands) or "nothing"
    right = f"it permits {allowed}; `commands` under [profiles.{profile.name}] says so"
    raise Refused(f"profiles.{profile.name}", f"{agent} may not use `{command}`", right)


def check_run(settings: Settings, run: RunId, of: AgentId, agent: AgentId) -> None:
    """Raises Refused if another agent acts inside a run; in a check's run no agent may act.

    Args:
        of: whose run it is, as its starter said.
    """
    if agent != of:
        message = f"this is run {run} of {of}, so {agent} cannot act in it"
        right = "omit --agent" if of in settings.agents else "a check only reads: omit --agent"
        raise Refused("one agent in a run", message, right)


def check_forwarded(command: str) -> None:
    """Raises Refused for a command that the daemon runs for no sandbox."""
    if RIGHTS.get(command) == MACHINE:
        message = f"`{command}` changes this machine, so a run in a sandbox may not use it"
        raise Refused("sandbox", message, "run it outside the sandbox")


def timeout_of(settings: Settings, agent: AgentId, asked: timedelta | None) -> timedelta:
    """The time limit of a run: the requested one or the agent's own, within its profile's limit."""
    limit = asked or settings.agents[agent].timeout
    profile = settings.profile(agent)
    return min(limit, profile.timeout) if profile and profile.timeout else limit


def confined(settings: Settings, agent: AgentId, task: Task | None) -> Profile | None:
    """The profile with the sandbox of a run; None without one.

    The stricter one counts of what the agent's profile and the spawn's own contract say.
    """
    profile = settings.profile(agent)
    asked = bool(task and task.label and task.sandbox == "require")
    if asked and (profile is None or profile.sandbox != "require"):
        profile = msgspec.structs.replace(profile or Profile(name="spawn --sandbox"), sandbox="require")
    return profile if profile and profile.sandbox != "off" else None


def secrets(settings: Settings) -> tuple[str, ...]:
    """The files that the configuration names as holding secrets: relative to its folder, absolute, or with ~."""
    channels = (channel for agent in settings.agents.values() for channel in agent.channels)
    files = (channel.removeprefix("addresses:") for channel in channels if channel.startswith("addresses:"))
    token = settings.openclaw.token_file
    return (*files, *((token,) if token else ()))


def is_work(settings: Settings, path: str) -> bool:
    """Whether the file is work, which a workflow may pass on: none of the workspace's own, none hidden or secret."""
    parts = path.removeprefix("./").split("/")
    is_own = parts[0] in (*OWN_FOLDERS, CONFIG) or "/".join(parts) in secrets(settings)
    return not is_own and not any(part.startswith(".") or not part for part in parts)


def folder_of(settings: Settings, agent: AgentId, task: Task | None) -> str | None:
    """The working folder of a run without one from a spawn's contract or the agent's `workspace`.

    Absolute, or relative to the workspace, in a compartment to that; None: in the workspace itself.
    """
    profile = settings.profile(agent)
    name = (task.label if task else None) or agent
    if profile and profile.cwd:
        return profile.cwd.replace("{agent}", agent).replace("{label}", name)
    return f"{WORK}/{name}" if confined(settings, agent, task) else None
