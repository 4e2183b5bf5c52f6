"""Creates tasks, and makes every move but the claim. A move runs a rule on the file; a refusal changes nothing."""

from collections.abc import Callable
from datetime import datetime, timedelta

from msgspec.structs import replace

from claw_files.config import Settings
from claw_files.core import text as words
from claw_files.core.errors import BadValue, MoveRefused, Refused
from claw_files.core.journal_events import JournalEvent as E
from claw_files.core.keys import task_key
from claw_files.core.model import AgentId, AgentKind, Audit, Entry, Need, State, Task, TaskId, Value
from claw_files.policy import payload_sizes, routing, transitions
from claw_files.policy.snapshot import FilePlace
from claw_files.policy.verification import checked_answer
from claw_files.services.tasks import recorded_ends, session_turns
from claw_files.storage import task_recall
from claw_files.storage.workspace import Loaded, Workspace

Rule = Callable[[Task, transitions.Actor], Task]

_FROM = {  # where a command starts from; the table of moves says who may
    E.PROGRESS: (State.IN_PROGRESS, State.BLOCKED),
    E.UNBLOCK: (State.BLOCKED,),
    E.BEAT: (State.IN_PROGRESS,),
    E.DONE: (State.IN_PROGRESS,),
    E.REVIEW: (State.IN_PROGRESS,),
    E.FAIL: (State.IN_PROGRESS,),
    E.APPROVE: (State.REVIEW,),
    E.REOPEN: (State.REVIEW, State.DONE),
    E.RELEASE: (State.IN_PROGRESS, State.BLOCKED),
    E.REQUEUE: (State.DEAD,),
}
_TITLE_LETTERS = 300
_PATIENCE = timedelta(seconds=10)


class NewTask(Value, frozen=True):
    """The arguments of `task new`."""

    title: str
    type: str | None = None
    to: AgentId | None = None  # who it is for; delegating it is another step
    priority: str | None = None
    estimate: timedelta | None = None
    after: tuple[TaskId, ...] = ()
    body: str = ""


class ArchiveResult(Value, frozen=True):
    """The tasks that `archive` moved, and those that it could not."""

    moved: tuple[TaskId, ...] = ()
    watched: tuple[TaskId, ...] = ()  # closed, but still with a ledger line: the next tick takes that out


