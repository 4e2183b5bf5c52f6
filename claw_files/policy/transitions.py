"""The moves of a task: who may make each, and what each one changes.

`MOVES` is the table of `docs/explanation/task-life.md`, letter by letter. Every function below it returns a changed
copy of the task or raises; none of them reads a file or a clock.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from msgspec.structs import replace

from claw_files.core.errors import AlreadyClaimed, MoveRefused, NotYours, StaleGeneration
from claw_files.core.lazy_regex import pattern
from claw_files.core.model import AgentId, AgentKind, Need, State, Stay, Task, Value


def right_command(task: Task) -> str:
    """The command that is right for the task's state."""
    if task.flow and task.step and task.state.is_closed:
        again = f"`clawfiles workflow resume {task.flow} --from {task.step}`"
        return f"its run went on; when the run has ended, {again} begins the step again"
    return {
        State.BACKLOG: f"claim it first: `clawfiles claim {task.id}`",
        State.IN_PROGRESS: f"{task.assignee} holds it: `clawfiles done {task.id}`, or `clawfiles release {task.id}`",
        State.REVIEW: f"its reviewer runs `clawfiles approve {task.id}` or `clawfiles reopen {task.id} WHY`",
        State.DONE: f"to reopen it: `clawfiles reopen {task.id} WHY`",
        State.BLOCKED: f"to continue: `clawfiles unblock {task.id}`; to give it up: `clawfiles release {task.id}`",
        State.FAILED: "the next heartbeat decides about a retry",
        State.DEAD: f"to bring it back: `clawfiles requeue {task.id}`",
        State.CANCELLED: "create a new task: `clawfiles task new TITLE`",
    }[task.state]


class Role(StrEnum):
    """The roles in which a move is made."""

    ANYONE = "anyone"
    ASSIGNEE = "assignee"  # of an open delegation that is not yet in progress
    HOLDER = "holder"  # who claimed it
    TAKER = "taker"  # an agent that may take its type, if it is unassigned
    AGENT = "agent"  # any agent of the workspace
    COORDINATOR = "coordinator"
    TICK = "tick"
    REVIEWER = "reviewer"
    REQUESTER = "requester"
    PERSON = "person"


class Actor(Value, frozen=True):
    """The agent that makes a move. The tick acts as the coordinator, and alone may make some moves."""

    id: AgentId
    kind: AgentKind = AgentKind.NAMED
    coordinator: bool = False
    tick: bool = False
    may_take: bool = True  # this task's type
    reviewer: bool = False  # the route names it for this task


class Move(Value, frozen=True):
    """One row of the table."""

    letter: str
    sources: tuple[State, ...]
    target: State
    who: tuple[Role, ...]
    by: str  # the command, or the event


S = State
_HELD = pattern(r"it (?:depends on|comes after) [A-Za-z0-9-]+ \((?:cancelled|dead|missing)\)")
OPEN = (S.BACKLOG, S.IN_PROGRESS, S.REVIEW, S.BLOCKED, S.FAILED)
ABOVE = (Role.COORDINATOR, Role.PERSON)
MOVES: tuple[Move, ...] = (
    Move(letter="A", sources=(), target=S.BACKLOG, who=(Role.ANYONE,), by="task new"),
    Move(letter="B", sources=(S.BACKLOG,), target=S.IN_PROGRESS, who=(Role.ASSIGNEE, Role.TAKER), by="claim"),
    Move(letter="C1", sources=(S.BACKLOG,), target=S.REVIEW, who=(Role.ASSIGNEE,), by="its first status in the file"),
    Move(letter="C2", sources=(S.BACKLOG,), target=S.DONE, who=(Role.ASSIGNEE,), by="its first status in the file"),
    Move(letter="C3", sources=(S.BACKLOG,), target=S.FAILED, who=(Role.ASSIGNEE,), by="its first status in the file"),
    Move(letter="D", sources=(S.IN_PROGRESS,), target=S.IN_PROGRESS, who=(Role.HOLDER,), by="progress, beat"),
    Move(letter="E1", sources=(S.IN_PROGRESS,), target=S.REVIEW, who=(Role.HOLDER,), by="review"),
    Move(letter="E2", sources=(S.IN_PROGRESS,), target=S.DONE, who=(Role.HOLDER,), by="done"),
    Move(letter="F", sources=(S.IN_PROGRESS, S.BACKLOG), target=S.FAILED, who=(Role.HOLDER, Role.TICK), by="fail"),
    Move(letter="G", sources=(S.IN_PROGRESS,), target=S.BACKLOG, who=(Role.HOLDER, Role.COORDINATOR), by="release"),
    Move(letter="H", sources=(S.REVIEW,), target=S.DONE, who=(Role.REVIEWER,), by="approve"),
    Move(letter="I", sources=(S.REVIEW, S.DONE), target=S.BACKLOG, who=(Role.REVIEWER, Role.TICK), by="reopen"),
    Move(letter="J", sources=OPEN, target=S.BLOCKED, who=(Role.AGENT,), by="block, need"),
    Move(letter="K", sources=(S.BLOCKED,), target=S.IN_PROGRESS, who=(Role.HOLDER, *ABOVE), by="unblock, progress"),
    Move(letter="L", sources=(S.BLOCKED,), target=S.BACKLOG, who=(Role.HOLDER, *ABOVE), by="unblock, release"),
    Move(letter="M", sources=(S.FAILED,), target=S.BACKLOG, who=(Role.TICK,), by="the next attempt"),
    Move(letter="N", sources=(S.FAILED,), target=S.DEAD, who=(Role.TICK,), by="the last attempt"),
    Move(letter="O", sources=(S.DEAD,), target=S.BACKLOG, who=(Role.PERSON, Role.COORDINATOR), by="requeue"),
    Move(letter="P", sources=OPEN, target=S.CANCELLED, who=(Role.REQUESTER, *ABOVE), by="cancel"),
    Move(letter="Q", sources=(S.DONE,), target=S.FAILED, who=(Role.TICK,), by="what it promised is missing again"),
)


