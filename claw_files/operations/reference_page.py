"""`docs/reference/calls.md`, made from the table of calls."""

from typing import Any

from claw_files.operations.argument_schemas import schema
from claw_files.operations.table import OPERATIONS, Operation

_HEAD = """# Calls

What an agent can ask for by name, whatever door it comes through: a tool of [`clawfiles mcp`](../how-to/mcp.md), or
a request. This page is made from the program. Each call does what its command does, by the same rules and with the
same [errors](errors.md); who acts is fixed by the door, and no argument can say another.

Text is at most 1 MiB, a name 512 characters, a list 1,000 items. What a call does not know is refused with the name
that is nearest; a null counts as not given. Times and lengths are as in [commands](commands.md). `generation` is what
`task_claim` answered; a holder that is started by clawfiles has it already.

`sessions_send`, `sessions_spawn`, `sessions_list`, `sessions_history` and `subagents` have OpenClaw's arguments and
answers as far as they mean something here. Of its own a spawn has `size`, else the smallest that `runTimeoutSeconds`
fits in (S 300 s, M 600 s, L 1200 s); `taskName`, else `label`, names the worker's result. A send without
`timeoutSeconds` waits for nothing.
"""


def calls_page() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *map(_section, OPERATIONS.values())])


def _section(row: Operation) -> str:
    shown = schema(row)
    rights = [command.name for command in row.commands]
    kind = "Changes something: " if row.changes else "Only looks: "
    commands = ", ".join(f"`clawfiles {right}`" for right in rights)
    needed = shown.get("required", ())
    rows = "".join(
        f"| `{name}` | {_kind(it)} | {'yes' if name in needed else ''} |\n" for name, it in shown["properties"].items()
    )
    return f"## {row.name}\n\n{row.says}\n\n{kind}{commands}.\n\n| argument | is | needed |\n|---|---|---|\n{rows}"


def _kind(shown: dict[str, Any]) -> str:
    """What an argument is, in words."""
    if "enum" in shown:
        return ", ".join(f"`{value}`" for value in shown["enum"])
    if shown["type"] == "array":
        return "a list of texts"
    if "minimum" in shown:
        return f"a whole number, {shown['minimum']} to {shown['maximum']}"
    return {"string": "text", "boolean": "true or false", "integer": "a whole number"}[shown["type"]]
