"""The SDK's server with clawfiles' tools and resources, for both transports."""

import sys
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.session import ServerSession
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ResourceUpdated
from mcp.shared.exceptions import MCPError

from claw_files import __version__
from claw_files.core.errors import ClawError, UsageError
from claw_files.core.model import AgentId
from claw_files.core.text import safe, wire_json
from claw_files.mcp import resources
from claw_files.mcp.error_wording import reworded
from claw_files.mcp.subscriptions import Changes
from claw_files.mcp.tools import INSTRUCTIONS, listed
from claw_files.mcp.worker_threads import OperationWorkers

Context = ServerRequestContext[Any, Any]
Caller = Callable[[Context], AgentId]
_LONGEST_ERROR = 4000
_MOST_WATCHED = 100
_MOST_LISTENING = 16  # at once: over HTTP each keeps a connection


class McpHandlers:
    """The handlers of one server. `caller` returns the agent of a request."""

    def __init__(self, performing: OperationWorkers, caller: Caller) -> None:
        self._performing, self._caller = performing, caller
        self._listens: dict[AgentId, _Listens] = {}  # one for each: another's inbox has the same address
        self._listening = 0
        self._sessions: dict[tuple[AgentId, str], ServerSession] = {}  # of clients of the older protocol
        self._changes = Changes(performing, self._tell)
        self._tools = [types.Tool.model_validate(tool) for tool in listed()]

    def server(self, keeps_connections: bool) -> "Server[Any]":
        """The server to run.

        Args:
            keeps_connections: whether a connection lasts, so that a client of the older protocol, too, can be told of
                changes on it.
        """
        return Server(
            "clawfiles",
            version=__version__,
            instructions=INSTRUCTIONS,
            lifespan=self._life,
            on_list_tools=self._list_tools,
            on_call_tool=self._call_tool,
            on_list_resources=self._list_resources,
            on_list_resource_templates=self._list_templates,
            on_read_resource=self._read_resource,
            on_subscriptions_listen=self._listen_to,
            on_subscribe_resource=self._subscribe if keeps_connections else None,
            on_unsubscribe_resource=self._unsubscribe if keeps_connections else None,
        )

    @asynccontextmanager
    async def _life(self, _: "Server[Any]") -> AsyncIterator[None]:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._changes.run)
            yield
            tasks.cancel_scope.cancel()

    # --- tools

    async def _list_tools(self, _: Context, __: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        return types.ListToolsResult(tools=self._tools)

    async def _call_tool(self, context: Context, asked: types.CallToolRequestParams) -> types.CallToolResult:
        try:
            answer = await self._performing.perform(self._caller(context), asked.name, asked.arguments or {})
        except ClawError as error:
            return _refused(error)
        except Exception as error:  # noqa: BLE001 - the last door: whatever comes here is a bug of ours
            traceback.print_exc(file=sys.stderr)
            return _refused(ClawError(f"internal error: {type(error).__name__}; see the server's log"))
        return types.CallToolResult(content=[_text(answer)], structured_content=answer)

    # --- resources

    async def _list_resources(self, _: Context, __: types.PaginatedRequestParams | None) -> types.ListResourcesResult:
        found = [
            types.Resource(uri=uri, name=it.name, description=it.says, mime_type="application/json")
            for uri, it in resources.RESOURCES.items()
        ]
        return types.ListResourcesResult(resources=found)

    async def _list_templates(
        self, _: Context, __: types.PaginatedRequestParams | None
    ) -> types.ListResourceTemplatesResult:
        template = types.ResourceTemplate(
            uri_template=resources.TEMPLATE,
            name="task",
            description="A task with its text and state.",
            mime_type="application/json",
        )
        return types.ListResourceTemplatesResult(resource_templates=[template])

    async def _read_resource(
        self, context: Context, asked: types.ReadResourceRequestParams
    ) -> types.ReadResourceResult:
        uri = str(asked.uri)
        try:
            found = resources.found(uri)
            answer = await self._performing.perform(self._caller(context), found.operation, found.arguments)
        except ClawError as error:
            raise _protocol_error(error) from None
        text = types.TextResourceContents(uri=uri, mime_type="application/json", text=wire_json(answer))
        return types.ReadResourceResult(contents=[text])

    # --- changes

    async def _listen_to(
        self, context: Context, asked: types.SubscriptionsListenRequestParams
    ) -> types.SubscriptionsListenResult:
        uris = _checked(asked.notifications.resource_subscriptions or [])
        agent = self._caller(context)
        if self._listening >= _MOST_LISTENING:
            raise MCPError(types.INTERNAL_ERROR, f"there are {_MOST_LISTENING} who listen already")
        self._listening += 1
        try:
            async with self._changes.watching(agent, uris):
                return await self._listens.setdefault(agent, _Listens()).handler(context, asked)
        finally:
            self._listening -= 1

    async def _subscribe(self, context: Context, asked: types.SubscribeRequestParams) -> types.EmptyResult:
        agent, uri = self._caller(context), str(asked.uri)
        _checked([uri, *(other for _, other in self._sessions)])
        if (agent, uri) not in self._sessions:
            self._sessions[agent, uri] = context.session
            await self._changes.watch(agent, uri)
        return types.EmptyResult()

    async def _unsubscribe(self, context: Context, asked: types.UnsubscribeRequestParams) -> types.EmptyResult:
        agent, uri = self._caller(context), str(asked.uri)
        if self._sessions.pop((agent, uri), None) is not None:
            self._changes.leave(agent, uri)
        return types.EmptyResult()

    async def _tell(self, agent: AgentId, uri: str) -> None:
        if listens := self._listens.get(agent):
            await listens.bus.publish(ResourceUpdated(uri))
        if session := self._sessions.get((agent, uri)):
            await session.send_resource_updated(uri)


class _Listens:
    """The subscribers of one agent."""

    def __init__(self) -> None:
        self.bus = InMemorySubscriptionBus()
        self.handler = ListenHandler(self.bus)


def _checked(uris: list[str]) -> list[str]:
    """The addresses, each of something. Raises MCPError."""
    try:
        if len(uris) > _MOST_WATCHED:
            raise UsageError(f"more than {_MOST_WATCHED} resources at once")
        for uri in uris:
            resources.found(uri)
    except ClawError as error:
        raise _protocol_error(error) from None
    return uris


def _protocol_error(error: ClawError) -> MCPError:
    return MCPError(types.INVALID_PARAMS, _sentence(error), {"code": error.code})


def _refused(error: ClawError) -> types.CallToolResult:
    said = _sentence(error)
    document = {"error": {"code": error.code, "message": said}}
    return types.CallToolResult(content=[types.TextContent(text=said)], structured_content=document, is_error=True)


def _sentence(error: ClawError) -> str:
    return safe(reworded(error.sentence), _LONGEST_ERROR)


def _text(answer: Any) -> types.TextContent:
    return types.TextContent(text=wire_json(answer))
