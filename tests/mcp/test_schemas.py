"""Every tool's schema by the rules of those who read them: Claude, OpenAI and Gemini, each as strict as its strictest.

One schema that a reader refuses costs its user the whole server.
"""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from claw_files.core.operation_table import OPERATIONS
from claw_files.mcp.tools import listed
from claw_files.operations.argument_schemas import schema

NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_-]{0,62}")  # Claude and OpenAI: 64 of these; Gemini: 63, a letter or _ first
PROPERTY = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,63}")
TYPES = {"object", "array", "string", "integer", "number", "boolean"}  # one of them, never a list, never "null"
DESCRIPTION_LETTERS = 1024  # OpenAI
KNOWN = {  # what all three know: to Gemini `$ref`, `oneOf`, `const` and `additionalProperties` are, or were, unknown
    "type", "description", "enum", "properties", "required", "items", "minimum", "maximum", "maxLength", "maxItems",
}  # fmt: skip


def complaints(tool: dict[str, Any]) -> list[str]:
    """What at least one of the three would refuse."""
    found = []
    if not NAME.fullmatch(tool["name"]):
        found.append(f"name {tool['name']!r}")
    if not 0 < len(tool["description"]) <= DESCRIPTION_LETTERS:
        found.append("description")
    if tool["inputSchema"].get("type") != "object":
        found.append("the arguments are no object")
    return [*found, *_of(tool["inputSchema"], tool["name"])]


def _of(shown: dict[str, Any], where: str) -> Iterator[str]:
    yield from (f"{where}: {word}" for word in shown.keys() - KNOWN)
    kind = shown.get("type")
    if not isinstance(kind, str) or kind not in TYPES:
        yield f"{where}: type {kind!r}"
    if "enum" in shown:
        values = shown["enum"]
        if kind != "string" or not values or len({*values}) != len(values):
            yield f"{where}: enum {values!r} of {kind!r}"
        if not all(isinstance(value, str) and value for value in values):
            yield f"{where}: enum {values!r}"
    if (kind == "array") != ("items" in shown):
        yield f"{where}: items"
    if kind == "object":
        if not shown.get("properties"):
            yield f"{where}: an object without properties"
        if not {*shown.get("required", ())} <= shown.get("properties", {}).keys() or shown.get("required") == []:
            yield f"{where}: required"
    elif "properties" in shown or "required" in shown:
        yield f"{where}: properties of {kind!r}"
    for name, inner in shown.get("properties", {}).items():
        if not PROPERTY.fullmatch(name):
            yield f"{where}: property {name!r}"
        yield from _of(inner, f"{where}.{name}")
    if "items" in shown:
        yield from _of(shown["items"], f"{where}[]")


@pytest.mark.parametrize("tool", listed(), ids=lambda tool: tool["name"])
def test_every_reader_takes_the_tool_as_it_is_listed(tool: dict[str, Any]) -> None:
    assert complaints(tool) == []


@pytest.mark.parametrize("call", OPERATIONS.values(), ids=lambda call: call.name)
def test_no_argument_has_an_enum_without_its_type_also_where_it_is_not_listed(call: Any) -> None:
    shown = schema(call)
    assert shown.pop("additionalProperties") is False
    # An object of any fields is for HTTP: no model is told of it.
    assert [it for it in _of(shown, call.name) if not it.endswith("an object without properties")] == []


def test_names_are_unique_and_the_wire_has_no_word_of_the_schema_that_a_reader_does_not_know() -> None:
    names = [tool["name"] for tool in listed()]

    assert len({*names}) == len(names)
    assert {*listed()[0]} <= {"name", "description", "inputSchema", "annotations"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"enum": ["S", "M"]},
        {"type": ["string", "null"]},
        {"type": "array"},
        {"$ref": "#/$defs/x"},
        {"anyOf": [{"type": "string"}]},
        {"type": "integer", "enum": [1, 2]},
        {"type": "object", "properties": {}},
        {"type": "string", "enum": [""]},
    ],
    ids=str,
)
def test_known_schema_mistakes_of_other_servers_are_found(wrong: dict[str, Any]) -> None:
    tool = {"name": "a", "description": "b", "inputSchema": {"type": "object", "properties": {"x": wrong}}}

    assert complaints(tool)
