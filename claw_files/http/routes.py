"""All routes: those of the table of operations, and four that exist only in HTTP.

The application, the description at /openapi.json and `docs/reference/http.md` are made from them.
"""

from claw_files.core.operation_table import OPERATIONS, HttpRoute, Operation


def _own(function: str, says: str, route: HttpRoute) -> Operation:
    return Operation(route.name, f"http.{function}", says, (), (route,))


_OWN = (
    _own(
        "status_moves:patch",
        "Move a task to a status: claim it, report progress, finish it. Without a status: add a note.",
        HttpRoute("PATCH", "/api/tasks/{task}", "moveTask", "Task"),
    ),
    _own(
        "event_stream:lines",
        "New journal lines as server-sent events; `Last-Event-ID` continues after a line.",
        HttpRoute("GET", "/api/events", "events", "Event", is_mine=True),
    ),
    _own(
        "request_handler:health",
        "Whether the workspace can be read, and whether a daemon runs.",
        HttpRoute("GET", "/healthz", "health", "Health", is_open=True),
    ),
    _own(
        "openapi:describe",
        "This description.",
        HttpRoute("GET", "/openapi.json", "description", "Description", is_open=True),
    ),
)

OPERATION_OF = {route.name: row for row in (*OPERATIONS.values(), *_OWN) for route in row.http}
ROUTES = tuple(
    route._replace(says=route.says or row.says) for row in (*OPERATIONS.values(), *_OWN) for route in row.http
)
