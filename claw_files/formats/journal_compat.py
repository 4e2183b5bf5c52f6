"""COMPATIBILITY: parses the facts of old journal lines from their sentences.

Versions before facts were fields wrote them into `why` alone, and other programs may still do so for `usage`. Only
`claw_files.formats.journal` uses this module; nothing else reads `why`.
"""

import re
from collections.abc import Mapping
from contextlib import suppress

from claw_files.core.journal_events import JournalEvent, Reason
from claw_files.core.lazy_regex import pattern

# "by hand: in_progress -> done", "peter reports done in status/peter.md", "done, and everybody who follows it was told"
_NAMED = {JournalEvent.RECORD: "-> ", JournalEvent.CARRY: " reports ", JournalEvent.CLOSE: ""}
_WORD = pattern(r"\w+")
_USAGE = pattern(
    r"(?:input (?P<input>[0-9]{1,13}), )?(?:cached (?P<cached>[0-9]{1,13}), )?(?:output (?P<output>[0-9]{1,13}), )?"
    r"(?:cost (?P<cost>[0-9]{1,8}(?:\.[0-9]{1,6})?)(?: by price)?, )?from .*",
    re.ASCII,
)


def facts_of(line: Mapping[str, object]) -> dict[str, object]:
    """The facts in the line's sentence, under the keys of newer lines."""
    action, why = str(line.get("action")), str(line.get("why") or "")
    if action == JournalEvent.USAGE:
        noted = _USAGE.fullmatch(why[:400])
        return {"usage": noted.groupdict()} if noted else {}
    if action == JournalEvent.PROBE:
        return {"reason": Reason.ACTS if why.startswith("acts") else Reason.ACTS_NOT}
    if "message_hash" in line:  # a message is sent before its task moves, or after it
        return {}
    facts: dict[str, object] = {"to": _state(action, why)}
    if action == JournalEvent.CLAIM and why == "its worker starts":
        facts["reason"] = Reason.WORKER_STARTS
    return facts


def _state(action: str, why: str) -> str | None:
    with suppress(ValueError):
        event = JournalEvent(action)
        mark = _NAMED.get(event)
        found = None if mark is None else _WORD.match(why.partition(mark)[2] if mark else why)
        return found[0] if found else event.leads_to
    return None
