"""Acknowledgement: the traces which show that an agent has received an attempt.

Asked before anything is delivered, sent again, handed on or failed (protocol, sections 5 and 6): one trace is enough,
whatever the status file says now.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from enum import StrEnum

from claw_files.core import text
from claw_files.core.model import AgentId, Box, Message, Report, State, Value
from claw_files.policy.snapshot import TaskEvidence

OWN = timedelta(seconds=2)  # a write of ours stamps `updated` before the file gets its time


class TraceKind(StrEnum):
    """The kinds of traces."""

    CLAIM = "claim"
    READ = "read"
    READ_AWAY = "read away"
    RECORDED = "recorded"
    CHANGED = "changed"
    REPORT = "report"
    RUN = "run"


_SAID = {
    TraceKind.CLAIM: "the claim log says that it was claimed",
    TraceKind.READ: "the message was read",
    TraceKind.READ_AWAY: "the journal says that the message was read, and its file is gone",
    TraceKind.RECORDED: "a state was recorded",
    TraceKind.CHANGED: "the status file was changed after the message was sent",
    TraceKind.REPORT: "it was reported on",
    TraceKind.RUN: "a run of it is alive",
}


class Trace(Value, frozen=True):
    """One sign that an attempt is known to its agent."""

    kind: TraceKind
    path: str  # relative to the workspace
    line: int | None = None  # from 1, where one line is meant
    at: datetime | None = None  # aware, UTC; None where no time is known


def traces(look: TaskEvidence, agent: AgentId | None, is_woken: bool) -> tuple[Trace, ...]:
    """The traces of the attempt that `look` is about, the newest first.

    Args:
        agent: whose attempt it is.
        is_woken: whether we start its runs: then its message is moved to cur/ by us, and that is no reading.
    """
    claims = f".clawfiles/claims/{look.entry.task.lower()}.log"
    found = [Trace(kind=TraceKind.CLAIM, path=claims)] if look.claimed else []
    found += [*_of_message(look, is_woken), *_of_file(look), *_of_reports(look, agent)]
    if look.run and look.run.alive:
        found.append(Trace(kind=TraceKind.RUN, path=f"runs/{look.run.id}/run.md", at=look.run.started))
    return tuple(sorted(found, key=lambda it: it.at.timestamp() if it.at else 0.0, reverse=True))


def sentence(trace: Trace, when: Callable[[datetime], str]) -> str:
    """The trace for people: its kind, place and time, with `when` to format the instant."""
    line = f", line {trace.line}" if trace.line else ""
    at = f", {when(trace.at)}" if trace.at else ""
    return f"{_SAID[trace.kind]} ({trace.path}{line}{at})"


def is_changed(look: TaskEvidence) -> bool:
    """Whether the status file was changed by hand after the attempt's message was sent.

    Every rule that writes sets `updated`, and keeps the file's time or sets both to the same instant.
    """
    task, message = look.task, look.message
    if task is None or message is None or message.sent is None or look.digest is None:
        return False
    if message.status_hash in (None, look.digest):
        return False
    if task.updated is None or task.updated <= message.sent:
        return True
    return look.modified is not None and look.modified > task.updated + OWN


def is_withdrawn(look: TaskEvidence) -> bool:
    """Whether the line already names the next agent: then clawfiles withdrew the message in done/, it was not read."""
    holder = look.message.to if look.message else None
    return look.box is Box.DONE and look.entry.agent not in (None, holder)


def _of_message(look: TaskEvidence, is_woken: bool) -> list[Trace]:
    message = look.message
    if look.read:
        return [Trace(kind=TraceKind.READ_AWAY, path=look.read.path, at=look.read.at)]
    if message is None or look.box in (None, Box.NEW) or is_withdrawn(look) or (is_woken and look.run is not None):
        return []
    if look.task and message.generation is not None and message.generation < look.task.generation:
        return []  # of a delegation that was given back since
    path = f"inbox/{message.to}/{look.box}/{message.id}.md"
    return [Trace(kind=TraceKind.READ, path=path)]  # a file that is moved keeps its time: when it was read is not known


def _of_file(look: TaskEvidence) -> list[Trace]:
    task, found = look.task, list[Trace]()
    if task is None:
        return found
    path = look.path or f"status/{text.file_name(task.id)}"
    if task.recorded not in (None, State.BACKLOG):
        found.append(Trace(kind=TraceKind.RECORDED, path=path, line=task.state_line, at=task.updated))
    if is_changed(look):
        line = task.unclear[0].line if task.unclear else task.state_line
        found.append(Trace(kind=TraceKind.CHANGED, path=path, line=line, at=look.modified))
    return found


def _of_reports(look: TaskEvidence, agent: AgentId | None) -> list[Trace]:
    """Reports of the agent on this task, understood or not, but backlog, and no older than the message."""
    since = look.message.sent if look.message else look.task.updated if look.task else None
    mine = (it for it in look.reports if (it.author, it.task) == (agent, look.entry.task))
    said = (it for it in mine if (it.state is not State.BACKLOG or it.unclear) and _is_since(it, since))
    lines = ((it, it.unclear[0].line if it.unclear else None) for it in said)
    return [Trace(kind=TraceKind.REPORT, path=it.path, line=line, at=it.at) for it, line in lines]


def is_answer(report: Report, message: Message | None) -> bool:
    """Whether the report may have been written after the message was sent."""
    return _is_since(report, message.sent if message else None)


def _is_since(report: Report, sent: datetime | None) -> bool:
    # A file's time may have whole seconds: a file as old as the message, within a second, is an answer.
    return sent is None or report.at >= sent.replace(microsecond=0)
