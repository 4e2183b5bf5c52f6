"""Whether an agent could be woken now: asked of the gateway, without a model call."""

import os
from collections.abc import Mapping
from datetime import timedelta

from claw_files.config import Settings
from claw_files.core.errors import ClawError
from claw_files.core.model import Value
from claw_files.integrations.openclaw import installation
from claw_files.integrations.openclaw.gateway_access import access
from claw_files.integrations.openclaw.gateway_client import Gateway

PATIENCE = timedelta(seconds=3)


class GatewayState(Value, frozen=True):
    """What the gateway says of itself, or why it does not."""

    version: str = ""
    agents: tuple[installation.OpenClawAgent, ...] = ()
    problem: ClawError | None = None


def look(settings: Settings, root: str, environ: Mapping[str, str], patience: timedelta = PATIENCE) -> GatewayState:
    """The gateway's version and agents; with `problem` when it cannot be asked."""
    try:
        way = access(settings.openclaw, root, environ)
        with Gateway(way.url, way.token, patience=patience) as gateway:
            found = installation.listed(gateway.call("agents.list", {}, patience).get("agents"))
            return GatewayState(version=gateway.hello.version, agents=found)
    except ClawError as problem:
        return GatewayState(problem=problem)


def ping(
    settings: Settings, root: str, environ: Mapping[str, str], name: str, patience: timedelta = PATIENCE
) -> str | None:
    """Why the agent could not be woken now, in one sentence; None when the gateway answers and knows it."""
    state = look(settings, root, environ, patience)
    there = settings.agent(name).there
    if state.problem is not None:
        return str(state.problem)
    if there not in {agent.id for agent in state.agents}:
        return f"OpenClaw's gateway at {settings.openclaw.url} knows no agent {there!r}"
    return None


def differs(told: str, ours: str, root: str) -> bool:
    """Whether an agent's workspace as OpenClaw has it is another folder than the one that we read."""
    return bool(told) and os.path.realpath(told) != os.path.realpath(os.path.join(root, ours))
