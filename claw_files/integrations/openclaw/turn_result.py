"""The result of a turn: last text and usage, from its final answer or the transcript. Pure."""

from typing import Any

from msgspec.structs import replace

from claw_files.core.model import Usage, Value
from claw_files.integrations.openclaw.protocol import record, records, text

RESUMED = "[System] Your previous turn was interrupted"  # how OpenClaw takes a turn up again after a restart
SAID_LETTERS = 20_000


class TurnOutcome(Value, frozen=True):
    """The outcome of a turn."""

    is_good: bool
    said: str = ""
    usage: Usage | None = None


class Segment(Value, frozen=True):
    """A turn in the transcript."""

    said: str
    is_complete: bool
    usage: Usage | None


KNOWN = ("ok", "error", "timeout")  # how a turn ends; with another word, one that was answered is done all the same


def final(payload: dict[str, Any]) -> TurnOutcome:
    """The outcome in the second answer to `agent`."""
    result = record(payload, "result")
    said = "\n".join(filter(None, (text(one, "text") for one in records(result, "payloads"))))
    meta = record(record(result, "meta"), "agentMeta")
    is_new = text(payload, "status") not in KNOWN and bool(said) and not _error(payload | {"summary": None})
    is_good = (payload.get("status") == "ok" or is_new) and record(result, "meta").get("aborted") is not True
    return TurnOutcome(is_good=is_good, said=_cut(said or _error(payload)), usage=_whole(meta) if meta else None)


def waited(payload: dict[str, Any]) -> TurnOutcome:
    """The outcome in the answer to `agent.wait`, which has no usage."""
    said = text(record(payload, "terminalReply"), "text")
    return TurnOutcome(is_good=payload.get("status") == "ok", said=_cut(said or _error(payload)))


def transcript(messages: list[dict[str, Any]], key: str) -> TurnOutcome:
    """The outcome in the session's transcript."""
    found = segment(messages, key)
    if found is None:
        return TurnOutcome(is_good=False, said="the session's transcript does not hold the turn")
    said = found.said or ("" if found.is_complete else "the turn was interrupted and has no answer")
    return TurnOutcome(is_good=found.is_complete, said=_cut(said), usage=found.usage)


def segment(messages: list[dict[str, Any]], key: str) -> Segment | None:
    """The transcript from the message with `key` to the next incoming message; None without it."""
    first = next((n for n, one in enumerate(messages) if one.get("idempotencyKey") == f"{key}:user"), None)
    if first is None:
        return None
    said, is_complete, usage = "", False, None
    for one in messages[first + 1 :]:
        if one.get("role") == "user" and one.get("idempotencyKey") and not _content(one).startswith(RESUMED):
            break
        # An assistant's message with a key is a correction from outside.
        if one.get("role") == "assistant" and not one.get("idempotencyKey"):
            said, is_complete = _content(one), one.get("stopReason") not in ("toolUse", "aborted", "error")
            usage = _added(usage or Usage(), _part(one))
    return Segment(said=said, is_complete=is_complete, usage=usage)


def _content(message: dict[str, Any]) -> str:
    if isinstance(message.get("content"), str):
        return text(message, "content")
    return "\n".join(filter(None, (text(part, "text") for part in records(message, "content"))))


def _whole(meta: dict[str, Any]) -> Usage:
    used = _used(record(meta, "usage"), meta)
    cost = _money(meta.get("costUsd"))
    return used if cost is None else replace(used, cost=cost)


def _part(message: dict[str, Any]) -> Usage:
    return _used(record(message, "usage"), message)


def _used(usage: dict[str, Any], about: dict[str, Any]) -> Usage:
    """The usage from OpenClaw; the cost is in dollars, None without a price."""
    return Usage(
        input=_tokens(usage, "input", "cacheRead", "cacheWrite"),
        output=_tokens(usage, "output"),
        cached=_tokens(usage, "cacheRead"),
        cost=_money(record(usage, "cost").get("total")),
        model=_model(about),
    )


def _added(one: Usage, other: Usage) -> Usage:
    costs = [cost for cost in (one.cost, other.cost) if cost is not None]
    return Usage(
        input=one.input + other.input,
        output=one.output + other.output,
        cached=one.cached + other.cached,
        cost=sum(costs) if costs else None,
        model=other.model or one.model,
    )


def _tokens(usage: dict[str, Any], *keys: str) -> int:
    """The sum of the values at the keys; tokens read from and written to a cache are input, too."""
    found = (usage.get(key) for key in keys)
    return sum(
        int(one) for one in found if isinstance(one, int | float) and not isinstance(one, bool) and 0 <= one < 1e12
    )


def _money(value: object) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return float(value) if 0 <= value < 1e9 else None


def _model(found: dict[str, Any]) -> str | None:
    return "/".join(filter(None, (text(found, "provider", 60), text(found, "model", 120)))) or None


def _error(payload: dict[str, Any]) -> str:
    said = payload.get("error")
    return said if isinstance(said, str) else text(record(payload, "error"), "message") or text(payload, "summary")


def _cut(said: str) -> str:
    return said if len(said) <= SAID_LETTERS else f"{said[:SAID_LETTERS]}... (cut)"
