"""Tasks: unknown agents and tasks, cycles, invalid states, files in the wrong place."""

from collections.abc import Iterator, Sequence
from typing import Final

from claw_files.core import text as words
from claw_files.core.errors import CannotRead, InvalidFile
from claw_files.core.model import State, Task, TaskId
from claw_files.core.workflow import BUILT_IN
from claw_files.doctor.findings import Finding
from claw_files.doctor.survey import Survey, TaskFile
from claw_files.formats.definitions import parse
from claw_files.policy.transitions import OPEN
from claw_files.policy.verification import file_of

MOST_EDGES: Final = 100_000
DAY_SECONDS: Final = 86_400
_CLAIM_SECONDS: Final = 60  # a claim writes its file first: for an instant the status file is behind


def _read(s: Survey) -> Iterator[tuple[TaskFile, Task]]:
    return ((it, it.task) for it in s.tasks if it.task)


def names_in_tasks(s: Survey) -> Iterator[Finding]:
    """Agents and tasks that a task names and that do not exist."""
    for it, task in _read(s):
        if task.state not in OPEN:
            continue
        if task.assignee and s.agents and task.assignee not in (*s.agents, BUILT_IN):
            yield Finding("unknown-agent", it.node.path, s.line(it, "assignee"), task.assignee, task.id)
        for before in task.after[:1000]:
            if before not in s:
                yield Finding("missing-after", it.node.path, s.line(it, "after"), before, task.id)
            elif (other := s.file_of(before)) and other.task and other.task.state in (State.CANCELLED, State.DEAD):
                said = f"{before} is {other.task.state}"
                yield Finding("ended-after", it.node.path, s.line(it, "after"), said, task.id)
        if task.parent and task.parent not in s:
            yield Finding("missing-parent", it.node.path, s.line(it, "parent"), task.parent, task.id)


def unclear(s: Survey) -> Iterator[Finding]:
    """Unclear statements about tasks."""
    for _, task in _read(s):
        for one in task.unclear:
            yield Finding("unclear", one.path, one.line, f"{words.said(one.text)}; {one.hint}", task.id)


def circles(s: Survey) -> Iterator[Finding]:
    """Cycles in `after`, each reported once with its path."""
    after = {task.id: task.after[:1000] for _, task in _read(s)}
    done: set[str] = set()
    left = MOST_EDGES
    for start in after:
        way, on_way, stack = list[TaskId](), set[str](), [(start, iter(after[start]))]
        if start in done:
            continue
        way.append(start)
        on_way.add(start)
        while stack and left > 0:  # no recursion: a chain may be as long as there are tasks
            left -= 1
            node, rest = stack[-1]
            below = next(rest, None)
            if below is None:
                stack.pop()
                on_way.discard(way.pop())
                done.add(node)
            elif below in on_way:
                circle = [*way[way.index(below) :], below]
                yield _circle(s, circle)
            elif below in after and below not in done:
                stack.append((below, iter(after[below])))
                way.append(below)
                on_way.add(below)


def _circle(s: Survey, circle: Sequence[str], code: str = "cycle") -> Finding:
    first = s.file_of(circle[0])
    path, line = (first.node.path, s.line(first, "after" if code == "cycle" else "parent")) if first else ("", None)
    shown = list(circle) if len(circle) <= 12 else [*circle[:6], f"... {len(circle) - 12} more ...", *circle[-6:]]
    return Finding(code, path, line, " -> ".join(shown), circle[0])


def parent_circles(s: Survey) -> Iterator[Finding]:
    """Cycles of `parent`, each reported once with its path."""
    up = {it.id: task.parent for it, task in _read(s)}
    done: set[str] = set()
    for start in up:
        way, at = dict[str, None](), start
        while at and at in up and at not in done and at not in way:
            way[at] = None
            at = up[at] or ""
        if at in way:
            steps = list(way)
            yield _circle(s, [*steps[steps.index(at) :], at], "parent-cycle")
        done.update(way)


def places(s: Survey) -> Iterator[Finding]:
    """Tasks in two folders; dead ones outside of dead-letter/ and vice versa."""
    archived = {name.lower() for folder in s.archives for name in s.folder(folder).names}
    seen: dict[str, str] = {}
    for it in s.tasks:
        if it.id in seen and seen[it.id] != it.folder:
            yield Finding("two-files", it.node.path, detail=f"also in {seen[it.id]}/", task=it.id)
        elif it.id not in seen and f"{it.id.lower()}.md" in archived:
            yield Finding("two-files", it.node.path, detail="also in status/archive/", task=it.id)
        elif it.task and it.id not in seen and (it.task.state is State.DEAD) != (it.folder == "dead-letter"):
            yield Finding("misplaced", it.node.path, s.state_line(it), f"it is {it.task.state}", it.id)
        seen.setdefault(it.id, it.folder)


def definitions(s: Survey) -> Iterator[Finding]:
    """Definitions of open tasks without a task, or that cannot be read."""
    for node in s.folder("definitions").nodes:
        if node.kind != "file" or not node.name.endswith(".md") or s.is_young(node):
            continue
        try:
            task = parse(s.tree.read(node.path), node.path).task.id
        except InvalidFile as wrong:
            why = wrong.problem if isinstance(wrong, CannotRead) else str(wrong)
            yield Finding("definition-unreadable", node.path, wrong.line, why)
            continue
        if task not in s:
            yield Finding("definition-alone", node.path, task=task)


def moves(s: Survey) -> Iterator[Finding]:
    """Moves by hand that nobody may make, and older copies over newer files."""
    for it, task in _read(s):
        newest, at = s.generations(task.id)
        if 0 < task.generation < newest and s.now - at > _CLAIM_SECONDS and it is s.file_of(task.id):
            detail = f"{task.generation} in the file, {newest} was given out"
            yield Finding("old-copy", it.node.path, s.line(it, "generation"), detail, task.id)
        elif it.is_refused:
            yield Finding("refused-move", it.node.path, s.state_line(it), f"{task.recorded} to {it.said}", task.id)


def leases(s: Survey) -> Iterator[Finding]:
    """Holders whose lease ended over a day ago."""
    for it, task in _read(s):
        if task.state is State.IN_PROGRESS and task.lease and s.now - task.lease.timestamp() > DAY_SECONDS:
            yield Finding("lease-over", it.node.path, s.line(it, "lease"), s.local(task.lease.timestamp()), task.id)


def outputs(s: Survey) -> Iterator[Finding]:
    """Done, and a promised file is not there."""
    for it, task in _read(s):
        for text in task.outputs[:100] if task.state is State.DONE else ():
            path = file_of(text)
            if path and s.tree.node(path.strip("/")) is None:
                yield Finding("output-missing", it.node.path, s.line(it, "outputs"), text, task.id)


def reports(s: Survey) -> Iterator[Finding]:
    """Reports on tasks that do not exist."""
    for node, line, task in s.reports():
        if task not in s:
            yield Finding("report-unknown-task", node.path, line, task, task)
