"""The heartbeat's rules, one per task state. `policy.ledger_line_rules` orders them."""

from datetime import datetime

from msgspec.structs import replace

from claw_files.core import text as words
from claw_files.core.keys import answer_key
from claw_files.core.model import AgentId, AgentKind, Kind, Liveness, State, Stay
from claw_files.policy import budgets, reminders, resilience, routing
from claw_files.policy.liveness import liveness
from claw_files.policy.rule_context import WAIT, Decision, RuleContext, WaitReason, lane, listed, mark, may_try_again
from claw_files.policy.snapshot import Act, Action, FilePlace
from claw_files.policy.verification import lacks, redo_of, verified, wants_check, was_redone, was_told_before

# --- backlog


def backlog(case: RuleContext) -> Decision | None:
    """Deliver, wait for the acknowledgement, send again, hand to the next agent, escalate: in this order."""
    if case.task.state is not State.BACKLOG:
        return None
    if case.is_running:
        return WaitReason("a run works on it")
    if case.task.not_before and case.now < case.task.not_before:
        return WaitReason(f"its backoff is over at {case.when(case.task.not_before)}")
    if case.agent is None and case.look.task is None:
        return _nobodys(case)
    if case.agent is None:
        return _hand_on(case, "no agent is named")
    if case.look.read:
        return _read_away(case, case.look.read.at + case.snap.settings.heartbeat.ack)
    if case.look.message is None:
        return (case.act(Act.DELIVER, "no message for this attempt yet"),)
    if reminders.is_person(case):
        return reminders.remind(case)
    if elsewhere := _without_money(case):
        return elsewhere
    if case.waits_for_its_turn:
        poor = budgets.used_up(case.snap.settings, case.snap.spent, case.agent)
        return WaitReason(poor or f"{case.agent} has not been woken for it yet")
    until, busy = _ack_until(case), _busy(case)
    if until or busy:
        left = f"{case.agent} has until {case.when(until)} to claim it" if until else ""
        return WaitReason("; ".join(filter(None, (busy, left))))
    return _unacknowledged(case, case.look.message.sends)


def _read_away(case: RuleContext, until: datetime) -> Decision:
    """The message was read and is gone: the agent has it, so it is neither sent again nor given to another agent."""
    if case.now < until:
        return WaitReason(f"{case.agent} has until {case.when(until)} to claim it")
    return reminders.acknowledged(case, case.traces[0])


def _nobodys(case: RuleContext) -> Decision:
    """A line without an agent for a task that does not exist: escalate."""
    if not case.due:
        return WaitReason("the task does not exist, and its line names no agent")
    text = f"the ledger names {case.task.id} without an agent, but the task does not exist"
    return case.escalate("no-task", text, start=case.snap.settings.coordinator)


def _without_money(case: RuleContext) -> Decision:
    """The next agent of the route, if the assigned one has used up its budget this month.

    Without a route the task waits, because nobody asked the coordinator to do it.
    """
    why = budgets.used_up(case.snap.settings, case.snap.spent, case.agent)
    if why is None or case.task.label or not case.snap.settings.route(case.task.type) or not case.waits_for_its_turn:
        return WAIT
    elsewhere = case.route_anew(why)
    return (*budgets.plan_telling(case.snap, case.agent, case.now), *elsewhere) if elsewhere else WAIT


def _unacknowledged(case: RuleContext, sends: int) -> Decision:
    heartbeat = case.snap.settings.heartbeat
    if found := case.traces:  # known to its agent: it is not sent again, nor handed on
        return reminders.acknowledged(case, found[0])
    if sends < heartbeat.sends:
        return (case.act(Act.RESEND, f"not acknowledged within {words.render_duration(heartbeat.ack)}"),)
    return _hand_on(case, f"{case.agent} has not read {sends} deliveries")


def _hand_on(case: RuleContext, why: str) -> Decision:
    text = f"{case.task.id}: {why}, and its route has no other agent"
    return case.route_anew(why) or case.escalate("no-one-left", text)


