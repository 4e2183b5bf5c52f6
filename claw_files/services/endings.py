"""How runs began and ended, as the journal tells it: what breakers and rates are derived from."""

from datetime import datetime, timedelta

import msgspec

from claw_files.model import AgentId, Audit
from claw_files.rules.probes import is_probe

WENT_WELL = frozenset({"done", "review", "finish", "approve"})
SECOND = timedelta(seconds=1)
_INTERESTING = (b'"fail"', b'"wake"', b'"done"', b'"review"', b'"finish"', b'"approve"')


def journal_line(text: bytes) -> tuple[datetime, Audit] | None:
    """When a line about a run or its end was written, and the line; None for any other."""
    if not any(word in text for word in _INTERESTING):
        return None
    try:
        facts = msgspec.json.decode(text)
        return datetime.fromisoformat(facts.pop("timestamp")), msgspec.convert(facts, Audit)
    except (ValueError, KeyError, AttributeError, msgspec.MsgspecError):
        return None


def outcomes(journal: list[tuple[datetime, Audit]]) -> dict[AgentId, tuple[tuple[datetime, bool], ...]]:
    """How each agent's work ended, oldest first: what its breaker is derived from."""
    found: dict[AgentId, list[tuple[datetime, bool]]] = {}
    for at, line in journal:
        if line.agent and not is_probe(line.task) and (line.action == "fail" or line.action in WENT_WELL):
            found.setdefault(line.agent, []).append((at, line.action != "fail"))
    return {agent: tuple(ends) for agent, ends in found.items()}


def started(journal: list[tuple[datetime, Audit]]) -> dict[str, tuple[datetime, ...]]:
    """When runs were started with each model: what its rate is derived from."""
    found: dict[str, list[datetime]] = {}
    for at, line in journal:
        if line.action == "wake" and line.model:
            found.setdefault(line.model, []).append(at + SECOND)  # lines have whole seconds: it was before the next
    return {model: tuple(times) for model, times in found.items()}
