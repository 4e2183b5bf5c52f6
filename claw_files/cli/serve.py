"""`serve`: the board over HTTP."""

import os

import click

from claw_files.cli.base import command, open_app, show, warn


@command("serve", example="clawfiles serve --port 3001")
@click.option("--port", type=click.IntRange(0, 65535), default=3001, show_default=True, help="0 takes a free one.")
@click.option(
    "--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Where on this machine to listen."
)
def serve(port: int, host: str) -> None:
    """Serve the board over HTTP until SIGTERM or Ctrl-C: the same rules and errors as here.

    Who asks shows a token, `Authorization: Bearer TOKEN`; `clawfiles token NAME` makes one. /openapi.json describes
    what can be asked.
    """
    from claw_files.core.errors import NotInstalled

    try:
        from claw_files.http import listener, server
    except ImportError as lacking:
        if (lacking.name or "").partition(".")[0] in ("starlette", "uvicorn", "h11"):
            raise NotInstalled("the board over HTTP", "web") from None
        raise
    from claw_files.core.errors import Refused
    from claw_files.http.authentication import RequestAuthenticator

    app = open_app().outer
    auth, hosts = app.settings.serve.auth, app.settings.serve.hosts
    if auth == "loopback" and hosts:
        told, instead = "with `hosts` others than this machine would be believed", 'say auth = "token" under [serve]'
        raise Refused('auth = "loopback" is for this machine', told, instead)
    socket = listener.listen(host, port)
    port = socket.getsockname()[1]
    for problem in app.tokens.problems():
        warn(f"a token counts for nobody: {problem}")
    if auth == "loopback":
        warn("everybody on this machine is believed to be whom they name: auth under [serve]")
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    callers = RequestAuthenticator(app.base, os.environ, believes=not hosts)
    server.run(callers, socket, hosts, lambda: show({"url": url, "auth": auth}, f"serving {url}"))
