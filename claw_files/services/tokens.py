"""Tokens: whoever shows one over HTTP or MCP is the agent that it was made for.

Each lies in a file of its own, `.clawfiles/tokens/NAME`, for its owner alone. Losing it means only that a new one is
made; nothing else in the workspace depends on it.
"""

import hmac
import secrets
from contextlib import suppress

from claw_files.config import Settings
from claw_files.errors import CannotRead
from claw_files.model import AgentId
from claw_files.system.secret_files import SecretFiles

FOLDER = ".clawfiles/tokens"
RANDOM_BYTES = 32
_MOST = 256  # characters that are looked at of what a caller shows


class Tokens:
    """The tokens of one workspace, those of agents with a compartment included."""

    def __init__(self, base: str, settings: Settings) -> None:
        """`base` is the folder of clawfiles.toml."""
        self._files, self._settings = SecretFiles(base, FOLDER), settings

    def path(self, agent: AgentId) -> str:
        """Where the agent's token lies, relative to the workspace."""
        return self._files.path(agent)

    def make(self, agent: AgentId) -> bool:
        """Make the agent's token if it has none; whether that was so. Raises CannotRead, CannotWrite."""
        found = self._files.read(agent)
        if found:
            return False
        if found is not None:
            self._files.remove(agent)  # an empty file opens nothing
        return self._files.keep(agent, secrets.token_urlsafe(RANDOM_BYTES))

    def show(self, agent: AgentId) -> str | None:
        """The token itself, or None. Raises CannotRead where its file is not for its owner alone."""
        return self._files.read(agent) or None

    def revoke(self, agent: AgentId) -> bool:
        """Whether there was one; whoever shows it from now on is nobody. Raises CannotWrite."""
        return self._files.remove(agent)

    def agent_of(self, token: str) -> AgentId | None:
        """The agent that the token was made for; None for nobody's.

        Every token is compared, in constant time. One whose file others could read counts for nobody: `problems` tells.
        """
        shown, found = token.encode("utf-8", "replace")[:_MOST], None
        for agent in self._agents():
            with suppress(CannotRead):
                kept = self._files.read(agent)
                if kept and hmac.compare_digest(kept.encode(), shown):
                    found = agent
        return found

    def problems(self) -> list[str]:
        """What is wrong with the files, a sentence each."""
        found = []
        for agent in self._settings.agents:
            try:
                self._files.read(agent)
            except CannotRead as wrong:
                found.append(str(wrong))
        return found

    def _agents(self) -> list[AgentId]:
        """The agents of the configuration that have a file; a name that is nobody's any more opens nothing."""
        try:
            return [AgentId(name) for name in self._files.names() if name in self._settings.agents]
        except CannotRead:
            return []
