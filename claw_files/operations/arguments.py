"""The arguments of every call: their names, types and bounds. What a call does not know is refused, never ignored.

The calls that OpenClaw's agents know have its names, so theirs are in camel case. Who acts is no argument anywhere.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from claw_files.policy.payload_sizes import ACCEPTED_BYTES

TEXT_BYTES = ACCEPTED_BYTES

Text = Annotated[str, Meta(max_length=TEXT_BYTES)]
Name = Annotated[str, Meta(max_length=512)]  # a task, an agent, a session, a time
Texts = Annotated[tuple[Text, ...], Meta(max_length=1000)]
Names = Annotated[tuple[Name, ...], Meta(max_length=1000)]
Count = Annotated[int, Meta(ge=1, le=1000)]
Seconds = Annotated[int, Meta(ge=0, le=86_400)]
Minutes = Annotated[int, Meta(ge=1, le=527_040)]
Generation = Annotated[int, Meta(ge=0, le=(1 << 53) - 1)]
WAIT_SECONDS = 600
Wait = Annotated[int, Meta(ge=0, le=WAIT_SECONDS)]


class Arguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all arguments."""


# --- tasks


class TaskNew(Arguments, frozen=True, kw_only=True):
    title: Name
    type: Name | None = None
    to: Name | None = None
    priority: Name | None = None
    estimate: Name | None = None
    after: Names = ()
    body: Text = ""


class TaskList(Arguments, frozen=True, kw_only=True):
    status: Name | None = None
    agent: Name | None = None
    limit: Count = 100


class BoardArguments(Arguments, frozen=True, kw_only=True):
    limit: Count = 100


class OneTask(Arguments, frozen=True, kw_only=True):
    task: Name


class TaskClaim(Arguments, frozen=True, kw_only=True):
    task: Name | None = None
    next: bool = False
    type: Name | None = None
    generation: Generation | None = None


class HeldTask(OneTask, frozen=True, kw_only=True):
    """A move of who holds the task; the generation is what `task_claim` answered."""

    generation: Generation | None = None


class TaskProgress(HeldTask, frozen=True, kw_only=True):
    note: Text = ""
    eta: Name | None = None


class TaskDone(HeldTask, frozen=True, kw_only=True):
    summary: Text = ""
    outputs: Texts = ()
    review: bool = False


class TaskFail(HeldTask, frozen=True, kw_only=True):
    reason: Text = ""


class TaskBlock(HeldTask, frozen=True, kw_only=True):
    note: Text


class TaskUnblock(HeldTask, frozen=True, kw_only=True):
    note: Text = ""


class TaskComment(OneTask, frozen=True, kw_only=True):
    text: Text


class NeedArguments(HeldTask, frozen=True, kw_only=True):
    agent: Name
    question: Text


class TaskRelease(HeldTask, frozen=True, kw_only=True):
    why: Text = ""


class ReasonedMove(OneTask, frozen=True, kw_only=True):
    why: Text = ""


class TaskDelegate(OneTask, frozen=True, kw_only=True):
    to: Name | None = None
    check: Name | None = None
    urgent: bool = False


# --- sessions, as OpenClaw has them


class SessionsSend(Arguments, frozen=True, kw_only=True, rename="camel"):
    message: Text
    session_key: Name | None = None
    label: Name | None = None
    agent_id: Name | None = None
    timeout_seconds: Wait = 0
    task: Name | None = None  # ours: what it is about
    critical: bool = False  # ours: reaches a person in quiet hours, too


class SessionsSpawn(Arguments, frozen=True, kw_only=True, rename="camel"):
    task: Text
    label: Name | None = None
    task_name: Name | None = None
    agent_id: Name | None = None
    size: Literal["S", "M", "L"] | None = None  # ours; not given: the smallest that `runTimeoutSeconds` fits in
    run_timeout_seconds: Seconds = 0
    timeout_seconds: Seconds = 0  # the same, in other words
    model: Name | None = None
    cwd: Name | None = None
    runtime: Name | None = None
    mode: Literal["run", "session"] = "run"
    cleanup: Literal["keep", "delete"] = "keep"
    sandbox: Literal["inherit", "require"] = "inherit"
    thread: bool = False
    task_id: Name | None = None  # ours: do this task, instead of a new one
    type: Name | None = None
    items: Texts = ()  # ours: do it with each of them, several in one message
    batch: Count | None = None  # ours: how many in one
    no_cache: bool = False  # ours
    group: Name | None = None
    group_size: Count | None = None
    attempts: Annotated[int, Meta(ge=1, le=100)] | None = None


class SessionsList(Arguments, frozen=True, kw_only=True, rename="camel"):
    kinds: Names = ()
    agent_id: Name | None = None
    active_minutes: Minutes | None = None
    limit: Count = 100
    message_limit: Annotated[int, Meta(ge=0, le=20)] = 0


class SessionsHistory(Arguments, frozen=True, kw_only=True, rename="camel"):
    session_key: Name
    limit: Count = 50
    max_bytes: Annotated[int, Meta(ge=1, le=8 << 20)] = 80_000


class Subagents(Arguments, frozen=True, kw_only=True, rename="camel"):
    action: Literal["list", "steer", "kill"] = "list"
    target: Name | None = None
    message: Text | None = None
    recent_minutes: Minutes = 1440


# --- one's own


class InboxArguments(Arguments, frozen=True, kw_only=True, rename="camel"):
    action: Literal["read", "peek", "done"] = "read"
    id: Name | None = None
    timeout_seconds: Wait = 0


class AnswerArguments(Arguments, frozen=True, kw_only=True):
    id: Name
    text: Text


class CheckpointArguments(Arguments, frozen=True, kw_only=True):
    action: Literal["show", "save"] = "show"
    completed: Texts = ()
    in_progress: Texts = ()
    pending: Texts = ()
    text: Text = ""
