"""Facts about a task besides its status file: claim log, messages, journal.

Asked only where a file is gone, was put back as an older copy, or says nothing any more; an idle tick asks nothing.
"""

from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta

from msgspec.structs import replace

from claw_files.core import text
from claw_files.core.errors import ClawError, Conflict, NotFound
from claw_files.core.journal_events import JournalEvent
from claw_files.core.model import AgentId, State, Task, TaskId
from claw_files.formats import journal
from claw_files.formats.journal import Line
from claw_files.policy import routing
from claw_files.storage.inboxes import YOUNG, Inboxes
from claw_files.storage.locks import ClaimRecord
from claw_files.system import journal_files
from claw_files.system.files import Files
from claw_files.system.paths import JOURNAL_BYTES, journal_paths

LATE_BYTES = 1 << 17
DAYS, MOST_BYTES = 400, 256 << 20  # so much of the journal is searched, the newest first
_PATIENCE_SECONDS = 5.0  # for others who write, before what a crash left can be looked at
_ENDED = (State.DONE, State.DEAD, State.CANCELLED)


def last_recorded(files: Files, task: TaskId) -> Line | None:
    """The task's last state in the journal; None if it is unknown or too old."""
    left = MOST_BYTES
    for path in journal_files.days(files)[: -DAYS - 1 : -1]:
        with suppress(ClawError):  # nearly always of late
            if found := _last_in(files.tail(path, LATE_BYTES), task):
                return found
        raw = journal_files.read(files, path)
        left -= len(raw)
        if left < 0:
            return None
        if found := _last_in(raw, task):
            return found
    return None


def made_under(ws: Inboxes, key: str | None) -> TaskId | None:
    """The task that an earlier try of the command created or changed under `key`; None without one.

    It is that of the first such line in the journal of the last two days; what a crash left without its line is
    journalled before. Raises Busy, CannotWrite.
    """
    if not key or not ws.pending.again:
        return None
    ws.files.recover(_PATIENCE_SECONDS)
    now = ws.clock.now()
    for path in journal_paths(now - timedelta(days=2), now + timedelta(days=1)):
        with suppress(NotFound):
            raw = ws.files.read(path, JOURNAL_BYTES).data
            if (at := raw.find(f'"key":"{key}"'.encode())) >= 0:
                line = journal.parse(raw[raw.rfind(b"\n", 0, at) + 1 : raw.find(b"\n", at)])
                return line.task if line else None
    return None


def journalled(ws: Inboxes, task: TaskId) -> Line | None:
    """As `last_recorded`; None also if a clock change leaves the order of lines open."""
    known = last_recorded(ws.files, task)
    return known if known and known.at <= ws.clock.now() else None


def _last_in(raw: bytes, task: TaskId) -> Line | None:
    mark, end = f'"{task}"'.encode(), len(raw)
    while (at := raw.rfind(mark, 0, end)) >= 0:
        end = raw.rfind(b"\n", 0, at) + 1
        stop = raw.find(b"\n", at)
        line = journal.parse(raw[end : stop if stop >= 0 else len(raw)])
        if line and line.after and line.task == task:
            return line
    return None


# --- a file that is gone


def is_known(ws: Inboxes, task: TaskId, agents: Iterable[AgentId | None]) -> bool:
    """Whether the claim log, a message of one of `agents`, or the journal knows the task, in this order.

    A definition alone says nothing: a crash left it, and what it defines is still to be made.
    """
    if ws.claims.given(task).highest:
        return True
    if any(ws.latest_message(agent, task) for agent in dict.fromkeys(agents) if agent):
        return True
    return last_recorded(ws.files, task) is not None


def check_new(ws: Inboxes, task: TaskId, agents: Iterable[AgentId | None]) -> None:
    """Raises Conflict for a task without a file that something else knows."""
    if is_known(ws, task, agents):
        raise Conflict(f"status/{text.file_name(task)} is missing, and no new one is created")


# --- a file that is older than what was recorded


def is_edited(ws: Inboxes, task: Task) -> bool:
    """Whether the status file was edited after clawfiles' last write, which sets `updated`."""
    said = ws.files.stamp(f"status/{text.file_name(task.id)}")
    return said is not None and (task.updated is None or said.mtime > task.updated + YOUNG)


def fenced(ws: Inboxes, task: Task) -> Task:
    """`task` in its newest generation, if its file is an older copy: a former holder's, or from git.

    What the old copy says is left in `state`, and `superseded` set, so that `by_hand.stand` lets it not count.
    """
    given = ws.claims.given(task.id)
    newest, is_claimed = given.highest, given.is_spent(given.highest)
    if (found := _disowned(ws, task, given)) or (task.generation == 0 and task.recorded is not State.BACKLOG):
        return found or task
    is_lower = task.generation < newest
    if not is_lower and not (is_claimed and task.generation == newest and task.recorded is State.BACKLOG):
        return task
    owner = given.owner(newest)
    message = ws.latest_message(owner, task.id) if owner and is_lower else None
    if owner is None or not (is_claimed or (message and message.generation == newest)):
        return task  # an interrupted claim or delivery; the task has no holder yet
    known = last_recorded(ws.files, task.id)
    if task.recorded is State.BACKLOG and is_claimed and known and known.after is State.BACKLOG:
        return task  # given back
    if not is_lower and known is None and task.assignee != owner:
        return task
    is_theirs = task.assignee == owner and task.state is not State.BACKLOG and not is_lower
    if is_theirs and (known is None or known.after in (State.BACKLOG, State.IN_PROGRESS)):
        return task  # another program claimed it: only we write `recorded`
    state = State.IN_PROGRESS if is_claimed else State.BACKLOG
    task = replace(task, assignee=owner, attempt=max(task.attempt, (message.attempt or 1) if message else 1))
    return _superseded(ws, task, known, state, newest)


