"""`docs/reference/calls.md`, made from the table of calls."""

from typing import Any

from claw_files.core.operation_table import OPERATIONS, Operation
from claw_files.operations.argument_schemas import schema

_HEAD = """# Calls

The operations that an agent can call by name, as a tool of [`clawfiles mcp`](../how-to/mcp.md) or as a request. This
page is generated from the program. Each operation does the same as its command, with the same rules and the same
[errors](errors.md). The connection determines the acting agent; no argument can change it.

Text is at most 1 MiB, a name 512 characters, a list 1,000 items. An unknown argument is refused, and the error names
the nearest known one; null means not given. Times and lengths are as in [commands](commands.md). `generation` is the
number returned by `task_claim`; an agent started by clawfiles does not need to pass it.

`sessions_send`, `sessions_spawn`, `sessions_list`, `sessions_history` and `subagents` use OpenClaw's arguments and
answers where they apply. A spawn also has `size`; the default is the smallest size that `runTimeoutSeconds` fits into
(S 300 s, M 600 s, L 1200 s). `taskName`, or else `label`, names the worker's result. A send without `timeoutSeconds`
does not wait.
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
    says, _, example = row.says.partition("\n")
    says += f"\n\n```markdown\n{example}\n```" if example else ""
    return f"## {row.name}\n\n{says}\n\n{kind}{commands}.\n\n| argument | is | needed |\n|---|---|---|\n{rows}"


def _kind(shown: dict[str, Any]) -> str:
    """What an argument is, in words."""
    if "enum" in shown:
        return ", ".join(f"`{value}`" for value in shown["enum"])
    if shown["type"] == "array":
        return "a list of texts"
    if "minimum" in shown:
        return f"a whole number, {shown['minimum']} to {shown['maximum']}"
    return {"string": "text", "boolean": "true or false", "integer": "a whole number", "object": "an object"}[
        shown["type"]
    ]
