"""Runs calls in threads: services are synchronous and lock files, and must not block the protocol's loop.

Each call has the workspace opened anew, as a command does: the next one sees a changed configuration, and two at the
same moment share nothing.
"""

import json
import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import anyio
import anyio.to_thread

from claw_files.app.wiring import App
from claw_files.core.model import AgentId
from claw_files.core.operation_table import OPERATIONS
from claw_files.mcp.tools import lean
from claw_files.operations.dispatch import perform
from claw_files.presentation import views
from claw_files.system.clock import SystemClock

T = TypeVar("T")

AT_ONCE = 8
WAITS_AT_ONCE = 64  # of those that sleep most of the time


class CallerGone(Exception):
    """The caller no longer waits for the answer."""


class CallClock(SystemClock):
    """The machine's clock; a sleep ends when the caller no longer waits."""

    def __init__(self) -> None:
        self.gone = threading.Event()

    def sleep(self, seconds: float) -> None:
        if self.gone.wait(seconds):
            raise CallerGone


class OperationWorkers:
    """Makes calls for agents in one workspace, up to a limit at once; waiting calls are counted separately."""

    def __init__(self, base: str, env: Mapping[str, str]) -> None:
        """Args:
        base: the folder of clawfiles.toml.
        env: what is the caller's own: its run and task, where it is in one.
        """
        self._base, self._env = base, env
        self._calls = anyio.CapacityLimiter(AT_ONCE)
        self._waits = anyio.CapacityLimiter(WAITS_AT_ONCE)

    async def perform(self, agent: AgentId, name: str, raw: Mapping[str, object]) -> Any:
        """The call's answer as JSON, without empty values. Raises ClawError."""

        def make(app: App) -> Any:
            answer = json.loads(views.to_json(perform(app, name, raw)))
            sendable = json.dumps(answer, ensure_ascii=False).encode("utf-8", "replace")  # no half characters
            return lean(json.loads(sendable), OPERATIONS[name].quoted)

        return await self.run(agent, make, self._waits if raw.get("timeoutSeconds") else self._calls)

    async def run(
        self, agent: AgentId | None, work: Callable[[App], T], limiter: anyio.CapacityLimiter | None = None
    ) -> T:
        """The result of `work` on the workspace with `agent` as the caller, in a separate thread."""
        clock = CallClock()

        def call() -> T:
            app = App(self._base, self._env, agent, clock)
            try:
                return work(app)
            finally:
                app.close()

        try:
            # On cancel, what is being written is finished in its thread, and a wait ends at its next look.
            return await anyio.to_thread.run_sync(call, limiter=limiter or self._calls, abandon_on_cancel=True)
        finally:
            clock.gone.set()
