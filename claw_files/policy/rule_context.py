"""The context of one ledger line: all facts for its rows, and helpers shared by rows."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from msgspec.structs import replace

from claw_files.config import Settings
from claw_files.core import text as words
from claw_files.core.digest import digest
from claw_files.core.keys import Key, task_key
from claw_files.core.model import AgentId, Box, KeyText, Kind, Run, State, Task, Value
from claw_files.policy import acknowledgement, budgets, escalation, liveness, manual_edits, resilience, routing
from claw_files.policy.snapshot import Act, Action, Snapshot, TaskEvidence, standing_of

Decision = tuple[Action, ...]
WAIT: Decision = ()


class WaitReason(tuple[Action, ...]):
    """No action, with the reason for explanations."""

    why: str = ""

    def __new__(cls, why: str) -> "WaitReason":
        made = super().__new__(cls)
        made.why = why
        return made


class RuleContext(Value, frozen=True):
    """One entry with all facts for its rows; the rows are functions of it."""

    look: TaskEvidence
    snap: Snapshot
    now: datetime
    task: Task  # in its effective state; a line without a file means a task in backlog
    standing: manual_edits.ManualEdit

    @property
    def agent(self) -> AgentId | None:
        return self.task.assignee or self.look.entry.agent

    @property
    def boss(self) -> AgentId:
        """The receiver of the result: the line's spawner, else the coordinator; above workers the first non-worker."""
        if self.look.asker:
            return self.look.asker.boss
        return self.look.entry.spawner or self.snap.settings.coordinator

    @property
    def reviewer(self) -> AgentId | None:
        return routing.reviewer(self.snap.settings, self.task.type, self.agent)

    @property
    def due(self) -> bool:
        return self.look.entry.at is None or self.look.entry.at <= self.now

    @property
    def run(self) -> Run | None:
        """The run that speaks for this attempt, alive or ended."""
        return liveness.current_run(self.look)

    @property
    def is_running(self) -> bool:
        """Whether any run works on the task, even of an earlier attempt: no second one may start."""
        run = self.run
        return bool(run and run.alive) or any(self._is_at_it(run) for run in self.snap.live)

    def _is_at_it(self, run: Run) -> bool:
        # A review run, or a run that answers a question, also names the task, but does not do its work.
        return run.task == self.task.id and (run.agent == self.agent or Key.parse(run.key).is_attempt)

    @property
    def is_woken(self) -> bool:
        """Whether clawfiles starts the runs of the entry's agent."""
        return self.snap.settings.is_woken(self.agent)

    @property
    def waits_for_its_turn(self) -> bool:
        """Delivered to an agent that clawfiles wakes, but not woken yet: no deadline runs."""
        return self.is_woken and self.look.box is Box.NEW and self.look.run is None

    @property
    def traces(self) -> tuple[acknowledgement.Trace, ...]:
        """The traces of the attempt, newest first."""
        return acknowledgement.traces(self.look, self.agent, self.is_woken)

    @property
    def breaker(self) -> resilience.Breaker:
        """The breaker of the entry's agent."""
        return breaker_of(self.snap, self.agent, self.now)

    def key(self, what: str = "") -> KeyText:
        """The key of something done for this attempt: "tc-89.1", "tc-89.1.nudge"."""
        return task_key(self.task, what)

    def is_held_back(self, key: str) -> bool:
        """Whether the worker that gets the result is between two attempts, and was not notified yet."""
        asker = self.look.asker
        return asker is not None and asker.waits and not any(self.was_told(it, key) for it in asker.passed)

    def was_told(self, agent: AgentId, key: str) -> bool:
        return self.snap.told.get(f"{agent}/{key}") is not None

    def when(self, at: datetime) -> str:
        """The instant in the workspace's time zone."""
        return words.render_for_people(at, self.now, self.snap.settings.workspace.zone)

    def act(self, act: Act, why: str, agent: AgentId | None = None, what: str = "", **more: Any) -> Action:
        """An action on this entry's task."""
        who, entry = self.agent if agent is None else agent, self.look.entry
        return Action(act=act, task=self.task.id, agent=who, key=self.key(what), why=why, entry=entry, **more)

    def later(self, why: str = "looked at") -> Action:
        """Look again after the interval."""
        return self.act(Act.EXTEND, why, at=self.next_check())

    def next_check(self) -> datetime:
        """Now plus the interval; with a ladder, the rung for the time since the task was sent."""
        ladder = self.snap.settings.heartbeat.check
        since = self.look.message.sent if self.look.message and self.look.message.sent else self.now
        climbed = timedelta()
        for rung in ladder:
            climbed += rung
            if self.now - since < climbed:
                return words.next_look(self.now, rung)
        return words.next_look(self.now, ladder[-1])

    def route_anew(self, why: str, skip_broken: bool = False) -> Decision:
        """The next agent of the route, the coordinator for `self`; empty if there is no other agent.

        Agents whose budget is used up are passed over; with `skip_broken`, so are those whose own breaker is open. The
        key is that of the new attempt's message.
        """
        mine = (self.agent,) if self.agent else ()
        tried = (*self.snap.tried.get(self.task.id, ()), *mine)
        urgent, loads = routing.is_urgent(self.task), self.snap.loads
        while choice := routing.pick(self.snap.settings, self.task.type, tried, urgent, loads):
            is_broken = skip_broken and breaker_of(self.snap, choice.agent, self.now).state == "open"
            if not is_broken and not budgets.used_up(self.snap.settings, self.snap.spent, choice.agent):
                key = task_key(replace(self.task, attempt=self.task.attempt + 1))
                return (replace(self.act(Act.NEXT_AGENT, why, choice.agent), key=key),)
            tried = (*tried, choice.agent)
        return WAIT

    def escalate(self, what: str, text: str, start: AgentId | None = None) -> Decision:
        """One step up `reports_to`, once; further up if the notice is unread for longer than `ack`."""
        first = start or self.first_boss
        to = escalation.next_to_tell(self.snap.settings, self.snap.told, self.key(what), first, self.now)
        if to is None or (to == self.agent and self.snap.settings.is_human(to)):
            return WaitReason(f"{to or first} knows: {text}")  # agents are not notified of their own inaction
        return (self.act(Act.ESCALATE, text, to, what, text=text, kind=Kind.QUESTION),)

    @property
    def requester(self) -> AgentId:
        """The requester; for a worker the receiver of its result; the coordinator for an unknown one."""
        settings, asker = self.snap.settings, self.look.asker
        who = self.look.entry.spawner or self.task.spawner or self.task.requested_by or settings.coordinator
        who = asker.agent if asker else who
        return who if who in settings.agents else settings.coordinator

    @property
    def first_boss(self) -> AgentId:
        """The first agent to notify of a problem with the entry's agent; for a worker, its spawner."""
        settings = self.snap.settings
        if self.agent not in settings.agents or settings.is_worker(self.agent):
            return self.boss
        return settings.reports_to(self.agent) or settings.coordinator


