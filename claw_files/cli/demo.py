"""`demo`."""

import json
import os
import sys

import click

from claw_files.cli.base import TEXT, command, shared

COLOURS = {"heartbeat": "cyan", "sam": "yellow", "peter": "green", "dimitrios": "magenta"}


@command("demo", example="clawfiles demo --keep ~/workday")
@click.option("--keep", metavar="DIR", type=TEXT, help="Keep the files in this new or empty folder.")
def demo(keep: str | None) -> None:
    """Run the workday of the example workspace with real agent processes; takes about a minute."""
    from claw_files.demo import run

    run(_say_json if shared("json") else _say, keep)


def _say_json(clock: str, who: str, what: str) -> None:
    if who:
        click.echo(json.dumps({"clock": clock, "who": who, "what": what}))


def _say(clock: str, who: str, what: str) -> None:
    if not who:
        click.echo(what)
        return
    name = f"{who:<11}"
    click.echo(f"{clock}  {click.style(name, fg=COLOURS.get(who)) if _is_coloured() else name}{what}")


def _is_coloured() -> bool:
    """On a terminal, unless NO_COLOR says otherwise (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")
