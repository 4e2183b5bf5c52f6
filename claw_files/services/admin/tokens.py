"""Tokens: each identifies one agent over HTTP or MCP.

Each is a file, `.clawfiles/tokens/NAME`, that only its owner can read. A lost token is simply replaced; nothing else in
the workspace depends on it.
"""

import hmac
import secrets
from contextlib import suppress

from claw_files.config import Settings
from claw_files.core.errors import CannotRead, CannotWrite
from claw_files.core.model import AgentId
from claw_files.system.home import mac
from claw_files.system.secret_files import SecretFiles

FOLDER = ".clawfiles/tokens"
RANDOM_BYTES = 32
_MOST = 256  # characters of a shown token that are compared


class Tokens:
    """The tokens of one workspace, including those of agents with a compartment."""

    def __init__(self, base: str, settings: Settings) -> None:
        """`base` is the folder of clawfiles.toml."""
        self._files, self._settings = SecretFiles(base, FOLDER), settings

    def path(self, agent: AgentId) -> str:
        """The path of the agent's token, relative to the workspace."""
        return self._files.path(agent)

    def make(self, agent: AgentId) -> bool:
        """Create the agent's token if it has none; True if it did. Raises CannotRead, CannotWrite."""
        found = self._files.read(agent)
        if _is_proven(agent, found):
            return False
        if found is not None:
            self._files.remove(agent)  # a copied or empty token is refused
        token = secrets.token_urlsafe(RANDOM_BYTES)
        if not (proof := _proof(agent, token)):
            raise CannotWrite("~", "no folder for the token key; set HOME or XDG_STATE_HOME")
        return self._files.keep(agent, f"{token}.{proof}")

    def show(self, agent: AgentId) -> str | None:
        """The token itself, or None. Raises CannotRead if other users can read its file."""
        found = self._files.read(agent)
        return found if _is_proven(agent, found) else None

    def revoke(self, agent: AgentId) -> bool:
        """Remove the token; True if there was one. It is refused from now on. Raises CannotWrite."""
        return self._files.remove(agent)

    def agent_of(self, token: str) -> AgentId | None:
        """The token's agent; None for an invalid token.

        Every token is compared, in constant time. A token whose file others could read is refused, and reported by
        `problems`.
        """
        shown, found = token.encode("utf-8", "replace")[:_MOST], None
        for agent in self._agents():
            with suppress(CannotRead):
                kept = self.show(agent)
                if kept and hmac.compare_digest(kept.encode(), shown):
                    found = agent
        return found

    def problems(self) -> list[str]:
        """The problems of the token files, one sentence each."""
        found, make = [], "clawfiles token"
        for agent in self._settings.agents:
            try:
                if (kept := self._files.read(agent)) and not _is_proven(agent, kept):
                    found.append(f"{self.path(agent)}: not created by you on this machine; run `{make} {agent}`")
            except CannotRead as wrong:
                found.append(str(wrong))
        return found

    def _agents(self) -> list[AgentId]:
        """The configured agents with a token file; a file with an unknown name is ignored."""
        try:
            return [AgentId(name) for name in self._files.names() if name in self._settings.agents]
        except CannotRead:
            return []


def _proof(agent: AgentId, token: str) -> str:
    return mac("token", agent, token, size_bytes=16)


def _is_proven(agent: AgentId, found: str | None) -> bool:
    """Whether the token was created on this machine by this user; a token in a copied folder is refused."""
    token, _, proof = (found or "").partition(".")
    return bool(proof) and hmac.compare_digest(proof.encode(), _proof(agent, token).encode())
