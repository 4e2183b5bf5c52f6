"""The ledger, copied to where the coordinator's OpenClaw heartbeat reads it, whenever it has changed."""

from collections.abc import Mapping
from datetime import timedelta

from claw_files.core.errors import ClawError, NotFound
from claw_files.storage.workspace import Workspace
from claw_files.system.cache import Cache

PATIENCE = timedelta(seconds=5)
NAME = "openclaw-ledger"


class LedgerPusher:
    """Remembers in the cache what was pushed last; without that it compares with what stands there."""

    def __init__(self, workspace: Workspace, cache: Cache, environ: Mapping[str, str]) -> None:
        self._ws, self._cache, self._environ = workspace, cache, environ

    def push(self) -> str | None:
        """Copy the ledger if it is another one than the last that was copied; what went wrong, in one sentence."""
        try:
            self._push()
        except ClawError as wrong:
            return f"the ledger was not copied to OpenClaw: {wrong}"
        return None

    def _push(self) -> None:
        from claw_files.core.digest import digest

        settings = self._ws.settings
        try:
            ledger = self._ws.files.read(settings.workspace.ledger).data
        except NotFound:
            return
        there = settings.agent(settings.coordinator).there
        mark = f"{settings.openclaw.url} {there} {digest(ledger, 16)}".encode()
        if self._cache.load(NAME) == mark:
            return
        from claw_files.integrations.openclaw import heartbeat_scratch
        from claw_files.integrations.openclaw.gateway_access import access
        from claw_files.integrations.openclaw.gateway_client import Gateway
        from claw_files.integrations.openclaw.protocol import ADMIN

        way = access(settings.openclaw, self._ws.root, self._environ)
        with Gateway(way.url, way.token, ADMIN, PATIENCE) as gateway:
            heartbeat_scratch.push(gateway, there, ledger.decode("utf-8", "replace"))
        self._cache.save(NAME, mark)
