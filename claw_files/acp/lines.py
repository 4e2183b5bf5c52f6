"""The agent's standard streams as messages: one JSON object a line, within bounds."""

import asyncio
import json
from collections.abc import Callable
from typing import Any, Final

LINE_BYTES: Final = 64 << 20
MOST_RUBBISH: Final = 10_000  # lines


class Lines:
    """What the library sends and receives by. It ends like a closed stream where the agent breaks its bounds.

    The library's own reader takes lines of any length into memory and gives up at the first that is no object.
    """

    def __init__(self, process: asyncio.subprocess.Process, tell: Callable[[str], None]) -> None:
        """`process` must have been started with `limit=LINE_BYTES`."""
        assert process.stdin is not None and process.stdout is not None
        self._in, self._out, self._tell = process.stdin, process.stdout, tell
        self._one = asyncio.Lock()
        self._rubbish = 0
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
                await asyncio.sleep(0)  # whoever waits for the last one goes first: a flood must not pile up
                return message
            if line.strip() and not self._may_go_on():
                return None
        return None

    def _may_go_on(self) -> bool:
        self._rubbish += 1
        if self._rubbish == 1:
            self._tell("the agent prints lines that are no messages; they are passed over")
        if self._rubbish > MOST_RUBBISH:
            self.problem = f"the agent printed more than {MOST_RUBBISH} lines that are no messages"
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
