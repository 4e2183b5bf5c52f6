"""The OpenAPI 3.1 description of the API, built from the table of routes and calls."""

from functools import cache
from http import HTTPStatus
from typing import Any

from claw_files import __version__
from claw_files.core.operation_table import HttpRoute
from claw_files.http.response_schemas import SCHEMAS, Schema
from claw_files.http.routes import OPERATION_OF, ROUTES
from claw_files.operations.argument_schemas import schema

_ID: Schema = {"type": "string", "maxLength": 200, "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]*$"}
_OFTEN = (400, 401, 403, 404, 408, 409, 411, 412, 413, 414, 415, 421, 422, 431, 500, 502, 503)


@cache
def describe() -> dict[str, Any]:
    """The whole document."""
    paths: dict[str, dict[str, Any]] = {}
    for row in ROUTES:
        paths.setdefault(row.path, {})[row.method.lower()] = _operation(row)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "clawfiles",
            "version": __version__,
            "summary": "The board of a workspace, with the same rules as the command line.",
        },
        "paths": paths,
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": "`clawfiles token NAME`"}},
            "responses": {str(status): _error(status) for status in _OFTEN},
        },
    }


def arguments(row: HttpRoute) -> Schema:
    """The parameters of the row besides its path: the call's arguments, and the caller. A null counts as missing."""
    found = schema(OPERATION_OF[row.name], without=row.hidden)
    required = set(found.get("required", ()))
    fields = dict(found["properties"])
    if row.takes_agent:
        fields["agent"] = {"type": "string", "maxLength": 512, "description": "The agent of the token."}
    shown = {name: one if name in required else _or_null(one, row) for name, one in fields.items()}
    return {**found, "properties": shown}


def _or_null(one: Schema, row: HttpRoute) -> Schema:
    return {"anyOf": [one, {"type": "null"}]} if row.changes else one


def _operation(row: HttpRoute) -> dict[str, Any]:
    found: dict[str, Any] = {"operationId": row.name, "summary": row.says, "parameters": _parameters(row)}
    if not row.is_open:
        found["security"] = [{"token": []}]
    if row.changes:
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": arguments(row)}}}
    kind = "text/event-stream" if row.name == "events" else "application/json"
    content = {kind: {"schema": {"$ref": f"#/components/schemas/{row.gives}"}}}
    answer: dict[str, Any] = {"description": HTTPStatus(row.status).phrase, "content": content}
    if row.is_task:
        answer["headers"] = {"ETag": {"schema": {"type": "string"}, "description": "The task's revision."}}
    found["responses"] = {str(row.status): answer}
    if row.has_revision and not row.changes:
        found["responses"]["304"] = {"description": "It is the revision that `If-None-Match` names."}
    found["responses"] |= {str(status): {"$ref": f"#/components/responses/{status}"} for status in _statuses(row)}
    return found


def _statuses(row: HttpRoute) -> list[int]:
    """The errors that the row may be answered with."""
    rare = {401} if row.is_open else set[int]()
    rare |= set() if row.changes else {408, 409, 413, 415}
    rare |= set() if row.has_revision else {412}
    return [status for status in _OFTEN if status not in rare]


def _parameters(row: HttpRoute) -> list[dict[str, Any]]:
    found = [{"name": name, "in": "path", "required": True, "schema": _ID} for name in row.names]
    if not row.changes and not row.is_open:
        taken = arguments(row)["properties"]
        found += [{"name": name, "in": "query", "required": False, "schema": one} for name, one in taken.items()]
    found += [{"name": name, "in": "header", "required": False, "schema": one} for name, one in _headers(row)]
    return found


def _headers(row: HttpRoute) -> list[tuple[str, Schema]]:
    text: Schema = {"type": "string"}
    if row.method == "POST":
        return [("Idempotency-Key", {**text, "pattern": "^[ -~]+$", "maxLength": 200})]
    if row.name == "moveTask":
        return [("If-Match", text)]
    if row.name == "showTask":
        return [("If-None-Match", text)]
    return [("Last-Event-ID", {**text, "examples": ["2026-03-07.1200"]})] if row.name == "events" else []


def _error(status: int) -> dict[str, Any]:
    return {
        "description": HTTPStatus(status).phrase,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    }
