"""Checks before anything else in a request is read: cross-site requests, rebound names, sizes.

A browser on this machine runs pages of anybody. It says in `Host` which name it looked up, in `Origin` and
`Sec-Fetch-Site` whose page asks; a form cannot send JSON, and nothing here ever answers a question of CORS.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from typing import Any

from claw_files.http.http_errors import SECURITY, Refusal
from claw_files.presentation import views

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

URL_BYTES = 4096
MOST_HEADERS = 64
HEADER_BYTES = 16 << 10
BODY_BYTES = 1_500_000
HOOK_BYTES = 1 << 20  # of a webhook's body
BODY_SECONDS = 5.0
_DRAIN_SECONDS, _DRAIN_BYTES = 1.0, 16 << 20
_DIGITS = 9  # of a length that is looked at
_FORWARDED = frozenset(
    (b"forwarded", b"via", b"x-real-ip", b"x-client-ip", b"true-client-ip", b"x-cluster-client-ip", b"x-proxyuser-ip")
)
_FORWARDED_HEADS = (b"x-forwarded", b"x-original-", b"x-envoy-", b"cf-", b"fastly-", b"fly-", b"tailscale-")


class CallerDisconnected(Exception):
    """The caller has disconnected."""


class RequestGuard:
    """ASGI middleware: the wrapped application gets the body reader in `scope["state"]["body"]`."""

    def __init__(self, app: App, hosts: Iterable[str], is_hook: Callable[[str, str], bool]) -> None:
        """Args:
        hosts: the names of this server, in lower case and with their port.
        is_hook: whether path and method are those of a webhook, whose requests count by their signature alone.
        """
        self._is_hook = is_hook
        meant = [(scheme, name) for host in hosts for scheme, name in spellings(host)]
        self._app = app
        self._hosts = frozenset(name.encode() for _, name in meant)
        self._origins = frozenset(f"{scheme}://{name}".encode() for scheme, name in meant)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        is_hook = self._is_hook(scope["path"], scope["method"])
        exchange = _Exchange(scope, receive, send, is_hook)
        try:
            self._check_size(scope)
            if not is_hook:
                self._check_origin(scope)
        except Refusal as refusal:
            await exchange.refuse(refusal)
            return
        scope["state"] |= {"body": exchange.body, "is_near": is_near(scope)}
        await self._app(scope, receive, exchange.send)

    def _check_size(self, scope: Scope) -> None:
        """Raises Refusal."""
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        if len(scope["raw_path"]) + len(scope["query_string"]) > URL_BYTES:
            raise Refusal("url-too-long", f"the path and query are longer than {URL_BYTES} bytes")
        if len(headers) > MOST_HEADERS or sum(len(name) + len(value) for name, value in headers) > HEADER_BYTES:
            raise Refusal("too-many-headers", f"there are over {MOST_HEADERS} headers or {HEADER_BYTES} bytes of them")

    def _check_origin(self, scope: Scope) -> None:
        """Raises Refusal."""
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        hosts = _all(headers, b"host")
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:
            raise Refusal("wrong-host", "`Host` is not a name of this server")
        if any(origin not in self._origins for origin in _all(headers, b"origin")):
            raise Refusal("cross-site", "the request comes from a page of another origin")
        if any(site not in (b"same-origin", b"none") for site in _all(headers, b"sec-fetch-site")):
            raise Refusal("cross-site", "the request comes from a page of another site")
        if len(_all(headers, b"authorization")) > 1:
            raise Refusal("bad-request", "`Authorization` appears twice")
        if b"%2f" in scope["raw_path"].lower():
            raise Refusal("no-such-path", "no such path")  # no id has a slash in it


def spellings(host: str) -> Iterator[tuple[str, str]]:
    """The ways to write a name with its port, each with a scheme: callers leave out a port that is their scheme's."""
    name, _, port = host.rpartition(":")
    for scheme, usual in (("http", "80"), ("https", "443")):
        yield from ((scheme, it) for it in ((host, name) if port == usual else (host,)))


