"""Delivers one text to one address, within a time limit, in a separate process.

apprise has limits of its own: measured, it gives up after 4 s on a web service that is silent, after 15 s on a mail
server. One that says a letter every three seconds keeps it for ever. So a process that takes too long is killed.
"""

import importlib
import logging
import os
import re
import select
import signal
import warnings
from datetime import timedelta
from typing import Any

from claw_files.processes.supervisor import PR_SET_PDEATHSIG, prctl
from claw_files.system.libraries import need

REASON_BYTES = 500
_DELIVERED = b"+"


def library() -> Any:
    """apprise. Raises NotInstalled."""
    need("a person's channel", "notify")
    return importlib.import_module("apprise")


def service(address: str) -> Any:
    """apprise's object for the address; None if apprise does not accept it. Raises NotInstalled.

    The first time in a process it takes a second or so: apprise reads all its plugins.
    """
    apprise = library()
    logging.getLogger("apprise").handlers[:] = [logging.NullHandler()]  # it would print what it does not understand
    asset = apprise.AppriseAsset(
        async_mode=False, storage_mode=apprise.PersistentStoreMode.MEMORY, app_id="clawfiles", app_desc="clawfiles"
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what its plugins import is theirs
            return apprise.Apprise.instantiate(address, asset=asset, suppress_exceptions=True)
    except Exception:  # noqa: BLE001 - a plugin's fault in reading an address is that it does not understand it
        return None


def deliver(address: str, title: str, body: str, limit: timedelta) -> str:
    """Deliver; "" on success, else the reason, without the address. Raises NotInstalled, OSError.

    This process must have one thread: it forks.
    """
    plugin = service(address)
    if plugin is None:
        return "apprise does not understand the address"
    told, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(told)
        _in_child(plugin, title, body, tell)
    os.close(tell)
    try:
        has_ended, _, _ = select.select([told], [], [], limit.total_seconds())
        said = os.read(told, REASON_BYTES) if has_ended else b""
    finally:
        os.close(told)
        os.kill(pid, signal.SIGKILL)  # what has ended is not hurt by it
        os.waitpid(pid, 0)
    if not has_ended:
        return f"no answer within {limit.total_seconds():g} s"
    return "" if said == _DELIVERED else said.decode("utf-8", "replace") or "its process ended without output"


def _in_child(plugin: Any, title: str, body: str, tell: int) -> None:
    """Deliver and report the result; never returns."""
    try:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # a sender that is killed is begun anew, and delivers all again
        os.write(tell, _said(plugin, title, body).encode() or _DELIVERED)
    except Exception as wrong:  # noqa: BLE001 - what a plugin does is told by its kind: a text could hold the address
        os.write(tell, f"apprise failed with {type(wrong).__name__}".encode())
    finally:
        os._exit(0)


def _said(plugin: Any, title: str, body: str) -> str:
    heard = _Heard()
    logging.getLogger("apprise").handlers[:] = [heard]
    is_taken = plugin.notify(body=body, title=title, body_format=library().NotifyFormat.TEXT)
    return "" if is_taken else heard.reason


class _Heard(logging.Handler):
    """Collects apprise's log messages that contain no part of the address."""

    reason = "the message was not accepted"

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if found := re.search(r"error=([0-9]{3})\b", text):
            self.reason = f"the service answered {found[1]}"
        elif re.search(r"connect|socket|timed? ?out", text, re.IGNORECASE):
            self.reason = "no connection or no answer"
