"""Usage: what work used, as agents and their programs report it, and as the journal keeps it.

Whatever stands in the place of a number is not trusted: a figure that is negative, not finite, not a number or beyond
what anybody could have used is read as not reported. Nothing here raises for what a file or a program said.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

from msgspec.structs import replace

from claw_files.core import text as words
from claw_files.core.errors import BadId, InvalidFile
from claw_files.core.lazy_regex import pattern
from claw_files.core.model import AgentId, TaskId, Usage, Value
from claw_files.formats import frontmatter

END_BYTES: Final = 1 << 16  # of a run's output that are looked at
MOST_TOKENS: Final = 1_000_000_000_000
MOST_MONEY: Final = 1_000_000.0
ACTION: Final = "usage"  # the journal's word

_INPUT = ("input", "input_tokens", "prompt_tokens", "in")
_OUTPUT = ("output", "output_tokens", "completion_tokens", "out")
_CACHED = ("cached", "cached_input_tokens", "cache_read_input_tokens")
_COST = ("cost", "total_cost_usd", "cost_usd", "usd")
_NUMBER = pattern(
    r"[$€£]?\s*([0-9]{1,3}(?:[,_][0-9]{3})+|[0-9]{1,16})((?:\.[0-9]{1,12})?)\s*(?:[A-Z]{3}|[$€£])?", re.ASCII
)
_NOTED = pattern(
    r"(?:input (?P<input>[0-9]{1,13}), )?(?:cached (?P<cached>[0-9]{1,13}), )?(?:output (?P<output>[0-9]{1,13}), )?"
    r"(?:cost (?P<cost>[0-9]{1,8}(?:\.[0-9]{1,6})?)(?: by price)?, )?from .*",
    re.ASCII,
)


class Charge(Value, frozen=True):
    """One line of the journal about usage. Two of one key are the same usage, noted twice."""

    at: datetime  # aware, UTC: when it was noted, within a tick of the run's end
    key: str  # the run, or of what a file says: who or which task, and a mark of the figures
    usage: Usage
    agent: AgentId | None = None
    task: TaskId | None = None
    model: str | None = None


# --- what was reported


def of_output(raw: bytes) -> Usage | None:
    """What the end of a program's output reports: Claude Code, Codex and Gemini CLI with JSON; the last report counts.

    Args:
        raw: standard output; only its last `END_BYTES` are looked at.
    """
    text = raw[-END_BYTES:].decode("utf-8", "replace")
    for line in reversed(text.splitlines()):
        if line.lstrip().startswith(("{", "[")) and (found := _of_any(_decoded(line))):
            return found
    start = re.search(r"^[{\[]", text, re.MULTILINE)
    return _of_any(_decoded(text[start.start() :])) if start else None


def of_json(raw: bytes) -> Usage | None:
    """What `runs/RUN-ID/usage.json` says: `{"input", "output", "cached", "cost", "model"}`."""
    found = _decoded(raw.decode("utf-8", "replace"))
    return _plain(found) if isinstance(found, dict) else None


def of_front_matter(raw: bytes, path: str) -> Usage | None:
    """What `usage:` in a file's front matter says: a status file's, a checkpoint's, a worker's result's."""
    try:
        found = frontmatter.parse(raw, path).meta.get("usage")
    except InvalidFile:
        return None
    return _plain(found) if isinstance(found, Mapping) else None


def _decoded(text: str) -> Any:
    """The first JSON document in the text; what follows it is somebody's talk."""
    try:
        return json.JSONDecoder().raw_decode(text.strip())[0]
    except (ValueError, RecursionError):
        return None


def _of_any(found: Any) -> Usage | None:
    if isinstance(found, list):  # Claude Code with --verbose: every message, the result last
        return next((usage for one in reversed(found[-100:]) if (usage := _of_any_object(one))), None)
    return _of_any_object(found)


def _of_any_object(found: Any) -> Usage | None:
    if not isinstance(found, dict):
        return None
    if found.get("type") == "result" and ("total_cost_usd" in found or "usage" in found):
        return _of_claude(found)
    if found.get("type") == "turn.completed":
        return _plain(_mapping(found.get("usage")))
    stats = _mapping(found.get("stats"))
    return _of_gemini(_mapping(stats.get("models"))) or _plain(stats)


def _of_claude(found: Mapping[str, Any]) -> Usage | None:
    """Its `input_tokens` leave out what was written to and read from the cache."""
    usage, models = _mapping(found.get("usage")), _mapping(found.get("modelUsage"))
    cached = _tokens(usage.get("cache_read_input_tokens"))
    read = _tokens(usage.get("input_tokens")) + cached + _tokens(usage.get("cache_creation_input_tokens"))
    one = next(iter(models), None) if len(models) == 1 else None
    return _some(read, _tokens(usage.get("output_tokens")), cached, _money(found.get("total_cost_usd")), one)


def _of_gemini(models: Mapping[str, Any]) -> Usage | None:
    """The sum of its models; what it thought counts as output."""
    tokens = [_mapping(_mapping(one).get("tokens")) for one in list(models.values())[:100]]
    read = sum(_tokens(one.get("prompt")) for one in tokens)
    written = sum(_tokens(one.get("candidates")) + _tokens(one.get("thoughts")) for one in tokens)
    cached = sum(_tokens(one.get("cached")) for one in tokens)
    return _some(read, written, cached, None, next(iter(models), None) if len(models) == 1 else None)


