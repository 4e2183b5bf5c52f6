"""Agents in OpenClaw: each run starts a bridge, which sends the message to OpenClaw's gateway."""

import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Final

from msgspec.structs import replace

from claw_files.config import Agent
from claw_files.core import text as words
from claw_files.core.errors import ClawError, GatewayAway, GatewayRefused, NotInstalled
from claw_files.core.model import Message, Run
from claw_files.integrations.openclaw import ENVIRONMENT, PROGRAM
from claw_files.processes import NOW, AgentRuntime, SetupProblem, StartOrder

PATIENCE: Final = timedelta(seconds=3)


class OpenClawRuntime(AgentRuntime):
    """Speaks to the gateway. What the gateway answers costs no turn of a model.

    `probe` asks nothing: the run of the probe's own message tells what the gateway answers.
    """

    def prepare(self, order: StartOrder, agent: Agent, message: Message) -> StartOrder:
        openclaw = self._around.settings.openclaw
        return replace(
            order,
            command=(sys.executable, "-I", PROGRAM),
            given="stdin",
            message=order.message + _addressed(order, agent, message),
            env=(*agent.env, openclaw.token_env, *ENVIRONMENT),
            cwd=None,
        )

    def steer(self, run: Run, message: Message) -> str | None:
        from claw_files.integrations.openclaw.gateway_access import access
        from claw_files.integrations.openclaw.turn_steering import steer

        around = self._around
        with suppress(GatewayAway, GatewayRefused, NotInstalled):  # then the agent finds it in steer.md, later
            way = access(around.settings.openclaw, around.base, around.environ)
            return NOW if steer(way, around.root, run.id, message.body) else None
        return None

    def ping(self, agent: Agent, patience: timedelta) -> str | None:
        try:
            known = self._ask(patience)
        except ClawError as problem:
            return str(problem)
        if agent.there not in known:
            return f"OpenClaw's gateway at {self._around.settings.openclaw.url} knows no agent {agent.there!r}"
        return None

    def doctor(self, agents: Sequence[Agent]) -> Iterator[SetupProblem]:
        from claw_files.integrations.openclaw import installation

        around, known = self._around, None
        try:
            known = self._ask(PATIENCE)
        except NotInstalled:
            yield SetupProblem(code="openclaw-library")
        except ClawError as problem:
            yield SetupProblem(code="openclaw-gateway", detail=str(problem))
        if known is None:  # what OpenClaw's command or configuration on this machine says
            known = installation.agents(around.environ)
        for agent in agents if known is not None else ():
            told = (known or {}).get(agent.there)
            if told is None:
                yield SetupProblem(code="openclaw-agent", detail=agent.there, agent=agent.name)
            elif installation.differs(told, agent.workspace or ".", around.base):
                yield SetupProblem(code="openclaw-workspace", detail=told, agent=agent.name)

    def _ask(self, patience: timedelta) -> dict[str, str]:
        """The workspace of each agent that the gateway knows, "" if unknown."""
        from claw_files.integrations.openclaw import installation
        from claw_files.integrations.openclaw.gateway_access import access
        from claw_files.integrations.openclaw.gateway_client import Gateway

        way = access(self._around.settings.openclaw, self._around.base, self._around.environ)
        with Gateway(way.url, way.token, patience=patience) as gateway:
            return installation.listed(gateway.call("agents.list", {}, patience).get("agents"))


def _addressed(order: StartOrder, agent: Agent, message: Message) -> str:
    """The text for an agent of another program besides its message: the team's folder, and its name.

    Its commands have nothing of ours in their environment: what a command that we start is given stands here instead.
    """
    run, root = order.run, order.workspace
    known = {"WORKSPACE": root, "AGENT": agent.name, "RUN": run.id, "TASK": run.task, "GENERATION": run.generation}
    known |= {"KIND": message.kind.value, "MESSAGE_ID": message.id, "ROOT": message.origin}
    given = " ".join(f"CLAWFILES_{name}={shlex.quote(str(value))}" for name, value in known.items() if value)
    text = f"\n---\nYou are {agent.name}. Paths and commands above are relative to {root}, the team's folder.\n"
    if message.task and agent.workspace:
        text += f"`status/{words.file_name(message.task)}` in your own workspace is also read.\n"
    return text + f"To run `clawfiles ...`, write: `{given} {shlex.quote(_our_command())} ...`\n"


def _our_command() -> str:
    """The `clawfiles` command for another program's shell: by its path, if it is beside this Python."""
    beside = os.path.join(os.path.dirname(os.path.abspath(sys.executable)), "clawfiles")
    return beside if os.path.exists(beside) else "clawfiles"
