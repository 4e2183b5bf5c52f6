"""One conversation with an agent program: start, session, prompts, corrections, and clean-up."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final, TypeVar

from acp import PROTOCOL_VERSION, RequestError, connect_to_agent, text_block
from acp.schema import ClientCapabilities, FileSystemCapabilities, Implementation

from claw_files import __version__
from claw_files.core import text as words
from claw_files.core.model import Value
from claw_files.integrations.acp.message_stream import LINE_BYTES, MessageStream
from claw_files.policy import acp_permissions
from claw_files.processes.supervisor import resolved, signal_name

T = TypeVar("T")
SIGN_IN: Final = -32000  # the protocol's code for "authentication required"
LONGEST_ID: Final = 500  # of a session: it stands in files that people read
LOOK_SECONDS: Final = 0.05  # whether the program has ended
LAST_WORDS: Final = 0.5  # seconds in which an answer may come after its program has ended


class ConversationFailed(Exception):
    """The conversation cannot continue; one sentence says why."""


class SignIn(ConversationFailed):
    """The agent wants its user to sign in first."""


class RunEnded(Exception):
    """The run was asked to stop."""


class AnswerLimits(Value, frozen=True):
    """Time limits for an agent's answers. A turn is limited only by the run."""

    hello: timedelta = timedelta(seconds=60)
    session: timedelta = timedelta(seconds=120)
    cancel: timedelta = timedelta(seconds=30)  # to end a turn that was cancelled
    leave: timedelta = timedelta(seconds=2)  # to end by itself when nothing more comes


class AcpHello(Value, frozen=True):
    """The program's description of itself."""

    name: str = ""
    version: str = ""
    loads: bool = False  # it can go on with an old session
    ways: tuple[str, ...] = ()  # to sign in

    @property
    def program(self) -> str:
        return f"{self.name} {self.version}".strip() or "an agent without a name"


