"""The hands of the planner of events: accept what arrived, start what handles it, put it away.

Every step can be repeated: the name of an accepted event follows from its key, the ids of its tasks from its name.
"""

import json
import re
from collections.abc import Callable, Iterator
from functools import partial

from msgspec.structs import replace

from claw_files.config import EventHandler
from claw_files.core import text as words
from claw_files.core.digest import digest
from claw_files.core.errors import Busy, CannotWrite, ClawError, NotFound, UsageError
from claw_files.core.event import FILE_BYTES, Event, EventName, is_type
from claw_files.core.journal_events import JournalEvent
from claw_files.core.model import Audit, Task, TaskId
from claw_files.core.workflow import Workflow
from claw_files.formats import event_file
from claw_files.formats.workflow_file import name_of
from claw_files.policy.delegation import SpawnOrder
from claw_files.policy.event_planner import YOUNG, data_of, inputs_of
from claw_files.policy.scheduled_tasks import bounded
from claw_files.policy.snapshot import Action, TaskEvidence
from claw_files.services.events.event_store import CUR, DONE, EventStore
from claw_files.services.events.task_starter import TaskStarter
from claw_files.services.evidence import schedule_events
from claw_files.services.messaging.prompt_templates import quoted
from claw_files.services.workflows.catalog import WorkflowCatalog
from claw_files.services.workflows.runs import begin
from claw_files.storage.workspace import Workspace

_NO_NAME = re.compile(r"[^A-Za-z0-9_-]+")
_SHOWN = 8_000  # letters of an event in the text of a task; all of it is in its file


