"""The values of the domain: frozen, independent of files and clocks.

Instants are aware UTC datetimes, lengths are timedeltas, closed sets are enums. Text is checked once where it enters
(`claw_files.core.text`), then trusted. `docs/glossary.md` defines each noun.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import NewType

import msgspec

from claw_files.core.journal_events import JournalEvent, Reason

TaskId = NewType("TaskId", str)  # canonical spelling, upper case: "TC-47"; file names use it in lower case
AgentId = NewType("AgentId", str)  # lower case: "peter"
RunId = NewType("RunId", str)  # "tc-89.1-s1": the key of the message that woke the agent, and which send it was
KeyText = NewType("KeyText", str)  # what makes an action happen once; claw_files.core.keys takes it apart


class Value(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of every value here. `msgspec.structs.replace(value, field=...)` returns a changed copy."""


class State(StrEnum):
    """The state of a task. The moves between states are in `claw_files.policy.transitions`."""

    BACKLOG = "backlog"
    IN_PROGRESS = "in_progress"
    REVIEW = "review"
    DONE = "done"
    BLOCKED = "blocked"
    FAILED = "failed"  # one attempt failed; the heartbeat decides what follows
    DEAD = "dead"  # out of attempts, in dead-letter/
    CANCELLED = "cancelled"

    @property
    def is_closed(self) -> bool:
        """Whether the task's state is final unless a person reopens it."""
        return self in (State.DONE, State.DEAD, State.CANCELLED)


class AgentKind(StrEnum):
    NAMED = "named"  # persistent, messaged
    WORKER = "worker"  # spawn-only: one run, one result, then gone
    HUMAN = "human"  # a person, reached by channels


class Kind(StrEnum):
    """The purpose of a message."""

    TASK = "task"
    QUESTION = "question"
    ANSWER = "answer"
    STEER = "steer"
    ANNOUNCE = "announce"
    PING = "ping"


class Size(StrEnum):
    """The time limit of a spawned worker."""

    S = "S"
    M = "M"
    L = "L"

    @property
    def limit(self) -> timedelta:
        """300, 600 or 1200 seconds."""
        return timedelta(seconds={"S": 300, "M": 600, "L": 1200}[self.value])


class Stay(StrEnum):
    """Whether the session of a worker takes messages."""

    OPEN = "open"
    CLOSED = "closed"


AFTER_LIMIT = timedelta(minutes=2)  # a worker is looked at once, this long after its time limit, never in a loop


class Liveness(StrEnum):
    """The state of a holder as the tick saw it, in one word."""

    WORKING = "working"
    QUIET = "quiet"  # no word for longer than `silent`
    SUSPECT = "suspect"  # quiet, and the lease is over
    DEAD = "dead"  # its run ended, or is gone, without a result
    REPORTED_UNDELIVERED = "reported-undelivered"  # a worker's result lies there, the task does not say so yet


class Unclear(Value, frozen=True):
    """Words that say something about a task and were not understood: kept, named once, never guessed at."""

    path: str  # relative to the workspace
    line: int  # from 1, in the whole file
    text: str  # the words as they stand there, at most 200 characters
    hint: str  # one sentence: what to write instead


class Need(Value, frozen=True):
    """A blocked task's question to another agent."""

    agent: AgentId
    question: str


