"""Sends messages to session workers, and closes their sessions; the history for a turn."""

from contextlib import suppress
from datetime import timedelta

from msgspec.structs import replace

from claw_files.core import text as words
from claw_files.core.errors import ClawError, NotFound, Refused
from claw_files.core.journal_events import JournalEvent
from claw_files.core.keys import turn_key
from claw_files.core.model import (
    AFTER_LIMIT,
    AgentId,
    Audit,
    Box,
    Entry,
    Kind,
    Message,
    State,
    Stay,
    Task,
    TaskId,
    Value,
)
from claw_files.formats import acp_sessions
from claw_files.formats import messages as forms
from claw_files.policy import delegation, payload_sizes
from claw_files.policy.authority import standing
from claw_files.policy.snapshot import FilePlace
from claw_files.services.messaging import prompt_templates
from claw_files.services.messaging.mailbox import SendResult
from claw_files.services.messaging.message_reader import UNKNOWN, reader_of
from claw_files.services.tasks.checkpoints import Checkpoints
from claw_files.services.tasks.session_turns import numbers, put_away, waiting
from claw_files.storage.workspace import Workspace
from claw_files.system.randomness import token

PATIENCE = timedelta(seconds=10)
TOLD = 10  # earlier messages, and as many results, that a turn is told of
LETTERS = 4_000  # of each
ASKED_LETTERS = 100_000  # of the current message


class ClosedSession(Value, frozen=True):
    """The result of `close`."""

    task: Task
    withdrawn: tuple[str, ...] = ()  # messages that were still waiting for their turn


class WorkerSessions:
    """Sessions of workers, for callers who may send messages to them."""

    def __init__(self, workspace: Workspace) -> None:
        self._ws = workspace

    def send(self, by: AgentId, task_id: TaskId, text: str) -> SendResult:
        """Queue a message for the session of a task; accepted means durable. The answer is announced.

        Raises Refused for a session that takes none, for a text over 1 MB, and where too many wait; NotFound.
        """
        if forms.is_silent(text):
            return SendResult(status="silent")
        payload_sizes.check(text)
        ws, now = self._ws, self._ws.clock.now()
        with ws.locks.hold(task_id.lower(), PATIENCE, f"{by}: a message for {task_id}"):
            loaded = ws.load(task_id)
            task = _taking(ws.in_force(loaded.task), loaded.place)
            worker, since = task.assignee or AgentId(""), (ws.pending.nonce or "")[:16]
            old = (_message(ws, task, n) for box in Box for n in numbers(ws, worker, task.id, box) if ws.pending.again)
            for it in filter(None, old):  # by an earlier try: there is no other call like it while that had failed
                if (it.sender, _whole(ws, it)) == (
                    by,
                    prompt_templates.plain(text),
                ) and f"{it.sent:%Y%m%dT%H%M%SZ}" >= since:
                    return SendResult(status="accepted", id=it.key)
            unread = sum(message.sender == by for _, message in waiting(ws, task))
            delegation.check_unread(ws.settings, by, worker, unread)
            number = max([task.turn, *(n for box in Box for n in numbers(ws, worker, task.id, box))]) + 1
            key = turn_key(task.id, number)
            audit = Audit(JournalEvent.SEND, task=task.id, agent=worker, actor=by, key=key, why=f"message {number}")
            if ws.entry(task.id) is None:  # the line first: without it no tick would look for the message
                spawner = task.spawner if task.spawner != ws.settings.coordinator else None
                at = words.next_look(now, (task.timeout or timedelta()) + AFTER_LIMIT)
                line = Entry(task=task.id, agent=worker, spawner=spawner, at=at)
                ws.put_entry(line, replace(audit, action=JournalEvent.WATCH))
            message = Message(
                id=key,
                key=key,
                kind=Kind.QUESTION,
                sender=by,
                to=worker,
                task=task.id,
                body=prompt_templates.plain(text),
                sent=now.replace(microsecond=0),
                reply_to=task.spawner,
            )
            ws.deliver(message, audit)
        return SendResult(status="accepted", id=key)

    def close(self, by: AgentId, task_id: TaskId) -> ClosedSession:
        """Close a session: new messages are refused, waiting ones withdrawn. A running turn continues.

        Repeating it changes nothing more. Raises Refused for what is no session.
        """
        ws = self._ws
        with ws.locks.hold(task_id.lower(), PATIENCE, f"{by}: close the session of {task_id}"):
            task = ws.in_force(ws.load(task_id).task)
            if task.session is None:
                right = f"`clawfiles flow cancel {task.id}` ends what runs"
                raise Refused("sessions", f"{task.id} has no session: its worker ends after one task", right)
            audit = Audit(JournalEvent.CLOSE, task=task.id, agent=task.assignee, actor=by, why="its session ends")
            if task.session is Stay.OPEN:
                task = ws.update(task.id, lambda found: replace(found, session=Stay.CLOSED), audit, keep_mtime=True)
            if task.label and task.assignee:
                self._forget(acp_sessions.path_of(task.assignee, task.label), audit)
            return ClosedSession(task=task, withdrawn=tuple(put_away(ws, task, audit, all_of=True)))

    def close_named(self, by: AgentId, agent: AgentId) -> None:
        """Let the next run of a named ACP agent start a new session. Raises Refused without one."""
        audit = Audit(JournalEvent.CLOSE, agent=agent, actor=by, why="its program's session ends")
        if not self._forget(acp_sessions.path_of(agent), audit):
            what = f"{agent} has no session that its next run could continue"
            raise Refused("sessions", what, "remove it from clawfiles.toml instead")

    def _forget(self, path: str, audit: Audit) -> bool:
        files = self._ws.mailbox(audit.agent).files if audit.agent else self._ws.files
        if files.stamp(path) is None:
            return False
        with suppress(NotFound):
            files.remove(path, self._ws.line(audit))
        return True


