"""Listening, and ending: the socket, uvicorn with its limits, and the signals."""

import asyncio
import errno
import ipaddress
import signal
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import uvicorn

from claw_files.config import Settings
from claw_files.errors import BadValue, CannotRead, PortTaken, Refused
from claw_files.serve.callers import Callers
from claw_files.serve.protocol import HEAD_BYTES, Protocol
from claw_files.serve.web import Web

IDLE_SECONDS = 5
ENDING_SECONDS = 15  # for what is being answered when the end is asked for; a lock is waited for ten at most
_BACKLOG = 128


class Place(NamedTuple):
    """Where to listen. `cert` and `key` are files for TLS."""

    host: str
    port: int
    allow_remote: bool = False
    cert: str | None = None
    key: str | None = None

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it. Raises BadValue for what is no address."""
        return self._address.is_loopback

    @property
    def _address(self) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
        try:
            return ipaddress.ip_address("127.0.0.1" if self.host == "localhost" else self.host)
        except ValueError:
            raise BadValue("--host", self.host, "an address of this machine, such as 127.0.0.1") from None

    def check(self, settings: Settings) -> None:
        """Raises Refused for a place where strangers could ask more than they may."""
        if bool(self.cert) != bool(self.key):
            raise BadValue("--cert", self.cert or "", "given together with --key")
        if self.is_local:
            return
        rule = "loopback unless asked for"
        if not self.allow_remote:
            raise Refused(rule, f"{self.host} can be reached from elsewhere", "say --allow-remote if that is meant")
        if settings.serve.auth != "token":
            raise Refused(rule, 'auth = "loopback" believes everybody', 'say auth = "token" under [serve]')
        if not self.cert:
            instead = "give --cert and --key, or stay on 127.0.0.1 behind a proxy or tunnel that has them"
            raise Refused(rule, "without TLS everybody on the way reads the tokens", instead)
        if self._address.is_unspecified and not settings.serve.hosts:
            instead = 'say under [serve] what callers call it: hosts = ["board.example:3001"]'
            raise Refused("a host has a name", f"{self.host} is no name to call this server by", instead)

    def listen(self) -> socket.socket:
        """The socket. Raises PortTaken where another program has the port, BadValue where it cannot be had."""
        address = self._address
        family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
        # Named, because asyncio turns Nagle's algorithm off only where it is: else each answer waits 40 ms.
        listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((str(address), self.port))
            listening.listen(_BACKLOG)
        except OSError as wrong:
            listening.close()
            if wrong.errno == errno.EADDRINUSE:
                raise PortTaken(self.port) from None
            told = f"an address and port that can be listened on ({wrong.strerror})"
            raise BadValue("--host", f"{self.host}:{self.port}", told) from None
        return listening

    def hosts(self, port: int, settings: Settings) -> list[str]:
        """The values of `Host` that mean this server."""
        address = self._address
        own = f"[{address}]" if address.version == 6 else str(address)
        names = ["localhost", "127.0.0.1", "[::1]"] if self.is_local else [] if address.is_unspecified else [own]
        found = [f"{name}:{port}" for name in dict.fromkeys([*names, *([own] if self.is_local else [])])]
        bare = [name.rpartition(":")[0] for name in found if port == (443 if self.cert else 80)]
        return [*found, *bare, *settings.serve.hosts]

    def tls(self) -> ssl.SSLContext | None:
        """What TLS needs, or None. Raises CannotRead."""
        if not self.cert or not self.key:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(self.cert, self.key)
        except (OSError, ssl.SSLError) as wrong:
            raise CannotRead(self.cert, "unreadable", f"no certificate with its key: {wrong}") from None
        return context


class _Server(uvicorn.Server):
    """Ends on SIGINT and SIGTERM, streams included, and says which it was."""

    ended_by: int | None = None

    def __init__(self, config: uvicorn.Config, web: Web, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._web, self._ready = web, ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._end, number)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    def _end(self, number: int) -> None:
        self.force_exit = self.should_exit  # a second one is in a hurry
        self.should_exit, self.ended_by = True, number
        self._web.close()


class Listening(NamedTuple):
    """A socket, the values of `Host` that mean it, and what TLS needs."""

    socket: socket.socket
    hosts: list[str]
    tls: ssl.SSLContext | None = None


def run(callers: Callers, listening: Listening, ready: Callable[[], None]) -> None:
    """Answer until a signal ends it; `ready` is called once both are listened for.

    Raises KeyboardInterrupt where that was Ctrl-C.
    """
    ended_by = asyncio.run(_run(callers, listening, ready))
    if ended_by == signal.SIGINT:
        raise KeyboardInterrupt


async def _run(callers: Callers, listening: Listening, ready: Callable[[], None]) -> int | None:
    web = Web(callers, listening.hosts, "https" if listening.tls else "http")
    config = uvicorn.Config(
        web.app,
        http=Protocol,
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        log_level="error",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=ENDING_SECONDS,
        h11_max_incomplete_event_size=HEAD_BYTES,
        backlog=_BACKLOG,
    )
    config.load()
    config.ssl = listening.tls
    server = _Server(config, web, ready)
    try:
        await server.serve(sockets=[listening.socket])
    finally:
        web.close()
        await asyncio.to_thread(web.join)
    return server.ended_by
