"""Agents that are woken by a command, which gets the message and exits when it is done."""

import os
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Final

from claw_files.config import Agent
from claw_files.processes import AgentRuntime, HandshakeResult, SetupProblem
from claw_files.processes.supervisor import resolved
from claw_files.system.procfs import agent_environment

NPM: Final = {
    "claude-agent-acp": "@agentclientprotocol/claude-agent-acp",
    "codex-acp": "@agentclientprotocol/codex-acp",
    "gemini": "@google/gemini-cli",
    "claude": "@anthropic-ai/claude-code",
    "codex": "@openai/codex",
}


class CommandRuntime(AgentRuntime):
    """Starts the command in an agent's configuration unchanged."""

    def ping(self, agent: Agent, patience: timedelta) -> str | None:
        """Why the program could not be started. The program itself is not started."""
        return next((f"{agent.name} cannot be woken: {wrong}" for _, wrong in self._missing([agent])), None)

    def probe(self, agent: Agent, say: Callable[[str], None]) -> HandshakeResult:
        for _, wrong in self._missing([agent]):
            how = _how_to_install(agent) or "install it"
            where = f"`command` in [agents.{agent.name}]"
            return HandshakeResult(problem=wrong, advice=(f"{how}, or name its program by its path: {where}",))
        say(f"{self.command(agent)[0]} is installed")
        return HandshakeResult()

    def doctor(self, agents: Sequence[Agent]) -> Iterator[SetupProblem]:
        for agent, wrong in self._missing(agents):
            detail = "; ".join(filter(None, (wrong, _how_to_install(agent))))
            yield SetupProblem(code="program-missing", detail=detail, agent=agent.name, key="command")

    def _missing(self, agents: Sequence[Agent]) -> Iterator[tuple[Agent, str]]:
        """The agents whose program is not on this machine, and why. Nothing is started."""
        for agent in agents:
            try:
                self.command(agent)
            except OSError as wrong:
                yield agent, str(wrong)

    def command(self, agent: Agent) -> list[str]:
        """Its command, with the absolute path of its program. Raises OSError for a program that is not there."""
        words = [word.replace("{workspace}", self._around.base) for word in agent.command]
        path = resolved(words, agent_environment(self._around.environ)["PATH"])
        if not (os.path.isfile(path) and os.access(path, os.X_OK)):
            raise OSError(f"{path} does not exist or is not executable")
        return [path, *words[1:]]


def _how_to_install(agent: Agent) -> str:
    """The command that installs the program; empty if unknown."""
    name = os.path.basename(agent.command[0]) if agent.command else ""
    return f"npm install -g {NPM[name]}" if name in NPM else ""
