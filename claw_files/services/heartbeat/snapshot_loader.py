"""Loads the snapshot of a tick. A run is read before the files it may have written: an ended run says no more."""

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice, takewhile
from typing import Any, TypeVar

from msgspec.structs import replace

from claw_files.core import text as words
from claw_files.core.errors import CannotRead, ClawError, InvalidFile, NotFound, UsageError
from claw_files.core.model import (
    AgentId,
    AgentKind,
    Audit,
    Box,
    Entry,
    Kind,
    Message,
    Post,
    Report,
    Result,
    Run,
    RunId,
    State,
    Task,
)
from claw_files.formats import body
from claw_files.policy import routing
from claw_files.policy.acknowledgement import is_answer
from claw_files.policy.dispatch_queue import QueuedMessage, plan_waits
from claw_files.policy.ledger_line_rules import case_of, task_key
from claw_files.policy.resilience import RunOutcome
from claw_files.policy.snapshot import FilePlace, MonthSpending, Predecessor, Snapshot, TaskEvidence
from claw_files.policy.transitions import is_held
from claw_files.policy.verification import is_accepted, verified
from claw_files.processes import AgentRuntime
from claw_files.services.evidence import agent_load, recorded_ends, unreadable_files
from claw_files.services.evidence.agent_reports import Reporters, reports_of
from claw_files.services.evidence.predecessors import unmet
from claw_files.services.evidence.result_recipient import asker_of
from claw_files.services.evidence.run_outcomes import Endings, outcomes, started
from claw_files.services.heartbeat.schedule_runner import Schedules
from claw_files.services.messaging import task_news
from claw_files.services.people import channels
from claw_files.services.people.outbox import Outbox
from claw_files.services.tasks import task_history
from claw_files.services.tasks.checkpoints import Checkpoints
from claw_files.services.tasks.outputs import missing
from claw_files.services.tasks.session_turns import is_turn, next_turn
from claw_files.storage import task_recall
from claw_files.storage.task_restore import restore
from claw_files.storage.workspace import Workspace, task_message_key
from claw_files.system.files import Content

Seen = TypeVar("Seen")


