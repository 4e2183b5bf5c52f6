"""Rows for silent or unclear agents and people: one reminder, then an escalation."""

from claw_files.core import text as words
from claw_files.core.model import AgentId, Kind, Liveness, State
from claw_files.policy import acknowledgement, quiet_hours
from claw_files.policy.acknowledgement import Trace
from claw_files.policy.liveness import last_word
from claw_files.policy.rule_context import WAIT, Decision, RuleContext, WaitReason, mark
from claw_files.policy.snapshot import Act

_LOST = "lost"  # the reason of a run whose supervisor is gone


def prod(case: RuleContext, seen: Liveness) -> Decision:
    """One nudge; after that, or for a worker, which reads no messages, an escalation."""
    agent = case.agent or case.snap.settings.coordinator
    can_read = agent in case.snap.settings.agents and not case.snap.settings.is_worker(agent)
    text = (
        f"{case.task.id} is in progress with you and has been {seen} for a while. "
        f"Write its state into status/{case.task.id.lower()}.md, or run `clawfiles beat {case.task.id}`."
    )
    if can_read and (nudged := _nudge(case, agent, seen.value, text)) is not None:
        return nudged
    tail = "a nudge did not help" if can_read else "it has no run"
    return case.escalate("silent", f"{case.task.id}: {agent} is {seen}, and {tail}")


def acknowledged(case: RuleContext, trace: Trace) -> Decision:
    """An acknowledged task that is still in backlog: once it is quiet, one nudge, then an escalation."""
    agent, word = case.agent or case.snap.settings.coordinator, last_word(case.look, case.now)
    if word and case.now - word < case.snap.settings.heartbeat.ack:
        return WAIT
    why = acknowledgement.sentence(trace, case.when)
    text = (
        f"{case.task.id} is with you: {why}. Its state is unknown. "
        f"Write it into status/{case.task.id.lower()}.md, or run `clawfiles claim {case.task.id}`."
    )
    if (nudged := _nudge(case, agent, why, text)) is not None:
        return nudged
    return case.escalate("silent", f"{case.task.id}: {why}, but {agent} has not reported a status")


def _nudge(case: RuleContext, agent: AgentId, why: str, text: str) -> Decision | None:
    """The nudge of this attempt, or a wait for its effect; None when the wait is over."""
    if not case.was_told(agent, case.key("nudge")):
        return (case.act(Act.NUDGE, why, agent, "nudge", text=text, kind=Kind.STEER),)
    return WAIT if _was_just_told(case, agent, "nudge") else None


def unclear(case: RuleContext) -> Decision | None:
    """Words about the task that were not understood: their writer is asked once in an attempt, naming the line.

    Nothing is sent again, handed on, failed or retried for them. About what stood there before the message was sent
    the coordinator is asked; a run that is lost has failed, whatever the file says.
    """
    task, look, ack = case.task, case.look, case.snap.settings.heartbeat.ack
    if not task.unclear or task.label or task.state not in _ASKED or _is_only_a_draft(case):
        return None
    # In progress without a run: its own row continues with the clear statements.
    wait = None if task.state is State.IN_PROGRESS and (case.run is None or case.run.alive) else WAIT
    if case.is_running or (look.last_word and case.now - look.last_word < ack):
        return wait
    first = task.unclear[0]
    is_theirs = task.state is not State.BACKLOG or look.claimed or acknowledgement.is_changed(look)
    is_theirs = is_theirs or any(first in report.unclear for report in look.reports)
    known = case.agent if is_theirs and case.agent in case.snap.settings.agents else None
    writer = known or case.snap.settings.coordinator
    where = f"{first.path}, line {first.line}, says {words.said(first.text)}, which is not understood"
    if not case.was_told(writer, case.key("unclear")):
        more = f" ({len(task.unclear) - 1} more lines like that.)" if len(task.unclear) > 1 else ""
        text = f"{task.id}: {where}: {first.hint}.{more} Until then it is treated as {task.state}."
        return (case.act(Act.NUDGE, where, writer, "unclear", text=text, kind=Kind.STEER), case.later("asked"))
    if is_person(case):
        return None
    if not case.due or _was_just_told(case, writer, "unclear"):
        return wait
    text = f"{task.id}: {where}; {writer} was asked and has not clarified it"
    return (*case.escalate(f"unclear.{mark(first.text)}", text), case.later("unclear"))


_ASKED = (State.BACKLOG, State.IN_PROGRESS, State.FAILED)


def _is_only_a_draft(case: RuleContext) -> bool:
    """Whether the words cannot be an answer: not sent, not woken yet, or failed for another reason."""
    look, run = case.look, case.run
    if run is not None and run.ended is not None and run.reason == _LOST:
        return True
    if case.task.state is State.FAILED:
        return not acknowledgement.is_changed(look)
    if case.task.state is State.BACKLOG and not look.claimed:
        return look.message is None or case.waits_for_its_turn
    return False


def is_person(case: RuleContext) -> bool:
    """Whether the task is with a person."""
    return case.agent is not None and case.snap.settings.is_human(case.agent)


def remind(case: RuleContext) -> Decision:
    """A person was notified of the task: one reminder at the check time, outside quiet hours; then wait."""
    person, settings = case.agent, case.snap.settings
    if person is None or not case.due or case.was_told(person, case.key("nudge")) or sleeps(case, person):
        return WAIT
    held = quiet_hours.held_since_sent(settings, case.look.message)
    if held and case.now < held + settings.heartbeat.check[0]:
        return WaitReason(f"the brief has just told {person} of it")
    text = (
        f"{case.task.id} ({words.said(case.task.title)}) still waits for you. "
        f"`clawfiles done {case.task.id}` once it is done, `clawfiles release {case.task.id}` if it is not yours."
    )
    return (case.act(Act.NUDGE, "it waits for a person", person, "nudge", text=text, kind=Kind.ANNOUNCE),)


def _was_just_told(case: RuleContext, agent: AgentId, what: str) -> bool:
    told = case.snap.told.get(f"{agent}/{case.key(what)}")
    return told is not None and told.sent is not None and case.now - told.sent < case.snap.settings.heartbeat.ack


def sleeps(case: RuleContext, person: AgentId) -> bool:
    """Whether the person's quiet hours are now."""
    return quiet_hours.held_until(case.snap.settings, person, case.now) is not None
