"""Flows: lists trees of spawned work, and cancels one completely."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from msgspec.structs import replace

from claw_files.core.errors import Busy, NotFound, Refused, UsageError
from claw_files.core.journal_events import JournalEvent
from claw_files.core.keys import Key
from claw_files.core.model import AgentId, Audit, Entry, Run, RunId, State, Stay, Task, TaskId, Value
from claw_files.policy import authority, transitions
from claw_files.policy import flow_tree as flows
from claw_files.policy.flow_tree import Flow, Member
from claw_files.processes.process_runner import ProcessRunner
from claw_files.services.evidence.task_evidence import EvidenceReader
from claw_files.services.tasks.session_turns import put_away
from claw_files.storage.workspace import Workspace
from claw_files.system import wait_notice
from claw_files.system.clock import awaited

PATIENCE = timedelta(seconds=10)
RUN_SECONDS = 15.0  # until a run that was asked to end is killed and gone
POLL_SECONDS = 0.05
ROUNDS = 10  # the next pass finds tasks that a run spawned just before its end


class FlowNode(Value, frozen=True):
    """One task of a flow as it is shown; the names of the fields are the keys of its JSON. Instants are aware, UTC."""

    task: TaskId
    parent: TaskId | None
    depth: int
    title: str
    agent: AgentId | None
    label: str | None
    state: State
    session: Stay | None
    run: RunId | None  # the newest of this attempt
    alive: bool
    since: datetime | None  # of the run; without one, when the task was written to last


class FlowTree(Value, frozen=True):
    """One flow as it is shown."""

    id: str  # what `flow cancel` is given
    group: str | None
    spawner: AgentId | None
    session: str | None  # the spawner's, from which it was asked for
    open: bool  # whether something of it may still happen
    tasks: tuple[FlowNode, ...]


class FlowListing(Value, frozen=True):
    """The matching flows, and the number of further ones."""

    flows: tuple[FlowTree, ...] = ()
    more: int = 0


class Cancelled(Value, frozen=True):
    """The effects of this `cancel`, without tasks that were closed before."""

    flows: tuple[str, ...]
    stopped: tuple[RunId, ...] = ()
    cancelled: tuple[TaskId, ...] = ()
    closed: tuple[TaskId, ...] = ()  # sessions that had nothing to do
    finished: tuple[TaskId, ...] = ()  # with an existing result, which the next tick takes
    withdrawn: tuple[str, ...] = ()  # messages of sessions that were still waiting for their turn


class Flows:
    """Use cases around trees."""

    def __init__(self, workspace: Workspace, runtime: ProcessRunner, evidence: EvidenceReader) -> None:
        self._ws = workspace
        self._runtime = runtime
        self._evidence = evidence

    # --- looking

    def listing(self, viewer: AgentId | None, ended: bool = False, limit: int = 100) -> FlowListing:
        """The trees that `viewer` may see, newest last; fully ended ones only with `ended`."""
        found = [flow for flow in (self._seen(viewer, it) for it in self._forest()) if flow.members]
        found = [flow for flow in found if ended or flow.is_open]
        return FlowListing(flows=tuple(self._tree(flow) for flow in found[-limit:]), more=max(0, len(found) - limit))

    def _tasks(self) -> list[Task]:
        return [self._ws.in_force(row.task()) for row in self._ws.visible_rows() if not row.error]

    def _forest(self) -> tuple[Flow, ...]:
        return flows.forest(self._tasks())

    def _seen(self, viewer: AgentId | None, flow: Flow) -> Flow:
        """The part of the flow that the viewer may see: its own tasks, and all below them."""
        seen = dict[TaskId, Member]()
        for member in flow.members:
            task, asked = member.task, member.task.spawner or member.task.requested_by
            mine = authority.may_see(self._ws.settings, viewer, task.assignee or AgentId(""), asked)
            if mine or member.parent in seen:
                seen[task.id] = member
        return replace(flow, members=tuple(seen.values()))

    def _tree(self, flow: Flow) -> FlowTree:
        known = self._ws.settings.agents.get(flow.spawner) if flow.spawner else None
        return FlowTree(
            id=flow.id,
            group=flow.group,
            spawner=flow.spawner,
            session=known.session if known else None,
            open=flow.is_open,
            tasks=tuple(self._node(member) for member in flow.members),
        )

    def _node(self, member: Member) -> FlowNode:
        task, run = member.task, self._evidence.run_of(member.task)
        return FlowNode(
            task=task.id,
            parent=member.parent,
            depth=member.depth,
            title=task.title,
            agent=task.assignee,
            label=task.label,
            state=task.state,
            session=task.session,
            run=run.id if run else None,
            alive=bool(run and run.alive),
            since=(run.started if run else None) or task.updated or task.created,
        )

    # --- ending

    def cancel(self, by: AgentId, name: str, ours: Iterable[RunId] = ()) -> Cancelled:
        """Cancel the flow of `name`, leaves first; closed tasks are not changed.

        Each task's runs have ended before it is cancelled. Cut off at any point and begun again, it goes on.

        Args:
            name: a task, a group, a label, or the session of whoever asked for several flows.
            ours: runs that whoever calls is part of: the next tick ends those.

        Raises NotFound; Usage where several are meant; Refused where it is not the business of `by`; Busy where a run
        does not end.
        """
        wanted, mine = self._pick(self._forest(), name), frozenset(ours)
        for flow in wanted:
            self._check(by, flow)
        done = Cancelled(flows=tuple(flow.id for flow in wanted))
        # In rounds: a run may have spawned further tasks just before it was stopped.
        for _ in range(ROUNDS):
            left = [task.id for flow in wanted for task in flows.plan_end(flow) if task.id not in done.finished]
            if not left:
                break
            for task in left:
                done = self._end(by, task, done, mine)
            wanted = self._again(wanted)
        return done

    def _pick(self, forest: Iterable[Flow], name: str) -> list[Flow]:
        """The flows that are meant: by task, group, label or session of who asked; the first way that finds any."""
        known, low = list(forest), name.lower()
        held = [(flow, member.task) for flow in known for member in flow.members]
        ways = (
            [self._at(flow, task) for flow, task in held if task.id.lower() == low],
            [flow for flow in known if flow.group and flow.group.lower() == low],
            [self._at(flow, task) for flow, task in held if task.label and task.label.lower() == low],
        )
        found = next((way for way in ways if way), [])
        if not found and (asked := self._asked_from(known, low)):
            return [flow for flow in asked if flow.is_open] or asked
        found = [flow for flow in found if flow.is_open] or found[-1:]
        if len(found) > 1:
            raise UsageError(f"{name[:80]!r} is ambiguous: {', '.join(flow.id for flow in found[:10])}; use the task")
        if not found:
            raise NotFound("flow", name[:200], "`clawfiles flow list` lists all flows; for a single task use `cancel`")
        return found

    def _asked_from(self, known: Iterable[Flow], session: str) -> list[Flow]:
        agents = self._ws.settings.agents
        return [flow for flow in known if flow.spawner in agents and agents[flow.spawner].session.lower() == session]

    @staticmethod
    def _at(flow: Flow, task: Task) -> Flow:
        return flow if flow.id == task.id else flows.branch(flow, task.id)

    def _check(self, by: AgentId, flow: Flow) -> None:
        top = flow.members[0].task
        asked = top.spawner or top.requested_by
        if not authority.may_steer(self._ws.settings, by, top.assignee or AgentId(""), asked):
            who = " or ".join(dict.fromkeys(str(it) for it in (asked, self._ws.settings.coordinator) if it))
            raise Refused("who may steer", f"{by} may not cancel the flow {flow.id}", f"{who} may")

    def _again(self, wanted: list[Flow]) -> list[Flow]:
        """The same flows read again, because a run may have spawned more before it ended."""
        tops = {member.task.id for flow in wanted for member in flow.members if member.parent is None}
        return [self._at(flow, it.task) for flow in self._forest() for it in flow.members if it.task.id in tops]

    def _end(self, by: AgentId, task_id: TaskId, done: Cancelled, ours: frozenset[RunId]) -> Cancelled:
        """Cancel one task under its lock, so that no tick retries it after its run has ended."""
        ws = self._ws
        with ws.locks.hold(task_id.lower(), PATIENCE, f"{by}: cancel {task_id}"):
            task = ws.in_force(ws.load(task_id).task)
            if not flows.is_open(task):
                return done
            audit = Audit(JournalEvent.CANCEL, task=task_id, agent=task.assignee, actor=by, why="its flow ends")
            if task.state is State.DONE:
                ws.update(task_id, _closed, replace(audit, action=JournalEvent.CLOSE))
                return replace(self._withdraw(done, task, audit), closed=(*done.closed, task_id))
            if self._has_result(task):
                if task.session:
                    ws.update(task_id, _closed, replace(audit, action=JournalEvent.CLOSE), keep_mtime=True)
                return replace(self._withdraw(done, task, audit), finished=(*done.finished, task_id))
            stopped = self._stop(task, by, ours)
            generation = ws.next_generation(task)
            actor = transitions.Actor(id=by, coordinator=True)  # the owner of the top may cancel everything below it
            why, now = f"its flow was cancelled by {by}", ws.clock.now()
            ws.update(task_id, lambda it: transitions.cancel(it, actor, generation, now, why), audit)
            stopped += self._stop(task, by, ours)  # woken meanwhile; it cannot be woken again
            done = self._withdraw(done, task, audit)
            return replace(done, stopped=(*done.stopped, *stopped), cancelled=(*done.cancelled, task_id))

    def _withdraw(self, done: Cancelled, task: Task, audit: Audit) -> Cancelled:
        """Finish the messages that will not become a turn, and return them."""
        moved = put_away(self._ws, task, audit, all_of=True) if task.session else []
        return replace(done, withdrawn=(*done.withdrawn, *moved))

    def _has_result(self, task: Task) -> bool:
        """Whether the worker has ended well, and its result was not recorded yet."""
        if task.label is None or task.state is not State.IN_PROGRESS:
            return False
        look = self._evidence.look(self._ws.entry(task.id) or Entry(task=task.id))
        is_over = look.run is not None and not look.run.alive
        return is_over and look.result is not None and look.result.status is State.DONE

    def _stop(self, task: Task, by: AgentId, ours: frozenset[RunId]) -> list[RunId]:
        """Stop the task's run, and wait for its end. Raises Busy."""
        runs = [run for run in self._runtime.live() if run.task == task.id and run.id not in ours]
        # The run of a reviewer or requester also names the task, but belongs to another tree.
        runs = [run for run in runs if run.agent == task.assignee or Key.parse(run.key).is_attempt]
        for run in runs:
            if self._runtime.stop(run.id):
                why = "its flow ends"
                self._ws.note(Audit(JournalEvent.KILL, task=task.id, agent=run.agent, actor=by, key=run.id, why=why))
        names = ", ".join(run.id for run in runs)
        with wait_notice.waiting(f"for {names} to end, at most {RUN_SECONDS:.0f} s"):
            if not awaited(self._ws.clock, lambda: not any(map(self._is_alive, runs)), RUN_SECONDS, POLL_SECONDS):
                raise Busy(f"{task.id} (it was asked to end; try again)", names)
        return [run.id for run in runs]

    def _is_alive(self, run: Run) -> bool:
        now = self._runtime.look(run.id)
        if now is not None and now.ended is None and not now.alive:
            self._runtime.end_lost(run.id)
        return now is not None and now.alive


def _closed(task: Task) -> Task:
    return replace(task, session=Stay.CLOSED) if task.session else task
