"""The ledger against the tasks: lines without a task, tasks without a line."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from claw_files.core import text
from claw_files.core.keys import task_key
from claw_files.core.model import Entry, Kind, State, Task
from claw_files.core.workflow import BUILT_IN
from claw_files.doctor.findings import Finding
from claw_files.doctor.survey import Survey, TaskFile
from claw_files.policy.line_planner import plan_line
from claw_files.policy.snapshot import Act, Snapshot, TaskEvidence
from claw_files.policy.transitions import OPEN

HOUR_SECONDS: Final = 3_600


def lines(s: Survey) -> Iterator[Finding]:
    """Lines about unknown tasks or agents, duplicates, and lines of ended tasks."""
    seen: set[str] = set()
    given = {letter.message.task for letter in s.letters if letter.message.kind is Kind.TASK}
    is_empty = not any(it.folder == "status" for it in s.tasks)
    for number, entry in s.lines:
        here = (s.ledger_path, number)
        if entry.task in seen:
            yield Finding("line-twice", *here, entry.task, entry.task)
            continue
        seen.add(entry.task)
        if entry.agent and s.agents and entry.agent not in (*s.agents, BUILT_IN):
            yield Finding("line-unknown-agent", *here, f"{entry.task}: {entry.agent}", entry.task)
        elif one := entry.unclear:
            yield Finding("unclear-line", *here, f"{text.said(one.text)}; {one.hint}", entry.task)
        it = s.file_of(entry.task)
        if entry.task not in s and (entry.task in given or s.generations(entry.task)[0]):
            yield Finding("status-emptied" if is_empty else "status-gone", *here, entry.task, entry.task)
        elif entry.task not in s:
            yield Finding("line-unknown-task", *here, f"{entry.task}; {_plan(s, entry)}", entry.task)
        elif it is None and s.is_passed_over(entry.task):
            continue
        elif it is None or (it.task and it.task.state not in OPEN and s.now - it.node.mtime > HOUR_SECONDS):
            state = it.task.state if it and it.task else "in the archive"
            yield Finding("line-closed", *here, f"{entry.task} is {state}", entry.task)


def _plan(s: Survey, entry: Entry) -> str:
    """The heartbeat's decision about a line alone, in the words of its plan."""
    if s.settings is None:
        return "no heartbeat runs under a wrong configuration"
    now = datetime.fromtimestamp(s.now, UTC)
    planned = plan_line(TaskEvidence(entry=entry), Snapshot(settings=s.settings), now)
    acts = [f"{it.act} {it.agent or ''}".rstrip() for it in planned if it.act is not Act.DATE]
    return f"the next heartbeat: {', '.join(acts)}" if acts else "a heartbeat does nothing with it now"


def is_lost(s: Survey) -> bool:
    """Whether the ledger is missing or blank while there are tasks that it should name."""
    if s.settings is None or any(one.path == s.ledger_path for one in s.odd):
        return False
    node = s.tree.node(s.ledger_path)
    if node and (node.kind != "file" or s.is_young(node)):
        return False
    return not (s.ledger_raw or b"").strip(b"\xef\xbb\xbf \t\r\n") and any(unwatched(s))


def unwatched(s: Survey) -> Iterator[tuple[TaskFile, Task]]:
    """Open tasks that were assigned and have no line."""
    watched = {entry.task for _, entry in s.lines}
    told = {(letter.agent, letter.message.key.lower()) for letter in s.letters}
    for it in s.tasks:
        task = it.task
        if task is None or it.id in watched or it.folder != "status" or it is not s.file_of(it.id):
            continue
        is_sent = bool(task.assignee) and (task.assignee, task_key(task)) in told
        if task.state is State.IN_PROGRESS or (
            task.assignee and task.state in OPEN and (is_sent or task.state is not State.BACKLOG)
        ):
            yield it, task


def watching(s: Survey) -> Iterator[Finding]:
    """Open tasks that no heartbeat checks."""
    if is_lost(s):
        lost = [task.id for _, task in unwatched(s)]
        yield Finding("ledger-lost", s.ledger_path, detail=", ".join(lost[:20]) + (" ..." if len(lost) > 20 else ""))
        return
    for it, task in unwatched(s):
        code = "no-line" if task.state is State.IN_PROGRESS else "not-watched"
        yield Finding(code, it.node.path, s.state_line(it), f"it is {task.state}", task.id)


def unseen(s: Survey) -> Iterator[Finding]:
    """Tasks that were closed or overwritten by hand, without a line that would let a heartbeat see it."""
    watched = {entry.task for _, entry in s.lines}
    sent = (letter.message for letter in s.letters if letter.box != "done")
    waiting = {message.task for message in sent if message.kind is Kind.TASK}
    for it in s.tasks:
        task = it.task
        if task is None or it.id in watched or it.is_refused or task.state in (State.IN_PROGRESS, State.DEAD):
            continue
        moved = task.recorded in OPEN and task.recorded is not State.BACKLOG and it.said is not task.recorded
        overwritten = task.recorded is None and task.id in waiting and it.said is not State.BACKLOG
        if (moved or overwritten) and it.said not in OPEN:
            detail = f"{task.recorded or 'no recorded state'}, now {it.said}"
            yield Finding("unseen-move", it.node.path, s.state_line(it), detail, task.id)
