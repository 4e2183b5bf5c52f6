"""All that the agents beside this file have of the workspace: the tools of one MCP server, as a real agent has them."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from mcp import Client, StdioServerParameters, stdio_client

Call = Callable[..., Awaitable[Any]]


class Refused(Exception):
    """What a tool answered, where it did not do what was asked."""


def live(story: Callable[[Call], Awaitable[None]]) -> None:
    """Live through the story, which gets what makes calls; ends like a program that was refused, where it was."""
    refused = []

    async def main() -> None:
        server = StdioServerParameters(command="clawfiles", args=["mcp"], env=dict(os.environ))
        async with Client(stdio_client(server)) as client:

            async def call(tool: str, **arguments: Any) -> Any:
                answer = await client.call_tool(tool, arguments)
                if answer.is_error:
                    raise Refused(answer.content[0].text)
                return answer.structured_content

            try:
                await story(call)
            except Refused as error:
                refused.append(str(error))

    asyncio.run(main())
    if refused:
        sys.exit(refused[0])
