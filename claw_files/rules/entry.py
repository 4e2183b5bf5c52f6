"""What a tick decides for one line of the ledger, row by row.

`docs/explanation/heartbeat.md` has the table; each row there names its test. The first row that matches counts. Times
matter only when they are due, except that what has ended is acted on at once.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from msgspec.structs import replace

from claw_files.model import (
    AgentId,
    AgentKind,
    Box,
    Key,
    Kind,
    Liveness,
    Report,
    Runtime,
    State,
    Task,
    Value,
)
from claw_files.rules import resilience, routing, transitions
from claw_files.rules.snapshot import Act, Action, Look, Place, Snapshot

Decision = tuple[Action, ...]
WAIT: Decision = ()


class Case(Value, frozen=True):
    """One entry with all that its rows ask about; the rows below are functions of it."""

    look: Look
    snap: Snapshot
    now: datetime
    task: Task  # in the state that is in force; a line without a file stands for a task in backlog
    standing: transitions.Standing

    @property
    def agent(self) -> AgentId | None:
        return self.task.assignee or self.look.entry.agent

    @property
    def boss(self) -> AgentId:
        """Who gets the result: the spawner of the line, else the coordinator."""
        return self.look.entry.spawner or self.snap.settings.coordinator

    @property
    def reviewer(self) -> AgentId | None:
        return routing.reviewer(self.snap.settings, self.task.type)

    @property
    def due(self) -> bool:
        return self.look.entry.at is None or self.look.entry.at <= self.now

    @property
    def attempts_left(self) -> bool:
        limit = self.task.attempts or self.snap.settings.heartbeat.attempts
        return self.task.failures < limit

    def key(self, what: str = "") -> Key:
        """The key of something done for this attempt: "tc-89.1", "tc-89.1.nudge"."""
        return task_key(self.task, what)

    def was_told(self, agent: AgentId, key: str) -> bool:
        return self.snap.told.get(f"{agent}/{key}") is not None

    def act(self, act: Act, why: str, agent: AgentId | None = None, what: str = "", **more: object) -> Action:
        """An action on this entry's task."""
        return Action(
            act=act,
            task=self.task.id,
            agent=agent if agent is not None else self.agent,
            key=self.key(what),
            why=why,
            entry=self.look.entry,
            **more,  # type: ignore[arg-type] # the remaining fields of Action, by name
        )


def task_key(task: Task, what: str = "") -> Key:
    """ "tc-89.1" for the task message of attempt 1; with `what`, the key of something else that happens once in it."""
    return Key(f"{task.id.lower()}.{task.attempt}" + (f".{what}" if what else ""))


def plan_entry(look: Look, snap: Snapshot, now: datetime) -> Decision:
    """The actions for one entry, in order; empty means wait."""
    case = case_of(look, snap, now)
    for row in ROWS:
        decision = row(case)
        if decision is not None:
            return decision
    return WAIT


def case_of(look: Look, snap: Snapshot, now: datetime) -> Case:
    """The entry with the state that is in force after edits by hand."""
    found = look.task or Task(id=look.entry.task, assignee=look.entry.agent)
    standing = transitions.stand(found, reviewed=routing.reviewer(snap.settings, found.type) is not None)
    return Case(look=look, snap=snap, now=now, task=replace(found, state=standing.state), standing=standing)


Row = Callable[[Case], Decision | None]

# --- rows that do not depend on the state


def pending(case: Case) -> Decision | None:
    """Someone is writing the status file: wait."""
    return WAIT if case.look.pending else None


def unreadable(case: Case) -> Decision | None:
    """Leave it, report once for each content, escalate if it is still so at the next check."""
    if case.look.unreadable is None:
        return None
    what = f"unreadable.{(case.look.digest or '')[:8]}"
    text = f"{case.task.id}: its status file cannot be read: {case.look.unreadable}"
    monitor = case.snap.settings.monitor
    if not case.was_told(monitor, case.key(what)):
        return (case.act(Act.ESCALATE, "unreadable", monitor, what, kind=Kind.ANNOUNCE, text=text), _later(case))
    if not case.due:
        return WAIT
    return _escalate(case, f"{what}.still", text, start=case.snap.settings.reports_to(monitor)) or WAIT


