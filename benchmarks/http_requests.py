"""Requests to `clawfiles serve` beside the same answer by a bare Starlette application, one after the other."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from typing import Any

from office import PETER, office
from timing import median, table

_BARE = """
import socket, uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

async def answer(request):
    await request.body()
    return JSONResponse({"padding": "x" * 700})

listening = socket.socket(proto=socket.IPPROTO_TCP)
listening.bind(("127.0.0.1", 0))
listening.listen()
print('{"url": "http://127.0.0.1:%d"}' % listening.getsockname()[1], flush=True)
app = Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "PATCH"])])
config = uvicorn.Config(app, http="h11", ws="none", loop="asyncio", lifespan="off", log_config=None)
uvicorn.Server(config).run(sockets=[listening])
"""


def requests(median: Callable[..., float]) -> list[tuple[str, float]]:
    """The rows of the table: what is asked, and its median time in seconds."""
    rows = []
    with _server([sys.executable, "-c", _BARE]) as ask:
        rows.append(("a bare Starlette application", median(lambda: ask("PATCH", "/", {"x": 1}), 300)))
    for tasks in (100, 10_000):
        with office(tasks, 1, in_memory=True) as app:
            app.tokens.make(PETER)
            command = [sys.executable, "-m", "claw_files", "-C", app.root, "serve", "--port", "0", "--json"]
            with _server(command, app.tokens.show(PETER)) as ask:
                show = median(lambda ask=ask: ask("GET", "/api/tasks/TC-50"), 300)
                rows.append((f"GET one task, {tasks:,} tasks", show))
                note = {"status": "in_progress", "note": "on it"}
                move = median(lambda ask=ask, note=note: ask("PATCH", "/api/tasks/TC-1", note), 100)
                rows.append((f"PATCH one task, {tasks:,} tasks", move))
    return rows


@contextlib.contextmanager
def _server(command: list[str], token: str | None = None) -> Iterator[Callable[..., None]]:
    """What asks the server that the command starts."""
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        port = int(json.loads(process.stdout.readline())["url"].rpartition(":")[2])
        connection = HTTPConnection("127.0.0.1", port, timeout=30)
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})

        def ask(method: str, path: str, body: Any = None) -> None:
            connection.request(method, path, json.dumps(body) if body else None, headers)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200, answer.status

        try:
            yield ask
        finally:
            connection.close()
            process.terminate()


if __name__ == "__main__":
    table("requests over HTTP, one after the other", "bare", requests(median))
