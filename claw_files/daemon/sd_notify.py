"""Notifies the service manager of the daemon's state: the used part of sd_notify(3)."""

import os
import socket
from collections.abc import Mapping
from contextlib import suppress


class ServiceNotifier:
    """Sends to the socket in NOTIFY_SOCKET; does nothing without one."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._address = env.get("NOTIFY_SOCKET", "")
        usec = env.get("WATCHDOG_USEC", "")
        mine = env.get("WATCHDOG_PID", "") in ("", str(os.getpid()))
        self.every: float | None = int(usec) / 2e6 if usec.isascii() and usec.isdigit() and int(usec) and mine else None

    def __call__(self, state: str) -> None:
        """Send "READY=1", "WATCHDOG=1", "STOPPING=1", "RELOADING=1" or "STATUS=..."; failing is fine."""
        if not self._address.startswith(("/", "@")):
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.setblocking(False)
            sender.sendto(state.encode(), address)