def unknown_agent(case: Case) -> Decision | None:
    """The line or the file names an agent that the configuration does not know: tell the coordinator once."""
    if case.agent is None or case.agent in case.snap.settings.agents:
        return None
    if case.task.state.is_closed:
        return None
    text = f"{case.task.id} is delegated to {case.agent!r}, whom clawfiles.toml does not name"
    return _escalate(case, "unknown-agent", text, start=case.snap.settings.coordinator) or WAIT


def conflict(case: Case) -> Decision | None:
    """A move by hand that nobody may make: report it once; the recorded state goes on being in force."""
    why = case.standing.conflict
    monitor = case.snap.settings.monitor
    what = f"conflict.{(case.look.digest or '')[:8]}"
    if why is None or case.was_told(monitor, case.key(what)):
        return None
    return (case.act(Act.CONFLICT, why, monitor, what, text=f"{case.task.id}: {why}", kind=Kind.ANNOUNCE),)


def carried(case: Case) -> Decision | None:
    """A report says more than the status file: carry it over, if its author may make that move."""
    newer = [r for r in case.look.reports if r.author == case.agent and _says_more(case, r)]
    if not newer:
        return None
    report = max(newer, key=lambda r: r.at)
    return (
        case.act(Act.CARRY, f"{report.author} reports {report.state} in {report.path}", details={"report": report}),
    )


def _says_more(case: Case, report: Report) -> bool:
    """A later state than the file's, said in this attempt: what an earlier attempt left behind is old news."""
    message = case.look.message
    if message and message.sent and report.at < message.sent:
        return False
    order = {State.BACKLOG: 0, State.IN_PROGRESS: 1, State.BLOCKED: 1}
    if case.task.state not in order or report.state is case.task.state:
        return False
    return report.state is State.BLOCKED or order.get(report.state, 2) >= max(order[case.task.state], 1)


def recorded(case: Case) -> Decision | None:
    """An allowed move was made by hand: write it down, so that everybody reads the same state."""
    standing = case.standing
    if not standing.moved or case.look.place is not Place.STATUS:
        return None
    return (case.act(Act.RECORD, f"by hand: {case.task.recorded or 'first words'} -> {standing.state}"),)


def ticked(case: Case) -> Decision | None:
    """A person ticked the box: stop watching, change no state. What is done is closed as always."""
    if not case.look.entry.ticked or case.task.state is State.DONE:
        return None
    return (case.act(Act.UNWATCH, f"ticked off by hand while {case.task.state}"),)


def closed(case: Case) -> Decision | None:
    """Cancelled or dead: end what still runs, remove the line; a group waits for its last member."""
    if case.task.state not in (State.CANCELLED, State.DEAD):
        return None
    if case.look.run and case.look.run.alive:
        return (case.act(Act.STOP, f"{case.task.state}, its run is still alive"),)
    if case.task.state is State.DEAD and case.look.place is Place.STATUS:
        return (case.act(Act.DEAD_LETTER, "the move to dead-letter/ was cut short"),)
    return WAIT if case.task.group else (case.act(Act.CLOSE, case.task.state.value),)


def worker_result(case: Case) -> Decision | None:
    """A worker's run has ended: its result file moves the task, exit code 0 alone does not."""
    run, result = case.look.run, case.look.result
    if case.task.label is None or run is None or run.alive or run.ended is None or _has_ended(case.task):
        return None
    if result is not None and result.run in (None, run.id):
        return (case.act(Act.FINISH, f"its worker reports {result.status}", what="result"),)
    return (_failed(case, f"{_how(case)} and left no checkpoints/subagent-{case.task.label}.md"),)


def run_ended(case: Case) -> Decision | None:
    """Its run ended without a word in the file: failed, with exit code and the end of the output."""
    run = case.look.run
    if case.task.label or run is None or run.alive or run.ended is None or _has_ended(case.task):
        return None
    if case.task.state is State.BLOCKED:
        return None
    return (_failed(case, f"{_how(case)} without a result in the status file"),)


def _has_ended(task: Task) -> bool:
    return task.state in (State.REVIEW, State.DONE, State.FAILED, State.DEAD, State.CANCELLED)


def _how(case: Case) -> str:
    run = case.look.run
    assert run is not None
    return f"run {run.id} {run.reason or 'ended'}" + (f" (exit {run.exit})" if run.exit is not None else "")


