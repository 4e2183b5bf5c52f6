"""Moves files from outside into the compartment of their agent.

The line inside is the record of intent. Whatever a crash leaves, one of the two ticks goes on: the outer one while the
line outside stands, the inner one by the line inside. `docs/explanation/compartments.md` tells the steps.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext, suppress
from datetime import timedelta
from functools import partial

from claw_files.core import text
from claw_files.core.errors import ClawError, Conflict, NotFound
from claw_files.core.journal_events import JournalEvent
from claw_files.core.keys import key_of, task_key
from claw_files.core.model import AgentId, Audit, Box, Entry, Run, State, Task, TaskId
from claw_files.formats import definitions
from claw_files.policy.rule_context import has_ended
from claw_files.services.tasks.checkpoints import Checkpoints
from claw_files.storage.places import FOLDER
from claw_files.storage.workspace import Workspace
from claw_files.system.access_modes import tighten

PATIENCE = timedelta(seconds=10)
Inner = Callable[[AgentId], Workspace]


RunOf = Callable[[Task, Entry | None], Run | None]
"""The newest run of a task's present attempt."""


class MovingIn:
    """Moves files from outside into their compartment. Each step can be interrupted and repeated."""

    def __init__(self, outer: Workspace, run_of: RunOf, inner: Inner, agents: Sequence[AgentId]) -> None:
        """`agents` are those with a compartment."""
        self._outer, self._run_of, self._inner, self._agents = outer, run_of, inner, agents

    # --- one task

    def bring(self, task: TaskId, agent: AgentId, check: Callable[[Task], None]) -> None:
        """Move a task in that the agent is about to claim. Raises as `check`, Conflict, Busy."""
        outer = self._outer
        with outer.locks.hold(task.lower(), PATIENCE, f"clawfiles: {task} goes in"):
            check(outer.in_force(outer.load(task).task))
            at = text.next_look(outer.clock.now(), outer.settings.heartbeat.check[0])
            self.enter(outer.entry(task) or Entry(task=task, agent=agent, at=at), agent)

    def enter(self, line: Entry, agent: AgentId) -> bool:
        """Write the line inside, then fetch the task; the caller holds its lock outside. Raises Conflict, Busy."""
        inner = self._inner(agent)
        audit = Audit(JournalEvent.MOVED_IN, task=line.task, agent=agent, actor=self._outer.settings.coordinator)
        if inner.entry(line.task) is None:
            new = Entry(task=line.task, agent=agent, spawner=line.spawner, verb=line.verb, at=line.at)
            inner.put_entry(new, audit)
        return self.fetch(line.task, agent, held=True)

    def fetch(self, task: TaskId, agent: AgentId, held: bool) -> bool:
        """Implements `Siblings.fetch`; if another agent has the task meanwhile, removes the inner line."""
        outer, inner, who = self._outer, self._inner(agent), f"clawfiles: {task} goes in"
        with nullcontext() if held else outer.locks.hold(task.lower(), PATIENCE, who):
            found = outer.find(task)
            if found:
                try:
                    self._check(outer.in_force(outer.load(task).task), agent)
                except Conflict:
                    if entry := inner.entry(task):
                        why = "it was given to an agent outside"
                        inner.replace_entry(entry, None, Audit(JournalEvent.UNWATCH, task=task, agent=agent, why=why))
                    raise
                self._move_messages(agent, task)
                inner.claims.adopt(task, outer.claims)
            audit = Audit(JournalEvent.MOVED_IN, task=task, actor=outer.settings.coordinator, why="into a compartment")
            line = outer.entry(task)
            if line and (found or line.agent == agent):
                outer.replace_entry(line, None, audit)
            if found:
                with suppress(NotFound, Conflict):  # first: an outer definition would disclose the inner task
                    self._move(definitions.path_of(task), definitions.path_of(task), agent, None)
                self._move(found[0], f"{found[0].rpartition('/')[0]}/{text.file_name(task)}", agent, audit)
                outer.claims.forget(task)
            return found is not None

    def _check(self, task: Task, agent: AgentId) -> None:
        """Raises Conflict if another agent was given the task, or works on it, since its move began."""
        if task.assignee in (None, agent):
            return
        key = task_key(task)
        if task.state is not State.BACKLOG or (task.assignee and self._outer.find_message(task.assignee, key)):
            raise Conflict(f"{task.id} is {task.assignee}'s", task.assignee)

    def _move(self, path: str, target: str, agent: AgentId, audit: Audit | None) -> None:
        """Move one file into the compartment, with mode 0600."""
        inner = self._inner(agent)
        inner.files.folder(target.rpartition("/")[0])
        self._outer.files.move(path, f"{FOLDER}/{agent}/{target}", self._outer.line(audit) if audit else None)
        tighten(inner.root, target)

    def _move_messages(self, agent: AgentId, task: TaskId | None) -> None:
        """Move the messages about the task, or all; of two with one name the later one is quarantined."""
        for path in self._messages(agent):
            if task is None or key_of(path.rpartition("/")[2].removesuffix(".md")).name == task.lower():
                self._move_beside(path, agent)

    def _messages(self, agent: AgentId) -> list[str]:
        folders = [f"inbox/{agent}/{box}" for box in ("bodies", *Box)]
        return [f"{folder}/{name}" for folder in folders for name in self._outer.files.names(folder)]

    # --- what a tick finds outside

    def is_due(self) -> bool:
        """Whether a tick has something to move."""
        return any(True for _ in self.moves())

    def moves(self) -> Iterator[Callable[[], object]]:
        """The moves due now, each a separate step: watched tasks, messages, checkpoints."""
        for line in self._outer.entries():
            if line.agent and line.agent in self._agents and self._may_go(line, line.agent):
                yield partial(self._enter_locked, line, line.agent)
        for agent in self._agents:
            if self._messages(agent):
                yield partial(self._move_messages, agent, None)
            path = Checkpoints.path(agent)
            if self._outer.files.stamp(path) and not self._inner(agent).files.stamp(path):
                yield partial(self._move, path, path, agent, None)

    def rest(self) -> Iterator[tuple[str, Callable[[], object]]]:
        """Every other file outside, with the command that moves it in: files that no ledger line names."""
        outer = self._outer
        watched = {line.task for line in outer.entries()}
        for folder in ("status", "dead-letter"):
            for loaded in outer.readable(folder):
                agent = outer.in_force(loaded.task).assignee
                if agent and agent in self._agents and loaded.task.id not in watched:
                    yield loaded.path, partial(self.fetch, loaded.task.id, agent, False)
        for agent in self._agents:
            for path in (f"status/{agent}.md", Checkpoints.path(agent)):
                if outer.files.stamp(path):
                    yield path, partial(self._move_beside, path, agent)

    def _move_beside(self, path: str, agent: AgentId) -> None:
        """Move a file in, or into the inner quarantine/ if its name exists there."""
        try:
            self._move(path, path, agent, None)
        except Conflict:
            self._move(path, f"quarantine/{path.replace('/', '-')}", agent, None)

    def _enter_locked(self, line: Entry, agent: AgentId) -> None:
        with self._outer.locks.hold(line.task.lower(), PATIENCE, f"clawfiles: {line.task} goes in"):
            self.enter(line, agent)

    def _may_go(self, line: Entry, agent: AgentId) -> bool:
        """Whether no run outside still needs the task: none is alive, or ended and not handled yet."""
        try:
            task = self._outer.in_force(self._outer.load(line.task).task)
            run = self._run_of(task, line)
            self._check(task, agent)
        except Conflict:
            return False
        except ClawError:
            return self._outer.find(line.task) is None  # unreadable: the tick says so, as of any other
        return run is None or (not run.alive and (has_ended(task) or task.state is State.BLOCKED))
