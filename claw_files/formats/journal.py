"""The journal's lines: one JSON object each, with the promised keys and typed facts for programs."""

from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

import msgspec

from claw_files.core import text as words
from claw_files.core.journal_events import Reason
from claw_files.core.model import Audit, Facts, State, Usage

# Every line has these. One without `to` was written by an earlier version, or by another program: it has no facts.
KEYS = ("timestamp", "action", "task", "agent", "parent_agent", "model", "key", "why", "actor", "epoch", "to")
_TEXTS = ("action", "task", "agent", "parent_agent", "model", "key", "actor", "epoch", "message_hash")
_SPELLED = {"task": str.upper, "agent": str.lower}
_STATES = {state.value: state for state in State}
_REASONS = {reason.value: reason for reason in Reason}


class Line(Facts, frozen=True, kw_only=True):
    """One parsed line, of this version or an earlier one. A value of the wrong type counts as missing."""

    at: datetime  # aware, UTC
    action: str  # a JournalEvent, or what a later version writes
    message_hash: str | None = None  # of a line about a message


def render(audit: Audit, at: datetime, message_hash: str | None = None) -> bytes:
    """The line, with its line break; `message_hash` is the fingerprint of the message that is written with it."""
    own = {"timestamp": words.render_instant(at), "why": audit.why}
    own |= {"message_hash": message_hash} if message_hash else {}
    return words.json_line(dict.fromkeys(KEYS) | msgspec.to_builtins(audit) | own)


def decode(raw: bytes) -> dict[str, Any] | None:
    """The line's JSON object; None for a torn line."""
    with suppress(msgspec.MsgspecError, ValueError, RecursionError):
        return msgspec.json.decode(raw, type=dict[str, Any])
    return None


def parse(raw: bytes) -> Line | None:
    """The line; None if it is truncated, or has no time or no action."""
    facts = decode(raw)
    return line_of(facts) if facts else None


def lines_of(raw: bytes, needles: Collection[bytes] = ()) -> tuple[list[Line], int]:
    """The lines of a day, or those with one of the needles; and the number of unreadable ones."""
    found, broken = list[Line](), 0
    for text in filter(bytes.strip, raw.split(b"\n")):
        if needles and not any(needle in text for needle in needles):
            broken += not (text.startswith(b"{") and text.endswith(b"}"))
            continue
        facts = decode(text)
        broken += facts is None
        line = line_of(facts) if facts else None
        found += [line] if line else []
    return found, broken


def line_of(facts: Mapping[str, Any]) -> Line | None:
    """The line with these facts; None without a time or an action."""
    if "to" not in facts:
        from claw_files.formats.journal_compat import facts_of

        facts = {**facts, **facts_of(facts)}
    at = words.parse_instant(facts.get("timestamp"))
    texts = {name: value for name, value in facts.items() if isinstance(value, str)}
    if at is None or "action" not in texts:
        return None
    own: dict[str, Any] = {name: _SPELLED.get(name, str)(texts[name]) for name in _TEXTS if name in texts}
    return Line(
        at=at,
        before=_STATES.get(texts.get("from", "")),
        after=_STATES.get(texts.get("to", "")),
        usage=_usage(facts.get("usage")),
        reason=_REASONS.get(texts.get("reason", "")),
        **own,
    )


def _usage(found: object) -> Usage | None:
    if not found:
        return None
    from claw_files.formats.usage import of_facts  # few lines are about usage, and few commands read them

    return of_facts(found)