class TaskService:
    """One method per command. `stop_runs` is called before a cancel, `follow` after it: for what comes after it."""

    def __init__(
        self,
        workspace: Workspace,
        stop_runs: Callable[[TaskId], None] | None = None,
        follow: Callable[[TaskId], None] | None = None,
    ) -> None:
        self._ws = workspace
        self._stop_runs, self._follow = stop_runs, follow

    # --- making

    def new(self, order: NewTask, by: AgentId, inside: TaskId | None = None, receiver: AgentId | None = None) -> Task:
        """The new task in backlog, under the next free number; or the task that an earlier try created.

        Args:
            receiver: whom it is delegated to next: the ledger line comes before the file.
            inside: the task in whose run it is made; it becomes the new one's parent.

        Raises BadValue for an empty or far too long title, NotFound for an `after` or `to` that does not exist, Refused
        for a description over 1 MB.
        """
        payload_sizes.check(order.body, "the description")
        for earlier in order.after:
            self._ws.load_anywhere(earlier)
        task = self._draft(replace(order, to=receiver or order.to), by, inside)
        audit = Audit(E.TASK_NEW, agent=order.to, actor=by, key=self._ws.pending.nonce, why=task.title)
        at = words.next_look(self._now(), self._ws.settings.heartbeat.check[0])
        line = Entry(task=task.id, agent=receiver, at=at) if receiver else None
        return self._ws.create_numbered(task, audit, order.body, line)

    def _draft(self, order: NewTask, by: AgentId, inside: TaskId | None) -> Task:
        title = " ".join(order.title.split())
        if not title or len(title) > _TITLE_LETTERS:
            raise BadValue("title", order.title, f"one line of 1 to {_TITLE_LETTERS} letters")
        now = self._now()
        return Task(
            id=TaskId(""),
            title=title,
            assignee=self._ws.settings.agent(order.to).name if order.to else None,
            requested_by=by,
            type=order.type,
            priority=words.priority(order.priority) if order.priority else None,
            estimate=order.estimate,
            after=order.after,
            parent=inside,
            created=now,
            updated=now,
        )

    # --- the holder's moves

    def progress(
        self, task: TaskId, by: AgentId, note: str = "", eta: datetime | None = None, generation: int | None = None
    ) -> Task:
        """The task with renewed lease, note and new ETA, if given; a blocked task is in progress again."""
        lasting = self._ws.settings.heartbeat.lease

        def rule(found: Task, actor: transitions.Actor) -> Task:
            return transitions.progress(found, actor, self._now(), lasting, eta)

        said = "" if task_recall.made_under(self._ws, self._ws.pending.nonce) else note
        return self._move(E.PROGRESS, task, by, rule, note or "progress", generation, note=self._dated(by, said))

    def unblock(self, task: TaskId, by: AgentId, note: str = "", generation: int | None = None) -> Task:
        """The task as before its block, with a note: with its holder, or in backlog without one."""
        lasting = self._ws.settings.heartbeat.lease

        def rule(found: Task, actor: transitions.Actor) -> Task:
            return transitions.unblock(found, actor, self._now(), lasting)

        return self._move(E.UNBLOCK, task, by, rule, note or "unblocked", generation, note=self._dated(by, note))

    def beat(self, task: TaskId, by: AgentId, generation: int | None = None) -> Task:
        """The task with its lease renewed, nothing else."""
        lasting = self._ws.settings.heartbeat.lease

        def rule(found: Task, actor: transitions.Actor) -> Task:
            return transitions.progress(found, actor, self._now(), lasting)

        return self._move(E.BEAT, task, by, rule, "lease renewed", generation)

    def done(
        self,
        task: TaskId,
        by: AgentId,
        summary: str = "",
        outputs: tuple[str, ...] = (),
        generation: int | None = None,
        review: bool = False,
        answer: str | None = None,
    ) -> Task:
        """The task done, or in review if its route or `review` requires one. Raises BadValue for `answer`."""

        def rule(found: Task, actor: transitions.Actor) -> Task:
            reviewed = review or self._ws.is_reviewed(found)
            payload_sizes.check_outputs(outputs)
            word, said = checked_answer(found, answer, summary), _line(summary, task) or None
            return transitions.finish(found, actor, self._now(), reviewed, said, outputs, word)

        return self._move(E.REVIEW if review else E.DONE, task, by, rule, summary or "finished", generation)

    def fail(self, task: TaskId, by: AgentId, reason: str, generation: int | None = None) -> Task:
        """The task failed; the next tick decides what follows."""
        said = _line(reason, task) or "no reason given"

        def rule(found: Task, actor: transitions.Actor) -> Task:
            return transitions.fail(found, actor, self._now(), said)

        return self._move(E.FAIL, task, by, rule, reason or said, generation)

    def block(self, task: TaskId, by: AgentId, note: str, generation: int | None = None) -> Task:
        """The task blocked, by any agent, with a note of what is missing."""

        def rule(found: Task, actor: transitions.Actor) -> Task:
            return transitions.block(found, actor, self._now(), _line(note, task))

        return self._move(E.BLOCK, task, by, rule, note, generation, watch=True)

    def need(self, task: TaskId, by: AgentId, agent: AgentId, question: str, generation: int | None = None) -> Task:
        """The task blocked until `agent` has answered; the next tick asks in the coordinator's name."""
        other = self._ws.settings.agent(agent).name
        if other == by:
            raise Refused("need", f"{by} cannot ask itself", f'`clawfiles block {task} "NOTE"`')
        need = Need(agent=other, question=_line(question, task))

        def rule(found: Task, actor: transitions.Actor) -> Task:
            return transitions.block(found, actor, self._now(), need.question, need)

        return self._move(E.NEED, task, by, rule, f"asks {other}: {need.question}", generation, watch=True)

    def release(self, task: TaskId, by: AgentId, why: str = "", generation: int | None = None) -> Task:
        """The task back in backlog for anyone; its generation is over and its ledger line gone."""

        def rule(found: Task, actor: transitions.Actor) -> Task:
            return transitions.release(
                found, actor, self._ws.next_generation(found), self._now(), _line(why, task) or None
            )

        audit = Audit(E.UNWATCH, task=task, actor=by, why="released")
        self._checked(E.RELEASE, rule, self._ws.in_force(self._ws.load(task).task), by, generation)
        # Tick the box first: if this process dies before the line is removed, no tick may send the released task again.
        if entry := self._ws.entry(task):
            self._ws.replace_entry(entry, replace(entry, ticked=True), replace(audit, action=E.HOLD))
        released = self._move(E.RELEASE, task, by, rule, why or "released", generation)
        self._ws.put_away(task_key(released), by, "released")
        if entry := self._ws.entry(task):
            self._ws.replace_entry(entry, None, audit)
        return released

    # --- the reviewer's, the coordinator's, a person's

    def approve(self, task: TaskId, by: AgentId) -> Task:
        """The task done: its reviewer is content."""

        def rule(found: Task, actor: transitions.Actor) -> Task:
            maker = self._ws.claims.given(task).holder(found.generation) or found.assignee
            other = routing.reviewer(self._ws.settings, found.type, maker, asked=True)
            return transitions.approve(found, actor, self._now(), other, maker)

        done = self._move(E.APPROVE, task, by, rule, "approved")
        recorded_ends.put_away(self._ws, done, done.attempt, Audit(E.APPROVE, task=task, actor=by))
        return done

    def reopen(self, task: TaskId, by: AgentId, why: str) -> Task:
        """The task in backlog again for the same agent, with the reason; the next tick wakes it."""

        def rule(found: Task, actor: transitions.Actor) -> Task:
            generation = self._ws.next_generation(found)
            return transitions.reopen(found, actor, generation, self._now(), _line(why, task) or "no reason given")

        back = self._move(E.REOPEN, task, by, rule, why or "reopened", watch=True)
        recorded_ends.put_away(self._ws, back, back.attempt - 1, Audit(E.REOPEN, task=task, actor=by))
        return back

    def requeue(self, task: TaskId, by: AgentId) -> Task:
        """A dead task in backlog again, out of dead-letter/, its failures counted anew."""

        def rule(found: Task, actor: transitions.Actor) -> Task:
            return transitions.requeue(found, actor, self._ws.next_generation(found), self._now())

        return self._move(E.REQUEUE, task, by, rule, "requeued", watch=True)

    def cancel(self, task: TaskId, by: AgentId, why: str = "") -> Task:
        """The task cancelled; its run is asked to end first. Messages of its session are withdrawn."""

        def rule(found: Task, actor: transitions.Actor) -> Task:
            return transitions.cancel(
                found, actor, self._ws.next_generation(found), self._now(), _line(why, task) or None
            )

        before = self._ws.in_force(self._ws.load(task).task)
        self._checked(E.CANCEL, rule, before, by, None)
        if self._stop_runs:
            self._stop_runs(before.id)
        cancelled = self._move(E.CANCEL, task, by, rule, why or "cancelled")
        if self._follow and not self._ws.entry(task):  # else the tick does, when it takes the line out
            self._follow(task)
        if cancelled.session:  # after a sender that found it open
            audit = Audit(E.WITHDRAW, task=task, agent=cancelled.assignee, actor=by, why="its session ends")
            with self._ws.locks.hold(task.lower(), _PATIENCE, f"{by}: cancel {task}"):
                session_turns.put_away(self._ws, cancelled, audit, all_of=True)
        return cancelled

    def archive(
        self,
        by: AgentId,
        older_than: timedelta | None = None,
        most: int | None = None,
        is_needed: Callable[[Task], bool] = lambda _: False,
    ) -> ArchiveResult:
        """Move tasks that have been done or cancelled for that long to status/archive/YYYY-MM/: at most so many.

        Never a task with a ledger line, because the tick must still notify its followers. Unreadable files are left
        alone.
        """
        ws, moved, watched = self._ws, [], []
        before = self._now() - (ws.settings.heartbeat.archive if older_than is None else older_than)
        lines = {entry.task for entry in ws.entries()}
        for loaded in ws.readable("status"):
            task = ws.in_force(loaded.task)
            ended = task.completed or task.updated or loaded.content.stamp.mtime
            if task.state not in (State.DONE, State.CANCELLED) or ended > before or is_needed(task):
                continue
            if task.id in lines:
                watched.append(task.id)
                continue
            why = f"{task.state} since {words.render_instant(ended)}"
            audit = Audit(E.ARCHIVE, task=task.id, actor=by, why=why)
            ws.claims.forget(task.id)  # first: archived tasks are not checked again
            ws.move(loaded, f"status/archive/{ended.astimezone(ws.zone):%Y-%m}", audit)
            moved.append(task.id)
            if len(moved) == most:
                break
        return ArchiveResult(moved=tuple(moved), watched=tuple(watched))

    # --- how every move is made

    def _move(
        self,
        command: E,
        task_id: TaskId,
        by: AgentId,
        rule: Rule,
        why: str,
        generation: int | None = None,
        note: str = "",
        watch: bool = False,
    ) -> Task:
        """Check, write the ledger line if the move needs one (`watch`), restore the file, then move."""
        loaded = self._ws.load(task_id)
        before = self._ws.in_force(self._ws.bound(loaded.task))  # its type says who reviews it
        self._checked(command, rule, before, by, generation)
        note = note or self._below(by, command, why, before.id)
        key = self._ws.pending.nonce
        audit = Audit(command, task=before.id, agent=before.assignee, actor=by, key=key, why=why)
        if watch:
            self._watch(before, audit, is_held=command in (E.BLOCK, E.NEED))
        if before.state.is_closed and command in (E.REOPEN, E.REQUEUE):
            self._bring_back(loaded, audit)
        moved = self._ws.update(
            before.id, lambda found: self._checked(command, rule, found, by, generation), audit, note=note
        )
        if watch and (entry := self._ws.entry(before.id)) and entry.ticked:
            self._ws.replace_entry(entry, replace(entry, ticked=False), replace(audit, action=E.WATCH))
        return moved

    def _checked(self, command: E, rule: Rule, task: Task, by: AgentId, generation: int | None) -> Task:
        """The task after the rule; raises what forbids the move."""
        settings = self._ws.settings
        check_no_worker(settings, by, task.id)
        if task.assignee == by or generation is not None:
            transitions.check_generation(task, by, generation)
        # A person need not claim an assigned task before finishing it.
        given = command in (E.DONE, E.FAIL) and task.state is State.BACKLOG and task.assignee == by
        if task.state not in _FROM.get(command, tuple(State)) and not (given and settings.is_human(by)):
            raise MoveRefused(
                "transitions",
                f"{task.id} is {task.state}, but `{command}` needs a task that is {' or '.join(_FROM[command])}",
                transitions.right_command(task),
            )
        return rule(task, actor_for(settings, by, task))

    def _watch(self, task: Task, audit: Audit, is_held: bool) -> None:
        """Add a ledger line if the task has none, because unwatched tasks would be lost.

        Its box is ticked until the move is made where it would otherwise read as a send.
        """
        if self._ws.entry(task.id):
            return
        agent = task.assignee or self._ws.settings.coordinator
        at = words.next_look(self._now(), self._ws.settings.heartbeat.check[0])
        is_held = is_held and task.assignee is None
        line = Entry(task=task.id, agent=agent, at=at, ticked=is_held)
        self._ws.put_entry(line, replace(audit, action=E.HOLD if is_held else E.WATCH))

    def _bring_back(self, loaded: Loaded, audit: Audit) -> None:
        if loaded.place is not FilePlace.STATUS:
            self._ws.move(loaded, "status", replace(audit, action=E.BRING_BACK))

    def _below(self, by: AgentId, command: E, text: str, task: TaskId) -> str:
        """Text for the file's body that is too long for its front matter."""
        whole = payload_sizes.in_front_matter(text, f"status/{words.file_name(task)}")[1]
        return f"- {words.render_instant(self._now())} {by}, {command}:\n\n{whole}" if whole else ""

    def _dated(self, by: AgentId, note: str) -> str:
        payload_sizes.check(note)
        text = " ".join(note.split())
        return f"- {words.render_instant(self._now())} {by}: {text}" if text else ""

    def _now(self) -> datetime:
        return self._ws.clock.now()


def actor_for(settings: Settings, agent: AgentId, task: Task) -> transitions.Actor:
    """The actor on the task, with the roles from the configuration."""
    reviewer = routing.reviewer(settings, task.type, task.assignee, asked=task.state is State.REVIEW)
    return transitions.Actor(
        id=agent,
        kind=settings.agent(agent).kind,
        coordinator=agent == settings.coordinator,
        may_take=routing.may_take(settings, agent, task.type),
        reviewer=agent == (reviewer or (task.state is State.REVIEW and task.assignee)),  # without another reviewer
    )


def check_no_worker(settings: Settings, agent: AgentId, task: TaskId) -> None:
    """Raises Refused for a spawn-only worker: it reports, and its spawner's tick moves the task."""
    if settings.agent(agent).kind is AgentKind.WORKER:
        raise Refused(
            "workers report",
            f"{agent} is a worker, and workers cannot change the state of {task}",
            "write the result to checkpoints/subagent-LABEL.md; the next heartbeat verifies it and updates the task",
        )


def _line(text: str, task: TaskId) -> str:
    """Text as one shortened line, because a note of several lines could contain a statement."""
    return payload_sizes.in_front_matter(text, f"status/{words.file_name(task)}")[0]
