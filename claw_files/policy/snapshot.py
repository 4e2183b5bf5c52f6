"""The snapshot that a tick reads, and the actions it can plan: the values on both sides of `plan_tick`."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

import msgspec

from claw_files.config import Settings
from claw_files.core.event import EventQueue, SourceMark
from claw_files.core.journal_events import JournalEvent
from claw_files.core.model import (
    AgentId,
    Box,
    Entry,
    Kind,
    Message,
    Post,
    Report,
    Result,
    Run,
    State,
    Task,
    TaskId,
    Value,
)
from claw_files.policy.due_times import EventMarks
from claw_files.policy.flow_tree import Asker
from claw_files.policy.pools import AgentLoad
from claw_files.policy.resilience import RunOutcome
from claw_files.policy.workflow_plan import WorkflowRun

LINES = "ledger lines"  # the planner whose actions are planned anew under the lock of their task


class FilePlace(StrEnum):
    """The folders of a task's file."""

    STATUS = "status"
    ARCHIVE = "archive"
    DEAD_LETTER = "dead-letter"


class ToldMark(Value, frozen=True):
    """The record that an agent has a notice: the message with that key, in any box."""

    box: Box
    sent: datetime | None = None


class ToldMarks(Protocol):
    """The notices that agents have, by "agent/key". Only requested keys are looked up, so it cannot be iterated."""

    def get(self, name: str, /) -> ToldMark | None:
        """The mark, or None where the agent was not told of the key."""
        ...


class NotedMarks:
    """The notices, with a record of the requested and found ones; recorded ones count as sent."""

    def __init__(self, told: ToldMarks) -> None:
        self._told = told
        self.found: dict[str, ToldMark] = {}

    def get(self, name: str, /) -> ToldMark | None:
        """The mark, or None."""
        mark = self.found.get(name) or self._told.get(name)
        if mark:
            self.found[name] = mark
        return mark


MOST_BEFORE = 1000  # of the tasks that one task names in its `after`


class Predecessor(Value, frozen=True):
    """An unfinished predecessor of a task; without a state its file cannot be read."""

    task: TaskId
    state: State | None = None
    is_missing: bool = False

    @property
    def is_over(self) -> bool:
        """Whether the task ended without being done."""
        return self.state in (State.CANCELLED, State.DEAD)

    @property
    def stands(self) -> str:
        """The task's state, in a few words."""
        if self.state is None:
            return "missing" if self.is_missing else "cannot be read"
        return self.state.value.replace("_", " ") + (", not verified" if self.state is State.DONE else "")


def standing_of(unmet: Iterable[Predecessor]) -> str:
    """Each task with its state: "TC-1 (in progress), TC-2 (missing)"."""
    return ", ".join(f"{it.task} ({it.stands})" for it in unmet)


class ReadMark(Value, frozen=True):
    """The journal's record of a message that was read and is missing since."""

    path: str  # of the journal's file
    at: datetime


class TaskEvidence(Value, frozen=True):
    """Everything that a tick read for one ledger line. The run is read before the files it may have written."""

    entry: Entry
    held: bool = False  # a command that died has ticked its box, and nobody has changed the line since
    task: Task | None = None  # None: neither in status/, archive/ nor dead-letter/
    place: FilePlace | None = None
    path: str = ""  # of the status file
    modified: datetime | None = None  # the status file's own time
    claimed: bool = False  # the claim log says so of this attempt; looked up where the file was changed
    unreadable: str | None = None  # why the status file cannot be understood, or that it is gone
    gone: bool = False  # there is no status file, but something else knows the task
    pending: bool = False  # it is empty or half saved, and young: wait
    digest: str | None = None  # of the status file
    last_word: datetime | None = None  # newest change to status file, reports, checkpoint or result
    reports: tuple[Report, ...] = ()
    result: Result | None = None
    message: Message | None = None  # the task message of the current attempt
    box: Box | None = None
    read: ReadMark | None = None  # of the attempt's message, where it is gone; looked up before it would be sent
    run: Run | None = None  # the newest run for this attempt
    missing: tuple[str, ...] = ()  # promised outputs that are not there; looked up only for finished tasks
    verify: Run | None = None  # the route's own check, if it was started
    note: str = ""  # the last one of the holder, while a person follows the task
    announced: datetime | None = None  # when its progress was announced last
    critical: tuple[str, ...] = ()  # what its file calls critical, and the coordinator was not told of
    warned: datetime | None = None  # when the coordinator was told of something critical in it last
    asker: Asker | None = None  # who hears of it, where a worker spawned it
    before: tuple[Predecessor, ...] = ()  # what it comes after and is not done; looked up only while it waits for that
    next_turn: AgentId | None = None  # of an open session: who sent the next message, if there is one


