"""Inboxes: missing, superfluous and unrelated messages."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from msgspec.structs import replace

from claw_files.core.keys import task_key
from claw_files.core.model import AgentId, Kind, State
from claw_files.doctor.checks.leftovers import journal_of
from claw_files.doctor.findings import Finding
from claw_files.doctor.survey import InboxMessage, Survey
from claw_files.services.messaging.message_reader import MessageReader

STALE_SECONDS: Final = 36 * 3_600
UNFINISHED: Final = "tmp"


def missing(s: Survey) -> Iterator[Finding]:
    """Tasks in the backlog that were delivered, without their message."""
    there = {(letter.agent, letter.message.key.lower()) for letter in s.letters}
    unread = {one.path.split("/")[1] for one in s.odd if one.path.startswith("inbox/")}
    for it in s.tasks:
        task = it.task
        if task is None or task.state is not State.BACKLOG or not task.assignee or not task.generation:
            continue
        is_there = (task.assignee, task_key(task)) in there
        if not is_there and task.assignee not in unread and task.recorded and s.generations(task.id)[0]:
            yield Finding("message-missing", it.node.path, detail=f"{task.id} for {task.assignee}", task=task.id)


def orphans(s: Survey) -> Iterator[Finding]:
    """Task messages about tasks that do not exist."""
    for letter in s.letters:
        task = letter.message.task
        if letter.message.kind is Kind.TASK and letter.box != "done" and task and task not in s:
            yield Finding("orphan-message", letter.node.path, detail=task, task=task)


def unsent(s: Survey) -> Iterator[Finding]:
    """Messages that the journal does not have in this form, read or unread, of any day."""
    reader = MessageReader(lambda _, path: journal_of(s, path), datetime.fromtimestamp(s.now, UTC))
    for letter in s.letters:
        message = replace(letter.message, to=AgentId(letter.agent))
        if not s.is_young(letter.node) and not reader.knows(message):
            yield Finding("unsent-message", letter.node.path, detail=letter.message.kind)


def doubles(s: Survey) -> Iterator[Finding]:
    """Messages with the same key in one inbox."""
    groups = defaultdict[tuple[str, str], list[InboxMessage]](list)
    for letter in s.letters:
        groups[letter.agent, letter.message.key.lower()].append(letter)
    for group in groups.values():
        for letter in group[1:]:
            yield Finding("two-messages", letter.node.path, detail=f"also {group[0].box}/{group[0].node.name}")


def strangers(s: Survey) -> Iterator[Finding]:
    """Inboxes of unknown agents."""
    for agent in s.inboxes if s.agents else ():
        waiting = sum(letter.agent == agent and letter.box == "new" for letter in s.letters)
        if agent not in s.agents and waiting:
            yield Finding("unknown-inbox", f"inbox/{agent}", detail=f"{waiting} new")


def stale(s: Survey) -> Iterator[Finding]:
    """Deliveries that were begun and never finished."""
    for agent in s.inboxes:
        for node in s.folder(f"inbox/{agent}/{UNFINISHED}").nodes:
            if node.kind == "file" and s.now - node.mtime > STALE_SECONDS:
                yield Finding("stale-tmp", node.path)
