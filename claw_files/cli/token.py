"""`token`: the token that identifies an agent over HTTP or MCP."""

import click

from claw_files.cli.base import command, open_app, show


@command("token", example="clawfiles token peter\nclawfiles token peter --revoke")
@click.argument("name", metavar="AGENT")
@click.option("--revoke", is_flag=True, help="Revoke the token.")
@click.option("--show", "shown", is_flag=True, help="Print only the token.")
def token(name: str, revoke: bool, shown: bool) -> None:
    """Create an API token for an agent, if it has none, and print the path of the token file.

    A caller that sends the token to `clawfiles serve` or over MCP acts as that agent.
    """
    if revoke and shown:
        raise click.UsageError("pass either --revoke or --show")
    app = open_app()
    agent = app.settings.agent(name).name
    app.check_run(agent)  # or a run's agent would get another one's name with it
    path = app.tokens.path(agent)
    if revoke:
        was = app.tokens.revoke(agent)
        show({"agent": agent, "revoked": was}, f"revoked the token of {agent}" if was else f"{agent} has no token")
        return
    made = app.tokens.make(agent)
    secret = app.tokens.show(agent) if shown else None
    document = {"agent": agent, "path": path, "made": made} | ({"token": secret} if shown else {})
    show(document, secret or f"the token of {agent} is in {path}")