def case_of(look: TaskEvidence, snap: Snapshot, now: datetime) -> RuleContext:
    """The entry with its effective state after edits by hand."""
    found = look.task or Task(id=look.entry.task, assignee=look.entry.agent)
    is_reviewed = routing.reviewer(snap.settings, found.type, found.assignee) is not None
    standing = manual_edits.stand(found, is_reviewed, standing_of(look.before))
    return RuleContext(look=look, snap=snap, now=now, task=replace(found, state=standing.state), standing=standing)


def listed(texts: Iterable[str]) -> str:
    """Quoted items, separated by commas: outputs, for example."""
    return ", ".join(words.said(text) for text in islice(texts, 20))


def mark(text: str) -> str:
    """A short digest of a text, for keys of notices that are sent once per text."""
    return digest(text.encode(), 4)


def breaker_of(snap: Snapshot, agent: AgentId | None, now: datetime) -> resilience.Breaker:
    """The agent's breaker now; closed without an agent."""
    limits = snap.settings.limits
    outcomes = snap.outcomes.get(agent, ()) if agent else ()
    return resilience.breaker(outcomes, limits.breaker, limits.breaker_pause, now)


def lane(settings: Settings, agent: AgentId, key: str) -> str:
    """The session of a run: the agent's own, or for a worker a separate one per task."""
    is_lasting = agent in settings.agents and not settings.is_worker(agent)
    return settings.agents[agent].session if is_lasting else f"{agent}/{key}"


def time_limit(task: Task, run: Run) -> timedelta | None:
    """The time limit of a worker's run. The task's limit, from its start, may be shorter."""
    return task.timeout or run.timeout or (task.size.limit if task.size else None)


def may_try_again(task: Task, settings: Settings) -> bool:
    """Whether the task has attempts left."""
    return task.failures < (task.attempts or settings.heartbeat.attempts)


def has_ended(task: Task) -> bool:
    """Whether the file gives an end of the attempt."""
    return task.state in (State.REVIEW, State.DONE, State.FAILED, State.DEAD, State.CANCELLED)
