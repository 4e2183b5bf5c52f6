"""`install cron` and `completion`."""

import click

from claw_files.cli.base import Command, command, group, open_app, show

_SHELLS = ("bash", "zsh", "fish")


@group("install", example="clawfiles install cron --print")
def install() -> None:
    """Let the heartbeat run by itself."""


@install.command("cron", cls=Command, example="clawfiles install cron --print")
@click.option("--print", "only_print", is_flag=True, help="Print the lines, install nothing.")
def cron(only_print: bool) -> None:
    """Add a marked block to your crontab that runs the heartbeat each minute.

    All other lines stay; doing it again changes nothing more.
    """
    from claw_files.cli import crontab
    from claw_files.words import safe

    app = open_app()
    app.settings  # noqa: B018 - a heartbeat that could not read its configuration helps nobody
    block = crontab.cron_block(app.base)
    changed = False if only_print else crontab.install(block)
    told = "the heartbeat runs each minute" if changed else "it was there already"
    text = safe(block, lines=True).rstrip() if only_print else f"{told}; `crontab -l` shows it"
    show({"block": block, "installed": not only_print, "changed": changed}, text)


@command("completion", example='eval "$(clawfiles completion bash)"')
@click.argument("shell", type=click.Choice(_SHELLS))
def completion(shell: str) -> None:
    """Print the completion script for a shell."""
    from click.shell_completion import get_completion_class

    from claw_files.cli.root import root

    made = get_completion_class(shell)
    assert made is not None, "click knows these three"
    script = made(root, {}, "clawfiles", "_CLAWFILES_COMPLETE").source()
    show({"shell": shell, "script": script}, script)
