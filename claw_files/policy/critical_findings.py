"""What the coordinator hears of a task beside its row: critical findings, as soon as somebody writes one down."""

from msgspec.structs import replace

from claw_files.core import text as words
from claw_files.core.keys import wide_key
from claw_files.core.model import Kind, State
from claw_files.policy.rule_context import Decision, RuleContext, mark
from claw_files.policy.snapshot import Act
from claw_files.policy.task_state_rules import audience


def critical(case: RuleContext) -> Decision:
    """Tell the coordinator of the findings that it was not told of, at most once in `announce_gap`.

    One message for all of them, whose key has a mark for each: so each is told once, whatever the attempt. The news
    that a task is done brings them along, where the coordinator gets that.
    """
    to, settings = case.snap.settings.coordinator, case.snap.settings
    if not case.look.critical or case.agent == to or (case.task.state is State.DONE and to in audience(case)):
        return ()
    last = case.look.warned
    if last is not None and abs(case.now - last) < settings.heartbeat.announce_gap:
        return ()
    said = "\n".join(f"- {words.said(finding)}" for finding in case.look.critical)
    state = case.task.state.value.replace("_", " ")
    text = (
        f"{case.task.id} ({words.said(case.task.title)}) by {case.agent} is {state}, "
        f"and something in `{case.look.path}` is called critical:\n\n{said}"
    )
    key = wide_key(case.task.id, ".".join(("critical", *map(mark, case.look.critical))))
    why = f"{len(case.look.critical)} critical findings"
    return (replace(case.act(Act.CRITICAL, why, to, text=text, kind=Kind.ANNOUNCE), key=key),)
