"""A first word with an agent's program, without a prompt: is it installed, does it answer, does it know its user?"""

import os
from collections.abc import Callable, Mapping
from datetime import timedelta
from time import monotonic
from typing import Any

from claw_files.config import Agent
from claw_files.core.errors import NotInstalled
from claw_files.core.model import Runtime, Value
from claw_files.integrations.acp import program_check
from claw_files.system.procfs import with_our_programs

SEEN = ("PATH", "HOME", "LANG", "TZ")  # as a run's agent sees them
PATIENCE = timedelta(seconds=60)


class HandshakeResult(Value, frozen=True):
    """What was found; `problem` is empty where the agent can be given work."""

    problem: str = ""
    advice: tuple[str, ...] = ()


def meet(
    agent: Agent,
    workspace: str,
    environ: Mapping[str, str],
    say: Callable[[str], None],
    patience: timedelta = PATIENCE,
) -> HandshakeResult:
    """Look for the agent's program; of an ACP agent also start it, and end it again. `say` hears each step.

    Args:
        workspace: the folder of clawfiles.toml, absolute.
        environ: ours; the program sees as much of it as in a run.

    Raises NotInstalled without the library.
    """
    try:
        path = program_check.program(agent, workspace, environ)
    except OSError as wrong:
        how = program_check.how_to_install(agent) or "install it"
        where = f"`command` in [agents.{agent.name}]"
        return HandshakeResult(problem=str(wrong), advice=(f"{how}, or name its program by its path: {where}",))
    say(f"{path} is installed")
    if agent.runtime is not Runtime.ACP:
        return HandshakeResult()
    if not program_check.has_library():
        raise NotInstalled(f"the ACP agent {agent.name}", "acp")
    env = {name: environ[name] for name in (*SEEN, *agent.env) if name in environ}
    env["PATH"] = with_our_programs(environ.get("PATH", os.defpath))
    folder = os.path.realpath(os.path.join(workspace, agent.workspace or ""))
    command = [path, *(part.replace("{workspace}", workspace) for part in agent.command[1:])]
    import asyncio  # only for those who speak to a program

    return asyncio.run(_met(agent, command, folder, env, say, patience))


async def _met(
    agent: Agent, command: list[str], folder: str, env: dict[str, str], say: Callable[[str], None], patience: timedelta
) -> HandshakeResult:
    from claw_files.integrations.acp.conversation import AnswerLimits, Conversation, ConversationFailed, SignIn

    talk = Conversation(_Deaf(), lambda _: None, AnswerLimits(hello=patience, session=patience))
    begin = monotonic()
    try:
        await talk.start(command, env, folder)
        hello = await talk.greet(files=False)
        say(f"it answers after {monotonic() - begin:.1f} s: {hello.program}")
        await talk.open(folder, None, agent.permissions)
        say(_signed_in(agent, env))
    except SignIn as wrong:
        return HandshakeResult(problem=str(wrong), advice=(f"sign in: {program_check.how_to_sign_in(agent)}",))
    except ConversationFailed as wrong:
        by_hand = " ".join(agent.command)
        return HandshakeResult(problem=str(wrong), advice=(f"start it by hand and see what it says: {by_hand}",))
    finally:
        await talk.leave()
    return HandshakeResult()


def _signed_in(agent: Agent, env: Mapping[str, str]) -> str:
    """What a session that was opened tells of whether the program knows its user: many ask at the first prompt only."""
    if key := next((name for name in agent.env if name.endswith(("_KEY", "_TOKEN")) and env.get(name)), None):
        return f"it opens a session, and has {key}"
    how = program_check.how_to_sign_in(agent)
    return f"it opens a session; whether it is signed in shows at its first prompt; if not: {how}"


class _Deaf:
    """A client that wants to hear nothing."""

    is_quiet = is_cancelled = False

    def on_connect(self, conn: Any) -> None:
        """Nothing."""

    def begin(self, session: str) -> None:
        """Nothing: it speaks for no session."""

    def forget(self) -> None:
        """Nothing."""

    async def session_update(self, **_: Any) -> None:
        """Not listened to."""