class EventCarrier:
    """Turns files into work, each event once."""

    def __init__(self, workspace: Workspace, workflows: WorkflowCatalog, starter: TaskStarter) -> None:
        self._ws, self._workflows, self._starter = workspace, workflows, starter
        self._store = EventStore(workspace)
        self._me = workspace.settings.coordinator

    # --- accepting

    def accept(self, action: Action, look: TaskEvidence | None) -> None:
        """Move what arrived to events/cur/ under its name; what cannot be an event to events/failed/.

        Raises what kept the first of those from it that stay where they are; those behind it do not wait.
        """
        types, failed = sorted(self._workflows.types()), list[ClawError]()
        for path in action.details["paths"]:
            try:
                self._accept(path, types)
            except ClawError as wrong:
                failed.append(wrong)
        if failed:
            raise failed[0]

    def _accept(self, path: str, types: list[str]) -> None:
        name = path.rpartition("/")[2]
        scheduled = schedule_events.parse(name)
        mark, ending = self._mark(path), name.rpartition(".")[2]
        try:
            event = event_file.parse(self._ws.files.read_live(path, FILE_BYTES).data, name)
        except NotFound:
            return  # somebody took it back
        except ClawError as wrong:
            if not self._is_young(path):
                type = name.partition(".")[0]
                new = EventName(mark=mark, type=type if is_type(type) else "unnamed", ending=ending)
                self._store.fail(path, str(new), str(wrong))
            return
        if scheduled:
            event = replace(event, key=name)
        own = EventName.parse(name)
        mark = event.mark if event.key is not None else own.mark if own else mark
        new = EventName(mark=mark, type=event.type, ending=ending)
        audit = Audit(JournalEvent.EVENT_ACCEPT, key=str(new), actor=self._me, why=words.safe(path, 200))
        if self._store.is_taken(new) and not scheduled:
            self._store.again(path, new)
        elif event.type not in types:
            known = ", ".join(types[:20]) or "none"
            self._store.fail(path, str(new), f"nothing handles events of type `{event.type}`; handled types: {known}")
        elif scheduled:  # whose file stays under its name, which says when it was due
            raw = event_file.render(event)
            self._ws.files.commit(f"{CUR}/{new}", lambda there: there or raw, self._ws.line(audit))
            self._store.put_away(path, name, replace(audit, action=JournalEvent.EVENT_DONE))
        else:
            self._ws.files.move(path, f"{CUR}/{new}", self._ws.line(audit))

    def _mark(self, path: str) -> str:
        """Of a file without a key: another one for each file, and the same if accepting it is begun again."""
        stamp = self._ws.files.stamp(path)
        facts = f"{path} {stamp.inode} {stamp.mtime_ns}" if stamp else path
        return digest(facts.encode("utf-8", "surrogateescape"))

    def _is_young(self, path: str) -> bool:
        stamp = self._ws.files.stamp(path)
        return stamp is not None and abs(self._ws.clock.now() - stamp.mtime) < YOUNG

    # --- starting

    def start(self, action: Action, look: TaskEvidence | None) -> None:
        """Start all that handles the event, then put it away; where something is refused, it failed, and says why."""
        name = action.key
        path, about = f"{CUR}/{name}", EventName.parse(name)
        raw = self._ws.files.read_live(path, FILE_BYTES).data
        audit = Audit(JournalEvent.EVENT_DONE, key=name, actor=self._me)
        assert about
        try:
            event = replace(event_file.parse(raw, name), type=about.type)
            for step in tuple(self._steps(event, about)):  # all is looked at before the first of them is done
                step()
        except (CannotWrite, Busy):
            raise  # it stays, and is tried again at the next tick
        except ClawError as wrong:
            self._store.fail(path, name, str(wrong))
        else:
            self._store.put_away(path, name, audit)

    def _steps(self, event: Event, about: EventName) -> Iterator[Callable[[], object]]:
        """What handles the event, each as something to do: the configuration's, then workflows that name the type."""
        handler = self._ws.settings.events.of(event.type)
        file, own = f"{DONE}/{about}", f"{about.mark}.{about.type}"
        task = Task(id=self._id(event.type, about), type=handler.type, event=own, priority=handler.priority)
        if handler.task or handler.spawn:
            text = self._text(handler, event, file)
        if handler.task:
            titled = replace(task, title=handler.task[:200])
            yield partial(self._starter.delegate, titled, text, self._me, f"event {about}")
        for number, worker in enumerate(handler.spawn, 1):
            one = replace(task, id=self._id(event.type, about, number), title=f"{event.type}: {worker}"[:200])
            order = SpawnOrder(text=text, label=bounded(f"{worker}-{about.mark}-{number}".lower()))
            yield partial(self._starter.spawn, one, order, worker, self._me, f"event {about}")
        key = event.key or about.mark  # which version of the workflow it meets follows from it
        for flow in self._flows(handler, event.type, key):
            id = self._id(flow.name, about)
            id = self._id(flow.name, about, len(handler.spawn) + 2) if id == task.id else id
            values = inputs_of(event, flow.inputs, {name_of(name): where for name, where in handler.given}, file)
            copies = self._workflows.copies(flow, flow.name, key=key)
            yield partial(begin, self._ws, flow, copies, values, self._me, id=id, event=own)

    def _flows(self, handler: EventHandler, type: str, key: str) -> list[Workflow]:
        """The workflows that a type starts. Raises NotFound, InvalidWorkflow, UsageError."""
        named = (handler.workflow,) if handler.workflow else ()
        names = dict.fromkeys((*named, *self._workflows.starting_on(type)))
        flows = [self._workflows.sound(name, key=key) for name in names]
        asked = {it.name for flow in flows for it in flow.inputs}
        if flows and (unknown := sorted({name_of(name) for name, _ in handler.given} - asked)):
            raise UsageError(f"no workflow has the input `{words.safe(unknown[0], 40)}` that `with` names")
        return flows

    def _text(self, handler: EventHandler, event: Event, file: str) -> str:
        """The instructions, which are ours, and below them what the event says, which is data."""
        data = event.fields | ({"text": event.text} if event.text else {})
        if handler.given:
            data = {name: data_of(event, where) for name, where in handler.given}
            if missing := next((where for name, where in handler.given if data[name] is None), None):
                raise UsageError(f"the event has no field `{words.safe(missing, 80)}`")
        whole = _beginning(data)
        more = f"\nThat is only the beginning: all of it is in `{file}`." if len(whole) > _SHOWN else ""
        lead = handler.text or f"Handle this event. It is also in `{file}`."
        return f"{lead}\n\n{quoted(whole[:_SHOWN], f'event {event.type}')}{more}"

    def _id(self, name: str, about: EventName, number: int = 1) -> TaskId:
        """The id of what handles it: it follows from the event, so that nothing is begun twice."""
        last = f"{about.mark}-{number}" if number > 1 else about.mark
        return words.task_id(f"{self._ws.settings.workspace.prefix}-{bounded(_NO_NAME.sub('-', name), 24)}-{last}")


def _beginning(data: object) -> str:
    """The data as JSON; of a long one no more than is shown: indented, one event can become a hundred times longer."""
    text = ""
    for part in json.JSONEncoder(ensure_ascii=False, indent=2).iterencode(data):
        text += part
        if len(text) > _SHOWN:
            break
    return text
