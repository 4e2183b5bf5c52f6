"""Choices of people: finds ticked boxes in their files, carries them out in their name, marks them.

Only files that belong to a person count: those of their `file:` channels, and their briefs of the last days. A status
file does not, because the holder writes in it.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from msgspec.structs import replace

from claw_files.config.channels import CAP_BYTES, FILE
from claw_files.core import text as words
from claw_files.core.errors import Busy, ClawError, NotFound, Refused
from claw_files.core.journal_events import JournalEvent
from claw_files.core.keys import answer_key, task_key
from claw_files.core.lazy_regex import pattern
from claw_files.core.model import AgentId, AgentKind, Audit, Message, State, Task, TaskId
from claw_files.formats import choices as forms
from claw_files.formats.choices import TickedChoice
from claw_files.policy.snapshot import Act, Action
from claw_files.storage.workspace import Workspace
from claw_files.system.files import Stamp

if TYPE_CHECKING:  # each tick looks for boxes, and hardly ever finds one
    from claw_files.config import Agent
    from claw_files.services.messaging.mailbox import Mailbox
    from claw_files.services.tasks.claims import ClaimService
    from claw_files.services.tasks.lifecycle import TaskService

NAME = "choices"  # in the cache
BRIEFS = 7  # number of newest briefs per person that are read
YOUNG = timedelta(seconds=2)  # a file may change again without its time showing it
_BRIEF = pattern(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:-(?P<person>.+))?\.md")


class ChoicePlace(Protocol):
    """The workspace of a task, and its services."""

    @property
    def workspace(self) -> Workspace: ...

    @property
    def tasks(self) -> "TaskService": ...

    @property
    def claims(self) -> "ClaimService": ...


Find = Callable[[TaskId, AgentId], ChoicePlace]
"""The place of a task, for a person. Raises NotFound for one that is not the person's business."""


class AlreadyDecided(Exception):
    """The decision was already made."""