def _ack_until(case: RuleContext) -> datetime | None:
    """The deadline of the acknowledgement; None if it is over. Times in the future count as past.

    Counted from the wake: an agent that had to wait for its turn is not late.
    """
    message, run = case.look.message, case.look.run
    assert message is not None
    ack = case.snap.settings.heartbeat.ack
    waits = [message.ack_by, *(t + ack for t in (message.sent, run.started if run else None) if t)]
    return max((until for until in waits if until and case.now < until <= case.now + ack), default=None)


def _busy(case: RuleContext) -> str:
    """Why the agent is busy: a run in its lane, or recent work of an agent that polls; "" if it is free."""
    settings, agent = case.snap.settings, case.agent
    assert agent is not None
    mine = lane(settings, agent, case.key())
    runs = (run for run in case.snap.live if lane(settings, run.agent, run.key) == mine)
    if run := next(runs, None):
        return f"{agent} is busy with {run.task or run.id}"
    if any(lane(settings, run.agent, run.key) == mine for run in case.snap.elsewhere):
        return f"{agent} is busy in a compartment"
    others = (look for look in case.snap.looks if look.task and look.task.state is State.IN_PROGRESS)
    held = (look for look in others if look.task and look.task.assignee == agent and look.task.id != case.task.id)
    at_work = (look for look in held if liveness(look, case.snap, case.now) is Liveness.WORKING)
    return next((f"{agent} is busy with {look.entry.task}" for look in at_work), "")


# --- in progress


def in_progress(case: RuleContext) -> Decision | None:
    """Announce progress to people who follow the task; then as `_look_at`."""
    if case.task.state is not State.IN_PROGRESS:
        return None
    return (*_progress(case), *(WAIT if reminders.is_person(case) else _look_at(case)))


def _look_at(case: RuleContext) -> Decision:
    """Wait for the ETA; check again later while there is progress; nudge once; escalate."""
    if not case.due:
        return WaitReason(f"{case.agent} works on it")
    if case.task.eta and case.now < case.task.eta:
        return (case.act(Act.WAIT_UNTIL, "its ETA is ahead", at=case.task.eta),)
    seen = liveness(case.look, case.snap, case.now)
    if seen is Liveness.WORKING:
        return (case.later(f"{seen}: written to since the last check"),)
    return (*reminders.prod(case, seen), case.later(seen.value))


def _progress(case: RuleContext) -> Decision:
    """A new note or ETA, for the people among requester and followers, at most once in `announce_gap`.

    Agents are not notified: they read the status file, and a message would wake them without need. In quiet hours
    nothing is kept for later, either: the newest note is announced at their end.
    """
    note, eta = words.said(case.look.note) if case.look.note else "", case.task.eta
    news = ", ".join(filter(None, (note, f"ETA {case.when(eta)}" if eta else "")))
    last, settings = case.look.announced, case.snap.settings
    if not news or (last is not None and abs(case.now - last) < settings.heartbeat.announce_gap):
        return ()
    is_news = mark(", ".join(filter(None, (note, f"ETA {words.render_instant(eta)}" if eta else ""))))
    what, text = f"progress.{is_news}", f"{case.task.id} ({words.said(case.task.title)}) by {case.agent}: {news}."
    people = (who for who in audience(case) if settings.is_human(who) and not case.was_told(who, case.key(what)))
    awake = (who for who in people if not reminders.sleeps(case, who))
    return tuple(case.act(Act.PROGRESS, "new", who, what, text=text, kind=Kind.ANNOUNCE) for who in awake)


# --- blocked, review


def blocked(case: RuleContext) -> Decision | None:
    """A need is asked for once, and its answer wakes the agent by itself; anything else is escalated once."""
    if case.task.state is not State.BLOCKED:
        return None
    need = case.task.need
    asked = case.snap.settings.agents.get(need.agent) if need else None
    if need and asked and asked.kind is not AgentKind.WORKER and asked.name != case.agent:
        return _needs(case, need.agent, need.question)
    reason = case.task.reason or "no reason given"
    # A second block in the same attempt, for another reason, is news.
    return case.escalate(f"blocked.{mark(reason)}", f"{case.task.id} is blocked: {words.said(reason)}")


