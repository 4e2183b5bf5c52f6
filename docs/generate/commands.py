"""`docs/reference/commands.md` and `errors.md`, generated from the commands and the errors."""

import inspect
from collections.abc import Iterator
from typing import Any

import click

from claw_files.cli.base import Command
from claw_files.cli.root import Group, root
from claw_files.core import errors

_COMMANDS = """# Commands

The commands for people, cron jobs and agents. This page is generated from the program; `clawfiles COMMAND --help`
prints the same.

## Everywhere

- The **workspace** is the folder that contains `clawfiles.toml`. With `-C DIR`, clawfiles searches DIR and the folders
  above it; otherwise it uses `CLAWFILES_WORKSPACE`; otherwise it searches the current folder and the folders above
  it. A workspace inside another, or one that other users can write to, is [refused](../how-to/share.md).
- **The acting agent** is `--agent NAME`, or `CLAWFILES_AGENT`. Commands that write need one; a person is an agent of
  kind `human`. `heartbeat` and `archive` act as the coordinator. In a run only the run's own agent can act.
- **`--json`** prints one JSON document on stdout (`log` and `demo`: one per line), with times as ISO 8601 UTC. An error
  is then one JSON object on stderr. JSON is plain ASCII; other characters are escaped.
- Shared options go before or after the command. `task list --agent` is a filter.
- A process that clawfiles started, and each of its child processes, is in a **run**, even without the variables
  `CLAWFILES_TASK`, `CLAWFILES_GENERATION` and `CLAWFILES_RUN`, which describe the run. A holder's command on that task
  uses that generation by default, and tasks created in the run have the task as their parent.
- A **time** is text such as 2026-03-07T10:00:00Z, "2026-03-07 10:00", 10:00 or +30m; a **length** such as 90s or 1h30m.
- Answers go to stdout, everything else to stderr. Colour is used only on a terminal, and not if `NO_COLOR` is set.
  Control characters in text from files are escaped.
- **Exit status**: see [errors](errors.md). Ctrl-C exits with 130; a closed output pipe with 141.
"""

_ERRORS = """# Errors and exit statuses

This page is generated from the program. With `--json`, an error is one object on stderr,
`{"error": {"code": ..., "message": ..., ...}}`, with more fields for details. As text it is a line that
begins with `clawfiles: `.

| status | meaning |
|---|---|
| 0 | done; also if another heartbeat is running, or if `send --wait` delivered the message but got no answer |
| 1 | the check found something (`doctor`, `heartbeat --check`) |
| 2 | wrong usage |
| 3 | no such task, agent or message; nothing ready for `claim --next` |
| 4 | conflict: another agent holds it; the error names the agent |
| 5 | refused by a rule; the error says what to do instead, and `rule` in its JSON names the rule |
| 6 | invalid file or configuration (file, line), or the disk refused a write |
| 7 | busy: a lock was not released in time, or another process is writing the file |
| 8 | the run failed or timed out |
| 70 | internal error; `CLAWFILES_DEBUG=1` prints the traceback |
| 130 | stopped by Ctrl-C; the workspace is consistent |
| 141 | the reader of the output closed the pipe |

| code | status | when |
|---|---|---|
"""


def commands_page() -> str:
    """The whole page on the commands."""
    return "\n".join([_COMMANDS, *(_section(path, command) for path, command in walk(root, ()))])


def errors_page() -> str:
    """The whole page on the errors."""
    return _ERRORS + "".join(_row(error) for error in family(errors.ClawError))


def walk(group: Group, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Command | Group]]:
    """Every command below `group` with the words that call it, in the order of the help."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command: Any = group.get_command(context, name)
        yield (*path, name), command
        if isinstance(command, Group):
            yield from walk(command, (*path, name))


def family(error: type[errors.ClawError]) -> Iterator[type[errors.ClawError]]:
    """The error and everything that descends from it, parents first."""
    yield error
    for child in error.__subclasses__():
        yield from family(child)


def _section(path: tuple[str, ...], command: Command | Group) -> str:
    usage = " ".join(["clawfiles", *path, *(_argument(p) for p in command.params if isinstance(p, click.Argument))])
    text = inspect.cleandoc(command.help or "")
    rows = "".join(
        _option(option) for option in command.params if isinstance(option, click.Option) and option.expose_value
    )
    options = f"\n| option | meaning |\n|---|---|\n{rows}" if rows else ""
    return f"## {' '.join(path)}\n\n`{usage}`\n\n{text}\n{options}\n```console\n{_prompts(command.example)}\n```\n"


def _argument(argument: click.Argument) -> str:
    name = (argument.metavar or (argument.name or "").upper()).strip("[]")
    return name if argument.required else f"[{name}]"


def _option(option: click.Option) -> str:
    value = option.metavar or ("|".join(option.type.choices) if isinstance(option.type, click.Choice) else "")
    names = ", ".join(f"{name} {value}".strip() for name in option.opts).replace("|", "\\|")
    return f"| `{names}` | {option.help} |\n"


def _prompts(example: str) -> str:
    return "\n".join(f"$ {line}" for line in example.splitlines())


def _row(error: type[errors.ClawError]) -> str:
    said = inspect.cleandoc(error.__doc__ or "").replace("\n", " ")
    return f"| `{error.code}` | {error.exit_status} | {said} |\n"
