"""`trust`: folders whose configuration is used although others can write to them."""

import os

import click

from claw_files.cli.base import command, show
from claw_files.core.errors import Refused


@command("trust", example="clawfiles trust /home/team\nclawfiles trust --list")
@click.argument("directory", default=".", metavar="[DIR]")
@click.option("--remove", "removes", is_flag=True, help="Remove the trust.")
@click.option("--list", "lists", is_flag=True, help="List the trusted folders and change nothing.")
def trust(directory: str, removes: bool, lists: bool) -> None:
    """Trust the clawfiles.toml in this folder, although other users can write to it or it is inside another workspace.

    The trust is stored for your user only. Anyone who can write to the folder can then start programs as you.
    """
    from claw_files.core.text import safe
    from claw_files.system import procfs, workspace_trust

    if lists:
        listed = sorted(workspace_trust.trusted())
        show({"trusted": listed}, "\n".join(map(safe, listed)) or "no folder is trusted")
        return
    if procfs.around(os.getpid()) or "CLAWFILES_RUN" in os.environ:
        raise Refused("trust", "an agent's run cannot trust a folder", "run it outside of all runs")
    path = workspace_trust.remember(directory, not removes)
    show({"path": path, "trusted": not removes}, f"{safe(path)} is {'no longer ' * removes}trusted")
