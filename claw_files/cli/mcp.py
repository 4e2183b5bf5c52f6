"""`mcp`: the MCP server for models."""

import os

import click

from claw_files.cli.base import command, open_app, show
from claw_files.system.libraries import need

PORT = 3002


@command("mcp", example="clawfiles mcp --agent peter\nclawfiles mcp --http --port 3002\nclawfiles mcp --tools")
@click.option("--http", is_flag=True, help="Serve over HTTP on 127.0.0.1; each caller sends its agent's token.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=PORT, show_default=True, metavar="N", help="Port for --http."
)
@click.option("--tools", is_flag=True, help="Print the tool definitions and their size in tokens.")
def mcp(http: bool, port: int, tools: bool) -> None:
    """Serve the workspace to models over the Model Context Protocol.

    Uses standard input and output for the agent named by --agent or CLAWFILES_AGENT; or HTTP, where each caller sends
    the token of its agent.
    """
    if tools:
        _show_tools()
        return
    import gc

    app = open_app()
    app.check_settings()
    need("`clawfiles mcp`", "mcp")
    gc.set_threshold(700)  # the interpreter's own: what lives long must not keep what it has done with
    if http:
        from claw_files.mcp import http_transport as over_http

        over_http.serve(app.base, os.environ, port)
        return
    actor = app.actor  # before the client is answered: without one, nothing is served
    from claw_files.mcp import stdio_transport

    stdio_transport.serve(app.base, os.environ, actor)


def _show_tools() -> None:
    import json

    from claw_files.mcp.tools import listed_json, tokens

    text = listed_json()
    cost = f"{len(text)} characters, about {tokens(text)} tokens"
    show({"tokens": tokens(text), "characters": len(text)} | json.loads(text), f"{text}\n{cost}")
