"""A scripted ACP agent, a process of its own: `python agent.py STATE_FOLDER`. Each line of a prompt is one act.

Lines that begin with `!` are acts, all others are talk. `STATE_FOLDER/script` is done at the start, before the first
message; what the agent saw is appended to `STATE_FOLDER/seen`, one JSON object a line.
"""

import asyncio
import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from acp import (
    PROTOCOL_VERSION,
    Agent,
    RequestError,
    run_agent,
    start_tool_call,
    update_agent_message_text,
)
from acp.schema import (
    AgentCapabilities,
    AuthenticateResponse,
    AuthMethodAgent,
    Implementation,
    InitializeResponse,
    LoadSessionResponse,
    NewSessionResponse,
    PermissionOption,
    PromptResponse,
    SessionMode,
    SessionModeState,
    ToolCallLocation,
    ToolCallUpdate,
    Usage,
)

STATE = Path(sys.argv[1])
SCRIPT = (STATE / "script").read_text().split() if (STATE / "script").exists() else []
OPTIONS = ("allow_once", "allow_always", "reject_once", "reject_always")


def seen(**facts: Any) -> None:
    with (STATE / "seen").open("a") as file:
        file.write(json.dumps(facts) + "\n")


def raw(text: str | bytes) -> None:
    """Write beside the protocol, on a stream that asyncio has made non-blocking."""
    sys.stdout.flush()
    left = memoryview(text.encode() if isinstance(text, str) else text)
    while left:
        select.select([], [1], [])
        try:
            left = left[os.write(1, left) :]
        except BlockingIOError:
            continue


