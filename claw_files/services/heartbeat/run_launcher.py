"""Launches runs: for a message, and for a route's check."""

import os
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from msgspec.structs import replace

from claw_files.config import Agent
from claw_files.core.errors import CannotWrite, InvalidFile
from claw_files.core.journal_events import JournalEvent, Reason
from claw_files.core.keys import Key, is_sent_by, run_for, run_id, task_key
from claw_files.core.model import AgentId, AgentKind, Audit, Box, Kind, Message, Run, RunId, State, Task
from claw_files.policy import authority, delegation, profiles, routing, transitions
from claw_files.policy.rule_context import has_ended
from claw_files.policy.snapshot import Action, TaskEvidence
from claw_files.processes import AgentRuntime, Sandbox, StartOrder
from claw_files.processes.process_runner import ProcessRunner
from claw_files.services.accounting import unbilled_runs
from claw_files.services.messaging import prompt_templates
from claw_files.services.messaging.message_reader import reader_of
from claw_files.services.tasks.checkpoints import Checkpoints
from claw_files.storage.workspace import CONFIG, Workspace

VERIFY_LIMIT = timedelta(minutes=30)


class RunLauncher:
    """Starts runs, without waiting for them."""

    def __init__(
        self,
        workspace: Workspace,
        runtime: ProcessRunner,
        checkpoints: Checkpoints,
        runtime_of: Callable[[Agent], AgentRuntime],
    ) -> None:
        self._ws = workspace
        self._runtime = runtime
        self._runtime_of = runtime_of
        self._checkpoints = checkpoints
        self._me = workspace.settings.coordinator

    def wake(self, message: Message) -> bool:
        """Start the run of a message and move it to cur/. False if another process did, or its attempt is over."""
        ws, agent = self._ws, self._ws.settings.agents[message.to]
        task = ws.known(message.task) if message.task else None
        if task is None and message.task and message.generation is not None and not ws.find(message.task):
            return False  # its status file is missing: the work may have been done
        if self._is_settled(message, task):
            return False
        # A worker never claims: before its run starts, the task is claimed in its name, with the generation it gets.
        if agent.kind is AgentKind.WORKER and task is not None and message.kind is Kind.TASK:
            task = self._begin_worker(task, message)
        runtime = self._runtime_of(agent)
        # As the agent would read it: text that its sender may not give as an order is marked as data here.
        read = reader_of(ws).as_read(message)
        order = runtime.prepare(self._order(read, agent, task), agent, message)
        # Marked before the start: a crash in between leaves a mark without a run, never an uncounted run.
        unbilled_runs.begin(ws, order.run.id)
        ws.count(message, order.run.id)
        started = runtime.launch(order, self._runtime.start)
        if started:
            self._note_start(order, read, self._model(read, task))
        self._put_away(agent.name)  # not before the start: the agent need not wait for it
        # Last: after a crash before it, the run's folder prevents a second start, and the next tick moves the message.
        self.read(message)
        return started

    def _is_settled(self, message: Message, task: Task | None) -> bool:
        """Whether the message is no longer needed; then it is finished."""
        ws, attempt_is_over = self._ws, task is not None and _is_over(message, task)
        if not attempt_is_over and not ws.is_answered(message):
            return False
        ws.finish(message, Box.NEW, self._me, "its attempt is over" if task else "it was answered")
        return True

    def _order(self, message: Message, agent: Agent, task: Task | None) -> StartOrder:
        """The order of a message's run, as for an agent that is a plain command."""
        ws = self._ws
        # A reviewer also gets messages about the task; its limits and folder are those of the holder alone.
        # The contract applies only to the worker, not to agents that are notified of its task.
        contract = task if task and _is_for(message, task) else None
        limit = contract.timeout if contract and contract.label else None
        run = Run(
            id=run_for(message),
            agent=agent.name,
            key=message.key,
            task=message.task,
            generation=task.generation if task else message.generation,
            epoch=ws.epoch,
            started=ws.clock.now(),
            timeout=profiles.timeout_of(ws.settings, agent.name, limit),
        )
        sandbox, profile = self._sandbox(agent, contract), ws.settings.profile(agent.name)
        return StartOrder(
            run=run,
            workspace=ws.root,
            command=agent.command,
            message=self._text(message, run.id, agent) + (prompt_templates.in_sandbox(ws.root) if sandbox else ""),
            given=agent.message,
            env=agent.env,
            base=ws.base,
            cwd=self._place(agent, contract),
            memory=profile.memory if profile else None,
            sandbox=sandbox,
            label=contract.label if contract else None,
            extra=_extra(message, self._model(message, task)),
        )

    def _model(self, message: Message, task: Task | None) -> str | None:
        """The model of the run: the task's model is for its holder, not for its reviewer."""
        is_its = task is not None and message.to == task.assignee
        named = (task.type, task.model) if task and is_its else (None, None)
        return routing.model_for(self._ws.settings, message.to, *named)

    def _text(self, message: Message, run: RunId, agent: Agent) -> str:
        """The text for the run, and its requester if that may give the agent work; `message` is as read."""
        is_letter = is_sent_by(message.id, message.sender) and message.kind is not Kind.TASK
        as_what = authority.standing(self._ws.settings, message.sender, message.to) if is_letter else None
        return prompt_templates.wake_text(message, run, looks=not agent.traits.is_prompted, standing=as_what)

    def _note_start(self, order: StartOrder, message: Message, model: str | None) -> None:
        """Journal the start of the run, and a missing sandbox."""
        audit = Audit(
            JournalEvent.WAKE,
            task=message.task,
            agent=order.run.agent,
            parent_agent=message.sender,
            model=model,
            key=order.run.id,
            why=f"{message.kind} from {message.sender}",
            actor=self._me,
        )
        self._ws.note(audit)
        if order.sandbox and not order.sandbox.required and (why := self._runtime.lacks_sandbox()):
            self._ws.note(replace(audit, action=JournalEvent.NO_SANDBOX, why=why))

    def read(self, message: Message) -> None:
        """Move the message to cur/: its run has it."""
        audit = Audit(JournalEvent.INBOX_READ, task=message.task, agent=message.to, key=message.key, actor=self._me)
        self._ws.shift(message.to, message.id, Box.NEW, Box.CUR, replace(audit, why=f"for run {run_for(message)}"))

    def _sandbox(self, agent: Agent, task: Task | None) -> Sandbox | None:
        """The sandbox of the agent's run; None without one."""
        ws = self._ws
        profile = profiles.confined(ws.settings, agent.name, task)
        if profile is None or not agent.traits.has_command:
            return None
        # Everything that belongs to others is hidden first; `own` and `inbox` below are opened again.
        walled = {os.path.dirname(one.own_folder) for one in ws.settings.agents.values() if one.own_folder}
        inside = (".clawfiles", "inbox", "runs", "outbox", profiles.WORK)
        hidden = [os.path.join(ws.base, name) for name in (*inside, *walled)]
        hidden += [os.path.join(ws.root, name) for name in inside if ws.root != ws.base]
        label = task.label if task else None
        return Sandbox(
            required=profile.sandbox == "require",
            network=profile.network,
            read=profile.read,
            hidden=tuple(hidden),
            secrets=tuple(os.path.join(ws.base, os.path.expanduser(one)) for one in profiles.secrets(ws.settings)),
            kept=(
                os.path.join(ws.root, ws.settings.workspace.ledger),
                os.path.join(ws.base, CONFIG),
                *self._programs(),
            ),
            inbox=f"inbox/{agent.name}",
            own=(Checkpoints.worker_path(label) if label else Checkpoints.path(agent.name),),
        )

    def _programs(self) -> tuple[str, ...]:
        """The programs of agents: no sandboxed run may work in a folder that contains one."""
        words = [word for agent in self._ws.settings.agents.values() for word in agent.command]
        named = (word.replace("{workspace}", self._ws.base) for word in words if "\0" not in word)
        paths = (os.path.normpath(os.path.join(self._ws.base, word)) for word in named)
        return tuple(path for path in paths if os.path.isfile(path))

    def _place(self, agent: Agent, task: Task | None) -> str | None:
        """The working folder of the run; a folder from a profile is created. None: the workspace itself."""
        ws = self._ws
        if told := self._folder(task):
            return told
        if agent.workspace:
            return os.path.normpath(os.path.join(ws.base, agent.workspace))
        folder = profiles.folder_of(ws.settings, agent.name, task)
        if folder and not os.path.isabs(folder):
            with suppress(InvalidFile, CannotWrite):  # the run's end records the problem
                ws.files.folder(folder)
        return folder

    @staticmethod
    def _folder(task: Task | None) -> str | None:
        """The working folder in a worker's contract; the status file cannot change it."""
        return task.cwd if task and task.label and task.cwd and delegation.is_inside(task.cwd) else None

    def _put_away(self, agent: AgentId) -> None:
        """Finish what an earlier run was woken with; a task's message stays until the task ends, a question
        until it is answered."""
        for message in self._ws.messages_in(agent, Box.CUR):
            if message.kind is Kind.QUESTION or (message.kind is Kind.TASK and message.generation is not None):
                continue
            # Without a run the message is unread: it is kept until a run has ended.
            run = self._runtime.look(run_for(message))
            if run is not None and run.ended is not None:
                self._ws.finish(message, Box.CUR, self._me, "its run ended")

    def _begin_worker(self, task: Task, message: Message) -> Task:
        """Put the task in progress in the worker's name, and move an older result aside."""
        if task.state is not State.BACKLOG:
            return task
        self._ws.files.folder("checkpoints")
        if task.label:
            self._checkpoints.set_aside(task.label, self._me)
        audit = Audit(JournalEvent.CLAIM, task=task.id, agent=message.to, actor=self._me, key=message.key)
        audit = replace(audit, why="its worker starts", reason=Reason.WORKER_STARTS)
        # The higher one: a status file that was written over by hand may have lost the reserved number.
        generation = max(task.generation, message.generation or 0)
        # A worker sends no beats: its lease lasts as long as its run may.
        lasting = max(self._ws.settings.heartbeat.lease, task.timeout or timedelta(0))
        worker = transitions.Actor(id=message.to, kind=AgentKind.WORKER)
        with self._ws.claims.take(task.id, generation, message.to):
            return self._ws.update(
                task.id,
                lambda t: transitions.claim(t, worker, generation, self._ws.clock.now(), lasting),
                audit,
                keep_mtime=True,
            )

    def verify(self, action: Action, look: TaskEvidence | None) -> None:
        """Start the route's check as a run; a later tick reads its result."""
        assert look and look.task
        route = self._ws.settings.route(look.task.type)
        assert route is not None
        run = Run(
            id=run_id(action.key, ((Key.parse(look.verify.id).send if look.verify else None) or 0) + 1),
            agent=AgentId(f"verify-{look.task.type}"),
            key=task_key(look.task, "verify"),
            task=look.task.id,
            started=self._ws.clock.now(),
            timeout=VERIFY_LIMIT,
        )
        self._runtime.start(StartOrder(run=run, workspace=self._ws.root, base=self._ws.base, command=route.verify))
        why = " ".join(route.verify)
        self._ws.note(Audit(JournalEvent.VERIFY, task=action.task, key=run.id, why=why, actor=self._me))


def _is_for(message: Message, task: Task) -> bool:
    """Whether the message is the task message for the task's assignee: only this message has the contract."""
    is_key = message.kind is Kind.TASK and message.key == task_key(task)
    return is_key and message.generation is not None and message.to == task.assignee


def _is_over(message: Message, task: Task) -> bool:
    """Whether a task message asks for an attempt that has ended, by hand or by command, before its agent was woken."""
    is_its_message = message.kind is Kind.TASK and message.generation is not None
    is_taken_back = (message.generation or 0) < task.generation and task.assignee != message.to
    return is_its_message and (task.attempt > (message.attempt or 1) or has_ended(task) or is_taken_back)


def _extra(message: Message, model: str | None) -> dict[str, str]:
    """Additional variables in a woken agent's environment."""
    extra = {
        "CLAWFILES_MESSAGE_ID": message.id,
        "CLAWFILES_KIND": message.kind.value,
        "CLAWFILES_FROM": str(message.sender),
        "CLAWFILES_ROOT": message.origin,
    }
    return extra | ({"CLAWFILES_MODEL": model} if model else {})