def _failed(case: Case, why: str) -> Action:
    tail = case.look.run.tail if case.look.run else ""
    return case.act(Act.FAIL, why, what="fail", text=tail)


# --- backlog


def backlog(case: Case) -> Decision | None:
    """Deliver, wait for the acknowledgement, send again, hand to the next agent, escalate: in this order."""
    if case.task.state is not State.BACKLOG:
        return None
    if case.task.not_before and case.now < case.task.not_before:
        return WAIT
    if case.agent is None:
        return _route_anew(case, "nobody is named")
    message = case.look.message
    if message is None:
        return (case.act(Act.DELIVER, "no message for this attempt yet"),)
    if (case.look.run and case.look.run.alive) or _lane_is_alive(case) or _waits_for_its_turn(case):
        return WAIT
    if not _ack_overdue(case):
        return WAIT
    if message.sends < case.snap.settings.heartbeat.sends:
        return (case.act(Act.RESEND, f"not acknowledged within {case.snap.settings.heartbeat.ack}"),)
    if case.look.box is not Box.NEW:
        text = f"{case.task.id}: {case.agent} read the message but never acknowledged it"
        return _escalate(case, "unacked", text) or WAIT
    return _route_anew(case, f"{case.agent} did not read {message.sends} sends")


def _lane_is_alive(case: Case) -> bool:
    """Whether any run holds the agent's session; a worker's run has a session of its own."""
    if case.task.label:
        return bool(case.look.run and case.look.run.alive)
    return any(run.agent == case.agent for run in case.snap.live)


def _waits_for_its_turn(case: Case) -> bool:
    """Delivered to an agent that is woken by us, but not woken yet: its clock has not begun."""
    agent = case.snap.settings.agents.get(case.agent) if case.agent else None
    return bool(agent and agent.runtime is not Runtime.INBOX and case.look.box is Box.NEW and case.look.run is None)


def _ack_overdue(case: Case) -> bool:
    """Counted from the wake: an agent that had to wait for its turn is not late."""
    message, run = case.look.message, case.look.run
    assert message is not None
    ack = case.snap.settings.heartbeat.ack
    waits = [message.ack_by] + [t + ack for t in (message.sent, run.started if run else None) if t]
    return case.now >= max((t for t in waits if t), default=case.now)


def _route_anew(case: Case, why: str) -> Decision:
    """The next agent of the route; the coordinator for `self`; at its end, escalate."""
    tried = (*case.snap.tried.get(case.task.id, ()), *((case.agent,) if case.agent else ()))
    choice = routing.pick(case.snap.settings, case.task.type, tried=tried)
    if choice is not None and choice.agent not in tried:
        return (case.act(Act.NEXT_AGENT, why, choice.agent, what="next"),)
    return _escalate(case, "no-one-left", f"{case.task.id}: {why}, and its route names nobody else") or WAIT


# --- in progress


def liveness(look: Look, snap: Snapshot, now: datetime) -> Liveness:
    """What is seen of the holder, in one word. Times in the future count as now."""
    if look.task and look.task.label and look.result and look.run and not look.run.alive:
        return Liveness.REPORTED_UNDELIVERED
    if look.run and look.run.alive:
        return Liveness.WORKING
    if look.run and look.run.ended:
        return Liveness.DEAD
    word = last_word(look, now)
    if word and now - word < snap.settings.heartbeat.silent:
        return Liveness.WORKING
    lease = look.task.lease if look.task else None
    renewed = (
        max(t for t in (lease, word + snap.settings.heartbeat.lease if word else None) if t) if lease or word else None
    )
    return Liveness.QUIET if renewed and now < renewed else Liveness.SUSPECT


def last_word(look: Look, now: datetime) -> datetime | None:
    """The agent's newest sign of life; never later than now."""
    signs = [look.last_word, look.task.updated if look.task else None, look.run.started if look.run else None]
    return min(max((t for t in signs if t), default=now), now) if any(signs) else None


