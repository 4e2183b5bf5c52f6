"""Answers a spawn with an earlier verified result, found among the tasks of this workspace only."""

from datetime import timedelta

from msgspec.structs import replace

from claw_files.config import Route
from claw_files.core import text
from claw_files.core.errors import ClawError, MoveRefused
from claw_files.core.journal_events import JournalEvent
from claw_files.core.model import AgentId, Audit, Entry, Result, State, Task
from claw_files.formats import checkpoints as forms
from claw_files.policy import result_reuse
from claw_files.policy.rule_context import case_of
from claw_files.policy.snapshot import Snapshot
from claw_files.policy.verification import is_accepted
from claw_files.services.evidence.task_evidence import EvidenceReader
from claw_files.services.tasks.checkpoints import Checkpoints
from claw_files.storage.workspace import Workspace

PATIENCE = timedelta(seconds=10)


class ResultCache:
    """Finds earlier results, and ends new tasks with them."""

    def __init__(self, workspace: Workspace, evidence: EvidenceReader, checkpoints: Checkpoints) -> None:
        self._ws = workspace
        self._evidence = evidence
        self._checkpoints = checkpoints

    def earlier(self, asked: str, route: Route) -> tuple[Task, Result] | None:
        """The newest task that asked the same within the route's time, done and verified, with its result; or None."""
        now = self._ws.clock.now()
        rows = (row for row in self._ws.rows() if row.folder == "status" and not row.error)
        mine = (row.task() for row in rows if row.state == State.DONE and row.type == route.type)
        found = [task for task in mine if result_reuse.may_answer(task, asked, route, now)]
        for task in sorted(found, key=lambda it: it.completed or now, reverse=True):
            if result := self._accepted(task):
                return task, result
        return None

    def _accepted(self, task: Task) -> Result | None:
        """The task's own result, if its outputs exist and the route's check has passed."""
        look = self._evidence.look(Entry(task=task.id, agent=task.assignee))
        case = case_of(look, Snapshot(settings=self._ws.settings), self._ws.clock.now())
        is_own = look.result is not None and look.run is not None and look.result.run == look.run.id
        return look.result if is_own and case.task.state is State.DONE and is_accepted(case) else None

    def answer(self, task: Task, earlier: Task, result: Result, by: AgentId) -> bool:
        """Finish the task, whose line is in the ledger, with the earlier result. False if a run was already started.

        The result first: were we to die before the task says that it is done, the next tick would start its run.
        """
        ws, path, old = self._ws, self._checkpoints.worker_path(task.label or ""), earlier.label or ""
        why = f"the result of {earlier.id}, done {text.render_instant(earlier.completed or ws.clock.now())}"
        audit = Audit(
            JournalEvent.FROM_CACHE,
            task=task.id,
            agent=earlier.assignee,
            parent_agent=by,
            actor=by,
            model=task.model,
            key=earlier.id,
            why=why,
        )
        with ws.locks.hold(task.id.lower(), PATIENCE, f"{by}: answer {task.id} from cache"):
            if not self._is_waiting(task):
                return False
            self._write(task, earlier, result, audit)
            generation = ws.next_generation(task)
            old_path = self._checkpoints.worker_path(old)

            def rule(found: Task) -> Task:
                if found.state is not State.BACKLOG or found.assignee:
                    raise MoveRefused("transitions", f"{found.id} is no longer waiting", "its run has been started")
                return result_reuse.answered(found, earlier, path, old_path, ws.clock.now(), generation)

            ws.update(task.id, rule, audit)
        return True

    def _is_waiting(self, task: Task) -> bool:
        now = self._ws.in_force(self._ws.load(task.id).task)
        return now.state is State.BACKLOG and now.assignee is None

    def _write(self, task: Task, earlier: Task, result: Result, audit: Audit) -> None:
        """Write the copy of the result; another result of the label is moved aside first."""
        label, ws = task.label or "", self._ws
        if label != earlier.label and self._is_there(label):
            self._checkpoints.set_aside(label, audit.actor or ws.settings.coordinator)
        raw = forms.render_result(result_reuse.copied(result, task, earlier))
        path = self._checkpoints.worker_path(label)
        ws.files.commit(path, lambda _: raw, ws.line(replace(audit, action=JournalEvent.COPY_RESULT, why=path)))

    def _is_there(self, label: str) -> bool:
        try:
            return self._ws.files.stamp(self._checkpoints.worker_path(label)) is not None
        except ClawError:
            return True
