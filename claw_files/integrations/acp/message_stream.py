"""The agent's standard streams as messages: one JSON object per line, within limits."""

import asyncio
import json
from collections.abc import Callable
from typing import Any, Final, get_args

from acp.schema import PermissionOptionKind, StopReason

from claw_files.core import text

LINE_BYTES: Final = 64 << 20
MOST_RUBBISH: Final = 10_000  # lines
MOST_UNKNOWN: Final = 20  # words
_KINDS: Final = get_args(PermissionOptionKind)


class MessageStream:
    """The library's transport. It ends like a closed stream if the agent exceeds its limits.

    The library's own reader takes lines of any length into memory and gives up at the first that is no object.
    """

    def __init__(self, process: asyncio.subprocess.Process, tell: Callable[[str], None]) -> None:
        """`process` must have been started with `limit=LINE_BYTES`."""
        assert process.stdin is not None and process.stdout is not None
        self._in, self._out, self._tell = process.stdin, process.stdout, tell
        self._one = asyncio.Lock()
        self._rubbish = 0
        self._unknown = set[str]()
        self.problem = ""  # why it ended before the agent did

    async def send(self, message: dict[str, Any]) -> None:
        """Write one message; waits while the agent does not read."""
        async with self._one:
            self._in.write(json.dumps(message, separators=(",", ":")).encode() + b"\n")
            await self._in.drain()

    async def receive(self) -> dict[str, Any] | None:
        """The next message; None at the end. What is none is passed over."""
        while line := await self._line():
            try:
                message = json.loads(line)
            except (ValueError, RecursionError):
                message = None
            if isinstance(message, dict):
                await asyncio.sleep(0)  # let the reader of the last message run first, so that a flood cannot pile up
                return self._understood(message)
            if line.strip() and not self._may_go_on():
                return None
        return None

    def _understood(self, message: dict[str, Any]) -> dict[str, Any]:
        """The message with unknown values replaced, which are reported, and the agent's own values kept aside."""
        result, params = message.get("result"), message.get("params")
        if isinstance(result, dict) and result.get("stopReason") not in (None, *get_args(StopReason)):
            self._name(f"its turn ended with {text.said(str(result['stopReason']), 60)}, which counts as its end")
            result["stopReason"] = "end_turn"
        if isinstance(params, dict):
            if isinstance(offered := params.get("options"), list):
                kinds = [one.get("kind") if isinstance(one, dict) else None for one in offered]
                params["options"] = [one for one, kind in zip(offered, kinds, strict=True) if kind in _KINDS]
                for kind in (kind for kind in kinds if kind not in _KINDS):
                    self._name(f"it offers the answer {text.said(str(kind), 60)}, which is never given")
            params["_meta"] = {"told": params.get("update") or params.get("toolCall")}
        return message

    def _name(self, sentence: str) -> None:
        if sentence not in self._unknown and len(self._unknown) < MOST_UNKNOWN:
            self._unknown.add(sentence)
            self._tell(f"unknown message of a newer agent: {sentence}")

    def _may_go_on(self) -> bool:
        self._rubbish += 1
        if self._rubbish == 1:
            self._tell("the agent prints lines that are not messages; they are ignored")
        if self._rubbish > MOST_RUBBISH:
            self.problem = f"the agent printed more than {MOST_RUBBISH} lines that are not messages"
        return not self.problem

    async def _line(self) -> bytes:
        try:
            return await self._out.readuntil(b"\n")
        except asyncio.IncompleteReadError:
            return b""  # the end: half a message is none
        except asyncio.LimitOverrunError:
            self.problem = f"the agent sent a line of more than {LINE_BYTES >> 20} MiB"
            return b""

    async def close(self) -> None:
        """Tell the agent that nothing more will come."""
        self._in.close()
