"""Agents that speak ACP: each run starts the client, which starts the agent's program."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Final

from msgspec.structs import replace

from claw_files.config import Agent
from claw_files.core.model import Message, Run
from claw_files.processes import HandshakeResult, SetupProblem, StartOrder
from claw_files.processes.command_runtime import CommandRuntime
from claw_files.system.libraries import is_installed, need

# Behind `--` comes the agent's program, which the client starts.
CLIENT: Final = (sys.executable, "-I", os.path.join(os.path.dirname(os.path.abspath(__file__)), "__main__.py"), "--")
PATIENCE: Final = timedelta(seconds=60)


class AcpRuntime(CommandRuntime):
    """A command runtime with a client that talks to the program and can send corrections."""

    def prepare(self, order: StartOrder, agent: Agent, message: Message) -> StartOrder:
        # Our client stays outside of the sandbox: it writes the run's folder, and builds the walls around the program.
        sandbox = order.sandbox and replace(order.sandbox, outside=len(CLIENT))
        return replace(order, command=(*CLIENT, *agent.command), given="stdin", alone=True, sandbox=sandbox)

    def steer(self, run: Run, message: Message) -> str | None:
        from claw_files.integrations.acp.run_record import correct

        return correct(self._around.root, run)

    def probe(self, agent: Agent, say: Callable[[str], None], patience: timedelta = PATIENCE) -> HandshakeResult:
        if (found := super().probe(agent, say)).problem:
            return found
        need(f"the ACP agent {agent.name}", "acp")
        import asyncio  # only for those who speak to a program

        from claw_files.integrations.acp.handshake import meet

        return asyncio.run(meet(agent, self.command(agent), self._around, say, patience))

    def doctor(self, agents: Sequence[Agent]) -> Iterator[SetupProblem]:
        if not is_installed("acp"):
            yield SetupProblem(code="acp-library")
        yield from super().doctor(agents)
