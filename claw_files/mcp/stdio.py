"""Over standard input and output: one client, one agent, until the client closes the pipe."""

import signal
from collections.abc import Mapping

import anyio
from mcp.server.stdio import stdio_server

from claw_files.mcp.performing import Performing
from claw_files.mcp.server import Door
from claw_files.model import AgentId


def serve(base: str, env: Mapping[str, str], agent: AgentId) -> None:
    """Serve the client at the other end of our pipes, with `agent` acting, until it is gone."""
    # What reads standard input cannot be interrupted; and no signal needs more than what a crash would need.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

    async def run() -> None:
        server = Door(Performing(base, env), lambda _: agent).server(keeps_connections=True)
        async with stdio_server() as (reading, writing):
            await server.run(reading, writing, server.create_initialization_options())

    try:
        anyio.run(run)
    except* (BrokenPipeError, ConnectionResetError):
        pass  # the client went away while it was answered