def roles(task: Task, actor: Actor) -> frozenset[Role]:
    """The capacities in which `actor` may act on `task`."""
    person = actor.kind is AgentKind.HUMAN
    mine = task.assignee == actor.id
    held = task.state in (S.IN_PROGRESS, S.BLOCKED)
    wearing = {
        Role.ANYONE: True,
        Role.AGENT: True,
        Role.ASSIGNEE: mine and not held,
        Role.HOLDER: mine and held,
        Role.TAKER: task.assignee is None and actor.may_take and actor.kind is not AgentKind.WORKER,
        Role.COORDINATOR: actor.coordinator,
        Role.TICK: actor.tick,
        Role.REVIEWER: actor.reviewer or person,
        Role.REQUESTER: task.requested_by == actor.id,
        Role.PERSON: person,
    }
    return frozenset(role for role, worn in wearing.items() if worn)


def moves_between(source: State, target: State) -> tuple[Move, ...]:
    """The rows of the table that lead from one state to the other."""
    return tuple(move for move in MOVES if source in move.sources and move.target is target)


def owner(task: Task, coordinator: AgentId) -> AgentId:
    """The owner of the file: the holder from claim to end, else the coordinator."""
    return task.assignee if task.state is S.IN_PROGRESS and task.assignee else coordinator


def check(task: Task, target: State, actor: Actor, *letters: str) -> Move:
    """The row that allows the move; raises MoveRefused with the rule, the owner and the command that would be right.

    Args:
        letters: the rows that the command stands for, or none for any. Without them `approve` would find the holder's
            way to done, and `release` the person's way out of dead-letter/.
    """
    # Check the state before the role: "already done" helps more than "not yours".
    rows = tuple(move for move in moves_between(task.state, target) if not letters or move.letter in letters)
    if not rows:
        why = f"{task.id} is {_spoken(task.state)}, so it cannot become {_spoken(target)}"
        raise MoveRefused("transitions", why, right_command(task))
    wearing = roles(task, actor)
    for row in rows:
        if wearing.intersection(row.who):
            return row
    who = " or ".join(role.value for row in rows for role in row.who)
    if Role.HOLDER in {role for row in rows for role in row.who} and task.assignee not in (None, actor.id):
        raise NotYours(task.id, task.assignee, f"only the {who} may change it to {target}")
    raise MoveRefused(
        "transitions",
        f"{actor.id} may not move {task.id} from {task.state} to {target}, only the {who} may",
        f"it belongs to {task.assignee or 'no agent yet'}; see `clawfiles explain {task.id}`",
    )


def _spoken(state: State) -> str:
    return state.replace("_", " ")


def check_generation(task: Task, agent: AgentId, named: int | None) -> None:
    """Refuse a superseded holder: StaleGeneration for an older number, NotYours for another agent.

    Without a number the current assignee is accepted; that is weaker, because two processes of one agent look alike.
    """
    if named is not None and named != task.generation:
        raise StaleGeneration(task.id, named, task.generation, task.assignee)
    if task.assignee != agent:
        raise NotYours(task.id, task.assignee, f"claim it first: `clawfiles claim {task.id}`")


# --- the moves

_NOTHING_OPEN = {"lease": None, "eta": None, "need": None}


