"""`init`."""

import os

import click

from claw_files.cli.base import command, shared, show


@command("init", example="clawfiles init team --for claude\nclawfiles init team --for claude --remove")
@click.argument("directory", required=False, metavar="[DIR]")
@click.option("--template", "name", default="default", metavar="NAME", help="The template to start from.")
@click.option(
    "--for",
    "program",
    type=click.Choice(["openclaw", "claude", "codex", "gemini"]),
    help="Add instructions, a skill and settings for this agent program.",
)
@click.option("--remove", "removes", is_flag=True, help="Remove that program's instructions and skill.")
def init(directory: str | None, name: str, program: str | None, removes: bool) -> None:
    """Create or complete a workspace: adds what is missing, changes no existing file, and lists both.

    Adds instructions to AGENTS.md, CLAUDE.md or GEMINI.md, between two markers. Nothing else in the file changes.
    """
    from claw_files.app.wiring import set_up, take_out
    from claw_files.core.text import agent_id, safe

    if removes and not program:
        raise click.UsageError("--remove requires --for PROGRAM")
    root = os.path.abspath(directory or shared("start") or ".")
    done = take_out(root, program) if removes and program else set_up(root, agent_id(name), program)
    lines = [f"{one.what}: {safe(one.path)}" + (f"\n\n{one.text.rstrip()}\n" if one.text else "") for one in done]
    document = {"workspace": root, "done": [{"what": d.what, "path": d.path, "text": d.text} for d in done]}
    show(document, "\n".join([f"workspace {safe(root)}", *lines]))
