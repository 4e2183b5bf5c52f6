"""`docs/reference/commands.md`, `errors.md`, `doctor.md` and `calls.md`, made from what they tell of.

Run this module with the name of a page to print it; a test keeps page and program equal.
"""

import inspect
from collections.abc import Iterator
from typing import Any

import click

from claw_files.cli.base import Command
from claw_files.cli.root import Group, root
from claw_files.core import errors
from claw_files.doctor.codes import page
from claw_files.operations.reference_page import calls_page

_COMMANDS = """# Commands

What people, cron jobs and agents type. This page is made from the program: `clawfiles COMMAND --help` says the same.

## Everywhere

- The **workspace** is the folder that holds `clawfiles.toml`. It is looked for in `-C DIR` and above; else it is
  `CLAWFILES_WORKSPACE`, exactly; else it is looked for in the present folder and above. One inside another is none, and
  one that others can write is [refused](../how-to/share.md).
- **Who acts** is `--agent NAME`, else `CLAWFILES_AGENT`. Commands that write need one; a person is an agent of kind
  `human`. `heartbeat` and `archive` act as the coordinator. In a run its agent acts, and nobody else can be named.
- **`--json`** prints one JSON document on stdout (`log` and `demo`: one a line), with times as ISO 8601 UTC. Errors are
  one JSON object on stderr then. JSON is plain ASCII: what is not is escaped.
- Shared options stand before or after the command. `task list --agent` is a filter.
- A process that clawfiles started, and all that it starts, is in a **run**, with or without the variables
  `CLAWFILES_TASK`, `CLAWFILES_GENERATION` and `CLAWFILES_RUN`, which tell it what the run is about. A holder's command
  on that task names that generation by itself, and what is made in the run names the task as its parent.
- A **time** is text such as 2026-03-07T10:00:00Z, "2026-03-07 10:00", 10:00 or +30m; a **length** such as 90s or 1h30m.
- Answers go to stdout, all else to stderr. Colour only on a terminal, and not when `NO_COLOR` is set. Text out of
  files is shown with its control characters escaped.
- **Exit status**: see [errors](errors.md). Ctrl-C ends with 130; a reader that closes our output ends us with 141.
"""

_ERRORS = """# Errors and exit statuses

This page is made from the program. With `--json` an error is one object on stderr,
`{"error": {"code": ..., "message": ..., ...}}`, with its facts beside code and message. In text it is a line that
begins with `clawfiles: `.

| status | meaning |
|---|---|
| 0 | done; also a heartbeat that finds another running, and a `send --wait` without an answer: it was delivered |
| 1 | the check found something (`doctor`, `heartbeat --check`) |
| 2 | wrong use |
| 3 | no such task, agent or message; nothing ready for `claim --next` |
| 4 | conflict: someone else holds it; the error names them |
| 5 | refused by a rule; the error names the rule and what to do instead |
| 6 | invalid file or configuration (file, line), or a disk that refuses |
| 7 | busy: a lock was not free in time, or somebody is writing the file |
| 8 | the run failed or timed out |
| 70 | a bug of ours: one sentence, and the traceback with `CLAWFILES_DEBUG=1` |
| 130 | ended by Ctrl-C; the workspace is consistent |
| 141 | whoever read our output closed it |

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


if __name__ == "__main__":
    import sys

    pages = {"commands": commands_page, "errors": errors_page, "doctor": page, "calls": calls_page}
    sys.stdout.write(pages[sys.argv[1]]())
