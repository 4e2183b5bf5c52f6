"""A first word with an agent's program, without a prompt: does it answer, and does it know its user?"""

import os
from collections.abc import Callable, Mapping
from datetime import timedelta
from time import monotonic
from typing import Any, Final

from claw_files.config import Agent
from claw_files.processes import HandshakeResult, Surroundings
from claw_files.system.procfs import agent_environment

SIGN_IN: Final = {
    "claude-agent-acp": "claude, then /login; or name a key in `env`: ANTHROPIC_API_KEY",
    "codex-acp": "codex login; or name a key in `env`: CODEX_API_KEY",
    "gemini": "gemini, then choose how to log in; or name a key in `env`: GEMINI_API_KEY",
}


async def meet(
    agent: Agent, command: list[str], around: Surroundings, say: Callable[[str], None], patience: timedelta
) -> HandshakeResult:
    """The result of a handshake with the program of `command`: start, session, stop. `say` gets each step."""
    env = agent_environment(around.environ, agent.env)
    folder = os.path.realpath(os.path.join(around.base, agent.workspace or ""))
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
        return HandshakeResult(problem=str(wrong), advice=(f"sign in: {how_to_sign_in(agent)}",))
    except ConversationFailed as wrong:
        by_hand = " ".join(agent.command)
        return HandshakeResult(problem=str(wrong), advice=(f"start it by hand and see what it says: {by_hand}",))
    finally:
        await talk.leave()
    return HandshakeResult()


def _signed_in(agent: Agent, env: Mapping[str, str]) -> str:
    """Whether an opened session shows that the program is logged in: many ask only at the first prompt."""
    if key := next((name for name in agent.env if name.endswith(("_KEY", "_TOKEN")) and env.get(name)), None):
        return f"it opens a session, and has {key}"
    how = how_to_sign_in(agent)
    return f"it opens a session; whether it is signed in shows at its first prompt; if not: {how}"


def how_to_sign_in(agent: Agent) -> str:
    """The command that logs in to the program."""
    name = os.path.basename(agent.command[0]) if agent.command else ""
    return SIGN_IN.get(name, f"{name}, and what it asks for; or name its key in `env` of [agents.{agent.name}]")


class _Deaf:
    """A client that ignores everything."""

    is_quiet = is_cancelled = False

    def on_connect(self, conn: Any) -> None:
        """No-op."""

    def begin(self, session: str) -> None:
        """No-op: this client has no session."""

    def forget(self) -> None:
        """No-op."""

    async def session_update(self, **_: Any) -> None:
        """Not listened to."""
