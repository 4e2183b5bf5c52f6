"""The arguments of an operation as JSON Schema."""

from collections.abc import Iterable
from typing import Any

import msgspec

from claw_files.core.operation_table import Operation
from claw_files.operations.dispatch import arguments_of
from claw_files.operations.fields import Argument

_NAMES = {str: "string", int: "integer", bool: "boolean", dict: "object"}


def schema(operation: Operation, is_listing: bool = False, without: Iterable[str] = ()) -> dict[str, Any]:
    """What the operation takes; a null is taken for every argument that may be left out, and told of none.

    Args:
        is_listing: for a model, which pays for each word: without bounds and rarely needed arguments. All are taken.
        without: arguments that are not told of.
    """
    told = [field for field in arguments_of(operation) if field.json_name not in without]
    told = [field for field in told if field.json.is_listed or not is_listing]
    found = {"type": "object", "properties": {field.json_name: _of(field, not is_listing) for field in told}}
    if required := [field.json_name for field in told if field.is_required]:
        found["required"] = required
    return found if is_listing else found | {"additionalProperties": False}


def _of(field: Argument, has_bounds: bool) -> dict[str, Any]:
    form = field.type
    if form.type not in _NAMES:
        return _object(form.type)
    found: dict[str, Any] = {"type": _NAMES[form.type]} | ({"enum": list(form.choices)} if form.choices else {})
    longest = "maxLength" if form.type is str else "maximum"
    bounds = {longest: form.most, "minimum": form.least} if has_bounds else {}
    found |= {key: value for key, value in bounds.items() if value is not None}
    if form.items:
        return {"type": "array", "items": found} | ({"maxItems": form.items} if has_bounds else {})
    return found


def _object(kind: type[Any]) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.schema_components([kind])[1][kind.__name__]
    return {key: value for key, value in found.items() if key not in ("title", "description")}