class Task(Value, frozen=True):
    """One parsed status file. `formats.status` reads and renders it; unknown keys stay in the file."""

    id: TaskId
    title: str = ""
    state: State = State.BACKLOG  # what the file says now: front matter, or newer words in the body
    recorded: State | None = None  # what clawfiles wrote last; differs from `state` after an edit by hand
    assignee: AgentId | None = None
    requested_by: AgentId | None = None
    followers: tuple[AgentId, ...] = ()
    type: str | None = None
    priority: str | None = None  # as written; `core.text.rank` orders it
    estimate: timedelta | None = None
    after: tuple[TaskId, ...] = ()
    parent: TaskId | None = None  # the task inside whose run this one was made
    outputs: tuple[str, ...] = ()
    summary: str | None = None
    attempt: int = 1
    attempts: int | None = None  # how many in all, where it differs from the configuration
    failures: int = 0
    generation: int = 0  # rises with every move that takes the task away; a holder's write names it
    superseded: int | None = None  # looked up: the file is the old copy of a holder with this generation
    stranger: str | None = None  # looked up: what in the file shows that its holder did not write it
    lease: datetime | None = None  # when to look at the holder again, not when to take away
    eta: datetime | None = None
    not_before: datetime | None = None  # backoff: the next attempt starts no earlier
    reason: str | None = None  # why it is blocked, failed, reopened or cancelled
    need: Need | None = None
    created: datetime | None = None
    updated: datetime | None = None
    completed: datetime | None = None
    verified: datetime | None = None  # when a tick saw that what is done keeps what it promised
    # a spawned worker's contract
    label: str | None = None
    size: Size | None = None
    timeout: timedelta | None = None
    spawner: AgentId | None = None
    model: str | None = None
    cwd: str | None = None
    sandbox: str | None = None  # "require": it runs in one or not at all
    group: str | None = None  # spawned together: one combined report for the spawner
    group_size: int | None = None
    asked: str | None = None  # what tells its question from others, where its route answers again from a cache
    cached_from: TaskId | None = None  # the task whose result this is: no run of its own found it
    session: Stay | None = None  # of a worker that stays after its task: whether it may still be spoken to
    turn: int = 1  # which message of the session it works on, or has answered
    # of workflows
    workflow: str | None = None  # of a run: the workflow that it follows; the heartbeat does its work
    workflow_version: int | None = None  # ... its number; None for a text that is no file of the workspace
    workflow_hash: str | None = None  # ... and the SHA-256 of the copy that it follows
    workflow_key: str | None = None  # ... and what it was begun with: the same key begins no second run
    flow: TaskId | None = None  # of a step: the run
    step: str | None = None  # ... and the step's name
    choices: tuple[str, ...] = ()  # one of these words has to be the answer
    answer: str | None = None  # the word with which it ended
    event: str | None = None  # what started it: mark and type of the event, as its file is called
    # read with the file, never written into it
    state_line: int | None = None  # where `state` stands, from 1; None where the file does not say
    unclear: tuple[Unclear, ...] = ()  # statements that are newer than `state` and were not understood
    overruled: tuple[str, ...] = ()  # terms in the file that do not count: the definition binds


class Lease(Value, frozen=True):
    """A holder's claim on one task, and when to check on the holder."""

    task: TaskId
    holder: AgentId
    generation: int
    until: datetime


class Verb(StrEnum):
    CHECK = "check"
    WAIT = "wait"


class Entry(Value, frozen=True):
    """One line of the ledger: a delegated task, and when to check it."""

    task: TaskId
    agent: AgentId | None = None  # None where the line names none: take the task's assignee
    spawner: AgentId | None = None  # `for peter`: who gets the result; None means the coordinator
    verb: Verb = Verb.CHECK
    at: datetime | None = None  # None: no time was written, so it is due now
    dated: bool = True  # False: a bare time, still to be written out with its date
    ticked: bool = False  # a person ticked the box
    unread: bool = False  # words stand where the time should, and they were not understood: they are never rewritten
    unclear: Unclear | None = None  # what in the line is not understood; it is watched none the less
    line: str = ""  # the whole line as it stands, without its line ending; edits match this text, never a number


class Box(StrEnum):
    """The folder of an inbox that has a message."""

    NEW = "new"
    CUR = "cur"
    DONE = "done"


class Message(Value, frozen=True):
    """One message file, identified by its key; an inbox never has two messages with one key."""

    id: str  # file name without .md: "20260307T084500Z-tc-89.1" for tasks, the key itself for what happens once
    key: KeyText
    kind: Kind
    sender: AgentId
    to: AgentId
    body: str = ""
    task: TaskId | None = None
    chain: tuple[AgentId, ...] = ()
    attempt: int | None = None
    generation: int | None = None  # reserved for the receiver's claim
    sent: datetime | None = None
    sends: int = 1
    ack_by: datetime | None = None
    reply_to: AgentId | None = None
    in_reply_to: str | None = None
    critical: bool = False
    status_hash: str | None = None  # of the status file when this was sent: unchanged means not acknowledged
    body_file: str | None = None  # a body over 10 KB lies here, relative to the workspace
    channels: dict[str, str] = {}
    run: RunId | None = None  # a correction for this run alone: it wakes nobody
    root: str | None = None  # the message at the beginning of all that led to this one; None: this one is it
    definition: dict[str, str] = {}  # of a task: what it asks for

    @property
    def origin(self) -> str:
        """Its root message, which may be itself."""
        return self.root or self.id

    @property
    def follows(self) -> bool:
        """Whether the message's run is not the first of its root."""
        return self.root is not None or self.sends > 1


