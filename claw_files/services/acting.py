"""Carrying out what a tick decided, one small method for each kind of action. Every one of them can be repeated."""

from collections.abc import Callable, Mapping
from datetime import timedelta

from msgspec.structs import replace

from claw_files import words
from claw_files.errors import Changed, ClawError, Conflict, MoveRefused, NotFound
from claw_files.model import (
    AgentId,
    AgentKind,
    Audit,
    Box,
    Entry,
    Kind,
    Message,
    Report,
    Run,
    RunId,
    State,
    Task,
    Verb,
)
from claw_files.rules import transitions
from claw_files.rules.snapshot import Act, Action, Look
from claw_files.runtimes import AgentRuntime, Given, StartOrder
from claw_files.services import history, texts
from claw_files.services.checkpoints import Checkpoints
from claw_files.services.delegations import Delegations
from claw_files.services.looking import run_id
from claw_files.services.messages import Messages
from claw_files.services.people import People
from claw_files.services.schedules import Schedules
from claw_files.workspace import Workspace

REASON_CHARS = 400
Hand = Callable[[Action, Look | None], None]


class Acting:
    """The hands of the heartbeat."""

    def __init__(
        self,
        workspace: Workspace,
        runtime: AgentRuntime,
        checkpoints: Checkpoints,
        delegations: Delegations,
        messages: Messages,
        people: People,
        schedules: Schedules,
    ) -> None:
        self._ws = workspace
        self._runtime = runtime
        self._checkpoints = checkpoints
        self._delegations = delegations
        self._messages = messages
        self._people = people
        self._schedules = schedules
        self._me = workspace.settings.coordinator
        self._tick = transitions.Actor(id=self._me, coordinator=True, tick=True)
        told = (Act.NUDGE, Act.ASK, Act.REVIEW, Act.ESCALATE, Act.CONFLICT, Act.INFORM)
        self._hands: Mapping[Act, Hand] = {
            Act.DATE: self._rewrite_line,
            Act.EXTEND: self._rewrite_line,
            Act.WAIT_UNTIL: self._rewrite_line,
            Act.RECORD: self._record,
            Act.CARRY: self._carry,
            Act.DELIVER: self._deliver,
            Act.RESEND: self._resend,
            Act.NEXT_AGENT: self._next_agent,
            Act.STOP: self._stop,
            Act.FINISH: self._finish,
            Act.FAIL: self._fail,
            Act.RETRY: self._retry,
            Act.DEAD_LETTER: self._dead_letter,
            Act.VERIFY: self._verify,
            Act.REOPEN: self._reopen,
            Act.REPORT: self._report,
            Act.CLOSE: self._close,
            Act.UNWATCH: self._close,
            Act.DELEGATE: self._delegate,
            Act.EVENT: self._event,
            Act.ANNOUNCE: self._announce,
            Act.BRIEF: self._brief,
        } | dict.fromkeys(told, self._tell)

    def act(self, action: Action, look: Look | None) -> bool:
        """Carry out one decision. False when somebody else's move meanwhile made it pointless."""
        try:
            self._hands[action.act](action, look)
        except (Changed, Conflict, MoveRefused, NotFound):
            return False  # the next look decides anew, on what stands there now
        return True

    def _audit(self, action: Action) -> Audit:
        return Audit(
            action=action.act.value,
            task=action.task,
            agent=action.agent,
            key=action.key,
            why=action.why,
            actor=self._me,
        )

    # --- the ledger

    def _rewrite_line(self, action: Action, look: Look | None) -> None:
        old = self._entry(action)
        verb = Verb.WAIT if action.act is Act.WAIT_UNTIL else Verb.CHECK
        at = action.at.replace(microsecond=0) if action.at else None
        agent = old.agent or action.agent
        self._ws.replace_entry(old, replace(old, at=at, verb=verb, dated=True, agent=agent), self._audit(action))

    def _entry(self, action: Action) -> Entry:
        """The line as it stands now: an action before this one may have rewritten it."""
        entry = self._ws.entry(action.task) if action.task else None
        if entry is None:
            raise NotFound("ledger line", action.task or "")
        return entry

    def _close(self, action: Action, look: Look | None) -> None:
        """Take the line out; the task's message is finished with it."""
        entry = self._entry(action)
        self._ws.replace_entry(entry, None, self._audit(action))
        message = look.message if look else None
        if message and look and look.box in (Box.NEW, Box.CUR):
            done = replace(self._audit(action), action="inbox done", why=action.act.value)
            self._ws.shift(message.to, message.id, look.box, Box.DONE, done)

    # --- what was done by hand

    def _record(self, action: Action, look: Look | None) -> None:
        message = look.message if look else None

        def rule(task: Task) -> Task:
            if message:
                from claw_files.documents import status

                task = status.restore(task, message.definition)
            agent = task.assignee or action.agent
            standing = transitions.Standing(state=task.state, moved=True)
            generation = (message.generation or 0) if message else 0
            now, lasting = self._ws.clock.now(), self._ws.settings.heartbeat.lease
            return replace(transitions.record(task, standing, generation, now, lasting), assignee=agent)

        assert action.task is not None
        self._ws.update(action.task, rule, self._audit(action), keep_mtime=True)

    def _carry(self, action: Action, look: Look | None) -> None:
        """Make the reported move in the report's author's name."""
        report: Report = action.details["report"]
        author = self._actor(report.author)
        message = look.message if look else None

        def rule(task: Task) -> Task:
            task = replace(task, assignee=task.assignee or report.author)
            generation = max(task.generation, (message.generation or 0) if message else 0)
            return self._moved(replace(task, generation=generation), author, report)

        assert action.task is not None
        self._ws.update(action.task, rule, self._audit(action), keep_mtime=True)

    def _moved(self, task: Task, author: transitions.Actor, report: Report) -> Task:
        now, lasting = self._ws.clock.now(), self._ws.settings.heartbeat.lease
        if report.state is State.IN_PROGRESS:
            if task.state is State.BACKLOG:
                task = transitions.claim(task, author, task.generation, now, lasting)
                return replace(task, eta=report.eta or task.eta)
            return transitions.progress(task, author, now, lasting, report.eta)
        if report.state is State.BLOCKED:
            return transitions.block(task, author, now, report.note or "reported as blocked")
        if report.state is State.FAILED:
            return transitions.fail(task, author, now, report.note or "reported as failed")
        reviewed = report.state is State.REVIEW or self._ws.is_reviewed(task)
        return transitions.finish(task, author, now, reviewed, report.note or None)

    def _actor(self, agent: AgentId) -> transitions.Actor:
        known = self._ws.settings.agents.get(agent)
        return transitions.Actor(id=agent, kind=known.kind if known else AgentKind.NAMED)

    # --- sending

    def _deliver(self, action: Action, look: Look | None) -> None:
        assert action.task is not None and action.agent is not None
        self._delegations.deliver_held(action.task, action.agent, self._sender(look))

    def _sender(self, look: Look | None) -> AgentId:
        """In whose name the tick sends: the spawner's of the line, else the coordinator's."""
        return (look.entry.spawner if look else None) or self._me

    def _resend(self, action: Action, look: Look | None) -> None:
        assert action.task is not None and action.agent is not None
        self._delegations.resend(action.task, action.agent, self._me, action.why)

    def _next_agent(self, action: Action, look: Look | None) -> None:
        assert action.agent is not None
        self._delegations.next_agent(self._entry(action), action.agent, self._me, action.why)

    def _delegate(self, action: Action, look: Look | None) -> None:
        assert action.task is not None
        self._delegations.delegate(action.task, self._me, action.agent)

    def _tell(self, action: Action, look: Look | None) -> None:
        """Tell somebody something once: the message's file name is its key."""
        assert action.agent is not None and action.kind is not None
        text = action.text
        if action.act is Act.INFORM and look and look.result:
            text += "\n\n" + texts.quoted(look.result.body, f"worker {look.result.label}")
        holder = look.task.assignee if look and look.task else None
        reply_to = holder if action.act in (Act.ASK, Act.ESCALATE) else None
        self._messages.tell(
            action.key, action.agent, text, action.kind, action.task, self._audit(action), reply_to=reply_to or self._me
        )

    # --- runs

    def wake(self, message: Message) -> bool:
        """Start the run of a message; then the message is in cur/. False when somebody else started it."""
        settings = self._ws.settings
        agent = settings.agents[message.to]
        task = self._task_of(message)
        if agent.kind is AgentKind.WORKER and task is not None and message.kind is Kind.TASK:
            task = self._begin_worker(task, message)
        now = self._ws.clock.now()
        run = Run(
            id=run_id(message),
            agent=agent.name,
            key=message.key,
            task=message.task,
            generation=task.generation if task else message.generation,
            epoch=self._ws.epoch,
            started=now,
            timeout=(task.timeout if task and task.label else None) or agent.timeout,
        )
        order = StartOrder(
            run=run,
            workspace=self._ws.root,
            command=agent.command,
            message=texts.wake_text(self._whole(message), self._ws.root),
            given=Given(agent.message),
            env=agent.env,
            cwd=(task.cwd if task and task.label else None) or agent.workspace,
            label=task.label if task else None,
            extra=_extra(message, (task.model if task else None) or agent.model),
        )
        audit = Audit(
            action="wake",
            task=message.task,
            agent=agent.name,
            parent_agent=message.sender,
            model=(task.model if task else None) or agent.model,
            key=run.id,
            why=f"{message.kind} from {message.sender}",
            actor=self._me,
        )
        started = self._runtime.start(order)
        if started:
            self._ws.note(audit)
        self._ws.shift(agent.name, message.id, Box.NEW, Box.CUR, replace(audit, action="inbox read"))
        return started

    def _task_of(self, message: Message) -> Task | None:
        try:
            return self._ws.in_force(self._ws.load(message.task).task) if message.task else None
        except ClawError:
            return None

    def _begin_worker(self, task: Task, message: Message) -> Task:
        """A worker never touches the task: it is put in progress in its name, and an older result moved aside."""
        if task.state is not State.BACKLOG:
            return task
        if task.label:
            self._checkpoints.set_aside(task.label, self._me)
        audit = Audit(
            action="claim", task=task.id, agent=message.to, actor=self._me, key=message.key, why="its worker starts"
        )
        generation = max(task.generation, message.generation or 0)
        lasting = max(self._ws.settings.heartbeat.lease, task.timeout or timedelta(0))
        worker = self._actor(message.to)
        with self._ws.claims.take(task.id, generation, message.to):
            return self._ws.update(
                task.id,
                lambda t: transitions.claim(t, worker, generation, self._ws.clock.now(), lasting),
                audit,
                keep_mtime=True,
            )

    def _whole(self, message: Message) -> Message:
        """The message with its whole body, if that lies in a file of its own."""
        if message.body_file is None:
            return message
        content = self._ws.files.read(message.body_file, cap_bytes=2 << 20)
        return replace(message, body=content.data.decode("utf-8", "replace"))

    def _stop(self, action: Action, look: Look | None) -> None:
        if look and look.run:
            self._runtime.stop(look.run.id)
            self._ws.note(self._audit(action))

    def _verify(self, action: Action, look: Look | None) -> None:
        """The route's own check, run like any other; a later tick reads how it ended."""
        assert look and look.task
        route = self._ws.settings.route(look.task.type)
        assert route is not None
        run = Run(
            id=RunId(f"{action.key}-s1"),
            agent=AgentId(f"verify-{look.task.type}"),
            key=look.message.key if look.message else action.key,  # type: ignore[arg-type]
            task=look.task.id,
            started=self._ws.clock.now(),
            timeout=timedelta(minutes=30),
        )
        self._runtime.start(StartOrder(run=run, workspace=self._ws.root, command=route.verify))
        self._ws.note(self._audit(action))

    # --- how attempts end

    def _finish(self, action: Action, look: Look | None) -> None:
        """Move a worker's task by the result file that was verified to be its run's."""
        assert look and look.task and look.result and action.task
        result, worker = look.result, self._actor(look.task.assignee or self._me)
        note = result.body.strip().partition("\n")[0][:REASON_CHARS]
        path = self._checkpoints.worker_path(result.label)

        def rule(task: Task) -> Task:
            now = self._ws.clock.now()
            if result.status is State.DONE:
                outputs = (f"./{path}", *result.outputs)
                return transitions.finish(task, worker, now, self._ws.is_reviewed(task), note or None, outputs)
            return transitions.fail(task, worker, now, ("partial: " if result.partial else "") + (note or "no reason"))

        audit = self._audit(action)
        if result.status is not State.DONE:
            audit = replace(audit, action="fail")
        self._ws.update(action.task, rule, audit, keep_mtime=True)

    def _fail(self, action: Action, look: Look | None) -> None:
        tail = words.safe(action.text.strip()[-REASON_CHARS:])
        reason = action.why + (f": {tail}" if tail else "")
        assert action.task
        now = self._ws.clock.now()
        self._ws.update(
            action.task, lambda t: transitions.fail(t, self._tick, now, reason), self._audit(action), keep_mtime=True
        )

    def _retry(self, action: Action, look: Look | None) -> None:
        assert action.task and look and look.task
        generation = self._ws.next_generation(look.task, look.message)
        now = self._ws.clock.now()
        self._ws.update(
            action.task,
            lambda t: transitions.next_attempt(t, self._tick, action.agent, generation, now),
            self._audit(action),
            keep_mtime=True,
        )
        at = now + self._ws.settings.heartbeat.check[0]
        self._rewrite_line(replace(action, at=at), look)

    def _dead_letter(self, action: Action, look: Look | None) -> None:
        """Dead with its history, a person told, then moved; each step finds out whether it was done."""
        assert action.task and look and look.task
        now = self._ws.clock.now()
        task = look.task
        if task.state is not State.DEAD:
            story = history.of_task(self._ws, task)
            task = self._ws.update(
                action.task,
                lambda t: transitions.die(t, self._tick, now),
                self._audit(action),
                keep_mtime=True,
                note=story,
            )
        person = self._person()
        why = words.safe(task.reason or action.why, limit=300)
        text = (
            f"{task.id} ({words.safe(task.title)}) failed {task.failures} times and is a dead letter: {why}. "
            f"Look at dead-letter/{words.file_name(task.id)}; `clawfiles requeue {task.id}` puts it back."
        )
        key = f"{task.id.lower()}.{task.attempt}.dead"
        self._messages.tell(
            key, person, text, Kind.ANNOUNCE, task.id, replace(self._audit(action), key=key, agent=person)
        )
        self._ws.move(self._ws.load(task.id), "dead-letter", self._audit(action))

    def _person(self) -> AgentId:
        """The first person up the chain from the coordinator; without one, the coordinator."""
        settings = self._ws.settings
        seen, at = set[AgentId](), self._me
        while at not in seen:
            seen.add(at)
            if settings.is_human(at):
                return at
            at = settings.reports_to(at) or at
        return next((a.name for a in settings.agents.values() if a.kind is AgentKind.HUMAN), self._me)

    def _reopen(self, action: Action, look: Look | None) -> None:
        assert action.task and look and look.task and action.agent
        generation = self._ws.next_generation(look.task, look.message)
        now = self._ws.clock.now()
        self._ws.update(
            action.task,
            lambda t: transitions.reopen(t, self._tick, generation, now, action.why),
            self._audit(action),
            keep_mtime=True,
        )
        self._tell(action, None)

    def _report(self, action: Action, look: Look | None) -> None:
        """One message with all results of a group, each quoted with its source."""
        assert action.agent
        parts = [action.text]
        for label in action.details["labels"]:
            result = self._checkpoints.result(label)
            body = result.body if result else "(its file is gone)"
            parts.append(f"## {label}\n\n" + texts.quoted(body, f"worker {label}"))
        audit = self._audit(action)
        self._messages.tell(action.key, action.agent, "\n\n".join(parts), Kind.ANNOUNCE, None, audit)

    # --- the clock and people

    def _event(self, action: Action, look: Look | None) -> None:
        if "arm" in action.details:
            self._schedules.arm(action.key)
        else:
            self._schedules.emit(action.key, action.details["schedule"])

    def _announce(self, action: Action, look: Look | None) -> None:
        assert action.agent
        self._people.announce(action.agent, action.details["id"])

    def _brief(self, action: Action, look: Look | None) -> None:
        assert action.agent and action.at
        self._people.brief(action.agent, action.key, action.at, action.details["ids"])


def _extra(message: Message, model: str | None) -> dict[str, str]:
    """What else a woken agent finds in its environment."""
    extra = {
        "CLAWFILES_MESSAGE": message.id,
        "CLAWFILES_KIND": message.kind.value,
        "CLAWFILES_FROM": str(message.sender),
    }
    return extra | ({"CLAWFILES_MODEL": model} if model else {})
