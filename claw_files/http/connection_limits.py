"""Limits that uvicorn lacks: slow headers, slow readers, too many connections, plain errors.

h11 refuses what is no HTTP (two `Host` headers, a length that is no number); here it is answered in JSON.
"""

import asyncio
import sys
from http import HTTPStatus
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from claw_files.http.http_errors import SECURITY, Refusal
from claw_files.http.request_guard import HEADER_BYTES, URL_BYTES
from claw_files.presentation import views

HEAD_SECONDS = 5.0  # for the first line and the headers, from the moment on at which they could come
HEAD_BYTES = HEADER_BYTES + URL_BYTES  # that are kept of a head that is not whole yet
STUCK_SECONDS = 10.0  # a client that reads nothing for so long is not there
MOST_CONNECTIONS = 64


class Protocol(H11Protocol):
    """One connection."""

    _head: asyncio.TimerHandle | None = None
    _stuck: asyncio.TimerHandle | None = None
    _since = 0.0  # when it was made, or its last answer was whole
    _has_place = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._since = self.loop.time()
        self._has_place = self._has_room()
        self._watch_head()

    def _has_room(self) -> bool:
        """Whether there is room for one more, if necessary by closing the oldest connection that may be closed.

        Strangers and idle holders have half of the room each before one of them makes room for the other.
        """
        others = [it for it in self.connections if isinstance(it, Protocol) and it._counts and it is not self]
        if len(others) < MOST_CONNECTIONS:
            return True
        strangers = [it for it in others if not it._is_admitted]
        idle = [it for it in others if it._is_admitted and not it._is_asking]
        if found := strangers if len(strangers) > MOST_CONNECTIONS // 2 or not idle else idle:
            min(found, key=lambda it: it._since).transport.abort()
        return bool(found)

    @property
    def _counts(self) -> bool:
        """Whether the connection takes room; not just after a request, until its admission is known."""
        return not self.transport.is_closing() and not (self._is_asking and "admitted" not in self.scope["state"])

    @property
    def _is_admitted(self) -> bool:
        """Whether the last request was admitted, as recorded in its state."""
        return bool(self.scope and self.scope["state"].get("admitted"))

    @property
    def _is_asking(self) -> bool:
        return bool(self.cycle and not self.cycle.response_complete)

    def connection_lost(self, exc: Exception | None) -> None:
        _cancel(self._head, self._stuck)
        self._head = self._stuck = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        self._has_place = self._has_place or self._has_room()
        if not self._has_place:  # only now: a response before the request is read would be lost
            self._end(Refusal("too-many-connections", f"all {MOST_CONNECTIONS} connections are in use"))
            return
        super().data_received(data)
        self._watch_head()

    def on_response_complete(self) -> None:
        self._since = self.loop.time()
        super().on_response_complete()
        self._watch_head()

    def _watch_head(self) -> None:
        """Let the clock run while the head of a request is not whole, and only then."""
        if self.conn.their_state is not h11.IDLE:
            _cancel(self._head)
            self._head = None
        elif self._head is None and not self.transport.is_closing():
            self._head = self.loop.call_later(HEAD_SECONDS, self._too_slow)

    def _too_slow(self) -> None:
        self._head = None
        if self.conn.trailing_data[0]:
            self._end(Refusal("too-slow", f"the request head was not complete within {HEAD_SECONDS:g} s"))
        elif not self.transport.is_closing():
            self.transport.close()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stuck = self._stuck or self.loop.call_later(STUCK_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        _cancel(self._stuck)
        self._stuck = None

    def send_400_response(self, msg: str) -> None:
        """Called while the specific error is being handled."""
        error: Any = sys.exc_info()[1]
        if getattr(error, "error_status_hint", 400) == 431:
            code = "too-many-headers" if b"\n" in self.conn.trailing_data[0] else "url-too-long"
            self._end(Refusal(code, f"the head of the request is larger than {HEAD_BYTES} bytes"))
        else:
            self._end(Refusal("bad-request", "the HTTP request is malformed"))

    def _end(self, refusal: Refusal) -> None:
        """Refuse an invalid request; a response in progress is aborted instead."""
        if self.transport.is_closing():
            return
        if self.cycle and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        else:
            self.transport.write(_answer(refusal))
        self.transport.close()


def _cancel(*timers: asyncio.TimerHandle | None) -> None:
    for timer in timers:
        if timer:
            timer.cancel()


def _answer(refusal: Refusal) -> bytes:
    body = views.to_json(refusal.document()).encode()
    facts = (*SECURITY, (b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)))
    head = b"".join(b"%s: %s\r\n" % fact for fact in (*facts, (b"connection", b"close")))
    return b"HTTP/1.1 %d %s\r\n%s\r\n%s" % (refusal.status, HTTPStatus(refusal.status).phrase.encode(), head, body)
