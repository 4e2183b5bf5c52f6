"""Serves the board, and shuts down on a signal, streams included."""

import asyncio
import signal
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import uvicorn

from claw_files.http import listener
from claw_files.http.application import HttpApplication
from claw_files.http.authentication import RequestAuthenticator

ENDING_SECONDS = 15  # for responses in progress at a stop; a lock wait takes at most ten


class _Server(listener.Server):
    """Stops on SIGINT and SIGTERM, streams included, and records the signal."""

    ended_by: int | None = None

    def __init__(self, config: uvicorn.Config, web: HttpApplication, ready: Callable[[], None]) -> None:
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


def run(callers: RequestAuthenticator, socket: socket.socket, hosts: Iterable[str], ready: Callable[[], None]) -> None:
    """Serve until a signal; `ready` is called once both sockets are open.

    Args:
        hosts: names of this server beside those of the socket, with their port.

    Raises KeyboardInterrupt where that was Ctrl-C.
    """
    if asyncio.run(_run(callers, socket, hosts, ready)) == signal.SIGINT:
        raise KeyboardInterrupt


async def _run(
    callers: RequestAuthenticator, socket: socket.socket, hosts: Iterable[str], ready: Callable[[], None]
) -> int | None:
    web = HttpApplication(callers, [*listener.names(socket), *hosts])
    server = _Server(listener.config(web.app, ENDING_SECONDS), web, ready)
    try:
        await server.serve(sockets=[socket])
    finally:
        web.close()
        await asyncio.to_thread(web.join)
    return server.ended_by