class SnapshotLoader:
    """Reads the workspace for one tick; nothing here writes, but for setting unreadable inbox files aside."""

    def __init__(
        self,
        workspace: Workspace,
        runtime: AgentRuntime,
        checkpoints: Checkpoints,
        schedules: Schedules,
        others: "Callable[[], Sequence[SnapshotLoader]]" = tuple,
        outbox: "Outbox | None" = None,
    ) -> None:
        """`others` load the workspaces that share our limits: compartments, or the workspace around a compartment."""
        self._outbox = outbox
        self._ws, self._runtime, self._checkpoints = workspace, runtime, checkpoints
        self._schedules = schedules
        self._others = others
        self._endings = Endings(workspace)
        self._runs: list[str] | None = None
        self._of_others = Reporters(workspace).on
        self.problems: dict[str, str] = {}  # what could not be looked at in this tick: path -> sentence

    def snapshot(self, entries: Iterable[Entry]) -> Snapshot:
        """Everything that `plan_tick` wants to know now."""
        self._runs, self._of_others = None, Reporters(self._ws).on
        looks = tuple(self.look(entry) for entry in entries)
        return self.around(looks)

    def around(self, looks: tuple[TaskEvidence, ...], shared: bool = True) -> Snapshot:
        """The snapshot for these looks, with what is `shared`: inboxes, schedules, the backlog.

        `plan_line` asks for none of that, and a full inbox must not be read again for every line.
        """
        settings = self._ws.settings
        waiting, others = self.waiting() if shared else (), self._others()
        failed = any(look.task and look.task.state is State.FAILED for look in looks)
        ready = self._ready(looks) if shared and settings.heartbeat.auto else ()
        journal = self._journals() if failed or waiting else []  # for breakers and the spawn rate; else nobody asks
        elsewhere = tuple(it for other in others for it in other.waiting()) if waiting else ()
        return Snapshot(
            settings=settings,
            looks=looks,
            told=self._ws.told(),
            live=self.live(),
            elsewhere=tuple(run for other in others for run in other.live()),
            waiting=waiting,
            waiting_elsewhere=elsewhere,
            caused={it.origin: self._ws.caused(it.origin) for it in (*waiting, *elsewhere) if it.follows},
            outcomes=outcomes(journal),
            tried={look.entry.task: self.tried(look.task) for look in looks if look.task and look.task.attempt > 1},
            ready=ready,
            loads=agent_load.loads(self._ws, self.live, (*(look.task for look in looks if look.task), *ready)),
            marks=self._schedules.marks() if shared else {},
            held=(held := self._held() if shared else {}),
            closed=tuple(self._closed(held)),
            outbox=self._posts() if shared else (),
            spent=self._spent(looks, waiting) if settings.budgets.is_set else None,
            spawned=tuple(at for at, line in journal if line.action == "wake" and self._is_worker(line.agent)),
            started=started(journal),
            faults=(*self._told_of(self._schedules.faults), *self.problems) if shared else (),
        )

    def live(self) -> tuple[Run, ...]:
        """Runs that have not ended."""
        return tuple(self._runtime.live())

    def waits(self) -> tuple[QueuedMessage, ...]:
        """What waits to be woken now, oldest first, with what is ahead of it."""
        return plan_waits(self.around(()), self._ws.clock.now())

    def _spent(self, looks: tuple[TaskEvidence, ...], waiting: tuple[Message, ...]) -> MonthSpending | None:
        """What the month has cost, where something waits that would cost more; else nobody asks."""
        waits = any(
            (look.box is Box.NEW and look.message and self._is_woken(look.message.to))
            or (look.task and look.task.state is State.FAILED)
            for look in looks
        )
        if not (waiting or waits or self._ws.settings.heartbeat.auto):
            return None
        from claw_files.services.accounting.spend import Spending

        return Spending(self._ws).now()

    def _is_woken(self, agent: AgentId) -> bool:
        known = self._ws.settings.agents.get(agent)
        return known is not None and known.is_woken

    def _is_worker(self, agent: AgentId | None) -> bool:
        known = self._ws.settings.agents.get(agent) if agent else None
        return known is not None and known.kind is AgentKind.WORKER

    # --- one entry

    def look(self, entry: Entry) -> TaskEvidence:
        """What is there for one ledger line; a file that cannot be read is told, never raised."""
        try:
            return self._look(entry)
        except NotFound:
            return unreadable_files.absent(self._ws, entry, reports_of(self._ws, entry.task, entry.agent))
        except (
            InvalidFile,
            UsageError,
        ) as wrong:  # one task whose files cannot be read must not keep the others waiting
            if isinstance(wrong, CannotRead) and wrong.problem == "root-changed":
                raise
            return unreadable_files.broken(self._ws, entry, wrong)

    def _look(self, entry: Entry) -> TaskEvidence:
        loaded = self._ws.load(entry.task, patient=False)
        first = loaded.task
        run = self.run_of(first, entry)
        if run is not None and not run.alive:
            loaded = self._ws.load(entry.task, patient=False)  # its last words came after our first look
        task = loaded.task
        if _wants_terms(self._ws, task):
            task = recorded_ends.checked(self._ws, self._ws.bound(task))
        agent = task.assignee or entry.agent
        found = self._message(task, entry)
        if found is None and loaded.place is FilePlace.ARCHIVE and agent:
            found = self._ws.old_message(agent, task_message_key(task))
        if found:
            task = restore(task, found[0])
        is_older = unreadable_files.may_be_older(task, run, found, loaded.content, self._is_due(entry))
        if is_older or unreadable_files.was_in_review(self._ws, task):
            task = task_recall.recalled(self._ws, task)
        said = reports_of(self._ws, task.id, agent)
        if words := tuple(it for report in said if is_answer(report, found and found[0]) for it in report.unclear):
            task = replace(task, unclear=(*task.unclear, *words))
        return TaskEvidence(
            entry=entry,
            held=entry.ticked and task_history.is_held(self._ws, task.id),
            task=task,
            place=loaded.place,
            path=loaded.path,
            modified=min(loaded.content.stamp.mtime, self._ws.clock.now()),
            claimed=unreadable_files.is_claimed(self._ws, task, agent),
            digest=loaded.content.digest,
            last_word=self._last_word(task, loaded.content, said),
            reports=(*self._of_others(task, agent), *said),
            result=self._result(task, run),
            message=found[0] if found else None,
            box=found[1] if found else None,
            run=run,
            missing=missing(self._ws, task),
            verify=self._verify_of(task),
            asker=asker_of(self._ws, self._runtime, task, entry),
            next_turn=next_turn(self._ws, task),
            before=self.blockers(task) if task.state is State.BACKLOG or is_held(task) else (),
            **self._progress(task, loaded.content),
            **task_news.warnings(self._ws, task, loaded.content, found[0] if found else None, said),
        )

    def _progress(self, task: Task, content: Content) -> dict[str, Any]:
        """For a task in progress that a person follows: its last note, and when its progress was announced last."""
        people = [who for who in (task.requested_by, *task.followers) if who and self._ws.settings.is_human(who)]
        if task.state is not State.IN_PROGRESS or not people:
            return {}
        head = f"{task_key(task, 'progress')}."
        boxes = [(self._ws.home(person).files, f"inbox/{person}/{box}") for person in people for box in Box]
        paths = ((files, f"{box}/{name}") for files, box in boxes for name in files.names(box) if name.startswith(head))
        times = [stamp.mtime for files, path in paths if (stamp := files.stamp(path))]
        return {"note": body.last_note(content.data.decode("utf-8", "replace")), "announced": max(times, default=None)}

    def _is_due(self, entry: Entry) -> bool:
        return entry.at is None or entry.at <= self._ws.clock.now()

    def _message(self, task: Task, entry: Entry) -> tuple[Message, Box] | None:
        key = task_message_key(task)
        for agent in dict.fromkeys((task.assignee, entry.agent)):
            if agent and (found := self._find(agent, key)):
                return found
        return None

    def _find(self, agent: AgentId, key: str) -> tuple[Message, Box] | None:
        try:
            return self._ws.find_message(agent, key)
        except NotFound:
            return self._ws.find_message(agent, key)  # it was moved between listing and reading
        except InvalidFile as wrong:  # it is missing then, and delivered anew from what is known of the task
            self._ws.set_aside(wrong)
            return None

    def run_of(self, task: Task, entry: Entry | None = None) -> Run | None:
        """The newest run for this attempt; before the acknowledgement only one that got the task message counts."""
        key = task_message_key(task)
        runs = [self._runtime.look(RunId(name)) for name in self._run_names(key) if _is_run_of(name, key)]
        found = [run for run in runs if run and (run.key == key or task.state is not State.BACKLOG)]
        # Of a reviewer or an answerer there are runs on the task, too; the holder's are the ones that speak for it.
        first = datetime.min.replace(tzinfo=UTC)
        return max(found, key=lambda r: (r.agent == task.assignee, r.alive, r.started or first), default=None)

    def _verify_of(self, task: Task) -> Run | None:
        """The newest run of the route's own check."""
        key = f"{task_key(task, 'verify')}-s"
        names = self._run_names(key) if task.state is State.DONE else []
        numbers = [int(name[len(key) :]) for name in names if re.fullmatch("[0-9]{1,9}", name[len(key) :])]
        return self._runtime.look(RunId(f"{key}{max(numbers)}")) if numbers else None

    def _run_names(self, key: str) -> list[str]:
        """Names of runs that begin with the key; the folder is listed once, in order."""
        if self._runs is None:
            self._runs = self._told_of(lambda: self._ws.files.names("runs"))
        first = bisect_left(self._runs, key)
        return list(takewhile(lambda name: name.startswith(key), islice(self._runs, first, None)))

    def forget(self) -> None:
        """Runs were started since: list them anew."""
        self._runs = None

    def _last_word(self, task: Task, content: Content, said: tuple[Report, ...]) -> datetime:
        own = self._checkpoints.stamp(task)
        times = [content.stamp.mtime, *(report.at for report in said), *([own.mtime] if own else [])]
        return min(max(times), self._ws.clock.now())

    def _result(self, task: Task, run: Run | None) -> Result | None:
        if task.label is None or (run is None and task.cached_from is None):
            return None
        return self._checkpoints.left(task.label, run)

    def tried(self, task: Task) -> tuple[AgentId, ...]:
        """Agents that had the task in an earlier attempt."""
        agents = routing.candidates(self._ws.settings, task.type)
        earlier = [f"{task.id.lower()}.{n}" for n in range(max(1, task.attempt - 20), task.attempt)]
        return tuple(agent for agent in agents if any(self._find(agent, key) for key in earlier))

    # --- around the entries

    def waiting(self) -> tuple[Message, ...]:
        """Messages in new/ of agents that are woken by a command and whose run does not exist yet, oldest first."""
        found = (message for message, is_begun in self._new_messages() if not is_begun)
        return tuple(message for message in found if not self._is_too_early(message))

    def _is_too_early(self, message: Message) -> bool:
        """Whether what its task comes after was reopened after the message had been sent."""
        if message.task is None or message.kind is not Kind.TASK or not message.definition.get("after"):
            return False
        with suppress(ClawError):
            return bool(self.blockers(self._ws.load(message.task).task))
        return False

    def begun(self) -> tuple[Message, ...]:
        """Messages in new/ whose run was started by a tick that died before it could move them."""
        return tuple(message for message, is_begun in self._new_messages() if is_begun)

    def _new_messages(self) -> Iterable[tuple[Message, bool]]:
        for agent in self._ws.settings.agents.values():
            if not agent.is_woken or agent.kind is AgentKind.HUMAN or not self._is_here(agent.name):
                continue
            for message in self._new_of(agent.name):
                if is_turn(message):  # the tick hands it to its session, in its order
                    continue
                is_begun = message.run or self._ws.files.stamp(f"runs/{run_id(message)}/run.md")
                yield agent_load.with_model(self._ws, message), is_begun is not None

    def _held(self) -> dict[AgentId, tuple[Message, ...]]:
        agents = self._ws.settings.agents.values()
        people = [agent.name for agent in agents if agent.kind is AgentKind.HUMAN and self._is_here(agent.name)]
        return {person: tuple(self._new_of(person)) for person in people}

    def _closed(self, held: Mapping[AgentId, tuple[Message, ...]]) -> Iterator[tuple[AgentId, str, str]]:
        """The file channels that take nothing, of people for whom something waits: person, channel, why."""
        for person in (person for person, waiting in held.items() if waiting):
            for channel in self._ws.settings.agents[person].channels:
                if why := channels.problem(self._ws.files, channel):
                    yield person, channel, why

    def _posts(self) -> tuple[Post, ...]:
        return tuple(self._told_of(self._outbox.posts)) if self._outbox else ()

    def _is_here(self, agent: AgentId) -> bool:
        return self._ws.home(agent) is self._ws

    def _new_of(self, agent: AgentId) -> list[Message]:
        return self._told_of(lambda: self._ws.messages_in(agent, Box.NEW))

    def _told_of(self, look: Callable[[], list[Seen]]) -> list[Seen]:
        """What `look` sees; that a folder of ours was replaced by something else is told, and the rest goes on."""
        try:
            return look()
        except CannotRead as wrong:
            if wrong.problem == "root-changed":
                raise
            self.problems[wrong.path] = str(wrong)
            return []

    def _ready(self, looks: tuple[TaskEvidence, ...]) -> tuple[Task, ...]:
        """Tasks for `auto`: in backlog, nobody's, routed, with everything before them done; best first."""
        watched = {look.entry.task for look in looks}
        found = []
        for row in self._ws.rows():
            if row.folder != "status" or row.error or row.state != State.BACKLOG or row.assignee is not None:
                continue
            task = self._ws.in_force(row.task())
            is_free = task.state is State.BACKLOG and task.assignee is None and task.id not in watched
            if is_free and task.type in self._ws.settings.routes and not self.blockers(task):
                found.append(task)
        oldest = datetime.min.replace(tzinfo=UTC)
        return tuple(sorted(found, key=lambda t: (words.rank(t.priority), t.created or oldest, t.id)))

    def blockers(self, task: Task) -> tuple[Predecessor, ...]:
        """Tasks that must be done before this one and are not."""
        return unmet(((it._ws, it.counts_as_done) for it in (self, *self._others())), task)

    def counts_as_done(self, task: Task) -> bool:
        """Whether the task, in force, is done, with what it promised: while it has a line, that is looked at."""
        known = verified(task, self._ws.settings)
        if known is None:
            return task.state is State.DONE
        entry = self._ws.entry(task.id)
        if known and entry is None:
            return True
        look = self.look(entry or Entry(task=task.id, agent=task.assignee))
        return is_accepted(case_of(look, Snapshot(settings=self._ws.settings), self._ws.clock.now()))

    def outcomes(self) -> dict[AgentId, tuple[RunOutcome, ...]]:
        """How each agent's work ended in the last two days, oldest first; True: it went well."""
        return outcomes(self._journals())

    def _journals(self) -> list[tuple[datetime, Audit]]:
        """The decisions of today and yesterday about runs and their ends, here and in all other places."""
        others = self._others()
        found = [*self._endings.of_two_days(), *(line for other in others for line in other._endings.of_two_days())]
        return sorted(found, key=lambda line: line[0]) if others else found


def _wants_terms(ws: Workspace, task: Task) -> bool:
    """Whether its definition is asked though its file is intact: it is about to be closed, or was edited in review."""
    is_ended = task.state in (State.DONE, State.DEAD)
    return not task.group and (is_ended or (task.state is State.REVIEW and ws.is_edited(task)))


def _is_run_of(name: str, key: str) -> bool:
    return name.startswith((f"{key}-s", f"{key}.")) and ".verify-s" not in name


def run_id(message: Message) -> RunId:
    """The run that a message is for, or else starts: its key and which send it is."""
    return message.run or RunId(f"{message.key}-s{message.sends}")
