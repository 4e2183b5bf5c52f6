"""Strict parsing of JSON from untrusted callers, so that all readers understand it in the same way."""

import json
import math
from typing import Any, NoReturn
from urllib.parse import parse_qsl

import msgspec

from claw_files.core.errors import UsageError

NO_OBJECT = "the body must be a JSON object"
_DIGITS = 18
_FIELDS = 20


def parse(raw: bytes) -> dict[str, Any]:
    """The object that the body is.

    Raises Usage for what is not UTF-8 or no JSON object, and for what readers disagree about: a key twice, NaN, numbers
    that do not fit, lone surrogates, NUL.
    """
    try:
        found = json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_once,
            parse_constant=_no_constant,
            parse_int=_integer,
            parse_float=_finite,
        )
        _check_texts(found)
    except UnicodeDecodeError:
        raise UsageError("the body is not UTF-8") from None
    except RecursionError:
        raise UsageError("the body is nested too deeply") from None
    except json.JSONDecodeError as wrong:
        raise UsageError(f"the body is not JSON: {wrong.msg} at character {wrong.pos}") from None
    if not isinstance(found, dict):
        raise UsageError(NO_OBJECT)
    return found


def _check_texts(found: object) -> None:
    """Raises Usage for text, including keys, that cannot be written to a file."""
    if isinstance(found, str):
        if "\0" in found:
            raise UsageError("the body contains a NUL character")
        try:
            found.encode()
        except UnicodeEncodeError:
            raise UsageError("the body contains a lone surrogate") from None
    elif isinstance(found, dict):
        for key, value in found.items():
            _check_texts(key)
            _check_texts(value)
    elif isinstance(found, list):
        for value in found:
            _check_texts(value)


def query(raw: bytes) -> dict[str, str]:
    """The parameters of the query string. Raises Usage for a repeated name or invalid UTF-8."""
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_FIELDS)
    except ValueError:
        raise UsageError("the query is not UTF-8, or has too many parts") from None
    found: dict[str, str] = _once([*pairs])
    if any("\0" in text for text in found.values()):
        raise UsageError("the query contains a NUL character")
    return found


def convert(found: dict[str, Any], to: type[Any], strict: bool = True) -> Any:
    """The object as a value of the type; with `strict=False` numbers may be text. Raises Usage."""
    try:
        return msgspec.convert(found, to, strict=strict)
    except msgspec.ValidationError as wrong:
        raise UsageError(str(wrong)) from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise UsageError(f"{twice[:80]!r} appears twice")
    return found


def _no_constant(text: str) -> NoReturn:
    raise UsageError(f"{text} is not a JSON number")


def _integer(text: str) -> int:
    if len(text) > _DIGITS:
        raise UsageError(f"a number has more than {_DIGITS} digits")
    return int(text)


def _finite(text: str) -> float:
    found = float(text)
    if not math.isfinite(found):
        raise UsageError("a number is too large")
    return found
