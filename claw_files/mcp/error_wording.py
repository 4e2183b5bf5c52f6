"""Rewords an error's advice for MCP: tools and arguments instead of commands and options."""

import re
from typing import Final

from claw_files.core.lazy_regex import pattern
from claw_files.mcp.tools import TOOLS

_ARGUMENTS: Final = {  # an option of the command line: the argument, where it is not the same in camel case
    "worker": "agentId",
    "task": "taskId",
    "wait": "timeoutSeconds",
    "timeout": "timeoutSeconds",
    "of": "groupSize",
    "from": "agent",
    "output": "outputs",
}
_TOOLS: Final = {command.name: row.name for row in TOOLS.values() for command in row.commands} | {
    "send": "sessions_send",
    "ask": "sessions_send",
}
_QUOTED = pattern(r"`clawfiles ([a-z]+(?: [a-z]+)?)([^`]{0,400})`")
_OPTION = pattern(r"--([a-z][a-z-]{1,20})\b")


def reworded(sentence: str) -> str:
    """The sentence with tools instead of `clawfiles COMMAND ...`, and arguments instead of options."""
    return _OPTION.sub(_argument, _QUOTED.sub(_tool, sentence))


def _tool(found: re.Match[str]) -> str:
    words, rest = found[1], found[2]
    if words not in _TOOLS:  # "task new" is one, and of "claim TC" the first word is
        first, _, more = words.partition(" ")
        words, rest = first, (f" {more}" if more else "") + rest
    if words not in _TOOLS:
        return found[0]
    rest = _AGENT.sub("", rest).strip()
    return f"the tool `{_TOOLS[words]}`" + (f" with {_OPTION.sub(_argument, rest)}" if rest else "")


_AGENT = pattern(r"\s--agent \S+")


def _argument(found: re.Match[str]) -> str:
    first, *more = found[1].split("-")
    return f"`{_ARGUMENTS.get(found[1], first + ''.join(word.title() for word in more))}`"
