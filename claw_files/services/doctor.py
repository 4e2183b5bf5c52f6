"""What is wrong or odd in a workspace, seen without changing anything. Shares nothing with what writes."""

from collections.abc import Iterator

from claw_files.documents import ledger
from claw_files.errors import CannotRead, ClawError, NotFound
from claw_files.model import Value
from claw_files.services.board import Board
from claw_files.workspace import Workspace

_LOOKED_AT = ("status", "dead-letter", "checkpoints", "conflicts", "quarantine", "briefs", "audit")


class Finding(Value, frozen=True):
    """One thing that is wrong or odd, and where."""

    code: str
    path: str
    message: str


class Doctor:
    """Each check is a generator of findings; one that cannot go on does not keep the others from looking."""

    def __init__(self, workspace: Workspace, board: Board) -> None:
        self._ws = workspace
        self._board = board

    def look(self) -> list[Finding]:
        """Everything found, in a fixed order; empty is healthy."""
        found: list[Finding] = []
        for check in (self._tasks, self._ledger, self._kept, self._odd_files, self._openclaw):
            try:
                found += check()
            except ClawError as wrong:
                found.append(Finding(code=wrong.code, path=str(getattr(wrong, "path", "")), message=str(wrong)))
        return found

    def _tasks(self) -> Iterator[Finding]:
        listing = self._board.listing()
        for path, sentence in listing.unreadable:
            yield Finding(code="unreadable", path=path, message=sentence)
        for shown in listing.tasks:
            for conflict in shown.conflicts:
                if not conflict.startswith("conflicts/"):
                    yield Finding(code="conflict", path=shown.path, message=f"{shown.task.id}: {conflict}")

    def _ledger(self) -> Iterator[Finding]:
        path, entries = self._ws.settings.workspace.ledger, self._ws.entries()
        for entry in ledger.duplicates(entries):
            yield Finding(
                code="duplicate-entry", path=path, message=f"{entry.task} has two lines: {entry.line.strip()}"
            )
        for entry in entries:
            if entry.agent and entry.agent not in self._ws.settings.agents:
                yield Finding(code="unknown-agent", path=path, message=f"{entry.task}: no agent {entry.agent!r}")

    def _kept(self) -> Iterator[Finding]:
        for folder, what in (("conflicts", "could not be merged"), ("quarantine", "could not be read")):
            for name in self._ws.files.names(folder):
                if not name.endswith(".reason"):
                    yield Finding(
                        code=folder, path=f"{folder}/{name}", message=f"{folder}/{name}: somebody's file, {what}"
                    )

    def _odd_files(self) -> Iterator[Finding]:
        """Links, devices and the like: never opened, so nothing in them counts."""
        inboxes = [f"inbox/{agent}/{box}" for agent in self._ws.files.names("inbox") for box in ("new", "cur")]
        for folder in (*_LOOKED_AT, *inboxes):
            for name in self._ws.files.names(folder):
                path = f"{folder}/{name}"
                try:
                    if self._ws.files.stamp(path) is None:
                        self._ws.files.read(path)
                except NotFound:
                    continue
                except CannotRead as wrong:
                    if "." in name:  # folders are expected in some of these, and bear no ending
                        yield Finding(code="cannot-read", path=path, message=str(wrong))

    def _openclaw(self) -> Iterator[Finding]:
        """OpenClaw's own doctor archives and removes a HEARTBEAT.md in the root of an agent's workspace."""
        path = self._ws.settings.workspace.ledger
        if path == "HEARTBEAT.md" and self._ws.files.stamp("SOUL.md"):
            yield Finding(
                code="openclaw-ledger",
                path=path,
                message='OpenClaw\'s doctor removes HEARTBEAT.md here: move it and set ledger = "clawfiles/LEDGER.md"',
            )
