"""A second reading of the ledger: which lines are entries, and whom they name."""

import re
from collections.abc import Container, Iterator

from claw_files.core import text as words
from claw_files.core.errors import BadId
from claw_files.core.model import Value

from .paper import STATES, lines

_ENTRY = re.compile(
    r"^\ufeff?[ \t]*+(?:(?:[-*+]|[0-9]{1,3}[.)])[ \t]++)?+(?:\[(?P<box>[ xX])\][ \t]++)?+"
    "[*_`\"'~✅✔☑🚧⏳🔴🟡🟢\ufe0f \t]{0,8}+"
    r"(?P<task>[A-Za-z0-9][A-Za-z0-9._-]{0,63}+)(?=[^A-Za-z0-9/\\\n]|$)"
    r"(?=[^\n]*?(?:→|⇒|->|=>|(?i:delegated|assigned|handed|wait|until|check|due)))(?P<rest>[^\n]*)",
    re.MULTILINE,
)
_AGENT = re.compile(
    r"(?:\b(?:delegated|assigned|handed(?: over)?)[ \t]+to\b|(?P<arrow>→|⇒|->|=>))[*_`\"' \t]*@?"
    r"(?P<agent>[A-Za-z0-9][A-Za-z0-9._-]{0,63}+)",
    re.IGNORECASE,
)
_TIME = r"[0-9]{1,2}:[0-9]{2}|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}|\+[0-9]|\bin[ \t]+[0-9]"
_LOOK = re.compile(
    rf"\b(?:wait(?:ing)?|until|check|due)\b[^\n]*?(?:{_TIME})|\b(?:until|(?:check|due)[^\n]*\bat)\b|"
    r"^[\s,:–—-]*(?:check|wait)[\s.]*$",
    re.IGNORECASE,
)


class Entry(Value, frozen=True):
    """One line of the ledger."""

    line: int
    task: str
    agent: str | None
    is_ticked: bool


def entries(raw: bytes, prefix: str, known: Container[str]) -> Iterator[Entry]:
    """The entries in their order. An id has the prefix and a number, or is a known task."""
    text = raw.decode("utf-8", "surrogateescape")
    for line, match in lines(text, _ENTRY):
        task = _task(match["task"], prefix, known)
        rest = re.sub(r"<!--.*?-->", "", match["rest"])
        agent = _agent(rest)
        if task and (agent or _LOOK.search(rest)):
            yield Entry(line=line, task=task, agent=agent, is_ticked=(match["box"] or " ") in "xX")


def _task(text: str, prefix: str, known: Container[str]) -> str | None:
    try:
        task = words.task_id(text.rstrip("._"))
    except BadId:
        return None
    return task if re.fullmatch(rf"{re.escape(prefix)}-[0-9]+", task, re.IGNORECASE) or task in known else None


def _agent(rest: str) -> str | None:
    found = _AGENT.search(rest)
    if not found or found["agent"].lower() in STATES:
        return None
    after = rest[found.end() :]
    if found["arrow"] and not re.match(
        r"[*_`\"' \t]*(?:$|[\[,;(.:–—-]|(?:check|wait|until|due|for)\b)", after, re.IGNORECASE
    ):
        return None
    try:
        return words.agent_id(found["agent"].rstrip("._-"))
    except BadId:
        return None