def is_near(scope: Scope) -> bool:
    """Whether nothing indicates a proxy. HTTP/1.0 counts as one, because simple proxies use it."""
    told = (name for name, _ in scope["headers"] if name in _FORWARDED or name.startswith(_FORWARDED_HEADS))
    return scope["http_version"] != "1.0" and not any(told)


class _Exchange:
    """One request and its answer. The connection of who was not admitted ends with the answer, so that nobody is kept
    out by it; and so does one with a body that was not read, after some of that: else whoever sends without end would
    keep it."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, is_hook: bool) -> None:
        """`is_hook`: the body may be of any kind, and a refusal is not explained."""
        self._is_hook, self._most_bytes = is_hook, HOOK_BYTES if is_hook else BODY_BYTES
        self._state = scope["state"]
        self._headers: list[tuple[bytes, bytes]] = scope["headers"]
        self._changes = scope["method"] in ("POST", "PATCH")
        self._receive, self._send = receive, send
        length = _all(self._headers, b"content-length")
        self._is_read = length in ([], [b"0"]) and not _all(self._headers, b"transfer-encoding")

    async def body(self) -> bytes:
        """The whole body. Raises Refusal for an unexpected or invalid one, and Gone."""
        self._check()
        if not self._changes:
            return b""
        try:
            async with asyncio.timeout(BODY_SECONDS):
                return await self._all()
        except TimeoutError:
            raise Refusal("too-slow", f"the body was not complete within {BODY_SECONDS:g} s") from None

    def _check(self) -> None:
        length = _all(self._headers, b"content-length")
        if _all(self._headers, b"transfer-encoding"):
            raise Refusal("no-length", "a body needs a `Content-Length`, and must not be chunked")
        if not self._changes:
            if not self._is_read:
                raise Refusal("bad-request", "a GET must not have a body")
            return
        if not length:
            raise Refusal("no-length", "a body needs a `Content-Length`")
        if len(length[0]) > _DIGITS or int(length[0]) > self._most_bytes:
            raise Refusal("too-large", f"the body is larger than {self._most_bytes} bytes")
        if self._is_hook:
            return
        if not _is_json(_all(self._headers, b"content-type")) or _all(self._headers, b"content-encoding"):
            raise Refusal("not-json", "the body must be `Content-Type: application/json`, not encoded further")

    async def _all(self) -> bytes:
        parts = bytearray()
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise CallerDisconnected
            parts += message.get("body", b"")
            if not message.get("more_body"):
                self._is_read = True
                return bytes(parts)

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """Send a part of the answer."""
        if message["type"] == "http.response.start":
            is_kept = self._state.setdefault("admitted", False) and self._is_read
            ends = [] if is_kept else [(b"connection", b"close")]
            await self._send({**message, "headers": [*message.get("headers", []), *SECURITY, *ends]})
        elif self._is_read or message.get("more_body"):
            await self._send(message)
        else:
            await self._send({**message, "more_body": True})
            await self._drain()
            await self._send({**message, "body": b""})

    async def refuse(self, refusal: Refusal) -> None:
        """Refuse the request without reading it."""
        body = b"" if self._is_hook else views.to_json(refusal.document()).encode()
        headers = [(name.encode(), value.encode()) for name, value in refusal.headers.items()]
        headers += [] if self._is_hook else [(b"content-type", b"application/json")]
        headers += [(b"content-length", b"%d" % len(body))]
        await self.send({"type": "http.response.start", "status": refusal.status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})

    async def _drain(self) -> None:
        left = _DRAIN_BYTES
        try:
            async with asyncio.timeout(_DRAIN_SECONDS):
                while left > 0:
                    message = await self._receive()
                    left -= len(message.get("body", b""))
                    if not message.get("more_body"):
                        return
        except TimeoutError:
            return


def _all(headers: list[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    return [value for key, value in headers if key == name]


def _is_json(values: list[bytes]) -> bool:
    if len(values) != 1:
        return False
    kind, _, more = (part.strip().lower() for part in values[0].partition(b";"))
    return kind == b"application/json" and more in (b"", b"charset=utf-8", b'charset="utf-8"')
