"""Ends of attempts: finished, failed, retried, dead, reopened; and the report of a group."""

from collections.abc import Callable
from datetime import datetime, timedelta

from msgspec.structs import replace

from claw_files.core import text as words
from claw_files.core.keys import Key, task_key
from claw_files.core.model import AFTER_LIMIT, AgentId, AgentKind, Audit, KeyText, Kind, Result, State, Task, TaskId
from claw_files.formats import report_findings
from claw_files.policy import payload_sizes, transitions
from claw_files.policy.snapshot import Act, Action, TaskEvidence
from claw_files.policy.verification import chosen
from claw_files.services.messaging import prompt_templates
from claw_files.services.messaging.mailbox import Mailbox
from claw_files.services.tasks import session_turns, task_history
from claw_files.services.tasks.checkpoints import Checkpoints
from claw_files.storage.workspace import Workspace

REASON_CHARS = 400
TAIL_LINES = 3  # of the output of a run that failed; all of it is in runs/


class Outcomes:
    """Moves tasks at the end of an attempt, in the tick's name or a worker's."""

    def __init__(self, workspace: Workspace, checkpoints: Checkpoints, messages: Mailbox) -> None:
        self._ws = workspace
        self._checkpoints = checkpoints
        self._messages = messages
        self._me = workspace.settings.coordinator
        self._tick = transitions.Actor(id=self._me, coordinator=True, tick=True)

    def _audit(self, action: Action) -> Audit:
        return audit_of(action, self._me)

    def finish(self, action: Action, look: TaskEvidence | None) -> None:
        """Move a worker's task by the result file that was verified to be its run's."""
        assert look and look.task and look.result
        result, worker = look.result, transitions.Actor(id=look.task.assignee or self._me, kind=AgentKind.WORKER)
        note = result.body.strip().partition("\n")[0][:REASON_CHARS]
        path = self._checkpoints.worker_path(result.label)

        def rule(task: Task, now: datetime) -> Task:
            if result.status is State.DONE:
                outputs = (f"./{path}", *result.outputs)
                word = chosen(task, result.answer or note)
                return transitions.finish(task, worker, now, self._ws.is_reviewed(task), note or None, outputs, word)
            return transitions.fail(task, worker, now, ("partial: " if result.partial else "") + (note or "no reason"))

        self._move(action if result.status is State.DONE else replace(action, act=Act.FAIL), rule)

    def fail(self, action: Action, look: TaskEvidence | None) -> None:
        last = [line.strip() for line in action.text.splitlines() if line.strip()][-TAIL_LINES:]
        said = " / ".join(last)
        tail = words.safe(said if len(said) <= REASON_CHARS else f"... {said[-REASON_CHARS:].partition(' ')[2]}")
        reason = action.why + (f": {tail}" if tail else "")
        self._move(replace(action, why=reason), lambda task, now: transitions.fail(task, self._tick, now, reason))

    def retry(self, action: Action, look: TaskEvidence | None) -> None:
        self._attempt(action, look, lambda t, gen, now: transitions.next_attempt(t, self._tick, action.agent, gen, now))

    def turn(self, action: Action, look: TaskEvidence | None) -> None:
        """The next message of a session becomes an attempt."""
        assert look and look.task
        number, sender = session_turns.begin(self._ws, look.task)
        after = (look.task.timeout or timedelta()) + AFTER_LIMIT
        self._attempt(
            action, look, lambda t, gen, now: transitions.next_turn(t, self._tick, gen, now, number, sender), after
        )

    def again(self, action: Action, look: TaskEvidence | None) -> None:
        self._attempt(action, look, lambda t, gen, now: transitions.again(t, self._tick, gen, now, action.why))

    def _attempt(
        self,
        action: Action,
        look: TaskEvidence | None,
        rule: Callable[[Task, int, datetime], Task],
        after: timedelta | None = None,
    ) -> None:
        """A new attempt with a new generation, checked after the interval."""
        assert action.task and look and look.task
        generation = self._ws.next_generation(look.task, look.message)
        self._move(action, lambda task, now: rule(task, generation, now))
        # After the move: a crash in between leaves a check time in the past, so the next tick sees the attempt.
        at = words.next_look(self._ws.clock.now(), after or self._ws.settings.heartbeat.check[0])
        entry = self._ws.entry(action.task)
        if entry is not None:
            self._ws.replace_entry(entry, replace(entry, at=at, dated=True), self._audit(action))

    def block(self, action: Action, look: TaskEvidence | None) -> None:
        self._move(action, lambda task, now: transitions.block(task, self._tick, now, action.why))

    def verified(self, action: Action, look: TaskEvidence | None) -> None:
        self._move(action, lambda task, now: transitions.verify(task, self._tick, now))

    def unblock(self, action: Action, look: TaskEvidence | None) -> None:
        self._move(action, lambda task, now: transitions.resume(task, self._tick, now))

    def _move(self, action: Action, rule: Callable[[Task, datetime], Task], note: str = "") -> Task:
        """The action's task after the rule; the file keeps its time."""
        assert action.task
        # keep_mtime: the file's time must show only the agent's own edits.
        now, audit = self._ws.clock.now(), self._audit(action)
        return self._ws.update(action.task, lambda task: rule(task, now), audit, keep_mtime=True, note=note)

    def dead_letter(self, action: Action, look: TaskEvidence | None) -> None:
        """Mark the task as dead with its history, notify a person, move it; each step detects that it was done."""
        assert action.task and look and look.task
        task = look.task
        if task.state is not State.DEAD:
            story = task_history.of_task(self._ws, task)
            task = self._move(action, lambda found, now: transitions.die(found, self._tick, now), story)
        if task.flow:  # its run continues without it, or ends with a reason
            self._ws.move(self._ws.load(task.id), "dead-letter", self._audit(action))
            return
        person, asker = self._person(), task.requested_by
        if person == task.assignee and asker in self._ws.settings.agents:
            person = asker  # who gave it up knows
        why = words.said(task.reason or action.why)
        often = {0: "", 1: " once"}.get(task.failures, f" {task.failures} times")  # a run of a workflow: not once
        text = (
            f"{task.id} ({words.said(task.title)}) failed{often} and is a dead letter: {why}. "
            f"See dead-letter/{words.file_name(task.id)}; `clawfiles requeue {task.id}` puts it back."
        )
        key = task_key(task, "dead")
        if task.group:  # a person is notified of the first; its report names the others
            key = KeyText(f"group.{task.group}.dead")
            text += f" The report of group {task.group} names all that failed."
        # Before the move: the key prevents a second notice, but nothing would look at a moved file again.
        self._messages.tell(
            key,
            person,
            text,
            Kind.ANNOUNCE,
            task.id,
            replace(self._audit(action), key=key, agent=person),
            short="is a dead letter",
        )
        self._ws.move(self._ws.load(task.id), "dead-letter", self._audit(action))

    def _person(self) -> AgentId:
        """The first person up the chain from the coordinator; without one, the coordinator."""
        settings = self._ws.settings
        chain = (self._me, *settings.above(self._me), *settings.agents)
        return next((it for it in chain if settings.is_human(it)), self._me)

    def reopen(self, action: Action, look: TaskEvidence | None) -> None:
        """Notify first, because the notice records that the reopening happened once."""
        assert action.task and look and look.task and action.agent
        audit = self._audit(action)
        told = (action.key, action.agent, action.text, Kind.ANNOUNCE, action.task, audit)
        self._messages.tell(*told, short="is reopened")
        generation = self._ws.next_generation(look.task, look.message)
        self._move(action, lambda task, now: transitions.reopen(task, self._tick, generation, now, action.why))

    def report(self, action: Action, look: TaskEvidence | None) -> None:
        """One message with all results of a group, each quoted with its source."""
        assert action.agent
        labels = action.details["labels"]
        parts, room_bytes, critical = [action.text], payload_sizes.room_for_each(len(labels)), list[str]()
        for label in labels:
            result = _own(self._checkpoints.result(label), action.details["tasks"][label])
            path = self._checkpoints.worker_path(label)
            found = (
                prompt_templates.found(result, path, room_bytes)
                if result
                else "(its file is missing or another task's)"
            )
            parts.append(f"## {label}\n\n{found}")
            critical += [f"{label}: {it}" for it in report_findings.critical(result.body)] if result else []
        audit = self._audit(action)
        text, run = prompt_templates.critical(critical) + "\n\n".join(parts), action.details.get("run")
        root = next(filter(None, map(self._ws.root_of, action.details["tasks"].values())), None)
        self._messages.tell(action.key, action.agent, text, Kind.ANNOUNCE, None, audit, run=run, root=root)


def _own(result: Result | None, task: TaskId) -> Result | None:
    """The result, unless it names another task, whose run had the label later."""
    if result is None or not result.run or result.cached_from:  # the copy names the run that produced it
        return result if result and result.task in (None, task) else None
    return result if Key.parse(result.run).name == task.lower() else None


def audit_of(action: Action, actor: AgentId) -> Audit:
    """The journal's line for a decision."""
    return Audit(action.act, task=action.task, agent=action.agent, key=action.key, why=action.why, actor=actor)