def _disowned(ws: Inboxes, task: Task, given: ClaimRecord) -> Task | None:
    """`task` with its holder, if its file names another agent or an unassigned generation.

    The claim log says whose it is; where that is gone, the journal does, of a file that was changed since our last
    write. None where the file names nobody else.
    """
    known, is_free = None, task.recorded is State.BACKLOG
    is_invented = task.generation > given.highest and task.recorded in (State.IN_PROGRESS, State.REVIEW)
    is_lost = task.generation == 0 and not is_free
    number = given.highest if is_lost or (is_invented and given.highest) else task.generation
    if is_invented and not given.highest and is_edited(ws, task):
        known = journalled(ws, task.id)
    holder = known.agent if known and known.after is task.recorded else given.holder(number)
    named = number if is_lost else task.generation
    if holder is None or number < given.highest or (task.assignee, named) == (holder, number):
        return None
    if holder not in ws.settings.agents and task.generation == number:
        return None  # it is no longer configured: the named agent has the task
    if task.assignee is None:
        return None if is_free else replace(task, assignee=holder)
    known = journalled(ws, task.id) if is_free else None
    if is_free and (given.is_spent(number) or (known and known.action in (JournalEvent.RECORD, JournalEvent.RELEASE))):
        return None  # it was given back, or is an older copy
    why = f"names {task.assignee}" if task.assignee != holder else f"names generation {task.generation}"
    return replace(task, stranger=why, assignee=holder, generation=number)


def recalled(ws: Inboxes, task: Task) -> Task:
    """`task` with the journal's state, if that differs and is newer than the file's last record."""
    known = last_recorded(ws.files, task.id) if task.recorded and task.superseded is None else None
    if known is None or task.updated is None or known.at < task.updated or known.after is task.recorded:
        return task
    return _superseded(ws, task, known, task.state, task.generation)


def _superseded(ws: Inboxes, task: Task, known: Line | None, state: State, generation: int) -> Task:
    state = (_left_in(ws, task, known) if known else None) or state
    return replace(
        task,
        recorded=state,
        superseded=task.generation,
        generation=generation,
        lease=None,
        eta=None,
        completed=known.at if known and state is State.DONE else None,
    )


def _left_in(ws: Inboxes, task: Task, known: Line) -> State | None:
    """The task's state after the action: `done` leads to review if its route requires one."""
    if known.after is not State.DONE or known.action in (JournalEvent.APPROVE, JournalEvent.CLOSE):
        return known.after
    return State.REVIEW if routing.reviewer(ws.settings, task.type, task.assignee) else State.DONE


# --- a file that says nothing any more


def stolen(ws: Inboxes, task: Task, given: ClaimRecord) -> Task | None:
    """`task` with its holder, if another agent overwrote the whole file with its own name; None otherwise."""
    holder, is_claimed = given.holder(given.highest), given.is_spent(given.highest)
    known = journalled(ws, task.id) if holder and is_claimed else None
    if holder is None or task.assignee == holder or (known and known.after is State.BACKLOG):
        return None  # given back
    state = (known.after if known else None) or (State.IN_PROGRESS if is_claimed else State.BACKLOG)
    why = f"names {task.assignee}"
    return replace(task, recorded=state, stranger=why, assignee=holder, generation=given.highest)


def claimed(ws: Inboxes, task: Task) -> Task:
    """`task`, whose file was rewritten, as it was claimed and ended, whatever the file says since.

    It is in progress with whoever claimed it, where the file says nothing of its state, or words that are not
    understood; a file that says something is believed, as long as the task has not ended.
    """
    given = ws.claims.given(task.id)
    owner = given.owner(given.highest)
    if owner is None or given.highest < task.generation or not given.is_spent(given.highest):
        return task
    says_nothing = task.state is State.BACKLOG and task.state_line is None
    known = last_recorded(ws.files, task.id)
    left = _left_in(ws, task, known) if known else None
    left = None if task.unclear and left not in _ENDED else left  # what is not understood may be a move
    if left in _ENDED or (says_nothing and left is State.REVIEW):
        task = replace(task, assignee=task.assignee or owner, generation=given.highest, recorded=left)
        return replace(task, state=left) if says_nothing else task
    if not says_nothing or left not in (None, State.IN_PROGRESS, State.BLOCKED):
        return task
    held = replace(task, assignee=owner, generation=given.highest, state=State.IN_PROGRESS)
    # Words that are waited for stay news: nothing is recorded beside them.
    return replace(held, recorded=State.IN_PROGRESS) if task.unclear else held