class Scripted(Agent):
    def __init__(self) -> None:
        self.cancelled = asyncio.Event()
        self.cancels = 0
        self.is_signed_in = "sign-in" not in SCRIPT and "sign-in-by-hand" not in SCRIPT

    def on_connect(self, conn: Any) -> None:
        self.client = conn

    async def initialize(self, protocol_version: int, client_capabilities: Any = None, **_: Any) -> InitializeResponse:
        if "hang-at-initialize" in SCRIPT:
            seen(act="hang")
            await asyncio.sleep(600)
        fs = client_capabilities.fs
        seen(act="initialize", write=fs.write_text_file, read=fs.read_text_file, terminal=client_capabilities.terminal)
        ways = ["some-api-key"] if "sign-in" in SCRIPT else ["browser"] if "sign-in-by-hand" in SCRIPT else []
        return InitializeResponse(
            protocol_version=9 if "other-version" in SCRIPT else PROTOCOL_VERSION,
            agent_capabilities=AgentCapabilities(load_session="no-load" not in SCRIPT),
            auth_methods=[AuthMethodAgent(id=way, name=way) for way in ways],
            agent_info=Implementation(name="scripted", title="Scripted", version="1.0"),
        )

    async def authenticate(self, method_id: str, **_: Any) -> AuthenticateResponse:
        seen(act="authenticate", way=method_id)
        self.is_signed_in = True
        return AuthenticateResponse()

    def _modes(self) -> SessionModeState | None:
        names = [name.removeprefix("mode:") for name in SCRIPT if name.startswith("mode:")]
        modes = [SessionMode(id=name, name=name) for name in names]
        return SessionModeState(available_modes=modes, current_mode_id=names[-1]) if names else None

    async def new_session(self, cwd: str, mcp_servers: Any = None, **_: Any) -> NewSessionResponse:
        if not self.is_signed_in:
            raise RequestError.auth_required()
        until = STATE / "ready"
        while "wait-for-ready" in SCRIPT and not until.exists():
            await asyncio.sleep(0.01)
        session = "x" * 501 if "long-id" in SCRIPT else f"session-{os.getpid()}"
        seen(act="new", session=session, cwd=cwd)
        return NewSessionResponse(session_id=session, modes=self._modes())

    async def load_session(self, cwd: str, session_id: str, mcp_servers: Any = None, **_: Any) -> LoadSessionResponse:
        seen(act="load", session=session_id, cwd=cwd)
        if "forgets" in SCRIPT:
            raise RequestError.resource_not_found(session_id)
        await self.say(session_id, "what was said before\n")
        return LoadSessionResponse(modes=self._modes())

    async def set_session_mode(self, session_id: str, mode_id: str, **_: Any) -> None:
        seen(act="mode", mode=mode_id)

    async def say(self, session: str, text: str) -> None:
        await self.client.session_update(session, update_agent_message_text(text))

    async def cancel(self, session_id: str, **_: Any) -> None:
        self.cancels += 1
        seen(act="cancel", session=session_id, count=self.cancels)
        self.cancelled.set()

    async def prompt(self, prompt: list[Any], session_id: str, **_: Any) -> PromptResponse:
        self.cancelled.clear()
        text = "".join(block.text for block in prompt)
        seen(act="prompt", session=session_id, text=text)
        task = os.environ.get("CLAWFILES_TASK")
        obeys = ["!shell clawfiles claim " + str(task), "!shell clawfiles done " + str(task)]
        for line in obeys if "obeys" in SCRIPT else text.splitlines():
            name, _, rest = line.strip().removeprefix("> ").partition(" ")
            if name.startswith("!"):
                await getattr(self, "do_" + name[1:].replace("-", "_"))(session_id, rest)
            if self.cancelled.is_set():
                return PromptResponse(stop_reason="cancelled")
        used = Usage(total_tokens=60, input_tokens=10, output_tokens=20, cached_read_tokens=30)
        return PromptResponse(stop_reason=self.stop, usage=used)

    stop: Any = "end_turn"

    # --- acts

    async def do_say(self, session: str, rest: str) -> None:
        await self.say(session, rest + "\n")

    async def do_stop(self, session: str, rest: str) -> None:
        self.stop = rest

    async def do_crash(self, session: str, rest: str) -> None:
        os._exit(int(rest or 3))

    async def do_hang(self, session: str, rest: str) -> None:
        await self.cancelled.wait()

    async def do_ignore_cancel(self, session: str, rest: str) -> None:
        seen(act="ignoring")
        await asyncio.sleep(600)

    async def do_block(self, session: str, rest: str) -> None:
        time.sleep(600)

    async def do_child(self, session: str, rest: str) -> None:
        subprocess.Popen(["sleep", "600"], start_new_session=True)

    async def do_rubbish(self, session: str, rest: str) -> None:
        for line in (
            "npm warn\n",
            "[1, 2]\n",
            "5\n",
            "{\n",
            "\xff\xfe\n",
            "[" * 5000 + "\n",
            '{"method": 7}\n',
            '{"id": 99}\n',
        ):
            raw(line.encode("latin-1"))

    async def do_rubbish_for_ever(self, session: str, rest: str) -> None:
        raw("rubbish\n" * 20_000)
        await self.cancelled.wait()

    async def do_huge_line(self, session: str, rest: str) -> None:
        raw(b"x" * (65 << 20) + b"\n")
        await self.cancelled.wait()

    async def do_unknown_update(self, session: str, rest: str) -> None:
        update = {"sessionUpdate": "telepathy", "content": {"deep": [1] * 10}}
        message = {"jsonrpc": "2.0", "method": "session/update", "params": {"sessionId": session, "update": update}}
        raw(json.dumps(message) + "\n")
        raw('{"jsonrpc":"2.0","id":"odd","method":"no/such","params":{}}\n')
        raw('{"jsonrpc":"2.0","id":"odd2","method":"session/request_permission","params":{"options":3}}\n')

    async def do_bad_answer(self, session: str, rest: str) -> None:
        raw('{"jsonrpc":"2.0","id":2,"result":{"stopReason":null}}\n')
        await self.cancelled.wait()

    async def do_new_ending(self, session: str, rest: str) -> None:
        raw(json.dumps({"jsonrpc": "2.0", "id": 2, "result": {"stopReason": rest, "newer": {"x": [1]}}}) + "\n")
        await self.cancelled.wait()

    async def do_last_words(self, session: str, rest: str) -> None:
        raw('{"jsonrpc":"2.0","id":2,"result":{"stopReason":"end_turn"}}\n')
        os._exit(0)

    async def do_raw_ask(self, session: str, rest: str) -> None:
        """Ask for a tool call written as JSON, with options of these kinds and ids: {"call": ..., "options": [...]}."""
        asked = json.loads(rest)
        options = [{"optionId": f"id-{one}", "name": one, "kind": one} for one in asked.get("options", OPTIONS)]
        call = {"toolCallId": asked.get("id", "raw"), **asked["call"]}
        connection = self.client._conn
        params = {"sessionId": session, "toolCall": call, "options": options, **asked.get("more", {})}
        answer = await connection.send_request("session/request_permission", params)
        seen(act="raw", outcome=answer["outcome"])

    async def do_raw_update(self, session: str, rest: str) -> None:
        update = {"sessionId": session, "update": json.loads(rest)}
        raw(json.dumps({"jsonrpc": "2.0", "method": "session/update", "params": update}) + "\n")

    async def do_stderr(self, session: str, rest: str) -> None:
        sys.stderr.write("e" * int(rest))
        sys.stderr.flush()

    async def do_other_session(self, session: str, rest: str) -> None:
        await self.say("somebody-elses", "hello")
        await self.cancelled.wait()

    async def do_shell(self, session: str, rest: str) -> None:
        """Ask to run a command, and run it when that is allowed."""
        if await self._may(session, "execute", rest, raw_input={"command": rest}):
            done = subprocess.run(["sh", "-c", rest], capture_output=True, text=True)
            seen(act="ran", exit=done.returncode, out=done.stdout + done.stderr)

    async def do_ask(self, session: str, rest: str) -> None:
        """KIND PATH [OPTION ...]: ask for it with these options, or with all."""
        kind, path, *options = rest.split()
        await self._may(session, kind, f"{kind} {path}", options, locations=[ToolCallLocation(path=path)])

    async def do_many(self, session: str, rest: str) -> None:
        for _ in range(int(rest)):
            await self._may(session, "read", "again", ["allow_once"])

    async def _may(self, session: str, kind: Any, title: str, options: Any = OPTIONS, **more: Any) -> bool:
        await self.client.session_update(session, start_tool_call("call", title, kind=kind, status="pending"))
        answer = await self.client.request_permission(
            session_id=session,
            tool_call=ToolCallUpdate(tool_call_id="call", title=title, **more),
            options=[PermissionOption(option_id=f"id-{one}", name=one, kind=one) for one in options or OPTIONS],
        )
        chosen = getattr(answer.outcome, "option_id", None)
        seen(act="asked", kind=kind, outcome=answer.outcome.outcome, chosen=chosen)
        return bool(chosen and chosen.startswith("id-allow"))

    async def do_late_ask(self, session: str, rest: str) -> None:
        """Ask for something after the turn was cancelled."""
        await self.cancelled.wait()
        await self._may(session, "read", "late")

    async def do_write(self, session: str, rest: str) -> None:
        path, _, text = rest.partition(" ")
        await self._file("write", self.client.write_text_file(session_id=session, path=path, content=text + "\n"))

    async def do_lines(self, session: str, rest: str) -> None:
        """As write; \\n begins a new line."""
        await self.do_write(session, rest.replace("\\n", "\n"))

    async def do_escape(self, session: str, rest: str) -> None:
        await self.say(session, "\x1b[2J\n")

    async def do_read(self, session: str, rest: str) -> None:
        answer = await self._file("read", self.client.read_text_file(session_id=session, path=rest))
        if answer is not None:
            await self.say(session, answer.content)

    async def do_terminal(self, session: str, rest: str) -> None:
        await self._file("terminal", self.client.create_terminal(session_id=session, command="sh"))

    async def _file(self, act: str, asked: Any) -> Any:
        try:
            answer = await asked
        except RequestError as wrong:
            seen(act=act, error=str(wrong), data=wrong.data)
            return None
        seen(act=act, error=None)
        return answer


if "crash" in SCRIPT:
    sys.exit("no licence")
if "rubbish" in SCRIPT:
    raw("Welcome!\n\n{]\n")
asyncio.run(run_agent(Scripted()))
