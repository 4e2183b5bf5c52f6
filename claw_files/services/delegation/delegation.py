"""Delegates tasks to agents: delegate, spawn, send again, give to the next agent.

The order never changes, because each step alone suffices to redo the rest after a crash: the ledger line, the
reservation and the assignee, the message, the run.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from msgspec.structs import replace

from claw_files.core import text as words
from claw_files.core.errors import Conflict, NotFound, Refused
from claw_files.core.journal_events import JournalEvent
from claw_files.core.keys import message_id, run_id, task_key
from claw_files.core.model import (
    AgentId,
    AgentKind,
    Audit,
    Box,
    Entry,
    Kind,
    Message,
    Run,
    RunId,
    State,
    Task,
    TaskId,
)
from claw_files.formats import status
from claw_files.policy import delegation, payload_sizes, routing, transitions
from claw_files.policy.delegation import SpawnOrder
from claw_files.policy.flow_tree import Caller
from claw_files.policy.snapshot import Predecessor
from claw_files.services.delegation.spawn_contract import (
    Contract,
    DelegationResult,
    SpawnerIdentity,
    check_free,
    check_group,
    check_label,
    is_sent,
    own_terms,
    size_of,
    terms_for,
    terms_of,
    worker_of,
)
from claw_files.services.evidence import predecessors
from claw_files.services.messaging import prompt_templates
from claw_files.services.tasks import recorded_ends
from claw_files.services.tasks.checkpoints import Checkpoints
from claw_files.storage import task_recall
from claw_files.storage.workspace import LEDGER_PATIENCE, Workspace

if TYPE_CHECKING:  # read when an agent is chosen, or asked again
    from claw_files.services.delegation.agent_selection import AgentSelection

__all__ = ["DelegationResult", "Delegations", "SpawnOrder"]


class Delegations:
    """Everything that puts a task message into an inbox."""

    def __init__(
        self,
        workspace: Workspace,
        runs: Callable[[], Sequence[Run]] = tuple,
        lacks_sandbox: Callable[[], str | None] = lambda: None,
        choosing: "Callable[[], AgentSelection] | None" = None,
        blockers: Callable[[Task], tuple[Predecessor, ...]] = lambda _: (),
    ) -> None:
        """`runs` gives the live runs that whoever calls is part of; `lacks_sandbox` why none can be built here.

        Without `choosing`, for what has been routed already, pools and caches are not looked at.
        `blockers` says which tasks that one comes after are not done: until then it is watched, and nothing is sent.
        """
        self._ws, self._lacks_sandbox, self._choosing = workspace, lacks_sandbox, choosing
        self._callers, self._blockers = SpawnerIdentity(workspace, runs), blockers

    # --- by command

    def delegate(
        self,
        task_id: TaskId,
        by: AgentId,
        to: AgentId | None = None,
        check: datetime | None = None,
        inside: TaskId | None = None,
        sender: "Delegations | None" = None,
        urgent: bool = False,
    ) -> DelegationResult:
        """Route the task, write the ledger line, send the message; accepted means durable.

        Args:
            urgent: its answer is needed now: it gets the highest priority.
            sender: where `by` works, if that is another place than this one: its chain of senders counts.

        Raises what the rules of delegation raise, AlreadyClaimed when it is in progress, Conflict when it is
        delegated already.
        """
        ws = self._ws
        task = ws.in_force(ws.load(task_id).task)
        check_free(ws, task)
        ws.check_room()
        if urgent and not routing.is_urgent(task):
            audit = Audit(JournalEvent.URGENT, task=task.id, actor=by, why="its answer is needed now")
            task = ws.update(task.id, routing.made_urgent, audit)
        agent = to or self._pick(task)
        settings = ws.settings
        delegation.check_sandbox(settings, agent, bool(task.label and task.sandbox), self._lacks_sandbox)
        if settings.agent(agent).kind is AgentKind.WORKER:
            return self._delegate_to_worker(task, agent, by, inside)
        chain = (sender or self).check(by, agent, inside)
        ws.siblings.check_handover(task, agent)
        now = ws.clock.now()
        at = check or words.next_look(now, settings.heartbeat.check[0])
        audit = Audit(JournalEvent.DELEGATE, task=task.id, agent=agent, actor=by, why=f"delegated to {agent}")
        done = DelegationResult(task=task.id, agent=agent, check=at, warning=routing.estimate_warning(task.estimate))
        with ws.locks.hold(task_id.lower(), LEDGER_PATIENCE, f"{by}: delegate {task_id} to {agent}"):
            check_free(ws, ws.in_force(ws.load(task_id).task))  # of two at once the second must not write its line
            ws.put_entry(Entry(task=task.id, agent=agent, at=at), audit)
            if waits_for := self._wait(task, agent, audit):
                return replace(done, waits_for=waits_for)
            return replace(done, message=self.deliver_held(task.id, agent, by, chain).id)

    def _wait(self, task: Task, agent: AgentId, audit: Audit) -> tuple[Predecessor, ...]:
        """What the task, whose line is written, still comes after; then it is only marked as the agent's."""
        unmet = self._blockers(task)
        if unmet and task.assignee != agent:
            self._ws.update(task.id, lambda found: replace(found, assignee=agent), audit, keep_mtime=True)
        return unmet

    def check(self, by: AgentId, to: AgentId, inside: TaskId | None = None) -> tuple[AgentId, ...]:
        """The chain of senders, if `by` may delegate to `to`; raises what the rules of delegation raise."""
        self._ws.check_room()
        inside_task, chain = self._inside(by, inside)
        delegation.check_sandbox(self._ws.settings, self._ws.settings.agent(to).name, False, self._lacks_sandbox)
        return delegation.check_hop(self._ws.settings, by, to, chain, inside_task)

    def _pick(self, task: Task) -> AgentId:
        choice = self._choosing().pick(task) if self._choosing else routing.pick(self._ws.settings, task.type)
        if choice is None:
            raise Refused("routing", f"no route for {task.id}", f"`clawfiles delegate {task.id} --to AGENT`")
        return choice.agent

    def _delegate_to_worker(self, task: Task, agent: AgentId, by: AgentId, inside: TaskId | None) -> DelegationResult:
        label, size = own_terms(self._ws.settings, task)
        order = SpawnOrder(text=task.title, label=label, size=size.value, worker=agent, task=task.id)
        return self.spawn(order, by, inside)

    def _inside(self, by: AgentId, inside: TaskId | None) -> tuple[Task | None, tuple[AgentId, ...]]:
        """The delegated task that `by` works on, with the senders behind it: at most one hop."""
        if inside is None:
            return None, ()
        try:
            task = self._ws.in_force(self._ws.load(inside).task)
        except NotFound:
            return None, ()
        if task.assignee != by or task.state.is_closed:
            return None, ()
        found = self._ws.find_message(by, task_key(task))
        return task, found[0].chain if found else ()

    # --- delivering, also by the tick

    def deliver(self, task_id: TaskId, agent: AgentId, by: AgentId, chain: tuple[AgentId, ...] = ()) -> Message:
        """`deliver_held` under the task's lock."""
        with self._ws.locks.hold(task_id.lower(), LEDGER_PATIENCE, f"{by}: deliver {task_id} to {agent}"):
            return self.deliver_held(task_id, agent, by, chain)

    def deliver_held(self, task_id: TaskId, agent: AgentId, by: AgentId, chain: tuple[AgentId, ...] = ()) -> Message:
        """Reserve the generation, name the assignee, put the message into new/. Repeating it changes nothing more.

        A task whose agent works in another workspace is moved there first.
        """
        ws = self._ws
        if there := ws.siblings.destination(agent):
            return Delegations(there)._receive(task_id, agent, by, chain, ws.entry(task_id))
        task = self.ensure(task_id, agent, by)
        key = task_key(task)
        if task.assignee == agent and (found := ws.find_message(agent, key)):
            return found[0]
        generation = ws.next_generation(task)
        # Reserve first: a crash before the status file has the number only skips a number.
        ws.claims.reserve(task_id, generation, agent)
        now, model = ws.clock.now(), routing.model_for(ws.settings, agent, task.type, task.model)
        audit = Audit(
            JournalEvent.DELIVER, task=task_id, agent=agent, actor=by, key=key, model=model, why="reserved for it"
        )
        # keep_mtime: a newer file time means that the agent edited the file, which is a trace of the attempt.
        task = ws.update(task_id, lambda t: transitions.reserve(t, agent, generation, now), audit, keep_mtime=True)
        self._retire(task, agent, audit)
        message = self._message(task, agent, by, chain or (by,), now)
        if generation > 1 and (found := ws.find_message(agent, key)):  # it gave the task back, and is given it again
            message = replace(message, id=found[0].id, sends=found[0].sends + 1)
            return self._put_back(message, found[1], replace(audit, action=JournalEvent.RESEND, why="delegated again"))
        # Last: as soon as the message is in new/ the agent may claim, and must find its generation in the file.
        return ws.deliver(message, replace(audit, action=JournalEvent.SEND, why=f"attempt {task.attempt}"))

    def _receive(
        self, task_id: TaskId, agent: AgentId, by: AgentId, chain: tuple[AgentId, ...], line: Entry | None
    ) -> Message:
        """Take the task in from outside, where its lock is held, and deliver it here: the line inside comes first."""
        ws = self._ws
        at = (line.at if line else None) or words.next_look(ws.clock.now(), ws.settings.heartbeat.check[0])
        new = Entry(task=task_id, agent=agent, spawner=line.spawner if line else None, at=at)
        audit = Audit(JournalEvent.MOVED_IN, task=task_id, agent=agent, actor=by, why=f"delegated to {agent}")
        with ws.locks.hold(task_id.lower(), LEDGER_PATIENCE, f"{by}: deliver {task_id} to {agent}"):
            ws.put_entry(new, audit)
            ws.siblings.fetch(task_id, agent, held=True)
            return self.deliver_held(task_id, agent, by, chain)

    def _retire(self, task: Task, agent: AgentId, audit: Audit) -> None:
        """Finish the message of the attempt before: were it still in new/, its agent would be woken for both."""
        if task.attempt == 1:
            return
        recorded_ends.put_away(self._ws, task, task.attempt - 1, audit)
        found = self._ws.find_message(agent, task_key(replace(task, attempt=task.attempt - 1)))
        if found:
            self._ws.finish(*found, audit.actor, f"attempt {task.attempt} follows")

    def ensure(self, task_id: TaskId, agent: AgentId, by: AgentId) -> Task:
        """The task in force; a ledger line that somebody wrote for a task without a file makes one."""
        ws = self._ws
        try:
            task = ws.in_force(ws.load(task_id).task)
        except NotFound:
            if ws.siblings.fetch(task_id, agent):
                return self.ensure(task_id, agent, by)
            if any(it.find(task_id) for it in ws.siblings.others()):
                raise Conflict(f"{task_id} is in a compartment") from None
            task_recall.check_new(ws, task_id, (agent, by))
            now = ws.clock.now()
            task = Task(id=task_id, title=f"{task_id} (from the ledger)", requested_by=by, created=now, updated=now)
            task = replace(task, assignee=agent)
            return ws.create(task, Audit(JournalEvent.TASK_NEW, task=task_id, actor=by, why="named in the ledger"))
        if task.assignee == agent and ws.find_message(agent, task_key(task)):
            return task  # delivered already; it may have begun since
        if task.state is not State.BACKLOG:
            raise ws.already_claimed(task)
        if task.assignee != agent and is_sent(ws, task):
            raise Conflict(f"{task.id} is delegated to {task.assignee} already", task.assignee)
        return task

    def _message(self, task: Task, agent: AgentId, by: AgentId, chain: tuple[AgentId, ...], now: datetime) -> Message:
        ws = self._ws
        loaded = ws.load(task.id)
        key = task_key(task)
        run = run_id(key, 1)
        text, has_more = ws.text_of(loaded.task, loaded.content.data, loaded.path)
        findings = loaded.path if has_more else None
        checkpoint = Checkpoints.worker_path(task.label) if task.label else Checkpoints.path(agent)
        stamp = ws.files.stamp(checkpoint)
        if stamp and task.label:  # it is moved there before its worker starts
            checkpoint = Checkpoints.aside_path(task.label, stamp)
        return Message(
            id=message_id(key, now),
            key=key,
            kind=Kind.TASK,
            sender=by,
            to=agent,
            task=task.id,
            chain=chain,
            attempt=task.attempt,
            generation=task.generation,
            sent=now.replace(microsecond=0),
            ack_by=now.replace(microsecond=0) + ws.settings.heartbeat.ack,
            reply_to=task.spawner or by,
            status_hash=loaded.content.digest,
            definition=status.definition(task) | ({"failures": str(task.failures)} if task.failures else {}),
            body=self._text(task, text, run, checkpoint if stamp else None, findings),
        )

    def _text(self, task: Task, body: str, run: RunId, checkpoint: str | None, findings: str | None) -> str:
        if task.session is None or task.turn == 1:
            before = predecessors.told(self._ws, task)
            is_person = task.assignee is not None and self._ws.settings.is_human(task.assignee)
            return prompt_templates.task_text(task, body, run, checkpoint, before, findings, is_person)
        from claw_files.services.delegation import worker_sessions

        history = worker_sessions.history(self._ws, Checkpoints(self._ws), task)
        return prompt_templates.turn_text(task, worker_sessions.asked(self._ws, task), history, run, checkpoint)

    def resend(self, task_id: TaskId, agent: AgentId, by: AgentId, why: str) -> Message:
        """The same message in new/ again, one send more, with a new time to acknowledge it."""
        ws = self._ws
        found = ws.find_message(agent, task_key(ws.load(task_id).task))
        if found is None:
            raise NotFound("message", f"{task_id} for {agent}")
        message, box = found
        # A polling agent has taken the message and may be working on it; a woken one has lost its run.
        if box is Box.CUR and not ws.settings.is_woken(agent):
            raise Conflict(f"{agent} has read the message on {task_id}", agent)
        now = ws.clock.now().replace(microsecond=0)
        again = replace(message, sends=message.sends + 1, ack_by=now + ws.settings.heartbeat.ack)
        audit = Audit(JournalEvent.RESEND, task=task_id, agent=agent, actor=by, key=again.key, why=why)
        return self._put_back(again, box, audit)

    def _put_back(self, message: Message, box: Box, audit: Audit) -> Message:
        """The message in new/ again, with what it says now: first moved, then written, so it is never there twice."""
        if box is not Box.NEW:
            self._ws.shift(message.to, message.id, box, Box.NEW, replace(audit, action=JournalEvent.PUT_BACK))
        self._ws.rewrite(message, Box.NEW, audit)
        return message

    def next_agent(self, entry: Entry, agent: AgentId, by: AgentId, why: str) -> Message:
        """Withdraw the message from the agent before, and give `agent` a new attempt.

        The line comes first: it tells a message that was withdrawn from one that was read and put away. Raises
        Conflict when the message was read meanwhile: then it is not handed to anybody else.
        """
        ws = self._ws
        task = ws.in_force(ws.load(entry.task).task)
        key = task_key(task)
        audit = Audit(JournalEvent.NEXT_AGENT, task=task.id, agent=agent, actor=by, key=key, why=why)
        now, before = ws.clock.now(), task.assignee
        found = ws.find_message(before, key) if before else None
        is_read = found and found[1] is not Box.NEW and not (found[1] is Box.DONE and entry.agent == agent)
        if task.state is State.BACKLOG and is_read:
            raise Conflict(f"{before} has read the message on {task.id}", before)
        terms, after = terms_for(ws, task, agent, entry.spawner or by)
        at = words.next_look(now, after)
        ws.replace_entry(entry, Entry(task=entry.task, agent=agent, spawner=entry.spawner, at=at), audit)
        if before and found and found[1] is not Box.DONE:
            withdrawn = replace(audit, action=JournalEvent.WITHDRAW, agent=before)
            ws.shift(before, found[0].id, found[1], Box.DONE, withdrawn)
        actor = transitions.Actor(id=by, coordinator=True, tick=True)
        generation = ws.next_generation(task)
        ws.claims.reserve(task.id, generation, agent)

        def rule(task: Task) -> Task:
            return replace(transitions.next_attempt(task, actor, agent, generation, now), **terms)

        ws.update(task.id, rule, audit, keep_mtime=True)
        return self.deliver_held(task.id, agent, by)

    # --- spawning

    def admit(self, by: AgentId, inside: TaskId | None = None, more: int = 1) -> Caller:
        """Whom `by` turns out to be, if there is room in its tree for so many spawns more. Raises Refused."""
        caller = self._callers.caller(by, inside)
        self._callers.check(caller, more)
        return caller

    def spawn(self, order: SpawnOrder, by: AgentId, inside: TaskId | None = None) -> DelegationResult:
        """Queue a worker for one task: accepted at once, its result comes to the spawner.

        Raises Refused where the contract lacks something, the label is taken, or a limit of the tree is reached.
        """
        ws = self._ws
        ws.check_room()
        payload_sizes.check(order.text)
        delegation.check_contract(order.label, order.size)
        assert order.label is not None and order.size is not None
        label, size = words.label(order.label), size_of(order.size)
        worker = worker_of(ws.settings, order, self._choosing() if self._choosing else None)
        delegation.check_spawn(ws.settings, worker, order, by)
        delegation.check_sandbox(ws.settings, worker, order.sandbox == "require", self._lacks_sandbox)
        terms = terms_of(ws, order, worker, self._choosing)
        # Two concurrent spawns must not both find room, or the same label free.
        with ws.locks.hold("spawn", LEDGER_PATIENCE, f"{by}: spawn {label}"):
            now, made = ws.clock.now(), task_recall.made_under(ws, ws.pending.key(label))
            caller = self.admit(by, inside, 0 if made else 1)
            check_label(ws, label, order.task or made)
            check_group(ws, order.group, by)
            who = Audit(JournalEvent.SPAWN, agent=worker, parent_agent=by, actor=by, why=label)
            audit = replace(who, task=order.task, model=terms.model, key=ws.pending.key(label))
            within, asked = caller.within, terms.asked
            contract = Contract(order=order, label=label, size=size, spawner=by, within=within, asked=asked)
            entry = contract.line(ws, worker)
            if order.task is None:
                title, _, rest = order.text.strip().partition("\n")
                task = Task(id=TaskId(""), title=title[:200], requested_by=by, created=now, updated=now)
                task = contract.on(replace(task, type=order.type))
                task = ws.create_numbered(task, audit, rest.strip() or order.text, entry)
            elif made:
                task = ws.in_force(ws.load(order.task).task)
            else:
                task = ws.update(order.task, lambda found: contract.put_on(ws, found, worker), audit)
            audit = replace(audit, task=task.id)
            if task.state is State.BACKLOG:
                ws.put_entry(replace(entry, task=task.id), audit)
        done = DelegationResult(task=task.id, agent=worker, check=entry.at or now, label=label)
        done = replace(done, warning=routing.estimate_warning(task.estimate))
        if made and (is_sent(ws, task) or task.state is not State.BACKLOG):  # by the earlier try, or by a tick
            return replace(done, cached=task.cached_from)
        if waits_for := self._wait(task, worker, audit):
            return replace(done, waits_for=waits_for)
        if terms.earlier and self._choosing and self._choosing().caching.answer(task, *terms.earlier, by):
            return replace(done, cached=terms.earlier[0].id)
        message = self.deliver(task.id, worker, by)
        return replace(done, message=message.id, run=run_id(message.key, 1))