class Post(Value, frozen=True):
    """One item for one external channel, in `outbox/` until it is delivered."""

    id: str  # file name without .md; the same for the same item, person and channel
    key: KeyText  # of the message, or of the brief
    to: AgentId
    channel: str  # its name, never its address
    title: str = ""
    body: str = ""
    queued: datetime | None = None
    critical: bool = False
    tries: int = 0  # that failed
    tried: datetime | None = None  # when it was tried last
    reason: str = ""  # why it failed
    had: tuple[str, ...] = ()  # the addresses of the channel that took it, by their number in it


DRAINED = "drained"  # the reason of a run that a daemon ended because it stopped: nobody failed


class Run(Value, frozen=True):
    """One run of an agent, from `runs/RUN-ID/run.md`."""

    id: RunId
    agent: AgentId
    key: KeyText
    task: TaskId | None = None
    generation: int | None = None
    epoch: str | None = None
    command: tuple[str, ...] = ()
    pid: int | None = None
    start_id: str | None = None  # boot id and start time: a pid alone may have been given to another process
    started: datetime | None = None
    timeout: timedelta | None = None
    ended: datetime | None = None
    exit: int | None = None  # negative: ended by that signal
    reason: str | None = None  # "exited", "timed out", "lost", DRAINED, "could not start: ..."
    usage: dict[str, str] = {}  # written by the tick that noted it in the journal
    tail: str = ""  # the last lines of its output
    alive: bool = False  # looked up, never read from the file


class Usage(Value, frozen=True):
    """The reported usage of work. Cost is in the reporter's currency; None: not reported."""

    input: int = 0  # tokens, those read from a cache included
    output: int = 0  # tokens, those of thinking included
    cached: int = 0  # of `input`
    cost: float | None = None
    model: str | None = None


class Result(Value, frozen=True):
    """The result of a spawned worker, from `checkpoints/subagent-LABEL.md`."""

    label: str
    status: State  # done or failed; partial work is failed with `partial` set
    partial: bool = False
    run: RunId | None = None
    task: TaskId | None = None
    agent: AgentId | None = None
    completed: datetime | None = None
    outputs: tuple[str, ...] = ()
    usage: dict[str, str] = {}
    cached_from: TaskId | None = None  # a copy of that task's result
    answer: str | None = None  # the word with which its step of a workflow ends
    body: str = ""


class Checkpoint(Value, frozen=True):
    """An agent's notes for a restart: completed tasks are skipped, those in progress are started again."""

    agent: AgentId
    updated: datetime | None = None
    completed: tuple[str, ...] = ()
    in_progress: tuple[str, ...] = ()
    pending: tuple[str, ...] = ()
    body: str = ""  # how to resume


class Report(Value, frozen=True):
    """An agent's statement about a task in its own file, never edited by clawfiles."""

    task: TaskId
    author: AgentId
    state: State
    at: datetime  # the file's time
    path: str
    eta: datetime | None = None
    note: str = ""
    critical: tuple[str, ...] = ()  # what a whole file on the task calls critical
    unclear: tuple[Unclear, ...] = ()  # the author's last words on it, where they were not understood


class Note(Value, frozen=True):
    """The note of a command that creates something, written before its first step (`system.command_notes`)."""

    nonce: str | None = None  # a name that is used once: its steps bear it
    again: bool = False  # an earlier try of the same command left it, and failed

    def key(self, part: str) -> str | None:
        """The key of one step, for several of a kind; None without a note."""
        return f"{self.nonce}-{part}" if self.nonce else None


class Facts(Value, frozen=True, kw_only=True):
    """The typed facts of a line of the journal. Programs read these, and never the sentence beside them."""

    task: TaskId | None = None
    agent: AgentId | None = None
    parent_agent: AgentId | None = None
    model: str | None = None
    key: str | None = None
    actor: AgentId | None = None
    epoch: str | None = None
    before: State | None = msgspec.field(name="from", default=None)  # the task's recorded state before a move
    after: State | None = msgspec.field(name="to", default=None)  # its state after the move
    usage: Usage | None = None
    reason: Reason | None = None


class Audit(Facts, frozen=True):
    """One line of the journal to be written: a decision or a write of clawfiles."""

    action: JournalEvent
    why: str = ""  # for people
