"""A parsed workflow: its steps, the agent of each, and the conditions under which it begins.

`formats.workflow_file` reads it, `policy.workflow_checks` says what is wrong with it, and `policy.workflow_plan`
decides what a run of it does next.
"""

from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from claw_files.core.errors import ClawError, InvalidFile
from claw_files.core.model import AgentId, Size, State, Value
from claw_files.core.text import safe

MOST_STEPS = 100
MOST_LISTED = 50  # choices, or paths, of a step
MOST_PROBLEMS = 100  # that are told at once
FILE_BYTES = 1 << 20
BUILT_IN = AgentId("workflow")  # whose task a run is: the heartbeat does its work

# The words that a step can end with, beside its choices.
DONE, FAILED, SKIPPED, ENDED = "done", "failed", "skipped", "ended"  # "ended" stands in conditions only: any of them
HAND_ON = "pass on"  # the answer of an agent that hands its step to the next


class OnFailure(StrEnum):
    """What a run does when a step failed and no other step waits for that word."""

    STOP = "stop"
    GO_ON = "go on"
    ASK = "ask"


class Condition(Value, frozen=True):
    """A step and the words that it must have ended with; none: any good end."""

    step: str
    words: tuple[str, ...] = ()


class Deadline(Value, frozen=True):
    """How long a step may take, and the word that it ends with after that; None: it failed."""

    length: timedelta
    word: str | None = None


class Enough(Value, frozen=True):
    """How many items of a map must succeed."""

    count: int | None = None
    percent: int | None = None

    def of(self, total: int) -> int:
        """The number of items, of `total`; all of them where nothing is said."""
        if self.percent is not None:
            return -(-total * self.percent // 100)
        return total if self.count is None else min(self.count, total)


class Output(Value, frozen=True):
    """A file that a step promises."""

    name: str  # of the placeholder `{step.NAME}`
    path: str  # as it stands in the file, with placeholders
    is_shared: bool = False  # it lies in the workspace ("./" in front), not in the run's folder


class Repeat(Value, frozen=True):
    """Where a loop goes back to, and how often at most."""

    step: str
    most: int = 1


class Input(Value, frozen=True):
    """A value that a run is given."""

    name: str
    default: str | None = None


class Step(Value, frozen=True):
    """One heading of a workflow with the list and the text below it."""

    name: str
    line: int  # of the heading, from 1
    title: str = ""
    text: str = ""  # the message, with its placeholders
    text_line: int = 0
    lines: dict[str, int] = msgspec.field(default_factory=dict)  # where each key stands
    to: tuple[AgentId, ...] = ()  # several: each hands it to the next
    type: str | None = None
    to_each: tuple[AgentId, ...] = ()
    workflow: str | None = None
    given: tuple[tuple[str, str], ...] = ()  # inputs of that workflow, with placeholders
    again: Repeat | None = None
    after: tuple[Condition, ...] = ()
    is_any: bool = False  # one of `after` is enough
    items: str | None = None  # `for each`, as it stands
    batch: int = 1
    enough: Enough = Enough()
    makes: tuple[Output, ...] = ()
    choices: tuple[str, ...] = ()
    size: Size | None = None
    model: str | None = None
    tries: int | None = None
    deadline: Deadline | None = None
    if_fails: OnFailure = OnFailure.STOP

    @property
    def is_map(self) -> bool:
        return self.items is not None or bool(self.to_each)

    @property
    def words(self) -> frozenset[str]:
        """Every word that the step can end with."""
        good = self.choices or (DONE,)
        return frozenset(
            (*good, FAILED, SKIPPED, *((self.deadline.word,) if self.deadline and self.deadline.word else ()))
        )


class Workflow(Value, frozen=True):
    """One workflow file."""

    name: str
    title: str = ""
    inputs: tuple[Input, ...] = ()
    at_once: int = 4
    within: timedelta | None = None
    starts_on: tuple[str, ...] = ()  # types of events that begin a run
    spend: float | None = None  # in the currency of the budgets
    lines: dict[str, int] = msgspec.field(default_factory=dict)  # where each key of the file stands
    steps: tuple[Step, ...] = ()

    def step(self, name: str) -> Step | None:
        return next((step for step in self.steps if step.name == name), None)


class StepState(Value, frozen=True):
    """How far a step is, in its present pass."""

    pass_number: int = 1
    hop: int = 1  # which agent of a hand-off
    since: datetime | None = None  # when it began, or ended
    began: datetime | None = None  # of one that has ended, or was handed on
    word: str | None = None  # with which it ended
    why: str = ""
    is_asked: bool = False  # it failed, and a person decides how to go on
    is_forgiven: bool = False  # it failed, and the run goes on without it
    total: int | None = None  # items of a map
    items_of: int = 0  # the pass in which its items were written down; 0: this one
    next: int = 1  # the next item to begin
    done: int = 0
    failed: int = 0
    in_a_row: int = 0  # failures
    open: tuple[int, ...] = ()  # items at work
    left: tuple[int, ...] = ()  # items before `next` that are to begin once more

    @property
    def is_open(self) -> bool:
        return self.since is not None and self.word is None


class Pass(Value, frozen=True):
    """A loop that went back: from `step` on, all was begun anew, because of the step `by`."""

    number: int
    step: str
    by: str


class RunRecord(Value, frozen=True):
    """What no task shows: which steps ended how, and where maps and loops stand."""

    started: datetime | None = None
    steps: dict[str, StepState] = msgspec.field(default_factory=dict)
    passes: tuple[Pass, ...] = ()
    stops: str = ""  # why nothing new begins any more
    is_over: bool = False  # its time is used up: what is at work is cancelled
    version: int | None = None  # of the workflow
    made: int = 0  # tasks that it has begun
    grants: int = 0  # how often a person let it spend as much once more
    is_resumed: bool = False  # it had ended, and goes on at the next look
    is_out: bool = False  # its money is used up, and a person is asked
    ended: datetime | None = None
    outcome: State | None = None  # in which state it ended
    first: dict[str, str] = msgspec.field(default_factory=dict)  # answers of the first pass, where a loop went back


class Problem(Value, frozen=True):
    """One thing that is wrong with a workflow, with what to write instead."""

    line: int
    text: str

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "text", safe(self.text, 400))


class InvalidWorkflow(InvalidFile):
    """A workflow cannot be run as it stands; `problems` lists everything at once as (path, line, sentence)."""

    code = "invalid-workflow"

    def __init__(self, problems: list[tuple[str, int, str]]) -> None:
        ClawError.__init__(self, problems)
        self.path, self.line, _ = problems[0]
        self.problem, self.problems = "workflow", problems

    def __str__(self) -> str:
        return "\n".join(f"{path}, line {line}: {text}" for path, line, text in self.problems)


def is_of_run(path: str) -> bool:
    """Whether the path in a run's folder is that of a file that the run itself is kept in: no output may be there."""
    low = path.lower()
    return low in ("workflow.md", "inputs.md", "record.md") or low.startswith("uses/") or low.endswith(".items")
