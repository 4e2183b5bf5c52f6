"""`init`."""

import click

from claw_files.cli.base import command, shared, show


@command("init", example="clawfiles init team --for claude")
@click.argument("directory", required=False, metavar="[DIR]")
@click.option("--template", "name", default="default", metavar="NAME", help="Which template to start from.")
@click.option(
    "--for",
    "program",
    type=click.Choice(["openclaw", "claude", "codex", "gemini"]),
    help="Add instructions, and the settings, for this agent program.",
)
def init(directory: str | None, name: str, program: str | None) -> None:
    """Make or complete a workspace: adds what is missing, touches nothing that exists, and says which is which."""
    import os

    from claw_files.app import set_up
    from claw_files.words import agent_id, safe

    root = os.path.abspath(directory or shared("start") or ".")
    done = set_up(root, agent_id(name), program)
    lines = [f"{one.what}: {safe(one.path)}" + (f"\n\n{one.text.rstrip()}\n" if one.text else "") for one in done]
    document = {"workspace": root, "done": [{"what": d.what, "path": d.path, "text": d.text} for d in done]}
    show(document, "\n".join([f"workspace {safe(root)}", *lines]))
