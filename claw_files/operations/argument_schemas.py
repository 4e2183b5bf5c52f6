"""The arguments of a call as JSON Schema, from their types."""

from collections.abc import Collection
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import msgspec

from claw_files.operations.table import Call


def schema(call: Call, bounds: bool = True, without: Collection[str] = ()) -> dict[str, Any]:
    """What the call takes.

    Args:
        bounds: also say how long and how large; without them, what is too large is still refused when it comes.
        without: arguments that are not told of; they are still taken.
    """
    return _object(call.arguments, bounds, without)


def _object(kind: type[msgspec.Struct], bounds: bool, without: Collection[str] = ()) -> dict[str, Any]:
    fields = [field for field in msgspec.structs.fields(kind) if field.encode_name not in without]
    found: dict[str, Any] = {"type": "object"}
    found["properties"] = {field.encode_name: _of(field.type, bounds) for field in fields}
    if required := [field.encode_name for field in fields if field.required]:
        found["required"] = required
    return found | ({"additionalProperties": False} if bounds else {})


def _of(kind: Any, bounds: bool) -> dict[str, Any]:
    """The schema of one argument; a null is taken for every one that may be left out, and told of none."""
    if get_origin(kind) in (Union, UnionType):
        return _of(next(it for it in get_args(kind) if it is not type(None)), bounds)
    if metadata := getattr(kind, "__metadata__", ()):
        limits = _limits(metadata[0], get_origin(kind.__origin__) is tuple) if bounds else {}
        return _of(kind.__origin__, bounds) | limits
    if get_origin(kind) is Literal:
        return {"type": "string", "enum": list(get_args(kind))}
    if get_origin(kind) is tuple:
        return {"type": "array", "items": _of(get_args(kind)[0], bounds)}
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return _object(kind, bounds)
    return {"type": {str: "string", int: "integer", bool: "boolean"}[kind]}


def _limits(meta: msgspec.Meta, is_list: bool) -> dict[str, Any]:
    longest = "maxItems" if is_list else "maxLength"
    found = {longest: meta.max_length, "minimum": meta.ge, "maximum": meta.le}
    return {key: value for key, value in found.items() if value is not None}
