"""`token`: what a caller over HTTP or MCP shows, to be taken for an agent."""

import click

from claw_files.cli.base import command, open_app, show


@command("token", example="clawfiles token peter\nclawfiles token peter --revoke")
@click.argument("name", metavar="AGENT")
@click.option("--revoke", is_flag=True, help="Remove it: whoever shows it from then on is nobody.")
@click.option("--show", "shown", is_flag=True, help="Print the token, and nothing else.")
def token(name: str, revoke: bool, shown: bool) -> None:
    """Make an agent's token, if it has none, and say in which file of yours it lies.

    Whoever shows it to `clawfiles serve` or over MCP acts as that agent.
    """
    if revoke and shown:
        raise click.UsageError("say either --revoke or --show")
    app = open_app()
    agent = app.settings.agent(name).name
    app.check_run(agent)  # or a run's agent would get another one's name with it
    path = app.tokens.path(agent)
    if revoke:
        was = app.tokens.revoke(agent)
        show({"agent": agent, "revoked": was}, f"{agent}'s token is gone" if was else f"{agent} had no token")
        return
    made = app.tokens.make(agent)
    secret = app.tokens.show(agent) if shown else None
    document = {"agent": agent, "path": path, "made": made} | ({"token": secret} if shown else {})
    show(document, secret or f"{agent}'s token lies in {path}")
