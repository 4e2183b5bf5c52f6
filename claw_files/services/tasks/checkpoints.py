"""Checkpoints of agents, and results of spawned workers."""

import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from itertools import count

from msgspec.structs import replace

from claw_files.core import text
from claw_files.core.errors import CannotRead, ClawError, InvalidFile, NotFound
from claw_files.core.journal_events import JournalEvent
from claw_files.core.keys import Key
from claw_files.core.model import AgentId, Audit, Checkpoint, Result, Run, RunId, State, Task, TaskId
from claw_files.formats import checkpoints as forms
from claw_files.policy import payload_sizes
from claw_files.storage.workspace import Workspace
from claw_files.system.durable import overwrite
from claw_files.system.files import Stamp


class Checkpoints:
    """The files in checkpoints/: each belongs to one agent or to one run of a worker."""

    def __init__(self, workspace: Workspace, in_place: bool = False) -> None:
        """With `in_place` for a sandboxed run, which sees only the one file that was bound for it."""
        self._ws, self._in_place = workspace, in_place

    def save(
        self,
        agent: AgentId,
        completed: tuple[str, ...],
        in_progress: tuple[str, ...],
        pending: tuple[str, ...],
        body: str,
    ) -> Checkpoint:
        """Write the agent's checkpoint; completed tasks are removed from the other lists.

        Raises Refused for a text over 1 MB, InvalidFile for lists that are too long for front matter.
        """
        payload_sizes.check(body)
        now = self._ws.clock.now().replace(microsecond=0)
        fresh = Checkpoint(agent=agent, updated=now, body=body)
        done = tuple(dict.fromkeys(completed))
        begun = tuple(item for item in dict.fromkeys(in_progress) if item not in done)
        left = tuple(item for item in dict.fromkeys(pending) if item not in done and item not in begun)
        fresh = replace(fresh, completed=done, in_progress=begun, pending=left)
        if self._in_place:
            overwrite(os.path.join(self._ws.root, self.path(agent)), forms.render(fresh))
            return fresh
        why = f"{len(done)} done, {len(left)} pending"
        audit = Audit(JournalEvent.CHECKPOINT_SAVE, agent=agent, actor=agent, why=why)
        raw = forms.render(fresh)
        forms.parse(raw, self.path(agent), agent)  # lists that front matter cannot hold must not replace a good one
        self._ws.files.commit(self.path(agent), lambda _: raw, self._ws.line(audit))
        return fresh

    def load(self, agent: AgentId) -> Checkpoint:
        """The agent's checkpoint. Raises NotFound, InvalidFile."""
        path = self.path(agent)
        try:
            raw = self._ws.files.read(path).data
            if not raw:  # made for a run in a sandbox that has not written it yet
                raise NotFound("file", path)
            return forms.parse(raw, path, agent)
        except NotFound:
            raise NotFound("checkpoint", agent, f"`clawfiles checkpoint save --agent {agent}` creates one") from None

    @staticmethod
    def resume(checkpoint: Checkpoint) -> tuple[str, ...]:
        """The tasks to do, in order: first those in progress again, then pending ones; completed ones are skipped."""
        return tuple(dict.fromkeys((*checkpoint.in_progress, *checkpoint.pending)))

    def result(self, label: str, run: RunId | None = None, is_over: bool = False) -> Result | None:
        """The worker's result, or None without one of this run. Raises InvalidFile, CannotRead.

        An empty file is none while the run lives: it was made for it. Once it `is_over`, "empty" is raised.
        """
        path = self.worker_path(label)
        try:
            content = self._ws.files.read(path, payload_sizes.ACCEPTED_BYTES)
        except NotFound:
            return None
        if not content.data and not is_over:  # made for a run in a sandbox that has not written it yet
            return None
        found = forms.parse_result(content.data, path, self._ws.vocabulary)
        return found if run is None or found.run in (None, run) else None

    def left(self, label: str, run: Run | None) -> Result | None:
        """The run's result. An invalid file is a failed result with the reason, and is kept."""
        name, is_over = run.id if run else None, run is not None and not run.alive
        try:
            return self.result(label, name, is_over)
        except InvalidFile as wrong:
            said = f"its result {wrong.path} cannot be read: {wrong.reason}"
            if isinstance(wrong, CannotRead):
                said = "its result is over 1 MB: write long text into a separate file and name it in `outputs`"
            is_told = is_over if not isinstance(wrong, CannotRead) else wrong.problem == "too-large"
            return Result(label=label, status=State.FAILED, run=name, body=said) if is_told else None
        except ClawError:
            return None

    def earlier(self, label: str, task: TaskId, most: int = 10) -> list[tuple[Result, datetime]]:
        """The last results of that label whose run did the task, with when each was written, oldest first.

        Those that were moved aside, and the one that lies there now; what cannot be read is passed over.
        """
        head, there = f"subagent-{text.label(label)}-", self._ws.files
        old = [f"checkpoints/old/{name}" for name in there.names("checkpoints/old") if name.startswith(head)]
        stamped = [(stamp.mtime, path) for path in (*old, self.worker_path(label)) if (stamp := there.stamp(path))]
        found = list[tuple[Result, datetime]]()
        for at, path in sorted(stamped, reverse=True):
            if len(found) == most:
                break
            with suppress(ClawError):
                result = forms.parse_result(there.read(path).data, path, self._ws.vocabulary)
                if result.run and Key.parse(result.run).name == task.lower():
                    found.append((result, at))
        return found[::-1]

    def stamp(self, task: Task) -> Stamp | None:
        """The time of the last write of the checkpoint for a task's work."""
        path = self.worker_path(task.label) if task.label else self.path(task.assignee) if task.assignee else None
        return self._ws.files.stamp(path) if path else None

    def set_aside(self, label: str, by: AgentId) -> str | None:
        """Move an older result of that label out of the way before a new run; its new path, or None."""
        path = self.worker_path(label)
        stamp = self._ws.files.stamp(path)
        if stamp is None:
            return None
        target = self.aside_path(label, stamp)
        audit = Audit(JournalEvent.SET_ASIDE, actor=by, key=path, why=f"a new run of {label} begins")
        found = next(name for name in _numbered(target) if self._ws.files.stamp(name) is None)
        self._ws.files.move(path, found, self._ws.line(audit))
        return found

    @staticmethod
    def aside_path(label: str, stamp: Stamp) -> str:
        """The path of that result after a new run of the label has begun."""
        return f"checkpoints/old/subagent-{label}-{stamp.mtime:%Y%m%dT%H%M%SZ}-{stamp.mtime_ns % 1_000_000_000:09d}.md"

    @staticmethod
    def path(agent: AgentId) -> str:
        return f"checkpoints/{agent}.md"

    @staticmethod
    def worker_path(label: str) -> str:
        """The path for the worker with that label, from its contract, never from a file's content."""
        return f"checkpoints/subagent-{text.label(label)}.md"


def _numbered(path: str) -> Iterator[str]:
    """The path, then with -2, -3, ... behind its name: two results may bear the same time."""
    yield path
    yield from (f"{path.removesuffix('.md')}-{number}.md" for number in count(2))
