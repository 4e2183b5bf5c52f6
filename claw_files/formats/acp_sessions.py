"""The session that an ACP agent continues: `sessions/NAME.md`, one file per agent."""

from datetime import datetime
from typing import Final

from claw_files.core.model import AgentId, RunId, Value
from claw_files.formats.record_form import Form

TEXT: Final = (
    "The next run continues this session, if its program still has it. Without this file a new session begins."
)


class AcpSession(Value, frozen=True):
    """The session facts that an agent's next run needs."""

    agent: AgentId
    session: str  # the program's own id
    program: str = ""
    folder: str = ""  # absolute: the working folder it belongs to
    run: RunId | None = None  # which used it last
    updated: datetime | None = None
    text: str = TEXT


def path_of(agent: AgentId, label: str | None = None) -> str:
    """The path of the file; with `label`, that of a session worker."""
    return f"sessions/subagent-{label}.md" if label else f"sessions/{agent}.md"


_FORM: Final = Form(AcpSession, "text")
parse, render = _FORM.parse, _FORM.render