class Choices:
    """Carries out ticked boxes as commands of the file's person."""

    def __init__(self, workspace: Workspace, messages: "Callable[[], Mailbox]", find: Find) -> None:
        self._ws, self._messages, self._find = workspace, messages, find

    def is_due(self) -> bool:
        """Whether an unprocessed box is ticked: one stat per file; changed files are read."""
        return bool(self._ticked_now())

    def take(self) -> list[Action]:
        """Carry out the ticked choices and return them. Raises Busy, and errors of marking a file."""
        taken: list[Action] = []
        wrong: ClawError | None = None
        for person, path, choice in self._ticked_now():
            try:
                taken.append(self._take(person, path, choice))
            except ClawError as failed:
                wrong = wrong or failed  # the others are not kept waiting
        if wrong:
            raise wrong
        return taken

    def _ticked_now(self) -> list[tuple[AgentId, str, TickedChoice]]:
        """The ticked choices in changed files; files without any are remembered."""
        seen = before = self._ws.cache.known(NAME, dict[str, Stamp]) or {}
        found: list[tuple[AgentId, str, TickedChoice]] = []
        for person, path in self._files():
            stamp = self._stamp(path)
            if stamp is None or stamp == seen.get(path):
                continue
            here = [(person, path, choice) for choice in self._ticked(path)]
            if not here and self._ws.clock.now() - stamp.mtime >= YOUNG:
                seen = {**seen, path: stamp}
            found += here
        if seen != before:
            self._ws.cache.keep(NAME, seen)
        return found

    # --- where

    def _files(self) -> Iterator[tuple[AgentId, str]]:
        """Each file in which a person may tick boxes, with the person; a file shared by two has none."""
        settings = self._ws.settings
        people = [agent for agent in settings.agents.values() if agent.kind is AgentKind.HUMAN]
        names = list(reversed(self._ws.files.names("briefs"))) if people else []
        owned = [(one.name, path) for one in people for path in self._of(one, people[0].name, names)]
        paths = [path for _, path in owned]
        yield from ((person, path) for person, path in dict.fromkeys(owned) if paths.count(path) == 1)

    @staticmethod
    def _of(person: "Agent", first: AgentId, names: list[str]) -> list[str]:
        all_briefs = [(name, found) for name in names if (found := _BRIEF.fullmatch(name))]
        briefs = [name for name, found in all_briefs if (found["person"] or first) == person.name]
        files = [channel.removeprefix(FILE) for channel in person.channels if channel.startswith(FILE)]
        return [*dict.fromkeys(files), *(f"briefs/{name}" for name in briefs[:BRIEFS])]

    def _stamp(self, path: str) -> Stamp | None:
        with suppress(ClawError):
            return self._ws.files.stamp(path)
        return None

    def _ticked(self, path: str) -> list[TickedChoice]:
        """The ticked choices in a file, except for an unfinished last line."""
        try:
            content = self._ws.files.read(path, cap_bytes=CAP_BYTES)
        except ClawError:
            return []
        is_young = abs(self._ws.clock.now() - content.stamp.mtime) < YOUNG
        return [choice for choice in forms.ticked(content.data) if choice.is_whole or not is_young]

    # --- what

    def _take(self, person: AgentId, path: str, choice: TickedChoice) -> Action:
        now = words.render_local(self._ws.clock.now().replace(second=0, microsecond=0), self._ws.zone)
        mark, said = forms.taken, now
        try:
            self._carry_out(person, choice)
        except AlreadyDecided as late:
            mark, said = forms.over, str(late)
        except Busy:
            raise  # the task is locked; the next tick tries again
        except ClawError as wrong:
            mark, said = forms.refused, str(wrong)
        why = f"{choice.verb} {choice.what}: {mark.__name__}, {said}"
        task = None if choice.verb == "answer" else TaskId(choice.what.upper())
        audit = Audit(JournalEvent.CHOICE, task=task, agent=person, actor=person, key=choice.key, why=why)
        self._ws.files.commit(path, lambda raw: mark(raw or b"", choice, said), self._ws.line(audit))
        return Action(act=Act.CHOICE, task=task, agent=person, key=choice.key, why=why)

    def _carry_out(self, person: AgentId, choice: TickedChoice) -> None:
        """Carry out the choice. Raises Over, and the command's errors."""
        found = self._ws.find_message(person, choice.key)
        if found is None or choice.what.lower() not in (found[0].id.lower(), str(found[0].task).lower()):
            raise NotFound("message", choice.key, f"nobody asked {person} for this")
        if forms.words_of(found[0]):
            self._decide(person, found[0], choice)
        elif choice.verb == "answer":
            self._answer(person, found[0], choice.text)
        else:
            self._review(person, found[0], choice)
        with suppress(NotFound):
            self._messages().finish(person, found[0].id)

    def _answer(self, person: AgentId, question: Message, text: str) -> None:
        if not forms.is_question(question):
            raise Refused("choices", f"{question.id} is not a question", "see `clawfiles inbox`")
        if not text:
            raise Refused("choices", "the answer is empty", "write it after the colon, then tick the box again")
        answered = self._ws.find_message(question.reply_to or question.sender, answer_key(question.key))
        if answered is None:
            self._messages().answer(person, question.id, text)
        elif text not in answered[0].body:  # else a tick died after it
            raise AlreadyDecided("it has another answer")

    def _decide(self, person: AgentId, message: Message, choice: TickedChoice) -> None:
        """End the person's task with the chosen word; the text after it is the summary."""
        assert message.task is not None
        words_there = sorted(forms.words_of(message), key=len, reverse=True)
        word = next((it for it in words_there if f"{choice.text} ".lower().startswith(f"{it} ")), None)
        if word is None:
            instead = f"tick one of {', '.join(words_there)}"
            raise Refused("choices", f"{words.said(choice.text)} is none of its words", instead)
        place = self._find(message.task, person)
        task = place.workspace.in_force(place.workspace.load(message.task).task)
        if task.state.is_closed:
            if task.answer != word:
                raise AlreadyDecided(f"{task.id} is {task.answer or task.state} already")
            return
        if task.state is State.BACKLOG:
            place.claims.claim(task.id, person)
        place.tasks.done(task.id, person, choice.text[len(word) :].strip(), answer=word)

    def _review(self, person: AgentId, message: Message, choice: TickedChoice) -> None:
        if not forms.is_review(message) or message.task is None:
            raise Refused("choices", f"{message.id} does not ask for a review", "see `clawfiles inbox`")
        place = self._find(message.task, person)
        task = place.workspace.in_force(place.workspace.load(message.task).task)
        if choice.verb == "reopen" and not choice.text:
            raise Refused("choices", "the reason is missing", "write it after the colon, then tick the box again")
        if _is_so(task, choice):
            return  # a tick died after it, or the person typed the command as well
        if task_key(task, "review") != choice.key:
            raise AlreadyDecided(f"{task.id} is in attempt {task.attempt}")
        if choice.verb == "approve":
            place.tasks.approve(task.id, person)
        else:
            place.tasks.reopen(task.id, person, choice.text)


def _is_so(task: Task, choice: TickedChoice) -> bool:
    """Whether the task is in the state for the choice, in the same attempt."""
    if choice.verb == "approve":
        return task.state is State.DONE and task_key(task, "review") == choice.key
    before = replace(task, attempt=task.attempt - 1)
    return task.attempt > 1 and task_key(before, "review") == choice.key and task.reason == choice.text
