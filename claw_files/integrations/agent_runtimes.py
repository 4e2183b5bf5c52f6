"""The implementation of each runtime, by the value of the setting `runtime`."""

from importlib import import_module
from typing import Final

from claw_files.processes import AgentRuntime, Surroundings

# Module and class as text, so that a command imports the runtimes that it uses and no others.
IMPLEMENTATIONS: Final = {
    "inbox": "claw_files.processes:InboxRuntime",
    "command": "claw_files.processes.command_runtime:CommandRuntime",
    "openclaw": "claw_files.integrations.openclaw.runtime:OpenClawRuntime",
    "acp": "claw_files.integrations.acp.runtime:AcpRuntime",
}


def runtime_of(name: str, around: Surroundings) -> AgentRuntime:
    """The runtime with that name, one of `config.RUNTIMES`, for the workspace `around`."""
    module, _, implementation = IMPLEMENTATIONS[name].partition(":")
    found: AgentRuntime = getattr(import_module(module), implementation)(around)
    return found
