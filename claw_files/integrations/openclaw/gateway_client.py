"""A connection to OpenClaw's gateway, for one thread, closed at the end of a `with`."""

from collections import OrderedDict
from contextlib import ExitStack, suppress
from datetime import timedelta
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any

from claw_files import __version__
from claw_files.core import text
from claw_files.core.errors import GatewayAway
from claw_files.integrations.openclaw import protocol
from claw_files.system.libraries import need

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

OPEN = timedelta(seconds=10)
ANSWER = timedelta(seconds=30)
KEPT = 64  # answers that were not requested yet


class Gateway:
    """Requests and their answers, by number: a turn is answered twice, and anything may come between.

    Every method raises GatewayAway when the connection ends or nothing comes in time, and GatewayRefused when the
    gateway says no.
    """

    def __init__(
        self, url: str, token: str, scopes: tuple[str, ...] = protocol.READ, patience: timedelta = OPEN
    ) -> None:
        self.url = url
        self._number = 0
        self._kept: OrderedDict[str, list[dict[str, Any]]] = OrderedDict()
        self._opened = ExitStack()
        self._socket = _open(url, patience, self._opened)
        try:
            self._read(monotonic() + patience.total_seconds())  # the challenge; loopback needs no answer to it
            self.hello = protocol.hello(
                self.call("connect", protocol.connect(token, __version__, scopes), patience), url
            )
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Gateway":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the gateway's turns continue."""
        with suppress(OSError):
            self._opened.close()

    def call(self, method: str, params: dict[str, Any], patience: timedelta = ANSWER) -> dict[str, Any]:
        """The answer's payload."""
        return self.answer(self.ask(method, params), method, patience)

    def ask(self, method: str, params: dict[str, Any]) -> str:
        """The number of a request that was sent."""
        from websockets.exceptions import WebSocketException

        self._number += 1
        try:
            self._socket.send(protocol.request(str(self._number), method, params))
        except (WebSocketException, OSError) as gone:
            raise GatewayAway(self.url, _why(gone)) from None
        return str(self._number)

    def answer(self, number: str, method: str, patience: timedelta = ANSWER) -> dict[str, Any]:
        """The payload of the next answer to the request."""
        until = monotonic() + patience.total_seconds()
        while not self._kept.get(number):
            self._read(until)
        return protocol.payload(self._kept[number].pop(0), self.url, method)

    def _read(self, until: float) -> None:
        """Read one frame; answers are kept, other frames are ignored."""
        from websockets.exceptions import WebSocketException

        try:
            raw = self._socket.recv(timeout=max(0.0, until - monotonic()))
        except TimeoutError:
            raise GatewayAway(self.url, "no answer in time") from None
        except (WebSocketException, OSError) as gone:
            raise GatewayAway(self.url, _why(gone)) from None
        found = protocol.frame(raw)
        number = found.get("id")
        if found.get("type") != "res" or not isinstance(number, str):
            return
        self._kept.setdefault(number, []).append(found)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)


def _open(url: str, patience: timedelta, opened: ExitStack) -> "ClientConnection":
    need("OpenClaw's gateway", "openclaw")
    from websockets.exceptions import WebSocketException
    from websockets.sync.client import connect

    try:
        way = connect(
            url,
            compression=None,  # the gateway does not speak it
            proxy=None if protocol.is_loopback(url) else True,
            max_size=protocol.FRAME_BYTES,
            open_timeout=patience.total_seconds(),
            close_timeout=1,
            ping_interval=None,  # every request of ours has a time of its own
        )
        return opened.enter_context(way)
    except (WebSocketException, OSError, EOFError) as wrong:
        raise GatewayAway(url, _why(wrong)) from None


def _why(wrong: Exception) -> str:
    return text.said(getattr(wrong, "strerror", None) or str(wrong) or type(wrong).__name__, 200)
