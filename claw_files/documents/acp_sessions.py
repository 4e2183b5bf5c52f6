"""Which session of its program an ACP agent goes on with: `sessions/NAME.md`, one file an agent."""

from datetime import datetime

from claw_files.documents.records import Record
from claw_files.documents.records import render as _render
from claw_files.errors import InvalidFile
from claw_files.model import AgentId, RunId, Value

TEXT = "The next run goes on with this session, if its program still has it. Without this file a new one begins."


class AcpSession(Value, frozen=True):
    """What an agent's next run has to know of the last one."""

    agent: AgentId
    session: str  # the program's own id
    program: str = ""
    folder: str = ""  # absolute: the working folder it belongs to
    run: RunId | None = None  # which used it last
    updated: datetime | None = None


def path_of(agent: AgentId, label: str | None = None) -> str:
    """Where it lies; with `label`, that of a worker that stays."""
    return f"sessions/subagent-{label}.md" if label else f"sessions/{agent}.md"


def parse(raw: bytes, path: str) -> AcpSession:
    """The session. Raises InvalidFile: missing-key (agent, session) and bad-value."""
    record = Record(raw, path)
    agent, session = record.agent("agent"), record.needed("session")
    if agent is None:
        raise InvalidFile(path, "missing-key", "the front matter has no 'agent'", 1)
    return AcpSession(
        agent=agent,
        session=session,
        program=record.text("program") or "",
        folder=record.text("folder") or "",
        run=RunId(record.text("run") or "") or None,
        updated=record.instant("updated"),
    )


def render(found: AcpSession) -> bytes:
    """The session's file."""
    values = {
        "agent": found.agent,
        "session": found.session,
        "program": found.program or None,
        "folder": found.folder or None,
        "run": found.run,
        "updated": found.updated,
    }
    return _render(values, TEXT)
