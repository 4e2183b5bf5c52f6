"""The application: every row of the table at its path, and every result as JSON."""

import asyncio
import os
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from claw_files.core.errors import ClawError, NoAgentNamed
from claw_files.core.operation_table import HttpRoute
from claw_files.http import openapi
from claw_files.http.authentication import RequestAuthenticator
from claw_files.http.conditional_requests import Conditions, HttpAnswer, HttpRequest
from claw_files.http.event_stream import EventStreams
from claw_files.http.http_errors import RETRY_SECONDS, Refusal, status_of
from claw_files.http.idempotency import IdempotencyStore
from claw_files.http.request_guard import CallerDisconnected, RequestGuard
from claw_files.http.request_handler import RequestHandler
from claw_files.http.routes import ROUTES
from claw_files.http.webhooks import WebhookDoor
from claw_files.presentation import views

if TYPE_CHECKING:
    from claw_files.core.model import AgentId

OPEN_SECONDS = 0.5  # so old may an answer be that needs no token
THREADS = 8  # requests that are answered at once; the others wait


class HttpApplication:
    """One server's application."""

    def __init__(self, callers: RequestAuthenticator, hosts: Iterable[str]) -> None:
        """`hosts` are its names, with their port."""
        self._pool = ThreadPoolExecutor(THREADS, "request")
        self._answering = RequestHandler(callers)
        self._closing = asyncio.Event()
        self._events = EventStreams(self._answering, self._in_thread, self._closing)
        self._once = IdempotencyStore()
        self._open: dict[str, tuple[float, HttpAnswer]] = {}
        self._turns = WeakValueDictionary[str, asyncio.Lock]()
        hooks = WebhookDoor(callers, self._in_thread)
        paths = dict.fromkeys(row.path for row in ROUTES)
        app = Starlette(
            routes=[Route("/hooks/{name}", hooks.answer, methods=["POST"]), *map(self._route, paths)],
            exception_handlers={HTTPException: _no_route},
        )
        app.router.redirect_slashes = False
        self.app = RequestGuard(app, hosts, hooks.is_open)

    def close(self) -> None:
        """End the streams; the rest ends by itself."""
        self._closing.set()

    def join(self) -> None:
        """Wait for running requests."""
        self._pool.shutdown()

    def _route(self, path: str) -> Route:
        rows: dict[str, HttpRoute] = {row.method: row for row in ROUTES if row.path == path}

        async def endpoint(request: Request) -> Response:
            return await self._respond(rows["GET" if request.method == "HEAD" else request.method], request)

        return Route(path, endpoint, methods=list(rows))  # with HEAD where there is GET; uvicorn leaves the body away

    async def _respond(self, row: HttpRoute, request: Request) -> Response:
        try:
            asked, who, request.state.admitted = _asked(row, request), None, False
            if not row.is_open:  # before reading the body or using a thread: strangers cost nothing
                who = self._answering.caller(asked)
                request.state.admitted = True
            asked = asked._replace(body=await request.state.body())
            if row.name == "events":
                last = request.headers.get("last-event-id")
                return await self._events.stream(asked, last, request.method == "HEAD")
            answer = await self._answer(asked, who)
            return _response(answer if row.changes else asked.conditions.met(answer))
        except CallerDisconnected:
            return Response(status_code=400)  # the client has disconnected
        except Exception as error:  # noqa: BLE001 - the last door: whatever comes here is a bug of ours
            request.state.admitted &= not isinstance(error, Refusal)
            return _response(_answer_of(error))

    async def _answer(self, asked: HttpRequest, who: "AgentId | None") -> HttpAnswer:
        if asked.row.is_open:
            return await self._opened(asked)
        if asked.key is not None and asked.row.method == "POST":
            return await self._once.answer(asked.key, asked, who, lambda: self._in_turn(asked))
        return await self._in_turn(asked)

    async def _opened(self, asked: HttpRequest) -> HttpAnswer:
        """Public responses, computed at most once in a moment, so that admitted callers have the threads."""
        name, loop = asked.row.name, asyncio.get_running_loop()
        turn = self._turns.setdefault(f"/{name}", asyncio.Lock())
        async with turn:
            at, answer = self._open.get(name, (0.0, None))
            if answer is None or loop.time() - at > OPEN_SECONDS:
                answer = HttpAnswer(200, openapi.describe()) if name == "description" else await self._plain(asked)
                if answer.status == 200:
                    self._open[name] = loop.time(), answer
            return answer

    async def _in_turn(self, asked: HttpRequest) -> HttpAnswer:
        """Serialize changes of one task, so that nothing happens between the check of its revision and the move."""
        if not asked.row.changes or "task" not in asked.path:
            return await self._plain(asked)
        turn = self._turns.setdefault(asked.path["task"].lower(), asyncio.Lock())
        async with turn:
            return await self._plain(asked)

    async def _plain(self, asked: HttpRequest) -> HttpAnswer:
        try:
            found: HttpAnswer = await self._in_thread(self._answering.answer, asked)
        except Exception as error:  # noqa: BLE001 - answered, and told on stderr where it is a bug of ours
            return _answer_of(error)
        return found

    async def _in_thread(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._pool, function, *arguments)


def _asked(row: HttpRoute, request: Request) -> HttpRequest:
    """The request without its body."""
    return HttpRequest(
        row=row,
        path={name: str(value) for name, value in request.path_params.items()},
        query=request.scope["query_string"],
        body=b"",
        authorization=request.headers.get("authorization"),
        is_near=request.state.is_near,
        key=request.headers.get("idempotency-key"),
        conditions=Conditions(*(request.headers.getlist(name) for name in ("if-match", "if-none-match"))),
    )


def _response(answer: HttpAnswer) -> Response:
    kind = None if answer.document is None else "application/json"
    return Response(answer.body, answer.status, answer.headers, kind)


def _answer_of(error: Exception) -> HttpAnswer:
    """The response to an error, in the shell's form."""
    if isinstance(error, Refusal):
        return HttpAnswer(error.status, error.document(), error.headers)
    if isinstance(error, NoAgentNamed):  # which names the shell's ways
        told = "which agent are you? Send a token, or pass `agent` in the body, or in the query of a GET"
        return HttpAnswer(400, {"error": {"code": error.code, "message": told}})
    if isinstance(error, ClawError):
        status = status_of(error)
        return HttpAnswer(
            status, views.error_document(error), {"Retry-After": str(RETRY_SECONDS)} if status == 503 else {}
        )
    if os.environ.get("CLAWFILES_DEBUG") == "1":
        import traceback

        traceback.print_exception(error)
    bug = ClawError(f"internal error: {type(error).__name__}; CLAWFILES_DEBUG=1 shows where, please report it")
    sys.stderr.write(f"{views.error_text(bug)}\n")
    return HttpAnswer(500, views.error_document(bug))


async def _no_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = "no-such-method" if error.status_code == 405 else "no-such-path"
    told = f"this path does not accept {request.method[:20]}" if code == "no-such-method" else "no such path"
    return _response(_answer_of(Refusal(code, told, **dict(error.headers or {}))))
