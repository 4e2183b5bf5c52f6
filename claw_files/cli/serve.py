"""`serve`: the board over HTTP."""

import os

import click

from claw_files.cli.base import command, open_app, show, warn


@command("serve", example="clawfiles serve --port 3001")
@click.option("--port", type=click.IntRange(0, 65535), default=3001, show_default=True, help="0 takes a free one.")
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Where to listen.")
@click.option("--allow-remote", is_flag=True, help="Other machines may ask, too; needs --cert, --key and tokens.")
@click.option("--cert", metavar="FILE", help="The certificate, for TLS.")
@click.option("--key", metavar="FILE", help="The certificate's key.")
def serve(port: int, host: str, allow_remote: bool, cert: str | None, key: str | None) -> None:
    """Serve the board over HTTP until SIGTERM or Ctrl-C: the same rules and errors as here.

    Who asks shows a token, `Authorization: Bearer TOKEN`; `clawfiles token NAME` makes one. /openapi.json describes
    what can be asked.
    """
    from claw_files.errors import NotInstalled

    try:
        from claw_files.serve import running
    except ImportError as lacking:
        if (lacking.name or "").partition(".")[0] in ("starlette", "uvicorn", "h11"):
            raise NotInstalled("the board over HTTP", "web") from None
        raise
    from claw_files.serve.callers import Callers

    app = open_app().outer
    place = running.Place(host, port, allow_remote, cert, key)
    place.check(app.settings)
    tls = place.tls()
    listening = place.listen()
    port = listening.getsockname()[1]
    for problem in app.tokens.problems():
        warn(f"a token counts for nobody: {problem}")
    auth = app.settings.serve.auth
    if auth == "loopback":
        warn("everybody on this machine is believed to be whom they name: auth under [serve]")
    url = f"{'https' if tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"
    running.run(
        Callers(app.base, os.environ, place.is_local),
        running.Listening(listening, place.hosts(port, app.settings), tls),
        lambda: show({"url": url, "auth": auth}, f"serving {url}"),
    )
