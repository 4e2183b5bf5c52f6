"""`install cron`, `install systemd` and `completion`."""

from collections.abc import Sequence

import click

from claw_files.cli.base import command, open_app, show, warn

_LONGEST = 1 << 16  # letters of what is shown: a PATH may be long, and what is printed must be whole
_SHELLS = ("bash", "zsh", "fish")


@command("cron", example="clawfiles install cron --print")
@click.option("--print", "only_print", is_flag=True, help="Print the lines and change nothing.")
@click.option("--remove", "removes", is_flag=True, help="Remove these lines and no others.")
def cron(only_print: bool, removes: bool) -> None:
    """Add a marked block to your crontab that runs the heartbeat every minute.

    Keeps all other lines; running the command again changes nothing.
    """
    from claw_files.cli import crontab

    app = open_app()
    if removes:
        block = crontab.block_of(app.base) if only_print else crontab.remove(app.base)
        said = "removed from your crontab" if block else "your crontab has no lines for this workspace"
        facts = {"block": block, "installed": False, "changed": bool(block) and not only_print}
        show(facts, _told("" if only_print and block else said, block))
        return
    app.check_settings()  # refuse to install a heartbeat that cannot read its configuration
    block = crontab.cron_block(app.base)
    changed = False if only_print else crontab.install(block)
    said = "added to your crontab" if changed else "already in your crontab"
    show({"block": block, "installed": not only_print, "changed": changed}, _told("" if only_print else said, block))


@command("systemd", example="clawfiles install systemd --print\nclawfiles install systemd --now")
@click.option("--print", "only_print", is_flag=True, help="Print the unit and change nothing.")
@click.option("--remove", "removes", is_flag=True, help="Delete the unit.")
@click.option("--now", is_flag=True, help="Also run the systemctl commands.")
@click.option("--name", metavar="NAME", help="Name of the unit, clawfiles-NAME.service (default: the folder's name).")
def systemd(only_print: bool, removes: bool, now: bool, name: str | None) -> None:
    """Write a user unit that runs the daemon, without root, into ~/.config/systemd/user.

    Keeps all other units; running the command again changes nothing.
    """
    from claw_files.cli import systemd as units

    app = open_app()
    place, acts = units.place_of(app.base, name), not only_print
    if removes:
        done = units.remove(place, now) if acts else units.UnitChange(place=place, text=units.standing(place))
        said = f"deleted: {place.path}" if done.text else f"there is no {place.path}"
    else:
        text = units.unit_text(app.base, app.settings.daemon.drain)
        done = units.install(place, text, now) if acts else units.UnitChange(place=place, text=text)
        said = f"{'written to' if done.changed else 'unchanged:'} {place.path}"
        if acts and units.ends_at_logout():
            warn("the daemon stops when you log out, unless you run `loginctl enable-linger` once")
    facts = {"name": place.name, "path": place.path, "unit": done.text, "changed": done.changed}
    facts |= {"installed": acts and not removes, "commands": list(done.commands)}
    show(facts, _told(said if acts or not done.text else "", done.text, done.commands))


def _told(said: str, text: str, commands: Sequence[str] = ()) -> str:
    """What was written, its path, and the remaining commands."""
    from claw_files.core.text import safe

    type_now = "\n".join(("now type:", *(f"  {command}" for command in commands))) if commands else ""
    return "\n".join(safe(part, _LONGEST, lines=True).rstrip() for part in (text, said, type_now) if part)


@command("completion", example='eval "$(clawfiles completion bash)"')
@click.argument("shell", type=click.Choice(_SHELLS))
def completion(shell: str) -> None:
    """Print the completion script for a shell."""
    from click.shell_completion import get_completion_class

    from claw_files.cli.root import root

    made = get_completion_class(shell)
    assert made is not None, "click supports these three"
    script = made(root, {}, "clawfiles", "_CLAWFILES_COMPLETE").source()
    show({"shell": shell, "script": script}, script)