class Conversation:
    """A conversation with one program. Every method raises Failed with the run's final sentence, or Ended."""

    def __init__(self, client: Any, tell: Callable[[str], None], limits: AnswerLimits | None = None) -> None:
        self._client, self._tell, self._limits = client, tell, limits or AnswerLimits()
        self.told_to_end, self._broken = asyncio.Event(), asyncio.Event()
        self._why = ""
        self._process: asyncio.subprocess.Process | None = None
        self._lines: MessageStream | None = None
        self._agent: Any = None
        self._doing = "start"
        self.session = ""
        self.hello = AcpHello()

    def broken(self, why: str) -> None:
        """Record an error of the client: the conversation cannot continue."""
        self._why = self._why or why
        self._broken.set()

    # --- beginning

    async def start(self, command: Sequence[str], environ: Mapping[str, str], alone_in: str | None = None) -> None:
        """Start the program in the current folder; its standard error is that of this process.

        Args:
            alone_in: a folder to start it in, as a group of its own that nobody else looks after, its errors unheard.
        """
        try:
            program = resolved(list(command), environ.get("PATH", os.defpath))
            self._process = await asyncio.create_subprocess_exec(
                program,
                *command[1:],
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL if alone_in else None,
                env=dict(environ),
                limit=LINE_BYTES,
                cwd=alone_in,
                start_new_session=alone_in is not None,
            )
        except (OSError, ValueError) as wrong:
            raise ConversationFailed(f"the agent could not be started: {wrong}") from None
        self._lines = MessageStream(self._process, self._tell)
        self._agent = connect_to_agent(self._client, self._lines)

    async def greet(self, files: bool = True) -> AcpHello:
        """Initialize the program and return its description.

        Args:
            files: offer it the files of the working folder.
        """
        offered = ClientCapabilities(
            fs=FileSystemCapabilities(read_text_file=files, write_text_file=files), terminal=False
        )
        us = Implementation(name="clawfiles", title="clawfiles", version=__version__)
        said = await self._step(
            "answer `initialize`",
            self._agent.initialize(protocol_version=PROTOCOL_VERSION, client_capabilities=offered, client_info=us),
            self._limits.hello,
        )
        if said.protocol_version != PROTOCOL_VERSION:
            raise ConversationFailed(
                f"the agent uses ACP {said.protocol_version}, but clawfiles uses {PROTOCOL_VERSION}"
            )
        about, able = said.agent_info, said.agent_capabilities
        self.hello = AcpHello(
            name=words.safe(about.name, 80) if about else "",
            version=words.safe(about.version, 40) if about else "",
            loads=bool(able and able.load_session),
            ways=tuple(words.safe(way.id, 60) for way in said.auth_methods or ()),
        )
        return self.hello

    async def open(self, folder: str, last: str | None, mode: str) -> str:
        """The session's id: the `last` one if the program still has it, else a new one.

        Where the program wants its user to sign in, it is asked once to use the key in its environment.
        """
        try:
            opened = await self._opened(folder, last)
        except SignIn:
            way = next((way for way in self.hello.ways if "api-key" in way), None)
            if way is None:
                raise
            await self._step("authenticate", self._agent.authenticate(method_id=way), self._limits.session)
            opened = await self._opened(folder, last)
        await self._be_careful(mode, getattr(opened, "modes", None))
        return self.session

    async def _opened(self, folder: str, last: str | None) -> Any:
        if last and self.hello.loads:
            self._client.begin(last)
            self._client.is_quiet = True
            try:
                old = self._agent.load_session(cwd=folder, session_id=last, mcp_servers=[])
                opened = await self._step("load its session", old, self._limits.session)
                self.session = last
                return opened
            except SignIn:
                raise
            except _Refusal as wrong:
                self._tell(f"the last session no longer exists, so a new one begins: {wrong}")
            finally:
                self._client.is_quiet = False
        self._client.forget()
        fresh = self._agent.new_session(cwd=folder, mcp_servers=[])
        opened = await self._step("open a session", fresh, self._limits.session)
        if not 0 < len(opened.session_id) <= LONGEST_ID:
            raise ConversationFailed("the agent's session has an id that cannot be kept: it is empty or too long")
        self.session = opened.session_id
        self._client.begin(self.session)
        return opened

    async def _be_careful(self, mode: str, modes: Any) -> None:
        """Switch the program to a mode in which it asks before it acts, if it has one."""
        offered = [one.id for one in modes.available_modes] if modes else []
        wanted = acp_permissions.pick_mode(mode, offered, modes.current_mode_id if modes else None)
        if wanted is not None:
            change = self._agent.set_session_mode(session_id=self.session, mode_id=wanted)
            await self._step(f"change to its mode {wanted!r}", change, self._limits.session)

    # --- turns

    async def turn(self, text: str, corrected: Callable[[], Awaitable[str]]) -> tuple[Any, str]:
        """The answer to a prompt, and the text from `corrected` meanwhile, for which the turn is cancelled."""
        self._client.is_cancelled = False
        answer = asyncio.ensure_future(self._agent.prompt(session_id=self.session, prompt=[text_block(text)]))
        correction = asyncio.ensure_future(corrected())
        try:
            self._doing = "end its turn"
            await self._wait({answer, correction}, None)
            brought = correction.result() if correction.done() else ""
            if answer.done():
                return self._result(answer), brought
            await self._cancel(answer)
            return None, brought
        except RunEnded:
            with suppress(ConversationFailed, RunEnded):
                await self._cancel(answer, listens=False)
            raise
        finally:
            for task in (answer, correction):
                task.cancel()
            await asyncio.gather(answer, correction, return_exceptions=True)

    async def _cancel(self, answer: "asyncio.Future[Any]", listens: bool = True) -> None:
        """Cancel the turn once; from then on all its requests are refused."""
        self._client.is_cancelled = True
        with suppress(ConnectionError, OSError):
            await self._agent.cancel(session_id=self.session)
        self._doing = "end the turn that was cancelled"
        if listens:
            await self._wait({answer}, self._limits.cancel)
            self._result(answer)
        else:
            await asyncio.wait({answer}, timeout=self._limits.leave.total_seconds() / 2)

    # --- one step

    async def _step(self, doing: str, asked: Awaitable[T], limit: timedelta) -> T:
        self._doing = doing
        answer = asyncio.ensure_future(asked)
        try:
            await self._wait({answer}, limit)
            return self._result(answer)
        finally:
            answer.cancel()
            await asyncio.gather(answer, return_exceptions=True)

    async def _wait(self, answers: "set[asyncio.Future[Any]]", limit: timedelta | None) -> None:
        """Wait for one of the answers. Raises Failed if none arrives, Ended if the run is asked to stop."""
        events = {
            asyncio.ensure_future(one)
            for one in (self.told_to_end.wait(), self._broken.wait(), self._exited(LAST_WORDS))
        }
        try:
            seconds = limit.total_seconds() if limit else None
            done, _ = await asyncio.wait({*answers, *events}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for event in events:
                event.cancel()
            await asyncio.gather(*events, return_exceptions=True)
        if self._broken.is_set():
            raise ConversationFailed(self._why)
        if done & answers:
            if any(isinstance(one.exception(), ConnectionError | OSError) for one in done & answers):
                raise ConversationFailed(await self._why_closed())
            return
        if self.told_to_end.is_set():
            raise RunEnded
        if self._process is not None and self._process.returncode is not None:
            raise ConversationFailed(await self._why_closed())
        raise ConversationFailed(
            f"the agent did not {self._doing} within {words.render_duration(limit or timedelta(0))}"
        )

    def _result(self, answer: "asyncio.Future[T]") -> T:
        try:
            return answer.result()
        except RequestError as wrong:
            said = words.said(_details(wrong), 300)
            if wrong.code == SIGN_IN:
                raise SignIn(f"the agent requires its user to sign in: {said}") from None
            raise _Refusal(f"the agent did not {self._doing}: {said}") from None
        except ValueError as wrong:  # pydantic's, of an answer that is not of the protocol's form
            first = str(wrong).splitlines()[0]
            raise ConversationFailed(
                f"the agent did not {self._doing}: its answer is not ACP ({words.safe(first, 200)})"
            ) from None

    async def _why_closed(self) -> str:
        """Why the agent's streams are closed."""
        assert self._process is not None and self._lines is not None
        if self._lines.problem:
            return self._lines.problem
        if (code := await self._exited_within(self._limits.leave.total_seconds())) is not None:
            how = f"exit {code}" if code >= 0 else signal_name(-code)
            return f"the agent ended before it did {self._doing} ({how}); stderr.log has what it said"
        return f"the agent closed its output before it did {self._doing}"

    async def _exited(self, more: float = 0.0) -> int:
        """The program's exit code, `more` seconds after its end.

        asyncio's own `wait` also waits for the streams, which a process that the program has started may hold open.
        """
        assert self._process is not None
        while (code := self._process.returncode) is None:
            await asyncio.sleep(LOOK_SECONDS)
        await asyncio.sleep(more)
        return code

    async def _exited_within(self, seconds: float) -> int | None:
        with suppress(TimeoutError):
            return await asyncio.wait_for(self._exited(), seconds)
        return None

    # --- the end

    async def leave(self) -> None:
        """Let the program exit by itself for a moment; then stop it, with its own group if it has one."""
        if self._process is None:
            return
        process, patience = self._process, self._limits.leave.total_seconds()
        if self._agent is not None:
            with suppress(Exception):  # it is over, however the library takes it
                await asyncio.wait_for(self._agent.close(), patience)
        for end in (None, signal.SIGTERM, signal.SIGKILL):
            if end is not None:
                _send(process, end)
            if await self._exited_within(patience / 2) is not None:
                break
        _send(process, signal.SIGKILL)
        # What the program started may still hold its streams; left to the end of the loop, they make a noise there.
        getattr(process, "_transport", _Closed).close()


class _Closed:
    """Stands in for an exception that another Python may lack."""

    @staticmethod
    def close() -> None:
        """No-op."""


class _Refusal(ConversationFailed):
    """The agent answered with an error."""


def _send(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """Signal the program, with its group if it has its own."""
    with suppress(OSError):
        if os.getpgid(process.pid) == process.pid:
            os.killpg(process.pid, number)
        elif process.returncode is None:
            process.send_signal(number)


def _details(wrong: RequestError) -> str:
    data = wrong.data
    more = data.get("details") or data.get("message") if isinstance(data, dict) else data
    return f"{wrong}: {more}" if isinstance(more, str) and more else str(wrong)
