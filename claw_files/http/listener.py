"""Listening on loopback, for the board and for MCP: the socket, its names, and uvicorn with its limits."""

import errno
import ipaddress
import socket
from typing import Any

import uvicorn

from claw_files.core.errors import BadValue, PortTaken, Refused
from claw_files.http.connection_limits import HEAD_BYTES, Protocol

_WAITING = 1024  # connections that the kernel keeps until we take them
_AT_ONCE = 4  # that are taken before those that are there are read: so few that none has to go before it was read
_DEFER = getattr(socket, "TCP_DEFER_ACCEPT", None)  # Linux: who has said nothing yet waits there for a second, not here


def listen(host: str, port: int) -> socket.socket:
    """The socket. Raises Refused for a non-loopback address, PortTaken, and BadValue for an invalid one."""
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        raise BadValue("--host", host, "an address of this machine, such as 127.0.0.1") from None
    if not address.is_loopback:
        instead = "listen on 127.0.0.1 and put a proxy or tunnel in front: see docs/how-to/http.md"
        raise Refused("loopback only", f"{host} can be reached from other machines", instead)
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    # The protocol is named, because asyncio disables Nagle's algorithm only then; else each answer waits 40 ms.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if _DEFER is not None:
            listening.setsockopt(socket.IPPROTO_TCP, _DEFER, 1)
        listening.bind((str(address), port))
        listening.listen(_WAITING)  # before the address is printed: connections are answered from now on
    except OSError as wrong:
        listening.close()
        if wrong.errno == errno.EADDRINUSE:
            raise PortTaken(port) from None
        raise BadValue("--host", f"{host}:{port}", f"an address that can be listened on ({wrong.strerror})") from None
    return listening


def names(listening: socket.socket) -> list[str]:
    """The values of `Host` by which this machine knows the socket, with the port."""
    host, port = listening.getsockname()[:2]
    own = f"[{host}]" if ":" in host else host
    return [f"{name}:{port}" for name in dict.fromkeys(("localhost", "127.0.0.1", "[::1]", own))]


def config(app: Any, ending_seconds: int) -> uvicorn.Config:
    """The uvicorn configuration for the application."""
    return uvicorn.Config(
        app,
        http=Protocol,
        ws="none",
        loop="asyncio",
        log_config=None,
        log_level="error",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=ending_seconds,
        h11_max_incomplete_event_size=HEAD_BYTES,
        backlog=_AT_ONCE,
    )


class Server(uvicorn.Server):
    """Keeps the kernel's backlog long, which asyncio would shorten."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listening in sockets or ():
            listening.listen(_WAITING)