def _plain(found: Mapping[str, Any]) -> Usage | None:
    read, written, cached = (_tokens(_first(found, keys)) for keys in (_INPUT, _OUTPUT, _CACHED))
    return _some(read, written, cached, _money(_first(found, _COST)), found.get("model"))


def _first(found: Mapping[str, Any], keys: Iterable[str]) -> Any:
    return next((found[key] for key in keys if key in found), None)


def _some(read: int, written: int, cached: int, cost: float | None, model: Any = None) -> Usage | None:
    """The usage, or None where nothing of it was reported."""
    if not read and not written and cost is None:
        return None
    read, written = min(read, MOST_TOKENS), min(written, MOST_TOKENS)
    name = words.safe(model.strip(), limit=100) if isinstance(model, str) else ""
    return Usage(input=read, output=written, cached=min(cached, read), cost=cost, model=name or None)


def _mapping(found: Any) -> Mapping[str, Any]:
    return found if isinstance(found, dict) else {}


def _tokens(found: Any) -> int:
    """A number of tokens; 0 for what is none."""
    number = _number(found)
    return int(number) if number is not None and number <= MOST_TOKENS else 0


def _money(found: Any) -> float | None:
    number = _number(found)
    return round(number, 6) if number is not None and number <= MOST_MONEY else None


def _number(found: Any) -> float | None:
    """A number, also as people write it: "12,345", "$0.42"; None for what is none, negative or not finite."""
    if isinstance(found, str):
        written = _NUMBER.fullmatch(found.strip()[:64])
        found = float(re.sub("[,_]", "", written[1]) + written[2]) if written else None
    if isinstance(found, bool) or not isinstance(found, int | float):
        return None
    with suppress(OverflowError):  # a whole number of a thousand digits
        number = float(found)
        return number if math.isfinite(number) and number >= 0 else None
    return None


# --- what it costs


def priced(usage: Usage, input_price: float, output_price: float, cached_price: float | None) -> Usage:
    """The usage with its cost by these prices of a million tokens, where none was reported and tokens were."""
    if usage.cost is not None or not (usage.input or usage.output):
        return usage
    cached = input_price if cached_price is None else cached_price
    cost = (usage.input - usage.cached) * input_price + usage.cached * cached + usage.output * output_price
    return replace(usage, cost=round(min(cost / 1_000_000, MOST_MONEY), 6))


def model_name(configured: str | None, reported: str | None) -> str | None:
    """The model that did the work: as reported, in the spelling of the configuration where that means the same.

    "claude-sonnet-4-6-20260101", reported, is the configured "anthropic/claude-sonnet-4-6".
    """
    if not configured or not reported:
        return reported or configured
    short = configured.rpartition("/")[2].lower()
    return configured if reported.rpartition("/")[2].lower().startswith(short) else reported


# --- the journal's line


def render(usage: Usage, source: str, by_price: bool = False) -> str:
    """The usage as `why` of its line in the journal: "input 1200, output 340, cost 0.0125, from stdout.log"."""
    tokens = [(name, getattr(usage, name)) for name in ("input", "cached", "output")]
    parts = [f"{name} {number}" for name, number in tokens if number]
    if usage.cost is not None:
        parts.append(f"cost {amount(usage.cost)}" + (" by price" if by_price else ""))
    return ", ".join([*parts, f"from {source}"])


def figures(usage: Usage) -> dict[str, str]:
    """The usage as `usage:` in front matter."""
    tokens = {name: str(getattr(usage, name)) for name in ("input", "output") if getattr(usage, name)}
    return tokens | ({} if usage.cost is None else {"cost": amount(usage.cost)})


def amount(money: float) -> str:
    """The money with at most six decimals."""
    return f"{money:.6f}".rstrip("0").rstrip(".")


def charge(line: Mapping[str, Any]) -> Charge | None:
    """The charge that a line of the journal tells of; None for other lines and for what is none of ours."""
    noted = _NOTED.fullmatch(str(line.get("why") or "")[:400]) if line.get("action") == ACTION else None
    key, at = line.get("key"), instant(line)
    if noted is None or at is None or not isinstance(key, str) or not key:
        return None
    usage = Usage(
        input=int(noted["input"] or 0),
        output=int(noted["output"] or 0),
        cached=int(noted["cached"] or 0),
        cost=float(noted["cost"]) if noted["cost"] else None,
    )
    model = line.get("model")
    agent, task = _id(words.agent_id, line.get("agent")), _id(words.task_id, line.get("task"))
    return Charge(at=at, key=key, usage=usage, agent=agent, task=task, model=model if isinstance(model, str) else None)


def instant(line: Mapping[str, Any]) -> datetime | None:
    """When a line of the journal was written, UTC; None where it does not say so."""
    text = line.get("timestamp")
    with suppress(ValueError, OverflowError):
        at = datetime.fromisoformat(text) if isinstance(text, str) else None
        return at.astimezone(UTC) if at and at.tzinfo else None
    return None


def _id(read: Any, text: Any) -> Any:
    with suppress(BadId):
        return read(text) if isinstance(text, str) else None
    return None
