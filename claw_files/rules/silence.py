"""Rows for those who have a task and say nothing that is understood: asked or reminded once, then escalated."""

from claw_files.model import AgentId, AgentKind, Kind, Liveness
from claw_files.rules import acknowledgement, quiet
from claw_files.rules.acknowledgement import Trace
from claw_files.rules.case import WAIT, Case, Decision, escalate
from claw_files.rules.liveness import last_word
from claw_files.rules.snapshot import Act

_LOST = "lost"  # the reason of a run whose supervisor is gone


def prod(case: Case, seen: Liveness) -> Decision:
    """A nudge, once; after it, or for a worker, whom nobody can write to, an escalation."""
    agent = case.agent or case.snap.settings.coordinator
    known = case.snap.settings.agents.get(agent)
    can_read = known is not None and known.kind is not AgentKind.WORKER
    if can_read and not case.was_told(agent, case.key("nudge")):
        text = (
            f"{case.task.id} is in progress with you and has been {seen} for a while. "
            f"Write how it stands into status/{case.task.id.lower()}.md, or run `clawfiles beat {case.task.id}`."
        )
        return (case.act(Act.NUDGE, seen.value, agent, "nudge", text=text, kind=Kind.STEER),)
    if _was_just_told(case, agent, "nudge"):
        return WAIT  # it has not had its time yet
    tail = "a nudge did not help" if can_read else "there is no run of it"
    return escalate(case, "silent", f"{case.task.id}: {agent} is {seen}, and {tail}")


def acknowledged(case: Case, trace: Trace) -> Decision:
    """Known to its agent, and in backlog all the same: once it is quiet it is nudged once, then escalated."""
    agent, word = case.agent or case.snap.settings.coordinator, last_word(case.look, case.now)
    if word and case.now - word < case.snap.settings.heartbeat.ack:
        return WAIT
    why = acknowledgement.sentence(trace)
    if not case.was_told(agent, case.key("nudge")):
        text = (
            f"{case.task.id} is with you: {why}. Nothing says how it stands. "
            f"Write it into status/{case.task.id.lower()}.md, or run `clawfiles claim {case.task.id}`."
        )
        return (case.act(Act.NUDGE, why, agent, "nudge", text=text, kind=Kind.STEER),)
    if _was_just_told(case, agent, "nudge"):
        return WAIT
    return escalate(case, "silent", f"{case.task.id}: {why}, but {agent} does not say how it stands")


def _was_just_told(case: Case, agent: AgentId, what: str) -> bool:
    told = case.snap.told.get(f"{agent}/{case.key(what)}")
    return told is not None and told.sent is not None and case.now - told.sent < case.snap.settings.heartbeat.ack


def sleeps(case: Case, person: AgentId) -> bool:
    """Whether the person's quiet hours are now."""
    settings = case.snap.settings
    return quiet.until(case.now, quiet.windows_of(settings, person), settings.quiet_hours.zone) is not None
