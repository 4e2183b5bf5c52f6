"""A run that has ended goes on: the record first, then its line, then its task; typed again, it does the rest."""

from collections.abc import Mapping
from datetime import timedelta

from msgspec.structs import replace

from claw_files.core.errors import NotFound, Refused
from claw_files.core.journal_events import JournalEvent
from claw_files.core.model import AgentId, Audit, Entry, State, Task, TaskId
from claw_files.core.workflow import BUILT_IN, RunRecord, Workflow
from claw_files.policy.snapshot import FilePlace
from claw_files.policy.workflow_plan import task_of
from claw_files.policy.workflow_resume import misfits, resumed, unfinished
from claw_files.policy.workflow_versions import content_hash
from claw_files.services.workflows.run_files import RunFiles
from claw_files.services.workflows.versions import VersionStore
from claw_files.storage.workspace import Workspace

_PATIENCE = timedelta(seconds=30)


def resume(
    ws: Workspace,
    id: TaskId,
    by: AgentId,
    start: str | None = None,
    current: tuple[Workflow, Mapping[str, bytes]] | None = None,
) -> Task:
    """The task of the run, waiting to go on. Raises Refused where it may not, NotFound for no run or step.

    Args:
        start: the step from which a new pass begins; None: what failed or was not begun.
        current: the workflow that it follows from now on, with its copies.
    """
    with ws.ticking.hold("tick", _PATIENCE, f"{by}: workflow resume {id}"):  # a tick would write the record, too
        loaded = ws.load(id)
        task, files = ws.in_force(loaded.task), RunFiles(ws, id)
        if task.workflow is None:
            raise NotFound("run of a workflow", id, "`clawfiles workflow run NAME` begins one")
        flow, record = files.workflow(task.workflow), files.record()
        _check(ws, task, by, record)
        audit = Audit(
            JournalEvent.REQUEUE, task=id, actor=by, agent=BUILT_IN, why=f"resumed from {start or 'failures'}"
        )
        if not record.is_resumed:
            new = _resumed(ws, task, current[0] if current else flow, record, start)
            if current:
                if wrong := "; ".join(misfits(flow, current[0], new)):
                    raise Refused("workflows", f"{id} cannot go on with the workflow as it is now: {wrong}", "")
                files.begin(task.workflow, current[1], files.inputs(), audit)
            files.save(new, current[0] if current else flow, audit.why)
        if ws.entry(id) is None:
            now = ws.clock.now().replace(microsecond=0)
            ws.put_entry(Entry(task=id, agent=BUILT_IN, at=now), replace(audit, action=JournalEvent.WATCH))
        if not task.state.is_closed:
            return task
        if loaded.place is not FilePlace.STATUS:
            ws.move(loaded, "status", replace(audit, action=JournalEvent.BRING_BACK))
        raw = files.copy()
        number, content = VersionStore(ws, task.workflow).keep(raw, audit), content_hash(raw)
        attempt = {"attempt": task.attempt + 1, "generation": ws.next_generation(task), "updated": ws.clock.now()}

        def rule(found: Task) -> Task:
            found = replace(
                found, state=State.BACKLOG, recorded=State.BACKLOG, **attempt, completed=None, verified=None
            )
            return replace(found, workflow_version=number, workflow_hash=content, summary=None, reason=None, lease=None)

        return ws.update(id, rule, audit)


def _check(ws: Workspace, task: Task, by: AgentId, record: RunRecord) -> None:
    if not (by in (ws.settings.coordinator, task.requested_by) or ws.settings.is_human(by)):
        raise Refused("workflows", f"{by} may not resume {task.id}", f"{ws.settings.coordinator} or a person may")
    if task.flow:
        raise Refused("workflows", f"{task.id} is a part of {task.flow}", f"`clawfiles workflow resume {task.flow}`")
    if not task.state.is_closed and not record.is_resumed:
        raise Refused("workflows", f"{task.id} is {task.state} and goes on by itself", "to end it: `clawfiles cancel`")


def _resumed(ws: Workspace, task: Task, flow: Workflow, record: RunRecord, start: str | None) -> RunRecord:
    if start and not flow.step(start):
        raise NotFound("step", start, f"{task.id} has {', '.join(step.name for step in flow.steps)}")
    starts = [start] if start else unfinished(flow, record)
    if not starts and task.state is State.DONE:
        raise Refused("workflows", f"nothing of {task.id} failed", "`--from STEP` begins a new pass at a step")
    failed = dict[str, tuple[int, ...]]()
    for name in () if start else starts:
        step, state = flow.step(name), record.steps[name]
        if step and step.is_map and state.total:
            ids = {number: task_of(task.id, name, state, number) for number in range(1, state.next)}
            ended = {number: known.state for number, id in ids.items() if (known := ws.known(id))}
            failed[name] = tuple(it for it in ids if it in state.left or ended.get(it, State.DONE) is not State.DONE)
    return resumed(flow, record, starts, failed, ws.clock.now())
