"""`serve`: the board over HTTP."""

import os

import click

from claw_files.cli.base import command, open_app, show, warn
from claw_files.core.errors import Refused
from claw_files.system.libraries import need


@command("serve", example="clawfiles serve --port 3001")
@click.option("--port", type=click.IntRange(0, 65535), default=3001, show_default=True, help="0: any free port.")
@click.option(
    "--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="The local address to listen on."
)
def serve(port: int, host: str) -> None:
    """Serve the board over HTTP until SIGTERM or Ctrl-C, with the same rules and errors as the commands.

    Callers send a token, `Authorization: Bearer TOKEN`; `clawfiles token NAME` creates one. /openapi.json describes
    the API.
    """
    need("the board over HTTP", "web")
    from claw_files.http import listener, server
    from claw_files.http.authentication import RequestAuthenticator

    app = open_app().outer
    auth, hosts = app.settings.serve.auth, app.settings.serve.hosts
    if auth == "loopback" and hosts:
        told, instead = "`hosts` would let other machines act as any agent", 'set auth = "token" under [serve]'
        raise Refused('auth = "loopback" is for this machine', told, instead)
    socket = listener.listen(host, port)
    port = socket.getsockname()[1]
    for problem in app.tokens.problems():
        warn(f"no token is accepted: {problem}")
    for hook in app.settings.webhooks.values():
        for name in (it for it in hook.secret_env if not os.environ.get(it)):
            warn(f"webhook {hook.name}: the variable {name} is not set, so no request signed with it is accepted")
    if auth == "loopback":
        warn('warning: auth = "loopback": any local process can act as any agent')
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    callers = RequestAuthenticator(app.base, os.environ, believes=not hosts)
    server.run(callers, socket, hosts, lambda: show({"url": url, "auth": auth}, f"serving {url}"))
