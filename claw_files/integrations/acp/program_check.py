"""Whether an agent's program is on this machine, and what to type where it is not. Nothing is started."""

import importlib.util
import os
from collections.abc import Mapping
from typing import Final

from claw_files.config import Agent
from claw_files.processes.supervisor import resolved
from claw_files.system.procfs import with_our_programs

NPM: Final = {
    "claude-agent-acp": "@agentclientprotocol/claude-agent-acp",
    "codex-acp": "@agentclientprotocol/codex-acp",
    "gemini": "@google/gemini-cli",
    "claude": "@anthropic-ai/claude-code",
    "codex": "@openai/codex",
}
SIGN_IN: Final = {
    "claude-agent-acp": "claude, then /login; or name a key in `env`: ANTHROPIC_API_KEY",
    "codex-acp": "codex login; or name a key in `env`: CODEX_API_KEY",
    "gemini": "gemini, then choose how to log in; or name a key in `env`: GEMINI_API_KEY",
}


def has_library() -> bool:
    """Whether the library that speaks ACP is installed."""
    return importlib.util.find_spec("acp") is not None


def program(agent: Agent, workspace: str, environ: Mapping[str, str]) -> str:
    """The absolute path of the program that the agent's command starts. Raises OSError for one that is not there."""
    command = [part.replace("{workspace}", workspace) for part in agent.command]
    path = resolved(command, with_our_programs(environ.get("PATH", os.defpath)))
    if not (os.path.isfile(path) and os.access(path, os.X_OK)):
        raise OSError(f"{path} does not exist or is not executable")
    return path


def how_to_install(agent: Agent) -> str:
    """What to type so that its program is there; empty where we do not know it."""
    name = os.path.basename(agent.command[0]) if agent.command else ""
    return f"npm install -g {NPM[name]}" if name in NPM else ""


def how_to_sign_in(agent: Agent) -> str:
    """What to type so that its program knows its user."""
    name = os.path.basename(agent.command[0]) if agent.command else ""
    return SIGN_IN.get(name, f"{name}, and what it asks for; or name its key in `env` of [agents.{agent.name}]")