def _needs(case: RuleContext, asked: AgentId, question: str) -> Decision:
    ask = f"ask.{asked}.{mark(question)}"
    if not case.was_told(asked, case.key(ask)):
        why = f"{case.agent} needs {asked}"
        return (case.act(Act.ASK, why, asked, ask, text=question, kind=Kind.QUESTION), case.later("asked"))
    answer = case.snap.told.get(f"{case.agent}/{answer_key(case.key(ask))}")
    if not case.due or case.is_running:
        return WaitReason(f"{case.agent} was answered by {asked}" if answer else f"{asked} was asked")
    if answer is None:
        text = f"{case.task.id}: {case.agent} waits for {asked}, who has not answered: {words.said(question)}"
        told = case.escalate(f"{ask}.unanswered", text)
        if told and told[0].agent == asked:
            text = f"{case.task.id}: {case.agent} still waits for your answer: {words.said(question)}"
            told = (replace(told[0], text=text, why=text),)
        return (*told, case.later("unanswered"))
    if answer.sent and case.now - answer.sent < case.snap.settings.heartbeat.silent:
        return (case.later("answered"),)
    text = f"{case.task.id}: {case.agent} has the answer of {asked} but is still blocked"
    return (*case.escalate(f"{ask}.stuck", text), case.later("answered, still blocked"))


def review(case: RuleContext) -> Decision | None:
    """Notify the reviewer once, with the outputs; then wait. If promised outputs are missing, reopen first, once."""
    if case.task.state is not State.REVIEW:
        return None
    settings = case.snap.settings
    reviewer = routing.reviewer(settings, case.task.type, case.agent, asked=True) or settings.coordinator
    if case.was_told(reviewer, case.key("review")):
        return WaitReason(f"{reviewer} was asked for a review")
    missing = listed(case.look.missing)
    if missing and not was_redone(case):
        return _redo(case, f"promised outputs are missing: {missing}")
    outputs = listed(case.task.outputs) or "no outputs named"
    summary = f"{words.said(case.task.summary)}. " if case.task.summary else ""
    text = (
        f"{case.task.id} ({words.said(case.task.title)}) by {case.agent} is ready for your review: {outputs}. "
        f"{f'Missing: {missing}. ' if missing else ''}{summary}"
        f'Then `clawfiles approve {case.task.id}` or `clawfiles reopen {case.task.id} "why"`.'
    )
    return (case.act(Act.REVIEW, "ready for review", reviewer, "review", text=text, kind=Kind.TASK),)


# --- failed


def failed(case: RuleContext) -> Decision | None:
    """Without attempts left: a dead letter. Else the next attempt, after the backoff and if the breaker allows it."""
    if case.task.state is not State.FAILED:
        return None
    if case.is_running:
        return WaitReason("its last run is still active")  # whatever it wrote; the time limit ends the run
    # Before the breaker's rows: an agent whose failures opened it must not keep the task from becoming a dead letter.
    is_over = not may_try_again(case.task, case.snap.settings)
    if is_over or reminders.is_person(case):  # who says that it cannot be done is not asked again
        why = f"{case.task.failures} failures: {case.task.reason or 'no reason given'}"
        return (case.act(Act.DEAD_LETTER, why),)
    breaker = case.breaker
    if breaker.state == "open":
        why = f"the breaker of {case.agent} is open"
        elsewhere = WAIT if case.task.label else case.route_anew(why, skip_broken=True)
        return elsewhere or WaitReason(why + (f" until {case.when(breaker.until)}" if breaker.until else ""))
    if breaker.state == "half-open" and not _is_the_one_attempt(case):
        return WaitReason(f"the breaker of {case.agent} is half open: another task is tried first")
    return _retry(case)


def _retry(case: RuleContext) -> Decision:
    pause = resilience.retry_pause(case.snap.settings.heartbeat.backoff, case.task)
    # A failure further ahead than the pause is from before the clock was set back; it delays nothing.
    if case.task.updated and abs(case.now - case.task.updated) < pause:
        return WaitReason(f"the next attempt begins at {case.when(case.task.updated + pause)}")
    return (case.act(Act.RETRY, f"failure {case.task.failures}, {pause.total_seconds():.1f} s of backoff are over"),)


