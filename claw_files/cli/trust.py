"""`trust`: which folders are obeyed although others decide what is started there."""

import os

import click

from claw_files.cli.base import command, show


@command("trust", example="clawfiles trust /home/team\nclawfiles trust --list")
@click.argument("directory", default=".", metavar="[DIR]")
@click.option("--remove", "removes", is_flag=True, help="Trust it no longer.")
@click.option("--list", "lists", is_flag=True, help="Print what is trusted, and change nothing.")
def trust(directory: str, removes: bool, lists: bool) -> None:
    """Obey the clawfiles.toml in this very folder, although others can write it, or it lies inside another workspace.

    It is remembered for you alone, outside of the folder. Whoever can write there then starts programs in your name.
    """
    from claw_files.core.errors import Refused
    from claw_files.core.text import safe
    from claw_files.system import procfs, workspace_trust

    if lists:
        listed = sorted(workspace_trust.trusted())
        show({"trusted": listed}, "\n".join(map(safe, listed)) or "no folder is trusted")
        return
    if procfs.around(os.getpid()) or "CLAWFILES_RUN" in os.environ:
        raise Refused("trust", "an agent's run cannot trust a folder", "a person types it, outside of every run")
    path = workspace_trust.remember(directory, not removes)
    show({"path": path, "trusted": not removes}, f"{safe(path)} is {'no longer ' * removes}trusted")