def _taking(task: Task, place: FilePlace) -> Task:
    """The task, if its session accepts messages; not if it is archived or dead. Raises Refused."""
    is_there = place is FilePlace.STATUS and task.state not in (State.DEAD, State.CANCELLED)
    if task.session is Stay.OPEN and is_there:
        return task
    right = f'`clawfiles spawn "TASK" --worker {task.assignee} --label LABEL --size S|M|L --mode session` begins one'
    raise Refused("sessions", f"the session {task.label} of {task.id} is closed", right)


# --- what was said before


def asked(ws: Workspace, task: Task) -> str:
    """The message of the present turn and its sender; quoted as data if the sender may not give the worker work."""
    message = _message(ws, task, task.turn)
    if message is None:
        return "(its message is missing)"
    if message.sender == UNKNOWN:
        return message.body
    as_what = standing(ws.settings, message.sender, message.to, task.spawner)
    text = _whole(ws, message)[:ASKED_LETTERS]
    return f"{message.sender} ({as_what}) asks:\n\n{text}" if as_what else prompt_templates.whole(text, message.sender)


def history(ws: Workspace, checkpoints: Checkpoints, task: Task) -> str:
    """The messages and results of earlier turns, oldest first, each quoted and cut; of many the last ones."""
    said = [(f"message {number} from {it.sender}", it.sent, _quoted(ws, it, LETTERS)) for number, it in _old(ws, task)]
    for result, at in checkpoints.earlier(task.label or "", task.id):
        said.append(
            (f"result of {result.run}", at, prompt_templates.quoted(result.body[:LETTERS], f"worker {result.label}"))
        )
    first = f"The task itself, message 1, is in `status/{words.file_name(task.id)}`."
    blocks = [f"{head}:\n\n{text}" for head, _, text in sorted(said, key=lambda it: it[1].timestamp() if it[1] else 0)]
    return "\n\n".join([first, *blocks])


def _old(ws: Workspace, task: Task) -> list[tuple[int, Message]]:
    numbers = range(max(2, task.turn - TOLD), task.turn)
    found = ((number, _message(ws, task, number)) for number in numbers)
    return [(number, message) for number, message in found if message]


def _message(ws: Workspace, task: Task, number: int) -> Message | None:
    with suppress(ClawError):
        found = ws.find_message(task.assignee, turn_key(task.id, number)) if task.assignee else None
        return reader_of(ws).as_read(found[0]) if found else None
    return None


def _quoted(ws: Workspace, message: Message, letters: int) -> str:
    return words.quote(_whole(ws, message), str(message.sender), token(4), letters, "message", "what was asked for")


def _whole(ws: Workspace, message: Message) -> str:
    body = message.body
    if message.body_file and message.body_file.startswith(f"inbox/{message.to}/bodies/"):  # and no other file of ours
        with suppress(ClawError):
            body = ws.files.read(message.body_file).data.decode("utf-8", "replace")
    return body