def _moved(task: Task, target: State, actor: Actor, letters: str, now: datetime, **changes: Any) -> Task:
    """`task` in the state `target`, by one of the rows with these letters, with these changes."""
    check(task, target, actor, *letters.split())
    return replace(task, state=target, updated=now, **changes)


def reserve(task: Task, agent: AgentId, generation: int, now: datetime) -> Task:
    """`task` in backlog, promised to `agent`: the generation its claim will have is already fixed."""
    return replace(task, assignee=agent, generation=generation, lease=None, updated=now)


def claim(task: Task, actor: Actor, generation: int, now: datetime, lasting: timedelta) -> Task:
    """`task` in progress, held by `actor`.

    Args:
        task: in backlog, delegated to `actor` or unassigned.
        generation: the reserved one, or one more than the highest ever seen; the arbiter has given it to the caller.
        now: aware, UTC. The caller reads the clock.
        lasting: until the next check; longer than the normal silence of the work.

    Raises:
        AlreadyClaimed: someone holds it, lease over or not.
        NotYours: it is delegated to another agent.
        MoveRefused: it is in a state that cannot be claimed.
    """
    if task.state is S.IN_PROGRESS:
        raise AlreadyClaimed(task.id, task.assignee, task.generation)
    if task.assignee not in (None, actor.id):
        raise NotYours(task.id, task.assignee, "it is delegated, so only that agent may claim it")
    changes = {"assignee": actor.id, "generation": generation, "reason": None, "not_before": None}
    return _moved(task, S.IN_PROGRESS, actor, "B", now, lease=now + lasting, **changes)


def progress(task: Task, actor: Actor, now: datetime, lasting: timedelta, eta: datetime | None = None) -> Task:
    """`task` with its lease renewed and, if given, a new ETA; a blocked task is in progress again.

    Raises MoveRefused for a task in backlog: only a claim, through the arbiter, makes a holder. Nor does progress of
    somebody else on a blocked one: `unblock` is for that.
    """
    if task.state is S.BLOCKED and task.assignee != actor.id:
        right = f"`clawfiles comment {task.id} TEXT` adds a note, `clawfiles unblock {task.id}` unblocks it"
        if task.assignee:
            raise NotYours(task.id, task.assignee, f"it is blocked, and only its holder may report progress; {right}")
        raise MoveRefused("transitions", f"{task.id} is blocked and has no holder", right)
    changes = {"eta": eta or task.eta, "need": None, "reason": None if task.state is S.BLOCKED else task.reason}
    return _moved(task, S.IN_PROGRESS, actor, "D K", now, lease=now + lasting, **changes)


def finish(
    task: Task,
    actor: Actor,
    now: datetime,
    reviewed: bool,
    summary: str | None = None,
    outputs: tuple[str, ...] = (),
    answer: str | None = None,
) -> Task:
    """`task` done, or in review if the route requires it (`reviewed`); `answer` is one of its choices."""
    target = S.REVIEW if reviewed else S.DONE
    # Promised outputs are kept: the next tick checks all of them, even if they were not named again.
    outputs = tuple(dict.fromkeys((*task.outputs, *outputs)))
    ends = {
        "completed": now if target is S.DONE else None,
        "verified": None,
        "reason": None,
        "answer": answer or task.answer,
        **_NOTHING_OPEN,
    }
    return _moved(task, target, actor, "C1 C2 E1 E2", now, summary=summary or task.summary, outputs=outputs, **ends)


def fail(task: Task, actor: Actor, now: datetime, reason: str) -> Task:
    """`task` failed, with one more failure; the next tick decides whether to retry."""
    ends = {"completed": None, "verified": None, **_NOTHING_OPEN}
    return _moved(task, S.FAILED, actor, "C3 F Q", now, failures=task.failures + 1, reason=reason, **ends)


def block(task: Task, actor: Actor, now: datetime, note: str, need: Need | None = None) -> Task:
    """`task` blocked, with a note of what is missing; the note is required."""
    # Check the move before the note, so that an agent without the right is not asked for a reason.
    blocked = _moved(task, S.BLOCKED, actor, "J", now, reason=note, need=need, eta=None)
    if not note.strip():
        right = f'`clawfiles block {task.id} "what is missing"`'
        raise MoveRefused("blocked needs a note", "a blocked task needs a reason", right)
    return blocked


def unblock(task: Task, actor: Actor, now: datetime, lasting: timedelta) -> Task:
    """`task` as before the block: in progress with its holder, or in backlog if it was unclaimed."""
    if task.state is S.BLOCKED and not (task.assignee and task.lease):
        return resume(task, actor, now)
    return _moved(task, S.IN_PROGRESS, actor, "K", now, lease=now + lasting, need=None, reason=None)


def is_held(task: Task) -> bool:
    """Whether the tick blocked the task because a predecessor ended without being done."""
    return task.state is S.BLOCKED and _HELD.match(task.reason or "") is not None


