"""MCP over standard input and output: one client, one agent, until the client closes the pipe or ends.

The transport is our own: to a line that the SDK's cannot read nothing is answered, and the client waits.
"""

import json
import os
import re
import signal
from collections.abc import Mapping
from typing import Any

import anyio
import mcp_types as types
from anyio import to_thread
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.message import SessionMessage

from claw_files.core.errors import UsageError
from claw_files.core.model import AgentId
from claw_files.http import json_bodies
from claw_files.mcp.server import McpHandlers
from claw_files.mcp.worker_threads import OperationWorkers

LINE_BYTES = 16 << 20  # of one message
LOOK_SECONDS = 1.0  # between two looks at whether our parent is still there
GRACE_SECONDS = 1.0  # for answers that are under way when the client is gone, or has no more to ask
_ENDS_BYTES = 1000
_CUT = b"\0 a line that is too long \0"
# Where clients put the id of a request: before everything that has braces of its own, or at the very end.
_IDS = (
    re.compile(rb'^\s{0,9}\{[^{}\[\]]*?"id"\s{0,9}:\s{0,9}("[^"\\]{1,200}"|[0-9]{1,15})\s{0,9},'),
    re.compile(rb'"id"\s{0,9}:\s{0,9}("[^"\\]{1,200}"|[0-9]{1,15})\s{0,9}(?:,\s{0,9}"jsonrpc"[^{},]{0,20})?\}\s{0,9}$'),
)

Sending = MemoryObjectSendStream[SessionMessage]
Receiving = MemoryObjectReceiveStream[SessionMessage]


def message(line: bytes) -> types.JSONRPCMessage:
    """The message in the line; for an invalid line, the error response."""
    try:
        found = json_bodies.parse(line)
        if "method" in found and "id" in found and type(found["id"]) not in (int, str):
            return _error(line, types.INVALID_REQUEST, "the id of a request is a text or a whole number")
        return types.jsonrpc_message_adapter.validate_python(found, by_name=False)
    except ValueError:
        return _error(line, types.INVALID_REQUEST, "this is not a JSON-RPC 2.0 message")
    except UsageError as wrong:
        is_json = str(wrong) == json_bodies.NO_OBJECT
        why = f"a line of over {LINE_BYTES} bytes" if _CUT in line else str(wrong).replace("the body", "the line")
        return _error(line, types.INVALID_REQUEST if is_json else types.PARSE_ERROR, why)


def _error(line: bytes, code: int, why: str) -> types.JSONRPCError:
    try:
        found = json.loads(line.decode("utf-8", "replace"))
        named = found.get("id") if isinstance(found, dict) else None
    except (ValueError, RecursionError):
        seen = _IDS[0].search(line[:_ENDS_BYTES]) or _IDS[1].search(line[-_ENDS_BYTES:])
        named = json.loads(seen[1].decode("utf-8", "replace")) if seen else None
    id = named if type(named) in (int, str) else None
    return types.JSONRPCError(jsonrpc="2.0", id=id, error=types.ErrorData(code=code, message=why))


class _Wire:
    """The two pipes, and which requests wait for an answer."""

    def __init__(self) -> None:
        self._parent = os.getppid()
        self._in, self._out = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
        nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        for number in (0, 1):  # no program that we start reads requests, or writes between answers
            os.dup2(nothing, number)
        self._unanswered = set[Any]()

    async def read(self, requests: Sending, answers: Sending) -> None:
        """Pass on the client's messages, until it closes the pipe."""
        async with requests, answers:
            while line := await to_thread.run_sync(self._line, abandon_on_cancel=True):
                found = message(line)
                if isinstance(found, types.JSONRPCRequest):
                    self._unanswered.add(found.id)
                elif isinstance(found, types.JSONRPCNotification) and found.method == "notifications/cancelled":
                    self._unanswered.discard((found.params or {}).get("requestId"))
                await (answers if isinstance(found, types.JSONRPCError) else requests).send(SessionMessage(found))
            await self._answered()

    def _line(self) -> bytes:
        """The next line; for one that is too long, its beginning and end."""
        line = self._in.readline(LINE_BYTES)
        if len(line) < LINE_BYTES or line.endswith(b"\n"):
            return line
        end = line
        while not end.endswith(b"\n") and (more := self._in.readline(LINE_BYTES)):
            end = (end + more)[-_ENDS_BYTES:]
        return line[:_ENDS_BYTES] + _CUT + end[-_ENDS_BYTES:]

    async def write(self, answers: Receiving) -> None:
        """Write the responses, one per line."""
        async with answers:
            async for one in answers:
                text = one.message.model_dump_json(by_alias=True, exclude_unset=True)
                await to_thread.run_sync(self._put, text.encode() + b"\n")
                self._unanswered.discard(getattr(one.message, "id", None))

    def _put(self, line: bytes) -> None:
        self._out.write(line)
        self._out.flush()

    async def _answered(self) -> None:
        """Come back when every request is answered, or after a moment."""
        with anyio.move_on_after(GRACE_SECONDS):
            while self._unanswered:
                await anyio.sleep(0.02)

    async def end_with_parent(self) -> None:
        """End this process when its parent has ended, even if another process holds the pipe.

        The kernel's own signal for it would come when the thread ends that started us, and so too early.
        """
        while os.getppid() == self._parent:
            await anyio.sleep(LOOK_SECONDS)
        await self._answered()
        os._exit(0)  # a thread of ours may be waiting for a line, and nothing interrupts it


def serve(base: str, env: Mapping[str, str], agent: AgentId) -> None:
    """Serve the client on standard input and output as `agent`, until it has ended."""
    # What reads standard input cannot be interrupted; and no signal needs more than what a crash would need.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

    async def run() -> None:
        server, wire = McpHandlers(OperationWorkers(base, env), lambda _: agent).server(keeps_connections=True), _Wire()
        asking, requests = anyio.create_memory_object_stream[SessionMessage | Exception]()
        answering, answers = anyio.create_memory_object_stream[SessionMessage]()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wire.end_with_parent)
            async with anyio.create_task_group() as pipes:
                pipes.start_soon(wire.read, asking, answering.clone())
                pipes.start_soon(wire.write, answers)
                await server.run(requests, answering, server.create_initialization_options())
            tasks.cancel_scope.cancel()

    try:
        anyio.run(run)
    except* (BrokenPipeError, ConnectionResetError):
        os._exit(0)  # the client went away while it was answered, and the pipe of its requests may still be held open
