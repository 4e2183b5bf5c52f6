"""Executes planned actions, one small method per kind; every method can be repeated."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext

from msgspec.structs import replace

from claw_files.core.errors import Changed, Conflict, MoveRefused, NoSandbox, NotFound
from claw_files.core.journal_events import JournalEvent
from claw_files.core.keys import task_key, turn_key
from claw_files.core.model import AgentId, Audit, Box, Entry, Message, Report, State, Task, TaskId, Verb
from claw_files.core.workflow import BUILT_IN
from claw_files.policy import manual_edits
from claw_files.policy.authority import may_give_work
from claw_files.policy.snapshot import TELLS, Act, Action, TaskEvidence
from claw_files.processes.process_runner import ProcessRunner
from claw_files.services.delegation.delegation import Delegations
from claw_files.services.events import source_runs
from claw_files.services.events.event_carrier import EventCarrier
from claw_files.services.heartbeat.attempt_outcomes import Outcomes, audit_of
from claw_files.services.heartbeat.run_launcher import RunLauncher
from claw_files.services.heartbeat.schedule_runner import Schedules
from claw_files.services.messaging import prompt_templates, task_news
from claw_files.services.messaging.mailbox import Mailbox
from claw_files.services.people.notifications import Notifications
from claw_files.services.tasks import recorded_ends, session_turns
from claw_files.services.workflows.runs import RunCarrier
from claw_files.storage import task_recall
from claw_files.storage.task_restore import given_by
from claw_files.storage.workspace import Workspace

_SHORT = {  # all that is told to an agent who may not read the details
    Act.INFORM: "is done",
    Act.PROGRESS: "is in progress",
    Act.CRITICAL: "has something critical in it",
    Act.REVIEW: "is ready for review",
}

Hand = Callable[[Action, TaskEvidence | None], None]


class ActionExecutor:
    """The hands of the heartbeat."""

    def __init__(
        self,
        workspace: Workspace,
        runtime: ProcessRunner,
        launcher: RunLauncher,
        outcomes: Outcomes,
        delegations: Delegations,
        messages: Mailbox,
        people: Notifications,
        schedules: Schedules,
        follow: Callable[[TaskId], None],
        workflows: RunCarrier,
        events: EventCarrier,
    ) -> None:
        """`follow` handles the successors of a task without a line of their own."""
        self._ws, self._follow = workspace, follow
        self._runtime = runtime
        self.launcher = launcher  # of the runs of messages: those follow from no action
        self._delegations = delegations
        self._messages = messages
        self._people = people
        self._schedules = schedules
        self._workflows = workflows
        self._me = workspace.settings.coordinator
        self._hands: Mapping[Act, Hand] = {
            Act.DATE: self._rewrite_line,
            Act.EXTEND: self._rewrite_line,
            Act.WAIT_UNTIL: self._rewrite_line,
            Act.RECORD: self._record,
            Act.CONFLICT: self._conflict,
            Act.CARRY: self._carry,
            Act.DELIVER: self._deliver,
            Act.RESEND: self._resend,
            Act.NEXT_AGENT: self._next_agent,
            Act.STOP: self._stop,
            Act.BLOCK: outcomes.block,
            Act.UNBLOCK: outcomes.unblock,
            Act.FINISH: outcomes.finish,
            Act.FAIL: outcomes.fail,
            Act.RETRY: outcomes.retry,
            Act.TURN: outcomes.turn,
            Act.AGAIN: outcomes.again,
            Act.DEAD_LETTER: outcomes.dead_letter,
            Act.VERIFY: launcher.verify,
            Act.VERIFIED: outcomes.verified,
            Act.REOPEN: outcomes.reopen,
            Act.REPORT: outcomes.report,
            Act.CLOSE: self._close,
            Act.UNWATCH: self._close,
            Act.DELEGATE: self._delegate,
            Act.EVENT: self._event,
            Act.ANNOUNCE: self._announce,
            Act.BRIEF: self._brief,
            Act.GIVE_UP: self._give_up,
            Act.WORKFLOW: workflows.carry,
            Act.EVENT_ACCEPT: events.accept,
            Act.EVENT_START: events.start,
            Act.POLL: lambda action, _: source_runs.start(workspace, runtime, action),
        } | dict.fromkeys(TELLS, self._tell)

    def act(self, action: Action, look: TaskEvidence | None) -> bool:
        """Execute one action. False if another move made it pointless meanwhile."""
        try:
            self._hands[action.act](action, look)
        except (Changed, Conflict, MoveRefused, NoSandbox, NotFound):
            return False  # the next look decides anew, on what stands there now
        return True

    def _audit(self, action: Action) -> Audit:
        return audit_of(action, self._me)

    # --- the ledger

    def _rewrite_line(self, action: Action, look: TaskEvidence | None) -> None:
        old = self._entry(action)
        verb = Verb.WAIT if action.act is Act.WAIT_UNTIL else Verb.CHECK
        at = action.at.replace(microsecond=0) if action.at else None
        is_ticked = old.ticked and "untick" not in action.details
        self._ws.replace_entry(old, replace(old, at=at, verb=verb, dated=True, ticked=is_ticked), self._audit(action))

    def _entry(self, action: Action) -> Entry:
        """The current line: an earlier action may have rewritten it."""
        entry = self._ws.entry(action.task) if action.task else None
        if entry is None:
            raise NotFound("ledger line", action.task or "")
        return entry

    def _close(self, action: Action, look: TaskEvidence | None) -> None:
        """Remove the line; finish the task's message first, because without a line nothing would look for it."""
        entry = self._entry(action)
        if action.act is Act.CLOSE:
            self._follow(entry.task)
        message, box = (look.message, look.box) if look else self._message_of(entry)
        is_over = action.act is Act.CLOSE or (look and look.held)  # which a command had released, and died
        if is_over and message and box:
            self._ws.finish(message, box, self._me, action.act.value)
        if look and look.task and look.task.state is State.DONE:
            recorded_ends.put_away(self._ws, look.task, look.task.attempt, self._audit(action))
        closed = self._ws.in_force(look.task).state if action.act is Act.CLOSE and look and look.task else None
        self._ws.replace_entry(entry, None, replace(self._audit(action), after=closed))

    def _message_of(self, entry: Entry) -> tuple[Message, Box] | tuple[None, None]:
        """The message of the entry's task, if the action came without evidence: it was the group's."""
        task = self._ws.load(entry.task).task
        agent = task.assignee or entry.agent
        return (self._ws.find_message(agent, task_key(task)) if agent else None) or (None, None)

    # --- what was done by hand

    def _record(self, action: Action, look: TaskEvidence | None) -> None:
        message = look.message if look else None

        def rule(task: Task) -> Task:
            task = self._ws.in_force(recorded_ends.checked(self._ws, task))
            if message:
                task = given_by(task, message)
            agent = task.assignee or action.agent
            standing = manual_edits.ManualEdit(state=task.state, moved=True)
            now, lasting = self._ws.clock.now(), self._ws.settings.heartbeat.lease
            return manual_edits.record(replace(task, assignee=agent), standing, generation, now, lasting)

        assert action.task is not None and look is not None and look.task is not None
        is_released = self._ws.in_force(look.task).state is State.BACKLOG
        if is_released:
            # Ticked first: were we to die before the line is gone, it would read as a send still to be made.
            entry = self._entry(action)
            self._ws.replace_entry(entry, replace(entry, ticked=True), self._audit(action))
        agent, sent = look.task.assignee or action.agent, message.generation if message else None
        generation = self._reserved(look.task, agent, sent or 0)
        with self._claim(look.task, generation, None if is_released else agent):
            self._ws.update(action.task, rule, self._audit(action), keep_mtime=True)

    def _claim(self, task: Task, generation: int, agent: AgentId | None) -> AbstractContextManager[None]:
        """Mark the generation as claimed in the claim log: a move by hand claims it, as the command does."""
        given = self._ws.claims.given(task.id)
        is_free = agent == given.reserved(generation) and not (given.is_spent(generation) or given.is_taken(generation))
        return self._ws.claims.take(task.id, generation, agent) if agent and is_free else nullcontext()

    def _reserved(self, task: Task, agent: AgentId | None, sent: int) -> int:
        """The new generation of `agent` for the task, in the claim log before it is in the file."""
        given, number = self._ws.claims.given(task.id), max(task.generation, sent)
        if not sent and agent and (number == 0 or given.holder(number) not in (None, agent)):
            number = self._ws.next_generation(task)
        if agent and number > given.highest:
            self._ws.claims.reserve(task.id, number, agent)
        return number

    def _conflict(self, action: Action, look: TaskEvidence | None) -> None:
        """Report the conflict; if another agent than the holder wrote the file, restore the effective state."""
        if not action.details.get("told"):
            self._tell(action, look)
        if action.task and look and look.task and (look.task.superseded is not None or look.task.stranger):
            self._bring_forward(action.task, self._audit(action))

    def _bring_forward(self, task: TaskId, audit: Audit) -> None:
        """Write the effective state over an older copy, marked in `updated` as clawfiles' own write."""

        def rule(found: Task) -> Task:
            found = task_recall.recalled(self._ws, recorded_ends.checked(self._ws, found))
            return replace(self._ws.in_force(found), updated=self._ws.clock.now())

        self._ws.update(task, rule, audit, keep_mtime=True)

    def _carry(self, action: Action, look: TaskEvidence | None) -> None:
        """Make the reported move in the report's author's name."""
        report: Report = action.details["report"]
        known = self._ws.settings.agents.get(report.author)
        sent = look.message.generation if look and look.message else None

        def rule(task: Task) -> Task:
            now, lasting = self._ws.clock.now(), self._ws.settings.heartbeat.lease
            return manual_edits.carry(task, report, known, generation, now, lasting, self._ws.is_reviewed(task))

        assert action.task is not None and look is not None and look.task is not None
        agent = look.task.assignee or report.author
        generation = self._reserved(look.task, agent, sent or 0)
        with self._claim(look.task, generation, agent):
            self._ws.update(action.task, rule, self._audit(action), keep_mtime=True)

    # --- sending

    def _deliver(self, action: Action, look: TaskEvidence | None) -> None:
        assert action.task is not None and action.agent is not None
        if action.agent == BUILT_IN:
            self._workflows.restore(action.task, self._audit(action))
            return
        if look and look.task is None and self._ws.definition(action.task):  # a command died on its way to the file
            self._delegations.ensure(action.task, action.agent, self._sender(look))
            return  # it may come after others: the next look knows
        if look and look.task and look.task.session:
            session_turns.put_away(self._ws, look.task, replace(self._audit(action), why="its turn begins"))
        self._delegations.deliver_held(action.task, action.agent, self._sender(look))

    def _sender(self, look: TaskEvidence | None) -> AgentId:
        """In whose name the tick sends: the spawner's of the line, else the coordinator's."""
        return (look.entry.spawner if look else None) or self._me

    def _resend(self, action: Action, look: TaskEvidence | None) -> None:
        assert action.task is not None and action.agent is not None
        self._delegations.resend(action.task, action.agent, self._me, action.why)

    def _next_agent(self, action: Action, look: TaskEvidence | None) -> None:
        assert action.agent is not None
        self._delegations.next_agent(self._entry(action), action.agent, self._me, action.why)

    def _delegate(self, action: Action, look: TaskEvidence | None) -> None:
        assert action.task is not None
        if self._ws.load(action.task).task.superseded is not None:  # an older copy was put back: it is not ready
            self._bring_forward(action.task, replace(self._audit(action), action=JournalEvent.CONFLICT))
            return
        self._delegations.delegate(action.task, self._me, action.agent)

    def _tell(self, action: Action, look: TaskEvidence | None) -> None:
        """Send a notice once: its file name is its key."""
        assert action.agent is not None and action.kind is not None
        text = action.text
        if action.act is Act.INFORM and look:
            text = task_news.with_report(self._ws, text, look)
            text = prompt_templates.for_person(text) if self._ws.settings.is_human(action.agent) else text
        holder, told = look.task.assignee if look and look.task else None, _SHORT.get(action.act, "needs a look")
        if action.act is Act.ASK:
            by_right = holder is not None and may_give_work(self._ws.settings, holder, action.agent)
            text = f"{holder or 'Somebody'} needs an answer on {action.task}:\n\n" + (
                prompt_templates.plain(text) if by_right else prompt_templates.quoted(text, holder or "it")
            )
        reply_to = holder if action.act in (Act.ASK, Act.ESCALATE) else None
        self._messages.tell(
            action.key,
            action.agent,
            text,
            action.kind,
            action.task,
            self._audit(action),
            reply_to=reply_to or self._me,
            short=told,
            whole=action.act is Act.ASK,
            run=action.details.get("run"),
            root=action.details.get("root"),
            holder=holder,
            in_reply_to=_answered(look.task) if action.act is Act.INFORM and look and look.task else None,
        )

    def _stop(self, action: Action, look: TaskEvidence | None) -> None:
        """End the task's runs, that of an earlier attempt included."""
        runs = [run for run in self._runtime.live() if run.task == action.task and run.agent == action.agent]
        for run in runs or ([look.run] if look and look.run else []):
            self._runtime.stop(run.id)
            self._ws.note(replace(self._audit(action), key=run.id))

    # --- the clock and people

    def _event(self, action: Action, look: TaskEvidence | None) -> None:
        if "arm" in action.details:
            self._schedules.arm(action.key, action.why)
        else:
            self._schedules.emit(action.key, action.details["schedule"], action.details.get("rule"))

    def _announce(self, action: Action, look: TaskEvidence | None) -> None:
        assert action.agent
        self._people.announce(action.agent, action.details["id"])

    def _brief(self, action: Action, look: TaskEvidence | None) -> None:
        assert action.agent and action.at
        self._people.brief(action.agent, action.key, action.at, action.details["ids"])

    def _give_up(self, action: Action, look: TaskEvidence | None) -> None:
        self._people.give_up(action.details["id"], action.why)


def _answered(task: Task) -> str | None:
    """The message of a session that the news are the answer to."""
    return turn_key(task.id, task.turn) if task.session and task.turn > 1 else None