def in_progress(case: Case) -> Decision | None:
    """Wait for the ETA; look again later while there is work to see; nudge once; escalate."""
    if case.task.state is not State.IN_PROGRESS:
        return None
    if not case.due:
        return WAIT
    eta = case.task.eta
    if eta and case.now < eta:
        return (case.act(Act.WAIT_UNTIL, "its ETA is ahead", at=eta),)
    seen = liveness(case.look, case.snap, case.now)
    if seen is Liveness.WORKING:
        return (_later(case, f"{seen}: written to since the last check"),)
    agent = case.agent or case.snap.settings.coordinator
    if not case.was_told(agent, case.key("nudge")):
        text = (
            f"{case.task.id} is in progress with you and has been {seen} for a while. "
            f"Write how it stands into status/{case.task.id.lower()}.md, or run `clawfiles beat {case.task.id}`."
        )
        return (case.act(Act.NUDGE, seen.value, agent, "nudge", text=text, kind=Kind.STEER), _later(case, seen.value))
    text = f"{case.task.id}: {agent} is {seen}, and a nudge did not help"
    return (*(_escalate(case, "silent", text) or WAIT), _later(case, seen.value))


def _later(case: Case, why: str = "looked at") -> Action:
    return case.act(Act.EXTEND, why, at=next_check(case))


def next_check(case: Case) -> datetime:
    """Now plus the interval; with a ladder, the rung for the time since the task was sent."""
    ladder = case.snap.settings.heartbeat.check
    since = case.look.message.sent if case.look.message and case.look.message.sent else case.now
    climbed = timedelta()
    for rung in ladder:
        climbed += rung
        if case.now - since < climbed:
            return case.now + rung
    return case.now + ladder[-1]


# --- blocked, review


def blocked(case: Case) -> Decision | None:
    """An answer wakes the agent by itself; a need is asked for once; anything else is escalated once."""
    if case.task.state is not State.BLOCKED:
        return None
    need, agent = case.task.need, case.agent
    if need is not None and need.agent in case.snap.settings.agents:
        ask = f"ask.{need.agent}"
        if not case.was_told(need.agent, case.key(ask)):
            return (
                case.act(
                    Act.ASK, f"{agent} needs {need.agent}", need.agent, ask, text=need.question, kind=Kind.QUESTION
                ),
            )
        if agent and case.was_told(agent, case.key(f"{ask}.answer")):
            return WAIT
        if not case.due:
            return WAIT
        text = f"{case.task.id}: {agent} waits for {need.agent}, who has not answered: {need.question}"
        return (*(_escalate(case, "unanswered", text) or WAIT), _later(case, "unanswered"))
    text = f"{case.task.id} is blocked: {case.task.reason or 'no note of what is missing'}"
    return _escalate(case, "blocked", text) or WAIT


def review(case: Case) -> Decision | None:
    """Tell the reviewer once, with the outputs; then wait."""
    if case.task.state is not State.REVIEW:
        return None
    reviewer = case.reviewer or case.snap.settings.coordinator
    if case.was_told(reviewer, case.key("review")):
        return WAIT
    outputs = ", ".join(case.task.outputs) or "no outputs named"
    text = (
        f"{case.task.id} ({case.task.title}) by {case.agent} is ready for your review: {outputs}. "
        f"{case.task.summary or ''} Then `clawfiles approve {case.task.id}` or "
        f'`clawfiles reopen {case.task.id} "why"`.'
    )
    return (case.act(Act.REVIEW, "ready for review", reviewer, "review", text=text, kind=Kind.TASK),)


# --- failed


def failed(case: Case) -> Decision | None:
    """Out of attempts: a dead letter. Else the next attempt, after the backoff and if the agent's breaker lets it."""
    if case.task.state is not State.FAILED:
        return None
    # Before the breaker's rows: an agent that failed a task's last attempt must not keep it from becoming a dead letter.
    if not case.attempts_left:
        return (case.act(Act.DEAD_LETTER, f"{case.task.failures} failures: {case.task.reason or 'no reason given'}"),)
    settings = case.snap.settings
    outcomes = case.snap.outcomes.get(case.agent, ()) if case.agent else ()
    breaker = resilience.breaker(outcomes, settings.limits.breaker, settings.limits.breaker_pause, case.now)
    if breaker.state == "open":
        tried = (*case.snap.tried.get(case.task.id, ()), *((case.agent,) if case.agent else ()))
        choice = routing.pick(settings, case.task.type, tried=tried)
        if choice is None or choice.agent in tried or case.task.label:
            return WAIT
        return (case.act(Act.NEXT_AGENT, f"the breaker of {case.agent} is open", choice.agent, what="next"),)
    since = case.task.updated or case.now
    pause = resilience.backoff(settings.heartbeat.backoff, max(case.task.failures, 1), jitter=0.0)
    if case.now < since + pause:
        return WAIT
    return (case.act(Act.RETRY, f"failure {case.task.failures}, {pause.total_seconds():g} s of backoff are over"),)