def _is_the_one_attempt(case: RuleContext) -> bool:
    """Whether this is the agent's first failed task, and no other retry of the agent is under way."""
    mine = [look.task for look in case.snap.looks if look.task and look.task.assignee == case.agent]
    if any(task.failures > 0 and task.state in (State.BACKLOG, State.IN_PROGRESS) for task in mine):
        return False
    waiting = [it.id for it in mine if it.state is State.FAILED and may_try_again(it, case.snap.settings)]
    return not waiting or waiting[0] == case.task.id


# --- done


def done(case: RuleContext) -> Decision | None:
    """Verify the promises; then notify the requester and remove the line."""
    if case.task.state is not State.DONE:
        return None
    if case.look.place is FilePlace.STATUS:
        if (what := lacks(case)) is not None:
            again = (*_redo(case, what), *_turn(case, final=was_redone(case)))
            return again if what else WaitReason("its check runs")
        if wants_check(case):
            return (case.act(Act.VERIFY, "the route names a check", what="verify"),)
    seen = (case.act(Act.VERIFIED, "its outputs and check are verified", what="verified"),) if _is_news(case) else WAIT
    if case.task.flow:
        return seen or WaitReason("the run of its workflow counts it")
    if case.task.group or case.is_held_back(case.key("done")):
        whose = "the report of its group" if case.task.group else "the next attempt of its requester"
        return seen or WaitReason(f"it waits for {whose}")  # of a group, its report closes the line
    cached = f", from cache: it is the result of {case.task.cached_from}" if case.task.cached_from else ""
    summary = f" {words.said(case.task.summary)}." if case.task.summary else ""
    outputs = f" Outputs: {listed(case.task.outputs)}." if case.task.outputs else ""
    text = f"{case.task.id} ({words.said(case.task.title)}) is done by {case.agent}{cached}.{summary}{outputs}"
    told = inform(case, "done", text)
    if case.look.next_turn:
        return (*seen, *told, *_turn(case, final=True))
    return (*seen, *told, case.act(Act.CLOSE, "done; everyone who follows it was informed"))


def _is_news(case: RuleContext) -> bool:
    """Whether the task counts from now on, and its file does not have `verified` yet."""
    return case.look.place is FilePlace.STATUS and verified(case.task, case.snap.settings) is False


def _turn(case: RuleContext, final: bool) -> Decision:
    """The next message of the session, once the present turn is final."""
    sender = case.look.next_turn
    if sender is None or not final or case.is_running:
        return WAIT
    return (case.act(Act.TURN, f"a message from {sender}", what="turn"),)


def inform(case: RuleContext, what: str, text: str) -> Decision:
    """Notify everyone who follows the task, once each; a running worker finds the notice in its run."""
    asker, key = case.look.asker, case.key(what)
    passed = asker.passed if asker else ()
    is_told = any(case.was_told(who, key) for who in passed)
    found = list[Action]()
    for who in audience(case):
        mine = asker is not None and who == asker.agent
        if not case.was_told(who, key) and not (mine and is_told):
            details = {"run": asker.run} if asker and asker.run and mine else {}
            found.append(case.act(Act.INFORM, what, who, what, text=text, kind=Kind.ANNOUNCE, details=details))
    return tuple(found)


def audience(case: RuleContext) -> list[AgentId]:
    """Requester, spawner and followers, once each, but not the holder; the coordinator for an unknown one.

    If a worker requested the task, the receiver of the worker's own result; no message wakes a worker.
    """
    settings, asker = case.snap.settings, case.look.asker
    others = (it for it in case.task.followers if it in settings.agents and not settings.is_worker(it))
    return [who for who in dict.fromkeys((case.requester, *others)) if who != case.agent or (asker and asker.run)]


def _redo(case: RuleContext, why: str) -> Decision:
    """The first time, reopen for the same agent; the second time, fail and escalate once."""
    if not was_redone(case):
        text = f"{case.task.id} is returned to {case.agent}: {why}"
        return (case.act(Act.REOPEN, why, case.boss, redo_of(case.task), text=text, kind=Kind.ANNOUNCE),)
    told = case.escalate("redo2", f"{case.task.id}: {why}, for the second time")
    if case.task.session is Stay.OPEN:
        return told  # it stays: its next message is another turn
    return (*(WAIT if was_told_before(case, case.first_boss, "redo2") else told), case.act(Act.FAIL, why, what="fail"))
