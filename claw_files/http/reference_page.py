"""`docs/reference/http.md`, made from the table: run this module to write it anew; a test keeps the two equal."""

import inspect
from collections.abc import Iterator
from typing import Any

from claw_files.core.errors import ClawError
from claw_files.http import connection_limits, idempotency, request_guard
from claw_files.http.event_stream import MOST_STREAMS
from claw_files.http.http_errors import REFUSALS, STATUSES
from claw_files.http.openapi import arguments
from claw_files.http.routes import ROUTES
from claw_files.http.status_moves import WAYS
from claw_files.operations.table import HttpRoute

_HEAD = """# HTTP

What `clawfiles serve` answers. This page is made from the table that the program answers by; the same as OpenAPI 3.1 is
at `/openapi.json`. [The board over HTTP](../how-to/http.md) tells how to use it.

## Everywhere

- **Who asks** shows a token: `Authorization: Bearer TOKEN`. It acts as the agent that the token was
  [made for](commands.md#token). `agent` in the body says the same once more and has to be that agent. Where
  `auth = "loopback"` stands under `[serve]`, this machine's callers need no token: `agent` is believed. A request that
  a proxy passed on needs one all the same.
- **Bodies** are JSON objects, `Content-Type: application/json`, at most {body:,} bytes, with their `Content-Length`. A
  key that is not known is wrong use, and so are a key twice, NaN, numbers of over 18 digits, NUL and half characters.
- **Answers** are JSON with the keys of the shell's `--json`, in plain ASCII; times are ISO 8601 UTC. An error is
  `{{"error": {{"code": ..., "message": ..., ...}}}}`, as on the shell's standard error.
- **No GET changes anything**, and HEAD answers as GET does, without the body.
- A POST with `Idempotency-Key` has one effect however often it is sent: what was answered is answered again, for the
  newest {kept:,} keys of the server's life. What failed may be tried again with its key.
- **Revisions.** What a GET answers comes with an `ETag`. `If-None-Match` asks whether it is another one now (304: it
  is not), `If-Match` moves a task only if it is still that one (412: it is not). Both take `*` and lists; a weak tag,
  `W/"x"`, counts in `If-None-Match` alone, as RFC 9110 says.
- **Who shows no token** is answered, and the connection ends. When all connections are taken, the oldest one of theirs
  makes room, then the oldest on which nothing is asked; what is being answered to a token's holder goes on.
- **Limits**: {connections} connections and {streams} streams at once, {headers} headers of {header_bytes:,} bytes
  together, {url:,} bytes of path and query, {seconds:g} s for the head of a request and as long for its body.
- `Host` must name this server, with its port or, where that is 80 or 443, without; `Origin` and `Sec-Fetch-Site`,
  where they are sent, no other page. There is no CORS.

## Moving a task

`PATCH /api/tasks/{{task}}` finds the move that gives the task the `status`:

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

`GET /api/events` does not end by itself. Each event is a line of the journal:

```
id: 2026-03-07.1200
event: journal
data: {"timestamp": "2026-03-07T08:45:00Z", "action": "claim", "task": "TC-47", ...}
```

Lines that are not for whoever listens (compartments) are left out. `Last-Event-ID: 2026-03-07.1200` goes on behind
that line; without it the stream begins now. Every 15 s without an event there is a comment, `: ping`. The stream ends
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
        return "object with " + ", ".join(f"`{name}`" for name in schema["properties"])
    return {"string": "text", "integer": "whole number", "boolean": "true or false"}[schema["type"]]


def _errors() -> Iterator[str]:
    yield "## Errors\n\nThe shell's [errors](errors.md) have these statuses:\n"
    yield "| error | status |\n|---|---|\n" + "".join(_kind(kind, status) for kind, status in STATUSES)
    yield "503 comes with `Retry-After`. What is refused before any service is asked has codes of its own:\n"
    rows = (f"| `{code}` | {status} | {when} |\n" for code, (status, when) in REFUSALS.items())
    yield "| code | status | when |\n|---|---|---|\n" + "".join(rows)


def _kind(kind: type[ClawError], status: int) -> str:
    said = inspect.cleandoc(kind.__doc__ or "").partition("\n")[0].rstrip(".")
    is_root = kind is ClawError
    return f"| {'any other' if is_root else f'`{kind.code}` and its kind: {said}'} | {status} |\n"


if __name__ == "__main__":
    import sys

    sys.stdout.write(render())