# --- done


def done(case: Case) -> Decision | None:
    """What was promised is looked at; then the requester is told and the line goes."""
    if case.task.state is not State.DONE:
        return None
    if case.look.place is Place.STATUS:
        missing = ", ".join(case.look.missing)
        if missing:
            return _redo(case, f"promised outputs are missing: {missing}")
        checked = _verified(case)
        if checked is not None:
            return checked
    if case.task.group:
        return WAIT  # the group's report closes it
    told = [who for who in _audience(case) if not case.was_told(who, case.key("done"))]
    text = f"{case.task.id} ({case.task.title}) is done by {case.agent}." + _outcome(case.task)
    inform = [case.act(Act.INFORM, "done", who, "done", text=text, kind=Kind.ANNOUNCE) for who in told]
    return (*inform, case.act(Act.CLOSE, "done, and everybody who follows it was told"))


def _outcome(task: Task) -> str:
    outputs = f" Outputs: {', '.join(task.outputs)}." if task.outputs else ""
    return (f" {task.summary.rstrip('.')}." if task.summary else "") + outputs


def _audience(case: Case) -> list[AgentId]:
    """Requester, spawner and followers, each once, but not the agent that did it."""
    requester = case.task.spawner or case.task.requested_by or case.snap.settings.coordinator
    known = [who for who in (requester, *case.task.followers) if who in case.snap.settings.agents]
    return [who for who in dict.fromkeys(known) if who != case.agent]


def _redo(case: Case, why: str) -> Decision:
    """Once, the same agent is woken again; a second time it is escalated."""
    key = Key(f"{case.task.id.lower()}.redo")  # of the task, not of the attempt: reopening starts a new one
    if not case.was_told(case.boss, key):
        text = f"{case.task.id} goes back to {case.agent}: {why}"
        return (replace(case.act(Act.REOPEN, why, case.boss, text=text, kind=Kind.ANNOUNCE), key=key),)
    return _escalate(case, "redo2", f"{case.task.id}: {why}, for the second time") or WAIT


def _verified(case: Case) -> Decision | None:
    """None when the route's own check passed or there is none; otherwise what to do about it."""
    route = case.snap.settings.routes.get(case.task.type) if case.task.type else None
    if route is None or not route.verify:
        return None
    run = case.look.verify
    if run is None:
        return (case.act(Act.VERIFY, "the route names a check", what="verify"),)
    if run.alive or run.ended is None:
        return WAIT
    return (
        None if run.exit == 0 else _redo(case, f"`{' '.join(route.verify)}` ended with {run.exit}: {run.tail[-300:]}")
    )


# --- escalation


def _escalate(case: Case, what: str, text: str, start: AgentId | None = None) -> Decision | None:
    """One step up `reports_to`, told once; further up when it lies unread longer than an acknowledgement may take."""
    settings = case.snap.settings
    key = case.key(what)
    to: AgentId | None = start or _first_boss(case)
    seen: set[AgentId] = set()
    while to is not None and to not in seen:
        seen.add(to)
        told = case.snap.told.get(f"{to}/{key}")
        if told is None:
            return (case.act(Act.ESCALATE, text, to, what, text=text, kind=Kind.ANNOUNCE),)
        if told.box is not Box.NEW or told.sent is None or case.now - told.sent < settings.heartbeat.ack:
            return None
        to = settings.reports_to(to)
    return None


def _first_boss(case: Case) -> AgentId:
    settings = case.snap.settings
    agent = settings.agents.get(case.agent) if case.agent else None
    if agent is None or agent.kind is AgentKind.WORKER:
        return case.boss
    return settings.reports_to(agent.name) or settings.coordinator


ROWS: tuple[Row, ...] = (
    pending,
    unreadable,
    conflict,
    unknown_agent,
    carried,
    recorded,
    ticked,
    closed,
    worker_result,
    run_ended,
    backlog,
    in_progress,
    blocked,
    review,
    failed,
    done,
)
