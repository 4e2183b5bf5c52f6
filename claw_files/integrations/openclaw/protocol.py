"""Frames of OpenClaw's gateway, protocol version 4: builds requests and parses answers.

All text that comes in is foreign: it is bounded, checked for its form, and shown only through `core.text.said`.
"""

import json
from typing import Any

from claw_files.core import text as words
from claw_files.core.errors import GatewayAway, GatewayRefused
from claw_files.core.model import Value

VERSION = 4
FRAME_BYTES = 26_214_400  # the gateway's own bound
READ = ("operator.read", "operator.write")
ADMIN = (*READ, "operator.admin")
# What its errors mean where trying again makes no difference, and what helps.
_HELP = {
    "AUTH_TOKEN_MISMATCH": "the token is not the gateway's: see gateway.auth.token in its configuration",
    "AUTH_TOKEN_MISSING": "no token was given: set the variable that token_env names, or token_file",
    "AUTH_TOKEN_NOT_CONFIGURED": "the gateway has no token: set gateway.auth.token in its configuration",
    "MISSING_SCOPE": "the token does not permit this",
}


class GatewayHello(Value, frozen=True):
    """The gateway's description of itself at the start."""

    version: str  # "2026.9.6"
    boot: str  # another one after each start: what it kept in memory is gone with the old one
    protocol: int = VERSION


def connect(token: str, version: str, scopes: tuple[str, ...] = READ) -> dict[str, Any]:
    """The parameters of the first request."""
    client = {"id": "gateway-client", "version": version, "platform": "linux", "mode": "backend"}
    return {
        "minProtocol": VERSION,
        "maxProtocol": VERSION,
        "client": client,
        "role": "operator",
        "scopes": list(scopes),
        "caps": [],
        "auth": {"token": token},
    }


def request(number: str, method: str, params: dict[str, Any]) -> str:
    """The text of a request."""
    return json.dumps({"type": "req", "id": number, "method": method, "params": params})


def frame(text: str | bytes) -> dict[str, Any]:
    """The frame in `text`; empty for an invalid one, which is ignored."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def hello(payload: dict[str, Any], url: str) -> GatewayHello:
    """The facts in the answer to `connect`. Raises GatewayRefused for an unsupported protocol."""
    server = record(payload, "server")
    spoken = payload.get("protocol")
    if spoken != VERSION:
        raise GatewayRefused(url, f"it uses protocol {words.said(str(spoken), 20)}, but clawfiles uses {VERSION}")
    return GatewayHello(version=text(server, "version"), boot=text(server, "bootId"))


def payload(answer: dict[str, Any], url: str, method: str) -> dict[str, Any]:
    """The payload of a response. Raises GatewayAway if a retry may help, else GatewayRefused."""
    if answer.get("ok") is True:
        return record(answer, "payload")
    error = record(answer, "error")
    said = words.said(text(error, "message") or text(error, "code") or "no reason given", 300)
    if error.get("retryable") is True:
        raise GatewayAway(url, said)
    code = text(record(error, "details"), "code")
    raise GatewayRefused(f"OpenClaw's gateway refused {method}", said, _HELP.get(code, ""))


def record(found: dict[str, Any], key: str) -> dict[str, Any]:
    """The object at `key`; empty without one."""
    value = found.get(key)
    return value if isinstance(value, dict) else {}


def records(found: dict[str, Any], key: str) -> list[dict[str, Any]]:
    """The objects in the list at `key`."""
    value = found.get(key)
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def text(found: dict[str, Any], key: str, limit: int = 100_000) -> str:
    """The text at `key`, at most `limit` letters; empty without one."""
    value = found.get(key)
    return value[:limit] if isinstance(value, str) else ""


def is_loopback(url: str) -> bool:
    """Whether the address is on this machine: then no proxy is asked."""
    host = url.partition("://")[2].partition("/")[0]
    return host.startswith(("127.", "localhost", "[::1]"))
