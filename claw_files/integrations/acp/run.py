"""One run of an ACP agent: prompts from its message and corrections; the agent's output becomes the log."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from msgspec.structs import replace

from claw_files.core import text
from claw_files.core import text as words
from claw_files.core.errors import ClawError, InvalidFile, NotFound
from claw_files.core.journal_events import JournalEvent
from claw_files.core.keys import Key
from claw_files.core.model import AgentId, AgentKind, Audit, RunId, Stay, TaskId
from claw_files.formats import acp_sessions
from claw_files.formats.acp_sessions import AcpSession
from claw_files.integrations.acp.agent_requests import AgentRequests
from claw_files.integrations.acp.conversation import AcpHello, Conversation, ConversationFailed, RunEnded, SignIn
from claw_files.integrations.acp.run_record import NAME, AcpRecord, Stage, corrections
from claw_files.integrations.acp.transcript import Transcript
from claw_files.processes.run_client import read_settings, tell, write_record
from claw_files.storage.locks import Claims, Locks
from claw_files.storage.workspace import Workspace
from claw_files.system import protected_paths
from claw_files.system.clock import SystemClock
from claw_files.system.confined_files import ConfinedFiles
from claw_files.system.disk_files import DiskFiles


class SessionFiles:
    """One run of one agent, described by its environment. Raises KeyError if a variable is missing, and ClawError."""

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
        """The report files of the agent: a worker's result, or its status file and checkpoint."""
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
        """Whether the next run continues the session: not if several runs would share it.

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
        """The session to continue; None without one, or if it had another folder."""
        path = self._kept_in
        with suppress(NotFound, InvalidFile):
            found = acp_sessions.parse(self._ws.files.read(path).data, path)
            is_its = self.label is None or Key.parse(found.run or "").name == (self.task or "-").lower()
            return found.session if self.is_kept and is_its and found.folder == folder else None
        return None

    def keep_session(self, session: str, program: str, folder: str) -> None:
        """Save the session for the next run. If writing fails, only the session's memory is lost."""
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


LOOK_SECONDS: Final = 0.25  # for corrections
MOST_ODD: Final = 20  # remarks about what is no ACP
_WHY: Final = {
    "max_tokens": "it reached the most tokens that it may use",
    "max_turn_requests": "it reached the most requests that it may make in a turn",
    "refusal": "it refuses to continue",
    "cancelled": "it reports a cancelled turn, but the turn was not cancelled",
}


class AcpRun:
    """The run described by an environment. Raises ClawError, OSError, KeyError if it cannot begin."""

    def __init__(self, environ: Mapping[str, str], command: list[str], message: str) -> None:
        self._environ, self._command, self._message = environ, command, message
        self._desk = SessionFiles(environ)
        self._within = ConfinedFiles(os.getcwd())
        self._show = Transcript(sys.stdout)
        self._record = AcpRecord()
        self._used: dict[str, int] = {}
        logging.getLogger().addHandler(_Remarks())

    def run(self) -> int:
        """The exit code."""
        return asyncio.run(self._run())

    async def _run(self) -> int:
        desk = self._desk
        self._write()
        self._client = AgentRequests(
            desk.agent.permissions,
            self._within,
            ConfinedFiles(desk.root),
            desk.reports,
            desk.task,
            desk.note,
            self._show,
            lambda why: self._talk.broken(why),
            desk.is_protected,
        )
        self._talk = Conversation(self._client, self._remark)
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._talk.told_to_end.set)
        try:
            why = await self._lived()
        except RunEnded:
            why = "the run was asked to end, and so was the agent"
        except SignIn as wrong:
            why = f"{wrong}; `clawfiles agents probe {desk.agent.name}` says how"
        except ConversationFailed as wrong:
            why = str(wrong)
        finally:
            self._stage(Stage.ENDING)
            await self._talk.leave()
            self._show.end_line()
            self._write_usage()
        if why:
            tell(why)
        return 1 if why else 0

    async def _lived(self) -> str:
        """Execute all turns; returns why the last one failed, or nothing."""
        talk, folder = self._talk, self._within.root
        await talk.start(self._command, self._environ)
        hello = await talk.greet()
        session = await talk.open(folder, self._desk.last_session(folder), self._desk.agent.permissions)
        self._desk.keep_session(session, hello.program, folder)
        # What came while there was no session is part of the first prompt, not a reason to end it.
        text, early = self._message, self._correction()
        prompt = f"{text}\n\n{early}" if early else text
        self._begin(session, hello)
        while True:
            answer, correction = await talk.turn(prompt, self._corrected)
            if answer is not None:
                self._count(answer)
                correction = correction or self._last_correction()
            if not correction:
                return self._judge(answer)
            self._show.line("[corrected] a new turn begins")
            prompt = correction

    def _judge(self, answer: Any) -> str:
        reason = answer.stop_reason
        return "" if reason == "end_turn" else f"the agent ended its turn early: {_WHY.get(reason, reason)}"

    # --- corrections

    def _begin(self, session: str, hello: AcpHello) -> None:
        self._record = replace(self._record, stage=Stage.READY, session=session, program=hello.program)
        self._write()

    def _correction(self) -> str:
        """The new corrections, which are about to be sent."""
        text, size = corrections(self._desk.folder, self._record.taken)
        self._record = replace(self._record, taken=size)
        return text

    async def _corrected(self) -> str:
        while True:
            if text := self._correction():
                self._write()
                return text
            await asyncio.sleep(LOOK_SECONDS)

    def _last_correction(self) -> str:
        """Corrections from before the end: a sender checks for `ENDING` after writing."""
        self._stage(Stage.ENDING)
        if text := self._correction():
            self._stage(Stage.READY)
        return text

    def _stage(self, stage: Stage) -> None:
        self._record = replace(self._record, stage=stage)
        with suppress(OSError):  # an agent may have tidied the folder away
            self._write()

    def _write(self) -> None:
        write_record(self._desk.folder, NAME, self._record)

    def _remark(self, sentence: str) -> None:
        """Write it to the run's log and the journal."""
        tell(sentence)
        with suppress(ClawError):
            self._desk.note(JournalEvent.ACP, sentence)

    # --- what it used

    def _count(self, answer: Any) -> None:
        """Add the usage of a turn, if the agent reports it."""
        if (usage := answer.usage) is None:
            return
        output = usage.output_tokens + (usage.thought_tokens or 0)
        turn = {
            "input": max(usage.total_tokens - output, usage.input_tokens),  # with what came from and went to a cache
            "output": output,
            "cached": usage.cached_read_tokens or 0,
        }
        self._used = {key: self._used.get(key, 0) + number for key, number in turn.items()}

    def _write_usage(self) -> None:
        """Write every key, with nulls for unknown values; no file if none is known."""
        cost = self._client.cost_of_run
        if self._used or cost is not None:
            used = self._used | {"cost": cost, "model": self._desk.agent.model}
            with suppress(OSError):
                write_record(self._desk.folder, "usage.json", used)


class _Remarks(logging.Handler):
    """The library's remarks about invalid messages: one line each, up to a limit."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._left = MOST_ODD

    def emit(self, record: logging.LogRecord) -> None:
        self._left -= 1
        if self._left >= 0:
            wrong = record.exc_info[1] if record.exc_info else None
            more = f" ({type(wrong).__name__}: {str(wrong).splitlines()[0] if str(wrong) else ''})" if wrong else ""
            tell(words.safe(f"ignored a message of the agent: {record.getMessage()}{more}", 300))
