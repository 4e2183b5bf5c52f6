"""Server-sent events: the journal's new lines for callers who may see them, resumable."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from claw_files.core import text
from claw_files.core.errors import ClawError
from claw_files.http.conditional_requests import HttpRequest
from claw_files.http.http_errors import Refusal
from claw_files.http.request_handler import RequestHandler
from claw_files.http.routes import OPERATION_OF
from claw_files.operations.dispatch import checked
from claw_files.operations.fields import Name
from claw_files.presentation import views
from claw_files.services.admin.journal import Position, position

if TYPE_CHECKING:
    from claw_files.app.wiring import App
    from claw_files.core.model import TaskId

POLL_SECONDS = 0.5
PING_SECONDS = 15.0
MOST_STREAMS = 16
_AT_ONCE = 500  # lines
_KIND = "text/event-stream"

InThread = Callable[..., Awaitable[Any]]


def lines(app: "App", *, task: Name | None = None) -> None:
    """Declares the parameters of the stream: only lines about one task."""


class _Listening(NamedTuple):
    """One listener: the caller, its filter, and its position in the journal."""

    app: "App"
    task: "TaskId | None"
    at: Position


class EventStreams:
    """All streams of one server."""

    def __init__(self, answering: RequestHandler, in_thread: InThread, closing: asyncio.Event) -> None:
        """`closing` ends every stream."""
        self._answering, self._in_thread, self._closing = answering, in_thread, closing
        self._open = 0

    async def stream(self, asked: HttpRequest, last: str | None, is_head: bool) -> Response:
        """The stream from behind the event `last`, or from now on; its head alone. Raises Refusal and ClawError."""
        if self._open >= MOST_STREAMS:
            told = f"all {MOST_STREAMS} event streams are in use"
            raise Refusal("too-many-connections", told, retry_after="15")
        self._open += 1
        try:
            listening = await self._in_thread(self._listen, asked, last)
        except BaseException:
            self._closed()
            raise
        if is_head:
            self._closed()
            return Response(media_type=_KIND)
        return _Stream(self._events(asked, listening), self._closed)

    def _closed(self) -> None:
        self._open -= 1

    def _listen(self, asked: HttpRequest, last: str | None) -> _Listening:
        app, raw = self._answering.admit(asked)
        asked_task = checked(OPERATION_OF["events"], raw)["task"]
        task = text.task_id(asked_task) if asked_task else None
        _check(app)
        return _Listening(app, task, position(last) if last else app.journal.end())

    async def _events(self, asked: HttpRequest, listening: _Listening) -> AsyncIterator[bytes]:
        yield b"retry: 1000\n\n"
        quiet_seconds = 0.0
        while not self._closing.is_set():
            try:
                listening, found = await self._in_thread(self._look, asked, listening, quiet_seconds >= PING_SECONDS)
            except (ClawError, Refusal):
                return  # the client gets the reason when it reconnects
            for line in found:
                yield line
            if not found and quiet_seconds >= PING_SECONDS:
                yield b": ping\n\n"
            quiet_seconds = 0.0 if found or quiet_seconds >= PING_SECONDS else quiet_seconds + POLL_SECONDS
            if len(found) < _AT_ONCE:
                await self._rest()

    def _look(self, asked: HttpRequest, listening: _Listening, anew: bool) -> tuple[_Listening, list[bytes]]:
        """The new lines; the listener is authenticated again each time, as for any request."""
        app, task, at = listening
        if not anew and app.journal.end() == at:
            return listening, []
        app = self._answering.admit(asked)[0]
        _check(app)
        found = app.journal.since(at, _AT_ONCE)
        shown = [(place, line) for place, line in found if line and task in (None, line.get("task"))]
        return _Listening(app, task, found[-1][0] if found else at), [_event(place, line) for place, line in shown]

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(POLL_SECONDS):
                await self._closing.wait()
        except TimeoutError:
            return


def _check(app: "App") -> None:
    """Raises Refused if the caller may not read the journal, InvalidConfig."""
    app.check_settings()
    if app.agent is not None:
        app.check_use("log")


class _Stream(StreamingResponse):
    """Signals its end, however it ends."""

    def __init__(self, content: AsyncIterator[bytes], closed: Callable[[], None]) -> None:
        super().__init__(content, media_type=_KIND)
        self._closed = closed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._closed()


def _event(at: Position, line: dict[str, Any]) -> bytes:
    """The event as text: JSON is one line of ASCII, which cannot end the event."""
    return f"id: {at}\nevent: journal\ndata: {views.to_json(line)}\n\n".encode()
