"""Claims: exactly one of any number of processes becomes the holder; the others get its name.

The order, each step enough to see after a crash: the ledger line, the claim file, the status file. The task's lock
keeps honest claimants from getting in each other's way; that exactly one wins is up to the claim file and the commit.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from heapq import heapify, heappop

from msgspec.structs import replace

from claw_files.core import text
from claw_files.core.errors import AlreadyClaimed, Busy, ClawError, Conflict, NotFound, Refused
from claw_files.core.journal_events import JournalEvent
from claw_files.core.keys import task_key
from claw_files.core.model import AgentId, Audit, Entry, Lease, State, Task, TaskId
from claw_files.policy import routing, transitions
from claw_files.policy.snapshot import Predecessor, standing_of
from claw_files.services.tasks.lifecycle import actor_for, check_no_worker
from claw_files.storage.task_index import IndexRow
from claw_files.storage.workspace import Workspace

PATIENCE = timedelta(seconds=10)
TAKEN_FOR = timedelta(minutes=1)  # so long a program without our lock has to write the status after it took a number


class ClaimService:
    """`claim TC-47` and `claim --next`."""

    def __init__(self, workspace: Workspace, blockers: Callable[[Task], tuple[Predecessor, ...]]) -> None:
        """`blockers` returns the unfinished predecessors of a task."""
        self._ws, self._blockers = workspace, blockers

    def claim(self, task_id: TaskId, agent: AgentId, generation: int | None = None) -> Lease:
        """The lease of `agent` on the task.

        Args:
            generation: what the caller holds, or was woken with. Who names the one in force has its lease renewed.

        Raises what `transitions.claim` raises, StaleGeneration for another number than the one that would be
        claimed, Refused for a worker and for a task whose `after` tasks are not done, Busy.
        """
        ws = self._ws
        check_no_worker(ws.settings, agent, task_id)
        with ws.locks.hold(task_id.lower(), PATIENCE, f"{agent}: clawfiles claim {task_id}"):
            task = ws.in_force(ws.load(task_id).task)
            if task.state is State.IN_PROGRESS:
                return self._renew(task, agent, generation)
            self.check(task, agent)
            number = self._generation(task, agent)
            if generation is not None:
                self._check_named(task, agent, generation, number)
            return self._take(task, agent, number)

    def check(self, task: Task, agent: AgentId) -> None:
        """Check before any write; raises what `claim` raises for a task that is not in progress."""
        now = self._ws.clock.now()
        transitions.claim(task, actor_for(self._ws.settings, agent, task), 0, now, PATIENCE)
        if waiting := self._blockers(task):
            why = f"{task.id} depends on {standing_of(waiting)}, which is not done yet"
            raise Refused("after", why, "to claim another task: `clawfiles claim --next`")

    def _generation(self, task: Task, agent: AgentId) -> int:
        """The agent's reserved generation, or one begun by an earlier claimant; else one above the highest.

        Agents overwrite files: the highest of status file, claim files and message counts, wherever it is known. A
        claim that was begun and not ended is taken over if its maker is dead, and refuses us if it lives.
        """
        ws = self._ws
        given = ws.claims.given(task.id)
        found = ws.find_message(agent, task_key(task)) if task.assignee == agent else None
        message = found[0] if found else ws.latest_message(agent, task.id) if not given.highest else None
        following = ws.next_generation(task, message)
        kept = following - 1
        if message and not found and (message.generation or 0) == kept:
            return following  # of a delegation that was given back; without its claim log only the message knows
        if given.is_taken(kept) and not given.is_spent(kept):
            if given.at is None or ws.clock.now() - given.at < TAKEN_FOR:
                raise AlreadyClaimed(task.id, given.owner(kept), kept)
            return following  # its claimant never wrote the status file; if it returns, its number is superseded
        owner = given.reserved(kept)
        is_free = owner == agent or (owner is None and kept > task.generation)
        # Spent when the agent moved its file back to backlog by hand: never assigned twice.
        return kept if is_free and not given.is_spent(kept) else following

    @staticmethod
    def _check_named(task: Task, agent: AgentId, named: int, number: int) -> None:
        if named != number:
            transitions.check_generation(task, agent, named)

    def _take(self, task: Task, agent: AgentId, number: int) -> Lease:
        ws = self._ws
        lasting = ws.settings.heartbeat.lease
        audit = Audit(JournalEvent.CLAIM, task=task.id, agent=agent, actor=agent, why=f"generation {number}")
        self._watch(task.id, agent, audit)

        def rule(found: Task) -> Task:
            # Read the clock inside: waiting for the lock would otherwise eat into the lease.
            return transitions.claim(found, actor_for(ws.settings, agent, found), number, ws.clock.now(), lasting)

        holder: AgentId | None = None
        try:
            # Two guards: the claim file excludes other claimants, and the update refuses if the task left backlog.
            with ws.claims.take(task.id, number, agent):
                return _lease(ws.update(task.id, rule, audit), agent)
        except AlreadyClaimed as lost:
            holder = AgentId(lost.holder) if lost.holder else None
            raise
        finally:
            # Also after a lost claim: the last claimant is the one that must leave a single line.
            self._settle(task.id, holder, agent)

    def _settle(self, task: TaskId, holder: AgentId | None, agent: AgentId) -> None:
        """Leave one ledger line, the winner's: losers wrote theirs before they lost. The last claimant does it."""
        ws = self._ws

        def winner() -> AgentId | None:
            found = ws.load(task).task
            return found.assignee if found.state is State.IN_PROGRESS else holder

        with suppress(ClawError):  # a tick names a second line, and all lines go with the task
            ws.settle_entries(task, winner, Audit(JournalEvent.WATCH, task=task, agent=agent, actor=agent))

    def _watch(self, task: TaskId, agent: AgentId, audit: Audit) -> None:
        """Write the ledger line first; otherwise no heartbeat would see the task if the claimant dies now."""
        ws = self._ws
        old = ws.entry(task)
        if old and old.agent in (None, agent):
            return
        new = Entry(task=task, agent=agent, at=text.next_look(ws.clock.now(), ws.settings.heartbeat.check[0]))
        # Replace the line of a claimant that died before its claim.
        ws.put_entry(new, replace(audit, action=JournalEvent.WATCH))

    def _renew(self, task: Task, agent: AgentId, generation: int | None) -> Lease:
        """Renew the lease for the generation's holder; a second process of one agent is refused."""
        ws = self._ws
        if task.assignee != agent or generation is None:
            raise ws.already_claimed(task)
        transitions.check_generation(task, agent, generation)
        audit = Audit(JournalEvent.CLAIM, task=task.id, agent=agent, actor=agent, why="lease renewed")

        def rule(found: Task) -> Task:
            transitions.check_generation(found, agent, generation)
            actor = actor_for(ws.settings, agent, found)
            return transitions.progress(found, actor, ws.clock.now(), ws.settings.heartbeat.lease)

        return _lease(ws.update(task.id, rule, audit), agent)

    # --- the next one

    def claim_next(self, agent: AgentId, task_type: str | None = None) -> Lease | None:
        """The lease on the best task that is ready for the agent; None when none is.

        If another agent was faster, or is claiming the task now, the next one is tried.
        """
        check_no_worker(self._ws.settings, agent, TaskId("the next one"))
        for task in self._ready(agent, task_type):
            try:
                return self.claim(task.id, agent)
            except (Conflict, Refused, NotFound, Busy):
                # Another claimant was faster, or is claiming the task now.
                continue
        return None

    def ready(self, agent: AgentId, task_type: str | None = None) -> list[Task]:
        """Tasks in backlog that the agent may claim now, the oldest of the highest priority first."""
        return list(self._ready(agent, task_type))

    def _ready(self, agent: AgentId, task_type: str | None) -> Iterator[Task]:
        """As `ready`, lazily: usually only the first is needed."""
        now = self._ws.clock.now()
        rows = [row for row in self._ws.rows() if self._may_be_ready(row, agent, task_type)]
        heap = [(row.rank, row.created or now.timestamp(), row.order(), place) for place, row in enumerate(rows)]
        heapify(heap)
        while heap:
            task = rows[heappop(heap)[-1]].task()
            if self._is_open_to(task, agent, task_type, now):
                yield task

    @staticmethod
    def _may_be_ready(row: IndexRow, agent: AgentId, task_type: str | None) -> bool:
        if row.folder != "status" or row.error or row.state != State.BACKLOG or row.assignee not in (None, agent):
            return False
        return task_type is None or row.type == task_type

    def _is_open_to(self, task: Task, agent: AgentId, task_type: str | None, now: datetime) -> bool:
        if task.assignee not in (None, agent) or (task_type and task.type != task_type):
            return False
        if task.not_before and task.not_before > now:
            return False
        if task.assignee is None and not routing.may_take(self._ws.settings, agent, task.type):
            return False
        return not self._blockers(task)


def _lease(task: Task, agent: AgentId) -> Lease:
    assert task.lease is not None, "a claim always sets a lease"
    return Lease(task=task.id, holder=agent, generation=task.generation, until=task.lease)
