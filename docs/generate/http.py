"""`docs/reference/http.md`, generated from the table."""

import inspect
from collections.abc import Iterator
from typing import Any

from claw_files.core.errors import ClawError
from claw_files.core.operation_table import HttpRoute
from claw_files.http import connection_limits, idempotency, request_guard
from claw_files.http.event_stream import MOST_STREAMS
from claw_files.http.http_errors import REFUSALS, STATUSES
from claw_files.http.openapi import arguments
from claw_files.http.routes import ROUTES
from claw_files.http.status_moves import WAYS

_HEAD = """# HTTP

The HTTP API of `clawfiles serve`. This page is generated from the program; `/openapi.json` has the same as OpenAPI 3.1.
[The board over HTTP](../how-to/http.md) explains how to use it.

## Everywhere

- **Authentication.** A caller sends a token, `Authorization: Bearer TOKEN`, and acts as the agent that the token was
  [created for](commands.md#token). `agent` in the body is optional and must be the same agent. With
  `auth = "loopback"` under `[serve]`, local callers need no token: `agent` is trusted. A request that was forwarded
  by a proxy needs a token anyway.
- **Bodies** are JSON objects, `Content-Type: application/json`, at most {body:,} bytes, with `Content-Length`.
  Unknown keys, duplicate keys, NaN, numbers of more than 18 digits, NUL and lone surrogates are refused.
- **Answers** are JSON with the keys of the shell's `--json`, in plain ASCII; times are ISO 8601 UTC. An error is
  `{{"error": {{"code": ..., "message": ..., ...}}}}`, as on the shell's standard error.
- **No GET changes anything**, and HEAD answers as GET does, without the body.
- A POST with `Idempotency-Key` takes effect once, however often it is sent: the server repeats its answer, for the
  newest {kept:,} keys since its start. A failed request may be repeated with its key.
- **Revisions.** Each answer to a GET has an `ETag`. `If-None-Match` asks for the answer only if it has changed (304:
  unchanged); `If-Match` moves a task only if it has not changed (412: it has). Both take `*` and lists; a weak tag,
  `W/"x"`, is accepted only in `If-None-Match`, following RFC 9110.
- **Callers without a token** are answered, then their connection is closed. When all connections are in use, the
  oldest of these is closed first, then the oldest idle one; answers to callers with a token continue.
- **Limits**: {connections} connections and {streams} streams at once, {headers} headers of {header_bytes:,} bytes
  together, {url:,} bytes of path and query, {seconds:g} s for the head of a request and as long for its body.
- `Host` must name this server, with its port (optional for 80 and 443). `Origin` and `Sec-Fetch-Site`, if sent, must
  not name another page. There is no CORS. Only requests to `/hooks/NAME` of a [webhook](../how-to/webhooks.md) count
  by their signature alone.

## Moving a task

`PATCH /api/tasks/{{task}}` performs the move that leads to the `status`:

| status | move | takes beside it |
|---|---|---|
"""

_STATUS = {
    "claim": "in_progress, from backlog",
    "progress": "in_progress, of a task you hold; or no status at all",
    "done": "done",
    "approve": "done, from review, without a generation",
    "review": "review",
    "block": "blocked",
    "unblock": "in_progress, of a blocked task that you do not hold",
    "need": "blocked, with `need`",
    "fail": "failed",
    "release": "backlog",
    "reopen": "backlog, from review or done",
    "cancel": "cancelled",
}

_EVENTS = """## Events

`GET /api/events` stays open. Each event is a line of the journal:

```
id: 2026-03-07.1200
event: journal
data: {"timestamp": "2026-03-07T08:45:00Z", "action": "claim", "task": "TC-47", ...}
```

Lines that the caller may not see (compartments) are omitted. `Last-Event-ID: 2026-03-07.1200` continues after
that line; without it the stream starts now. Every 15 s without an event there is a comment, `: ping`. The stream ends
with the server, and when its token is revoked.
"""


def render() -> str:
    """The whole page."""
    head = _HEAD.format(
        body=request_guard.BODY_BYTES,
        kept=idempotency.KEPT,
        connections=connection_limits.MOST_CONNECTIONS,
        streams=MOST_STREAMS,
        headers=request_guard.MOST_HEADERS,
        header_bytes=request_guard.HEADER_BYTES,
        url=request_guard.URL_BYTES,
        seconds=request_guard.BODY_SECONDS,
    )
    ways = "".join(_way(name) for name in WAYS)
    return "\n".join([head + ways, *(_section(row) for row in ROUTES), _EVENTS, *_errors()])


def _way(name: str) -> str:
    fields = ", ".join(f"`{field}`" for field in WAYS[name].fields)
    return f"| {_STATUS[name]} | [{name}](commands.md#{name}) | {fields} |\n"


def _section(row: HttpRoute) -> str:
    answer = f"{row.status}, `{row.gives}`" + (", with its `ETag`" if row.is_task else "")
    open_to_all = " Needs no token." if row.is_open else ""
    found = arguments(row)
    rows = "".join(_field(name, one, found) for name, one in found["properties"].items())
    table = f"\n| {'body' if row.changes else 'query'} | form |\n|---|---|\n{rows}" if rows else ""
    return f"## {row.method} {row.path}\n\n{row.says} Answers {answer}.{open_to_all}\n{table}"


def _field(name: str, schema: dict[str, Any], whole: dict[str, Any]) -> str:
    must = ", must be given" if name in whole.get("required", ()) else ""
    return f"| `{name}` | {_form(schema)}{must} |\n"


def _form(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return _form(schema["anyOf"][0])
    if "enum" in schema:
        return " \\| ".join(map(str, schema["enum"]))
    if schema["type"] == "array":
        return f"list of {_form(schema['items'])}s"
    if schema["type"] == "object":
        if "properties" not in schema:
            return "object"
        return "object with " + ", ".join(f"`{name}`" for name in schema["properties"])
    return {"string": "text", "integer": "whole number", "boolean": "true or false"}[schema["type"]]


def _errors() -> Iterator[str]:
    yield "## Errors\n\nThe shell's [errors](errors.md) have these statuses:\n"
    yield "| error | status |\n|---|---|\n" + "".join(_kind(kind, status) for kind, status in STATUSES)
    yield "503 comes with `Retry-After`. Requests that are refused before they reach a service have their own codes:\n"
    rows = (f"| `{code}` | {status} | {when} |\n" for code, (status, when) in REFUSALS.items())
    yield "| code | status | when |\n|---|---|---|\n" + "".join(rows)


def _kind(kind: type[ClawError], status: int) -> str:
    said = inspect.cleandoc(kind.__doc__ or "").partition("\n")[0].rstrip(".")
    is_root = kind is ClawError
    return f"| {'any other' if is_root else f'`{kind.code}` and its kind: {said}'} | {status} |\n"