def resume(task: Task, actor: Actor, now: datetime) -> Task:
    """`task` in backlog again with the same assignee, after its block has ended."""
    return _moved(task, S.BACKLOG, actor, "L", now, reason=None, need=None)


def release(task: Task, actor: Actor, generation: int, now: datetime, why: str | None) -> Task:
    """`task` back in backlog for anyone, its generation ended."""
    ends = {"assignee": None, "generation": generation, **_NOTHING_OPEN}
    return _moved(task, S.BACKLOG, actor, "G L", now, reason=why, **ends)


def approve(
    task: Task, actor: Actor, now: datetime, other: AgentId | None = None, maker: AgentId | None = None
) -> Task:
    """`task` done, approved by the reviewer; agents cannot approve their own work if there is another reviewer.

    Args:
        other: who reviews what the maker has made; None where nobody else is there.
        maker: whose the generation in review is, as the claim log knows, whatever the file says of its assignee.
    """
    if other is not None and actor.id in (task.assignee, maker):
        why, right = f"{task.id} is the work of {actor.id}", f"`clawfiles approve {task.id} --agent {other}`"
        raise MoveRefused("maker and reviewer differ", why, f"{other} may: {right}")
    return _moved(task, S.DONE, actor, "H", now, completed=now, verified=None, reason=None)


def verify(task: Task, actor: Actor, now: datetime) -> Task:
    """`task`, done, marked as verified: only the tick does this."""
    if task.state is not S.DONE or not actor.tick:
        raise MoveRefused("transitions", f"{task.id} is {task.state}; there is nothing to verify", "")
    return replace(task, verified=now)


def reopen(task: Task, actor: Actor, generation: int, now: datetime, why: str) -> Task:
    """`task` in backlog for a new attempt by the same agent, with the reason."""
    check(task, S.BACKLOG, actor, "I")
    return _new_attempt(task, generation, now, reason=why, completed=None)


def next_turn(task: Task, actor: Actor, generation: int, now: datetime, turn: int, sender: AgentId) -> Task:
    """`task` in backlog for the next message of its session, without failures; its sender follows the task."""
    check(task, S.BACKLOG, actor, "I")
    if task.session is not Stay.OPEN:
        raise MoveRefused("sessions", f"the session of {task.id} is closed", "")
    follows = sender not in (task.spawner, task.requested_by, *task.followers)
    followers = (*task.followers, sender) if follows else task.followers
    changes = {"turn": turn, "failures": 0, "followers": followers, "summary": None, "completed": None, "reason": None}
    return _new_attempt(task, generation, now, **changes)


def next_attempt(task: Task, actor: Actor, agent: AgentId | None, generation: int, now: datetime) -> Task:
    """`task` in backlog for its next attempt, by `agent`."""
    if task.state is not S.BACKLOG:
        check(task, S.BACKLOG, actor, "M")
    return _new_attempt(task, generation, now, assignee=agent)


def again(task: Task, actor: Actor, generation: int, now: datetime, why: str) -> Task:
    """`task` in backlog for a new attempt by the same agent, whose run was ended through no fault of its own."""
    if task.state is not S.BACKLOG:
        check(task, S.BACKLOG, actor, "G")
    return _new_attempt(task, generation, now, reason=why)


def _new_attempt(task: Task, generation: int, now: datetime, **changes: Any) -> Task:
    """`task` in backlog for one attempt more, held by nobody, with these changes."""
    attempt: dict[str, Any] = {"attempt": task.attempt + 1, "generation": generation, "verified": None}
    attempt["cached_from"] = None  # it has a run of its own
    attempt["answer"] = None if task.choices or task.flow else task.answer  # else the key is an agent's own
    return replace(task, state=S.BACKLOG, lease=None, eta=None, updated=now, **attempt, **changes)


def die(task: Task, actor: Actor, now: datetime) -> Task:
    """`task` dead: out of attempts."""
    return _moved(task, S.DEAD, actor, "N", now, lease=None, eta=None)


def requeue(task: Task, actor: Actor, generation: int, now: datetime) -> Task:
    """`task` in backlog again, its attempts counted anew."""
    check(task, S.BACKLOG, actor, "O")
    return _new_attempt(task, generation, now, failures=0, reason=None, not_before=None)


def cancel(task: Task, actor: Actor, generation: int, now: datetime, why: str | None) -> Task:
    """`task` cancelled; the caller stops a live run first."""
    session = Stay.CLOSED if task.session else None
    ends = {"generation": generation, "session": session, **_NOTHING_OPEN}
    return _moved(task, S.CANCELLED, actor, "P", now, reason=why, **ends)
