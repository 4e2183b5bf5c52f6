"""Usage of agents and their programs, as they report it and as the journal keeps it.

Whatever stands in the place of a number is not trusted: a figure that is negative, not finite, not a number or beyond
what anybody could have used is read as not reported. Nothing here raises for what a file or a program said.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, Final

from msgspec.structs import replace

from claw_files.core import text as words
from claw_files.core.errors import InvalidFile
from claw_files.core.lazy_regex import pattern
from claw_files.core.model import Usage
from claw_files.formats import frontmatter

END_BYTES: Final = 1 << 16  # of a run's output that are read
MOST_TOKENS: Final = 1_000_000_000_000
MOST_MONEY: Final = 1_000_000.0

_INPUT = ("input", "input_tokens", "prompt_tokens", "in")
_OUTPUT = ("output", "output_tokens", "completion_tokens", "out")
_CACHED = ("cached", "cached_input_tokens", "cache_read_input_tokens")
_COST = ("cost", "total_cost_usd", "cost_usd", "usd")
_NUMBER = pattern(
    r"[$€£]?\s*([0-9]{1,3}(?:[,_][0-9]{3})+|[0-9]{1,16})((?:\.[0-9]{1,12})?)\s*(?:[A-Z]{3}|[$€£])?", re.ASCII
)


# --- what was reported


def of_output(raw: bytes) -> Usage | None:
    """The usage in the end of a program's output: JSON of Claude Code, Codex, Gemini CLI; the last report counts.

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
    """The usage in `runs/RUN-ID/usage.json`: `{"input", "output", "cached", "cost", "model"}`."""
    return of_facts(_decoded(raw.decode("utf-8", "replace")))


def of_front_matter(raw: bytes, path: str) -> Usage | None:
    """The usage in a file's front matter: a status file's, a checkpoint's, a worker's result's."""
    try:
        return of_facts(frontmatter.parse(raw, path).meta.get("usage"))
    except InvalidFile:
        return None


def of_facts(found: object) -> Usage | None:
    """The usage in a line of the journal; None without one."""
    return _plain(found) if isinstance(found, Mapping) else None


def _decoded(text: str) -> Any:
    """The first JSON document in the text; the text after it is ignored."""
    try:
        return json.JSONDecoder().raw_decode(text.strip())[0]
    except (ValueError, RecursionError):
        return None


def _of_any(found: Any) -> Usage | None:
    # Claude Code with --verbose prints a list: every message, the result last.
    objects = map(_mapping, reversed(found[-100:]) if isinstance(found, list) else [found])
    return next((usage for one in objects if (usage := _of_object(one))), None)


def _of_object(found: Mapping[str, Any]) -> Usage | None:
    if found.get("type") == "result" and ("total_cost_usd" in found or "usage" in found):
        return _of_claude(found)
    if found.get("type") == "turn.completed":
        return _plain(_mapping(found.get("usage")))
    stats = _mapping(found.get("stats"))
    return _of_gemini(_mapping(stats.get("models"))) or _plain(stats)


def _of_claude(found: Mapping[str, Any]) -> Usage | None:
    """Claude Code's usage, whose `input_tokens` exclude tokens written to and read from the cache."""
    usage, models = _mapping(found.get("usage")), _mapping(found.get("modelUsage"))
    cached = _tokens(usage.get("cache_read_input_tokens"))
    read = _tokens(usage.get("input_tokens")) + cached + _tokens(usage.get("cache_creation_input_tokens"))
    one = next(iter(models), None) if len(models) == 1 else None
    return _some(read, _tokens(usage.get("output_tokens")), cached, _money(found.get("total_cost_usd")), one)


def _of_gemini(models: Mapping[str, Any]) -> Usage | None:
    """The sum over Gemini's models; thoughts count as output."""
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
    """The usage, or None if no value was reported."""
    if not read and not written and cost is None:
        return None
    read, written = min(read, MOST_TOKENS), min(written, MOST_TOKENS)
    name = words.safe(model.strip(), limit=100) if isinstance(model, str) else ""
    return Usage(input=read, output=written, cached=min(cached, read), cost=cost, model=name or None)


def _mapping(found: Any) -> Mapping[str, Any]:
    return found if isinstance(found, dict) else {}


def _tokens(found: Any) -> int:
    """A number of tokens; 0 if invalid."""
    number = _number(found)
    return int(number) if number is not None and number <= MOST_TOKENS else 0


def _money(found: Any) -> float | None:
    number = _number(found)
    return round(number, 6) if number is not None and number <= MOST_MONEY else None


def _number(found: Any) -> float | None:
    """A number, also as people write it: "12,345", "$0.42"; None if invalid, negative or not finite."""
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
    """The usage with its cost by these prices per million tokens, if only tokens were reported."""
    if usage.cost is not None or not (usage.input or usage.output):
        return usage
    cached = input_price if cached_price is None else cached_price
    cost = (usage.input - usage.cached) * input_price + usage.cached * cached + usage.output * output_price
    return replace(usage, cost=round(min(cost / 1_000_000, MOST_MONEY), 6))


def model_name(configured: str | None, reported: str | None) -> str | None:
    """The reported model, in the spelling of the configuration if it means the same.

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
