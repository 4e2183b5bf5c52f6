"""Runs of workflows: begun by a command, seen by each tick, carried out by it.

A run is a task whose worker is the heartbeat. What `plan_workflows` decides is done in an order that can be cut off:
the record, then the tasks, and last the time of the next look, so that what was cut off is looked at again.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timedelta

from msgspec.structs import replace

from claw_files.core import text as words
from claw_files.core.errors import Conflict, InvalidFile, NotFound, UsageError
from claw_files.core.event import KEY_LETTERS
from claw_files.core.journal_events import JournalEvent
from claw_files.core.keys import task_key
from claw_files.core.model import AgentId, AgentKind, Audit, Entry, State, Task, TaskId
from claw_files.core.workflow import BUILT_IN, RunRecord, Step, StepState, Workflow
from claw_files.policy.flow_tree import above
from claw_files.policy.snapshot import Action, FilePlace, TaskEvidence
from claw_files.policy.verification import chosen, verified
from claw_files.policy.workflow_plan import ASK_WORDS, RunAct, RunAction, StepTask, WorkflowRun, money_task, open_tasks
from claw_files.policy.workflow_versions import content_hash
from claw_files.services.accounting.run_history import RunHistory
from claw_files.services.accounting.spend import Spending
from claw_files.services.delegation.delegation import Delegations
from claw_files.services.tasks.lifecycle import TaskService
from claw_files.services.workflows.run_files import RunFiles
from claw_files.services.workflows.run_keys import RunKey
from claw_files.services.workflows.step_text import StepText
from claw_files.services.workflows.versions import VersionStore
from claw_files.storage.workspace import Workspace

_PATIENCE = timedelta(seconds=10)


def begin(
    ws: Workspace,
    workflow: Workflow,
    copies: Mapping[str, bytes],
    given: Mapping[str, str],
    by: AgentId,
    inside: TaskId | None = None,
    key: str | None = None,
    id: TaskId | None = None,
    event: str | None = None,
) -> Task:
    """The task of a new run, or of the one that was begun with the same key; the next tick begins its first steps.

    Args:
        copies: the bytes of the workflow, by its name, and of those that it nests.
        id: of the task, where it follows from what begins the run: begun again, the run is there once.
        event: the mark and type of the event that begins it.

    Raises UsageError for an input that is missing or unknown.
    """
    known = {it.name for it in workflow.inputs}
    if unknown := sorted(set(given) - known):
        has = ", ".join(sorted(known)) or "none"
        raise UsageError(f"`{workflow.name}` has no input `{words.safe(unknown[0], 40)}`; it has {has}")
    if missing := [it.name for it in workflow.inputs if it.default is None and it.name not in given]:
        raise UsageError(f"`{workflow.name}` needs the input `{missing[0]}`: say `-w {missing[0]}=...`")
    if key and (len(key) > KEY_LETTERS or any("\ud800" <= letter <= "\udfff" for letter in key)):
        raise UsageError(f"the key of a run is a text of at most {KEY_LETTERS} letters")
    now = ws.clock.now()
    title = workflow.title or workflow.name
    task = Task(
        id=TaskId(""), title=title[:200], requested_by=by, parent=inside, workflow=workflow.name, assignee=BUILT_IN
    )
    task = replace(task, recorded=State.BACKLOG, created=now, updated=now)
    task = replace(task, workflow_key=key, event=event, workflow_hash=content_hash(copies[workflow.name]))
    audit = Audit(JournalEvent.TASK_NEW, actor=by, key=ws.pending.nonce, why=f"a run of {workflow.name}")
    line = Entry(task=task.id, agent=BUILT_IN, at=now.replace(microsecond=0))
    kept = RunKey(ws, workflow.name, key) if key else None

    def prepare(id: TaskId) -> None:
        RunFiles(ws, id).begin(workflow.name, copies, given, replace(audit, task=id))
        if kept:
            kept.save(id, replace(audit, task=id))

    with ws.locks.hold("workflow-runs", _PATIENCE, f"{by}: a run of {workflow.name}"):
        versions = {name: VersionStore(ws, name).keep(raw, audit) for name, raw in copies.items()}
        task = replace(task, workflow_version=versions[workflow.name])
        return ws.create_numbered(task, audit, "", line, prepare, kept.run() if kept else id)


class RunLoader:
    """What the planner of workflows looks at."""

    def __init__(self, workspace: Workspace, listed: Callable[..., list[WorkflowRun]]) -> None:
        """`listed` answers with nothing for a run of which a file is broken, and reports that: the others go on."""
        self._ws, self._listed = workspace, listed

    def runs(self, looks: Iterable[TaskEvidence], now: datetime) -> Iterator[WorkflowRun]:
        """The open runs of which something may have ended; of the others no file is read."""
        steps: dict[TaskId, dict[TaskId, StepTask]] = {}
        lines: dict[TaskId, tuple[Task, datetime | None]] = {}
        for look in looks:
            if look.task and look.task.flow:
                steps.setdefault(look.task.flow, {})[look.entry.task] = self._step(look)
            if look.task and look.task.workflow:
                lines[look.entry.task] = (look.task, look.entry.at)
        for id in steps.keys() - lines.keys():  # somebody took the line of the run out
            if task := self._ws.known(id):
                lines[id] = (task, None)
        outer = [task.state for task, _ in lines.values() if not task.flow and not task.state.is_closed]
        room = self._ws.settings.workflows.runs - sum(state is not State.BACKLOG for state in outer)
        for id, (task, at) in lines.items():
            if task.state is State.BACKLOG and not task.flow:
                room -= 1
                if room < 0:
                    continue
            tasks = steps.get(id, {})
            # Without any line of its steps it would wait for ever: somebody has taken them out.
            is_due = not tasks or task.state.is_closed or (at is not None and at <= now)
            if is_due or any(it.is_final for it in tasks.values()):
                yield from self._listed(lambda id=id: list(self._readable(*lines[id], steps.get(id, {}))))

    def _readable(
        self, task: Task, look_at: datetime | None, tasks: Mapping[TaskId, StepTask]
    ) -> Iterator[WorkflowRun]:
        """The run; of one that has ended only its tasks, where its files are broken or gone: they are not needed."""
        try:
            yield self._run(task, look_at, tasks)
        except (InvalidFile, NotFound) as wrong:
            if task.state.is_closed:
                empty = Workflow(name=task.workflow or "")
                record = RunRecord(ended=task.updated, outcome=task.state)
                yield WorkflowRun(id=task.id, workflow=empty, record=record, tasks=tasks, state=task.state)
            elif isinstance(wrong, NotFound):  # its files were written before its task
                reason = "it is gone, and the run cannot go on; put it back, or cancel the run"
                raise InvalidFile(f"{RunFiles(self._ws, task.id).folder}/workflow.md", "missing", reason) from wrong
            else:
                raise

    def _step(self, look: TaskEvidence) -> StepTask:
        task = look.task
        assert task is not None
        is_moved = task.state is not State.DEAD or look.place is not FilePlace.STATUS
        return self._as_step(task if is_moved else replace(task, state=State.FAILED))

    def _as_step(self, task: Task) -> StepTask:
        answer = chosen(task, task.answer or task.summary)
        is_accepted = verified(task, self._ws.settings) is not False and (answer is not None or not task.choices)
        return StepTask(id=task.id, state=task.state, is_accepted=is_accepted, answer=answer, why=task.reason or "")

    def _run(self, task: Task, look_at: datetime | None, tasks: Mapping[TaskId, StepTask]) -> WorkflowRun:
        files, agents = RunFiles(self._ws, task.id), self._ws.settings.agents.values()
        workflow, record = files.workflow(task.workflow or ""), files.record()
        if task.workflow_hash not in (None, content_hash(files.copy())) and not (
            task.state.is_closed or record.is_resumed
        ):
            reason = "it was changed, and a run follows the workflow as it was; put it back, or cancel the run"
            raise InvalidFile(f"{files.folder}/workflow.md", "changed", reason)
        limits, ids = self._ws.settings.workflows, [money_task(task.id, record)] * record.is_out
        workflow, tasks = replace(workflow, at_once=min(workflow.at_once, limits.at_once)), dict(tasks)
        tops = (it for it in (task, *above(task, self._ws.known)) if it.workflow and not it.flow)
        if next((it.parent for it in tops), None):  # it hangs below an agent's task, and is bounded like its spawns
            workflow = replace(workflow, at_once=min(workflow.at_once, self._ws.settings.limits.children))
        for step in workflow.steps:  # whose line or record was lost: what has ended counts
            ids += open_tasks(task.id, step, record.steps.get(step.name) or StepState())
        for id in ids:
            # Without a definition it was never made; a file that is not there is looked for in every spelling.
            known = self._ws.known(id) if id not in tasks and self._ws.definition(id) else None
            if known and known.state.is_closed:
                tasks[id] = self._as_step(known)
        open_steps = {name for name, state in record.steps.items() if state.total is None}
        maps = [it for it in workflow.steps if it.items and it.name in open_steps]
        found = {it.name: items for it in maps if (items := files.items(it.name, record.steps[it.name])) is not None}
        return WorkflowRun(
            id=task.id,
            workflow=workflow,
            record=record,
            tasks=tasks,
            totals={it.name: -(-len(found[it.name]) // it.batch) for it in maps if it.name in found},
            people=frozenset(it.name for it in agents if it.kind is AgentKind.HUMAN),
            version=task.workflow_version,
            spent=self._spent(task) if workflow.spend is not None else 0.0,
            most_tasks=limits.tasks,
            look_at=look_at,
            state=task.state,
        )

    def _spent(self, run: Task) -> float:
        spending, history = Spending(self._ws), RunHistory(self._ws)
        return spending.by_group(history.runs_of, run.created).get(run.id.lower(), 0.0)


class RunCarrier:
    """The hands of the planner of workflows."""

    def __init__(self, workspace: Workspace, delegations: Delegations, tasks: Callable[[], TaskService]) -> None:
        self._ws, self._delegations, self._tasks = workspace, delegations, tasks
        self._me = workspace.settings.coordinator

    def carry(self, action: Action, look: TaskEvidence | None) -> None:
        """Write the record, do what follows from it, then set the time of the next look.

        Raises what kept a step from being handed out: the run's line stays due, and the next tick goes on.
        """
        run, record, todo = action.details["run"], action.details["record"], action.details["todo"]
        files = RunFiles(self._ws, run.id)
        now = self._ws.clock.now().replace(microsecond=0)
        if not run.state.is_closed and (run.look_at is None or run.look_at > now):
            self._look_at(run, now)
        if record != run.record:
            files.save(record, run.workflow, action.why)
        text = StepText(self._ws, replace(run, record=record), files)
        for one in todo:
            self._do(run, record, one, text, files)
        if any(one.act is RunAct.BEGIN and one.task and self._is_over(one.task) for one in todo):
            return  # it had ended already: the line stays due, and the next tick counts it
        if not run.state.is_closed and not any(one.act is RunAct.FINISH for one in todo):
            self._look_at(run, action.at)

    def restore(self, id: TaskId, audit: Audit) -> None:
        """Make the file of a run whose line was written by a process that died then. Raises NotFound for no run."""
        known, now = self._ws.definition(id), self._ws.clock.now()
        if known is None or known.task.workflow is None:
            raise NotFound("run of a workflow", id, "`clawfiles workflow run NAME` begins one")
        task = replace(known.task, assignee=BUILT_IN, recorded=State.BACKLOG, updated=now)
        self._ws.create(task, replace(audit, action=JournalEvent.TASK_NEW), known.text)

    def _look_at(self, run: WorkflowRun, at: datetime | None) -> None:
        entry = self._ws.entry(run.id)
        at = at.replace(microsecond=0) if at else None
        audit = Audit(JournalEvent.EXTEND, task=run.id, actor=self._me, why="its next look")
        if entry is None:
            self._ws.put_entry(Entry(task=run.id, agent=BUILT_IN, at=at), replace(audit, action=JournalEvent.WATCH))
        elif entry.at != at:
            self._ws.replace_entry(entry, replace(entry, at=at, dated=True), audit)

    def _do(self, run: WorkflowRun, record: RunRecord, one: RunAction, text: StepText, files: RunFiles) -> None:
        audit = Audit(JournalEvent.STEP, task=one.task or run.id, actor=self._me, why=one.why or one.step)
        step = run.workflow.step(one.step)
        if one.act is RunAct.FREEZE and step:
            files.freeze(step.name, record.steps[step.name], text.items(step), audit)
        elif one.act is RunAct.BEGIN and step and one.task:
            self._begin(run, step, one, text, audit)
        elif one.act is RunAct.ASK and one.task:
            self._ask(run, step, one, audit)
        elif one.act is RunAct.CANCEL and one.task:
            self._tasks().cancel(one.task, self._me, f"{run.id} needs it no more")
        elif one.act is RunAct.CLOSE and one.task:
            if entry := self._ws.entry(one.task):
                task = self._ws.known(one.task)
                agent = task.assignee if task else None
                if task and agent and (found := self._ws.find_message(agent, task_key(task))):
                    self._ws.finish(*found, self._me, "counted")  # first: without a line nobody would look again
                self._ws.replace_entry(entry, None, replace(audit, action=JournalEvent.STEP_COUNTED))
        elif one.act in (RunAct.MOVE, RunAct.FINISH):
            self._move(run, one)

    def _begin(self, run: WorkflowRun, step: Step, one: RunAction, text: StepText, audit: Audit) -> None:
        assert one.task
        agent = next(iter(step.to[one.hop - 1 : one.hop] or step.to_each[one.number - 1 : one.number]), None)
        if step.workflow:
            self._nest(run, step, one.task, text, audit)
            return
        task = replace(
            self._draft(run, one.task, step.name),
            title=f"{step.title[:150]} ({run.id})" if step.title else f"{step.name} of {run.id}",
            type=step.type,
            outputs=text.outputs(step, one.number),
            choices=step.choices,
            size=step.size,
            model=step.model,
            attempts=step.tries,
        )
        known = self._ws.settings.agents.get(agent) if agent else None
        self._hand_out(task, text.body(step, one.number, one.task, known), agent, audit)

    def _nest(self, run: WorkflowRun, step: Step, id: TaskId, text: StepText, audit: Audit) -> None:
        """Begin a run of another workflow, from the copy that was taken when this run began."""
        now, name = self._ws.clock.now(), step.workflow or ""
        if self._ws.find(id) is not None:
            return
        given = {key: text.value_of(step, value) for key, value in step.given}
        raw = RunFiles(self._ws, id).begin_inside(run.id, name, given, audit)
        task = replace(self._draft(run, id, step.name), title=f"{name} of {run.id}", workflow=name, assignee=BUILT_IN)
        number = VersionStore(self._ws, name).number_of(raw)
        task = replace(task, workflow_version=number, workflow_hash=content_hash(raw))
        task = replace(task, state=State.IN_PROGRESS, recorded=State.IN_PROGRESS)
        self._ws.create(task, audit, line=Entry(task=id, agent=BUILT_IN, at=now.replace(microsecond=0)))

    def _ask(self, run: WorkflowRun, step: Step | None, one: RunAction, audit: Audit) -> None:
        """A person decides how a run goes on after the failure of a step, or without money."""
        assert one.task
        settings = self._ws.settings
        chain = (self._me, *settings.above(self._me), *settings.agents)
        person = next((it for it in chain if settings.is_human(it)), self._me)
        task = replace(
            self._draft(run, one.task, one.step),
            title=f"{f'{step.name} of {run.id} failed' if step else f'{run.id} has no money left'}: how to go on?",
            choices=ASK_WORDS if step else ASK_WORDS[1:],
        )
        self._hand_out(task, f"{words.said(one.why)}\n\nAnswer: {', '.join(task.choices)}.", person, audit)

    def _draft(self, run: WorkflowRun, id: TaskId, step: str) -> Task:
        now = self._ws.clock.now()
        return Task(id=id, requested_by=self._me, parent=run.id, flow=run.id, step=step, created=now, updated=now)

    def _hand_out(self, task: Task, body: str, agent: AgentId | None, audit: Audit) -> None:
        """Make the task and delegate it; what an earlier try has made or delegated stays."""
        if self._ws.definition(task.id) is None or self._ws.find(task.id) is None:
            with suppress(Conflict):
                self._ws.create(task, audit, body)
        if self._ws.entry(task.id) is None and not self._is_over(task.id):
            self._delegations.delegate(task.id, self._me, agent)

    def _is_over(self, id: TaskId) -> bool:
        found = self._ws.known(id)
        return found is not None and found.state.is_closed

    def _move(self, run: WorkflowRun, one: RunAction) -> None:
        now, state = self._ws.clock.now(), one.state or State.DONE
        event = JournalEvent.WORKFLOW_END if state.is_closed else JournalEvent.WORKFLOW
        audit = Audit(event, task=run.id, actor=self._me, why=one.why)

        def rule(task: Task) -> Task:
            task = replace(task, state=state, recorded=state, updated=now, lease=None)
            if state is State.DONE:
                made = "; ".join(filter(None, (f"results in flows/{run.id.lower()}/", one.why)))
                return replace(task, completed=now, summary=made)
            return replace(task, reason=one.why or None)

        self._ws.update(run.id, rule, audit)
