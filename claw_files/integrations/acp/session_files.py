"""Where the client of one run keeps its books: the journal, the session that goes on, and what the agent may touch."""

import os
from collections.abc import Mapping
from contextlib import suppress

from claw_files.core import text
from claw_files.core.errors import ClawError, InvalidFile, NotFound
from claw_files.core.journal_events import JournalEvent
from claw_files.core.keys import Key
from claw_files.core.model import AgentId, AgentKind, Audit, RunId, Stay, TaskId
from claw_files.formats import acp_sessions
from claw_files.formats.acp_sessions import AcpSession
from claw_files.processes.run_client import read_settings
from claw_files.storage.locks import Claims, Locks
from claw_files.storage.workspace import Workspace
from claw_files.system import protected_paths
from claw_files.system.clock import SystemClock
from claw_files.system.disk_files import DiskFiles


class SessionFiles:
    """One run of one agent, told by its environment. Raises KeyError where that lacks something, and ClawError."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.root, self.folder = environ["CLAWFILES_WORKSPACE"], environ["CLAWFILES_RUN_DIR"]
        base, settings = read_settings(environ)
        self.agent = settings.agent(environ["CLAWFILES_AGENT"])
        self._confined = "CLAWFILES_SANDBOX" in environ
        self.run, self.label = RunId(environ["CLAWFILES_RUN"]), environ.get("CLAWFILES_LABEL")
        task = environ.get("CLAWFILES_TASK")
        self.task = TaskId(task) if task else None
        clock = SystemClock()
        files = DiskFiles(self.root, clock=clock, closed=self.root != base)
        self._ws = Workspace(self.root, settings, files, Locks(self.root, clock), Claims(self.root), clock, base=base)

    @property
    def reports(self) -> frozenset[str]:
        """The files in which the agent says how its task goes: a worker's result, or its status file and checkpoint."""
        if self.label:
            paths = [f"checkpoints/subagent-{text.label(self.label)}.md"]
        else:
            paths = [f"checkpoints/{self.agent.name}.md"]
            # In a sandbox its program writes no file of the board; `clawfiles done` goes through the daemon there.
            paths += [f"status/{text.file_name(self.task)}"] if self.task and not self._confined else []
        return frozenset(paths)

    def note(self, action: JournalEvent, why: str) -> None:
        """Write a decision into the journal. Raises CannotWrite, CannotRead."""
        self._ws.note(self._audit(action, why))

    def _audit(self, action: JournalEvent, why: str) -> Audit:
        name, model = AgentId(self.agent.name), self.agent.model
        return Audit(action, task=self.task, agent=name, actor=name, key=self.run, model=model, why=why)

    def is_protected(self, path: str) -> bool:
        """Whether the agent's sandbox keeps this place, absolute and without links, from being written."""
        door = os.path.join(self.root, ".clawfiles", "doors", self.run)
        return self._confined and protected_paths.is_protected(path, door)

    @property
    def is_kept(self) -> bool:
        """Whether its next run goes on with the session: not where several runs would share it.

        Of what is spawned, only a worker that stays goes on with it, in each turn.
        """
        if self.label is None:
            return self.agent.kind is AgentKind.NAMED and self.agent.runs in (None, 1)
        with suppress(ClawError):
            return self.task is not None and self._ws.load(self.task).task.session is Stay.OPEN
        return False

    @property
    def _kept_in(self) -> str:
        return acp_sessions.path_of(self.agent.name, self.label)

    def last_session(self, folder: str) -> str | None:
        """The session to go on with; None where there is none, or it was another folder's."""
        path = self._kept_in
        with suppress(NotFound, InvalidFile):
            found = acp_sessions.parse(self._ws.files.read(path).data, path)
            is_its = self.label is None or Key.parse(found.run or "").name == (self.task or "-").lower()
            return found.session if self.is_kept and is_its and found.folder == folder else None
        return None

    def keep_session(self, session: str, program: str, folder: str) -> None:
        """Let the next run go on with it. A disk that refuses only costs what the session remembers."""
        if not self.is_kept:
            return
        found = AcpSession(
            agent=self.agent.name,
            session=session,
            program=program,
            folder=folder,
            run=self.run,
            updated=self._ws.clock.now().replace(microsecond=0),
        )
        audit = self._audit(JournalEvent.ACP_SESSION, f"{program}: {session}")
        with suppress(ClawError):
            self._ws.files.commit(self._kept_in, lambda _: acp_sessions.render(found), self._ws.line(audit))
