"""JSON Schema of the responses: mostly the fields of the values that `views` shows."""

from typing import Any

import msgspec

from claw_files.core.model import Kind, Liveness, Message, State, Task

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
COUNT: Schema = {"type": "integer"}
INSTANT: Schema = {"type": "string", "format": "date-time"}
TASK_ID: Schema = {"type": "string", "examples": ["TC-47"]}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _fields(value: type[msgspec.Struct], /, **others: Schema) -> Schema:
    """The schema of a value as `views` shows it, where `others` are not what msgspec would say."""
    found = msgspec.json.schema_components([value], ref_template="#/components/schemas/{name}")[1][value.__name__]
    plain = {name: _plain(schema) for name, schema in found["properties"].items()}
    return _object(**(plain | others))


def _plain(schema: Any) -> Any:
    """Without defaults, which say what is read; and lengths, which are shown as text such as 30m."""
    if isinstance(schema, list):
        return [_plain(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: _plain(value) for key, value in schema.items() if key != "default"}
    return TEXT if kept.get("format") == "duration" else kept


def _without(schema: Schema, *names: str) -> Schema:
    kept = {name: found for name, found in schema["properties"].items() if name not in names}
    return _object(**kept)


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


_STATE: Schema = {"enum": [*State]}
_TASK = _without(
    _fields(
        Task,
        status=_STATE,
        size=_or_null(TEXT),
        need=_or_null(_object(agent=TEXT, question=TEXT)),
        path=TEXT,
        liveness=_or_null({"enum": [*Liveness]}),
        conflicts=_list(TEXT),
        verified=_or_null({"type": "boolean"}),
        unreviewed=_or_null(TEXT),
    ),
    "state",
    "recorded",
)
_MESSAGE = _without(
    _fields(Message, kind={"enum": [*Kind]}, **{"from": TEXT}),
    "sender",
)
_BLIND = {
    "type": "object",
    "description": "For a task in another agent's compartment.",
    "properties": {"id": TASK_ID, "status": _STATE},
    "required": ["id", "status"],
    "additionalProperties": False,
}
_OF_MAP = {"total": _or_null(COUNT), "tasks": _list(TEXT)}
_WORKFLOW = _object(name=TEXT, title=TEXT, steps=COUNT, problems=COUNT, error=_or_null(TEXT))
_STEP = _object(step=TEXT, word=_or_null(TEXT), since=_or_null(INSTANT), why=_or_null(TEXT), done=COUNT, **_OF_MAP)

SCHEMAS: dict[str, Schema] = {
    "Task": {"anyOf": [_TASK, _BLIND]},
    "WholeTask": _object(**_TASK["properties"], body=TEXT),
    "Tasks": _object(tasks=_list(_TASK), unreadable=_list(_object(path=TEXT, why=TEXT))),
    "Lease": _object(task=TASK_ID, agent=TEXT, generation=COUNT, until=INSTANT),
    "Delegated": _object(
        status={"const": "accepted"},
        task=TASK_ID,
        agent=TEXT,
        id=_or_null(TEXT),
        check=_or_null(INSTANT),
        label=_or_null(TEXT),
        run=_or_null(TEXT),
    ),
    "Message": _MESSAGE,
    "Messages": _object(messages=_list(_ref("Message"))),
    "Finished": _object(done=_ref("Message")),
    "Sent": {
        "type": "object",
        "properties": {"status": {"enum": ["accepted", "deferred", "silent"]}, "id": TEXT, "until": INSTANT},
        "required": ["status"],
    },
    "Workflows": _object(workflows=_list(_WORKFLOW)),
    "Checked": _object(checked=_list(TEXT), problems=_list(TEXT)),
    "WorkflowRun": _object(id=TASK_ID, workflow=TEXT, status=_STATE, steps=_list(_STEP)),
    "Event": {"type": "string", "description": "`id`, `event: journal`, and a line of the journal as `data`."},
    "Emitted": _object(id=TEXT, known={"type": "boolean"}),
    "Health": _object(status={"const": "ok"}, daemon={"type": "boolean"}),
    "Description": {"type": "object"},
    "Error": _object(
        error={"type": "object", "properties": {"code": TEXT, "message": TEXT}, "required": ["code", "message"]}
    ),
}
