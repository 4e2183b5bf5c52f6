"""Subscribers to changes, and the check that finds changes: once a second, only with subscribers."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager

import anyio

from claw_files.app.wiring import App
from claw_files.core.model import AgentId
from claw_files.mcp import resources
from claw_files.mcp.worker_threads import OperationWorkers

LOOK_SECONDS = 1.0
Watched = tuple[AgentId, str]  # whose view, and the address
Tell = Callable[[AgentId, str], Awaitable[None]]


class Changes:
    """Counts the watchers of each resource, and reports changed stamps."""

    def __init__(self, performing: OperationWorkers, tell: Tell) -> None:
        self._performing, self._tell = performing, tell
        self._watched: Counter[Watched] = Counter()
        self._seen: dict[Watched, object] = {}
        self._somebody = anyio.Event()

    async def watch(self, agent: AgentId, uri: str) -> None:
        """Add a watcher; later changes are reported."""
        self._watched[agent, uri] += 1
        self._somebody.set()
        if (agent, uri) not in self._seen:
            for watched, stamp in (await self._look(agent, [uri])).items():
                if watched in self._watched:
                    self._seen.setdefault(watched, stamp)

    def leave(self, agent: AgentId, uri: str) -> None:
        """Remove a watcher."""
        if self._watched[agent, uri] <= 1:
            del self._watched[agent, uri]
            self._seen.pop((agent, uri), None)
        else:
            self._watched[agent, uri] -= 1

    @asynccontextmanager
    async def watching(self, agent: AgentId, uris: Iterable[str]) -> AsyncIterator[None]:
        """Watch them inside the block."""
        begun = list[str]()
        try:
            for uri in dict.fromkeys(uris):
                begun.append(uri)
                await self.watch(agent, uri)
            yield
        finally:
            for uri in begun:
                self.leave(agent, uri)

    async def run(self) -> None:
        """Look for ever."""
        while True:
            await self._somebody.wait()
            self._somebody = anyio.Event()
            while self._watched:
                await anyio.sleep(LOOK_SECONDS)
                for agent in {agent for agent, _ in self._watched}:
                    await self._tell_changes(agent)

    async def _tell_changes(self, agent: AgentId) -> None:
        now = await self._look(agent, [uri for who, uri in self._watched if who == agent])
        for watched, stamp in now.items():
            if watched in self._seen and self._seen[watched] != stamp:
                self._seen[watched] = stamp
                await self._tell(*watched)

    async def _look(self, agent: AgentId, uris: list[str]) -> dict[Watched, object]:
        def look(app: App) -> dict[Watched, object]:
            return {(agent, uri): resources.stamp(app, uri) for uri in uris}

        return await self._performing.run(agent, look)