class MonthSpending(Value, frozen=True):
    """The reported cost of the current month so far."""

    month: str  # "2026-03", in the workspace's zone
    total: float = 0.0
    agents: Mapping[AgentId, float] = {}


class Snapshot(Value, frozen=True):
    """The workspace at one moment, as far as the ledger names it."""

    settings: Settings
    looks: tuple[TaskEvidence, ...] = ()
    told: ToldMarks = msgspec.field(default_factory=dict[str, ToldMark])
    live: tuple[Run, ...] = ()
    elsewhere: tuple[Run, ...] = ()  # alive in other places under the same limits: they count, and are not told of
    waiting: tuple[Message, ...] = ()  # in new/ of agents woken by a command, without a run yet, in order of their ids
    waiting_elsewhere: tuple[Message, ...] = ()  # the same
    outcomes: Mapping[AgentId, tuple[RunOutcome, ...]] = {}
    tried: Mapping[TaskId, tuple[AgentId, ...]] = {}
    ready: tuple[Task, ...] = ()  # for `auto`: backlog, nobody's, everything before it done; best first
    faults: tuple[str, ...] = ()  # paths of what failed in a corner, and of folders that cannot be looked into
    marks: Mapping[str, EventMarks] = {}  # by the names of schedules, also of those that are configured no more
    held: Mapping[AgentId, tuple[Message, ...]] = {}
    outbox: tuple[Post, ...] = ()  # what is still to be delivered outside of the workspace
    closed: tuple[tuple[AgentId, str, str], ...] = ()  # `file:` channels that something waits for and cannot be written
    spawned: tuple[datetime, ...] = ()  # when workers were started, for the rate
    started: Mapping[str, tuple[datetime, ...]] = {}  # model -> when runs with it were started, for its rate
    loads: Mapping[AgentId, AgentLoad] = {}  # where a task here may go to a pool; else nobody asks
    spent: MonthSpending | None = None  # where there are budgets and something waits; else nobody asks
    events: EventQueue = EventQueue()
    runs: tuple[WorkflowRun, ...] = ()  # of workflows, those of which something may have ended
    sources: Mapping[str, SourceMark] = {}  # of those that are configured, by name
    events_full: bool = False  # where there are sources; else nobody asks
    planned: "tuple[Action, ...]" = ()  # by the planners before; empty in what is read
    caused: Mapping[str, int] = {}  # the runs that each root message of what waits has led to


Act = JournalEvent  # what a tick can do is journalled under the same name


# A message to somebody, whose file name is its key.
TELLS = (Act.NUDGE, Act.ASK, Act.REVIEW, Act.ESCALATE, Act.INFORM, Act.PROGRESS, Act.CRITICAL)


class Action(Value, frozen=True):
    """One decision, with the key that makes it happen once and the reason for the journal."""

    act: Act
    task: TaskId | None = None
    agent: AgentId | None = None  # whom it concerns
    key: str = ""
    why: str = ""
    at: datetime | None = None  # the new check time, the occurrence
    kind: Kind | None = None
    text: str = ""  # what is told
    entry: Entry | None = None
    planner: str = LINES  # which planner decided it
    details: dict[str, Any] = msgspec.field(default_factory=dict)

    @property
    def is_of_line(self) -> bool:
        """Whether the action belongs to one ledger line, which is planned again before each of its actions."""
        return self.planner == LINES

    def as_json(self) -> dict[str, str | None]:
        """The five keys that `heartbeat --json` promises."""
        return {"action": self.act.value, "task": self.task, "agent": self.agent, "key": self.key, "why": self.why}


def tell_once(snap: Snapshot, to: AgentId, key: str, why: str, text: str, task: TaskId | None = None) -> list[Action]:
    """The message to `to` with this key; empty if it was sent already."""
    if snap.told.get(f"{to}/{key}") is not None:
        return []
    return [Action(act=Act.ESCALATE, task=task, agent=to, key=key, why=why, text=text, kind=Kind.ANNOUNCE)]
