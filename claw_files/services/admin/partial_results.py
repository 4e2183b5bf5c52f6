"""Saves the partial work of a run before it is stopped, where its agent will find it."""

from msgspec.structs import replace

from claw_files.core import text
from claw_files.core.errors import ClawError
from claw_files.core.journal_events import JournalEvent
from claw_files.core.model import Audit, Checkpoint, Result, Run, State, Task
from claw_files.formats import checkpoints as forms
from claw_files.services.evidence.run_logs import last_bytes
from claw_files.services.messaging import prompt_templates
from claw_files.services.tasks.checkpoints import Checkpoints
from claw_files.storage.workspace import Workspace
from claw_files.system.files import read_or_empty
from claw_files.system.output_capture import last_lines

PARTIAL_CHARACTERS = 20_000


class PartialResults:
    """Half a result is better than none: partial.md and the last lines of the output."""

    def __init__(self, workspace: Workspace, checkpoints: Checkpoints) -> None:
        self._ws, self._checkpoints = workspace, checkpoints

    def save(self, run: Run) -> str:
        """Save the partial work to the agent's checkpoint, or as a worker's partial result. Returns the path.

        What a worker has written for this run itself stays. Doing it again changes nothing.
        """
        task = self._ws.known(run.task) if run.task else None
        return self._as_result(run, task, task.label) if task and task.label else self._as_checkpoint(run)

    def _as_result(self, run: Run, task: Task, label: str) -> str:
        path = self._checkpoints.worker_path(label)
        try:
            theirs = self._checkpoints.result(label, run.id)
        except ClawError:
            return path  # it is something, and not ours to write over
        if theirs is not None:
            return path
        now = self._ws.clock.now().replace(microsecond=0)
        result = Result(
            label=label,
            status=State.FAILED,
            partial=True,
            run=run.id,
            task=task.id,
            agent=run.agent,
            completed=now,
            body=self._left(run),
        )
        audit = Audit(JournalEvent.SAVE_PARTIAL, task=task.id, agent=run.agent, key=run.id, why="the daemon stops")
        self._ws.files.commit(path, lambda there: there or forms.render_result(result), self._ws.line(audit))
        return path

    def _as_checkpoint(self, run: Run) -> str:
        path = self._checkpoints.path(run.agent)
        audit = Audit(JournalEvent.SAVE_PARTIAL, task=run.task, agent=run.agent, key=run.id, why="the daemon stops")
        left, now = self._left(run), self._ws.clock.now().replace(microsecond=0)
        heading = f"## Left of run {run.id}"

        def add(raw: bytes | None) -> bytes:
            there = forms.parse(raw, path, run.agent) if raw else Checkpoint(agent=run.agent)
            if heading in there.body:
                return raw or b""
            begun = there.in_progress
            if run.task and not any(run.task in item for item in (*begun, *there.completed)):
                begun = (*begun, run.task)
            body = f"{there.body.rstrip()}\n\n{heading}\n\n{left}".lstrip("\n")
            return forms.render(replace(there, updated=now, in_progress=begun, body=body))

        self._ws.files.commit(path, add, self._ws.line(audit))
        return path

    def _left(self, run: Run) -> str:
        """The partial work of the run, as quoted data."""
        parts = [f"The daemon stopped, and ended it on {text.render_instant(self._ws.clock.now())}."]
        partial = read_or_empty(self._ws.files, f"runs/{run.id}/partial.md").decode("utf-8", "replace").strip()
        if partial:
            parts.append(prompt_templates.quoted(partial[:PARTIAL_CHARACTERS], run.agent))
        if tail := self._tail(run):
            parts.append("The last lines of its output:\n\n" + prompt_templates.quoted(tail, run.agent))
        return "\n\n".join(parts) + "\n"

    def _tail(self, run: Run) -> str:
        return last_lines(b"".join(last_bytes(self._ws, run.id, log) for log in ("stdout.log", "stderr.log")))
