"""MCP over HTTP on this machine: any number of clients, each identified by its token.

Every request stands for itself (no session is kept), so none can be used by another token than the one that began it.
"""

import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any

from mcp.server.transport_security import TransportSecuritySettings

from claw_files.app.wiring import App
from claw_files.core.errors import ClawError
from claw_files.core.model import AgentId
from claw_files.http import listener
from claw_files.mcp.server import Context, McpHandlers
from claw_files.mcp.worker_threads import OperationWorkers
from claw_files.presentation import views

HOST, PATH = "127.0.0.1", "/mcp"
BODY_BYTES = 4 << 20
_AGENT = "clawfiles.agent"
_SCHEME = b"bearer "
_ENDING_SECONDS = 5
_TOKEN_BYTES = 500

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Served = Callable[[Scope, Receive, Send], Awaitable[None]]


class TokenGate:
    """ASGI middleware that only passes on requests with an agent's token."""

    def __init__(self, app: Served, agent_of: Callable[[str], AgentId | None]) -> None:
        """`agent_of` says whose a token is."""
        self._app, self._agent_of = app, agent_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope["state"]["admitted"] = False
        try:
            agent = self._agent(scope["headers"])
        except ClawError as error:  # the configuration is wrong
            await _answer(send, 500, views.error_json(error))
            return
        if agent is None:
            message = "show a token: `Authorization: Bearer TOKEN`; `clawfiles token NAME` prints the path of a token"
            await _answer(send, 401, views.to_json({"error": {"code": "no-token", "message": message}}))
            return
        if scope["method"] != "POST":  # a stream that would only ever be empty: there are no sessions
            message = "only POST is answered here"
            await _answer(send, 405, views.to_json({"error": {"code": "usage", "message": message}}))
            return
        scope[_AGENT] = agent
        scope["state"]["admitted"] = True  # the connection is worth its place
        await self._app(scope, receive, send)

    def _agent(self, headers: Iterable[tuple[bytes, bytes]]) -> AgentId | None:
        shown = [value for name, value in headers if name == b"authorization"]
        if len(shown) != 1 or not shown[0].lower().startswith(_SCHEME):
            return None
        return self._agent_of(shown[0][len(_SCHEME) :].strip()[:_TOKEN_BYTES].decode("latin-1"))


async def _answer(send: Send, status: int, body: str) -> None:
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    headers += {401: [(b"www-authenticate", b"Bearer")], 405: [(b"allow", b"POST")]}.get(status, [])
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body.encode()})


def _caller(context: Context) -> AgentId:
    """The agent of the request, which every call over HTTP has."""
    assert context.request is not None, "over HTTP each call has its request"
    found: AgentId = context.request.scope[_AGENT]
    return found


def application(base: str, env: Mapping[str, str], port: int) -> Served:
    """The ASGI application of the HTTP server.

    Args:
        env: of this process; what it says of agents and runs is not its callers'.
        port: the one that callers name in `Host`.
    """
    own = {name: value for name, value in env.items() if not name.startswith("CLAWFILES_")}
    performing = OperationWorkers(base, own)
    names = [f"{name}:{port}" for name in (HOST, "localhost")]
    security = TransportSecuritySettings(allowed_hosts=names, allowed_origins=[f"http://{name}" for name in names])
    served = McpHandlers(performing, _caller).server(keeps_connections=False)
    app = served.streamable_http_app(
        streamable_http_path=PATH, stateless_http=True, transport_security=security, max_request_body_size=BODY_BYTES
    )
    return TokenGate(app, lambda token: App(base, own, None).tokens.agent_of(token))


def serve(base: str, env: Mapping[str, str], port: int) -> None:
    """Serve until SIGINT or SIGTERM. Raises PortTaken if another process has the port."""
    socket = listener.listen(HOST, port)
    port = socket.getsockname()[1]
    sys.stderr.write(f"clawfiles: MCP at http://{HOST}:{port}{PATH}\n")
    sys.stderr.flush()
    listener.Server(listener.config(application(base, env, port), _ENDING_SECONDS)).run(sockets=[socket])
