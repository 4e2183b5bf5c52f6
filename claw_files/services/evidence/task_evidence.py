"""Evidence about one task, from its files, message, reports and runs.

Reads only what an entry names. The run is read before the files that it may have written, so that a run seen as ended
has nothing more to say.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import cached_property
from itertools import islice, takewhile
from typing import Any, TypeVar

from msgspec.structs import replace

from claw_files.core import text
from claw_files.core.errors import CannotRead, ClawError, InvalidFile, NotFound, UsageError
from claw_files.core.keys import Key, run_id, task_key
from claw_files.core.model import AgentId, Box, Entry, Message, Report, Result, Run, RunId, State, Task, TaskId
from claw_files.formats import body, reports
from claw_files.policy import flow_tree, manual_edits, routing
from claw_files.policy.acknowledgement import is_answer
from claw_files.policy.flow_tree import Asker
from claw_files.policy.rule_context import case_of
from claw_files.policy.snapshot import MOST_BEFORE, FilePlace, Predecessor, ReadMark, Snapshot, TaskEvidence
from claw_files.policy.transitions import is_held
from claw_files.policy.verification import is_accepted, verified
from claw_files.processes.process_runner import ProcessRunner
from claw_files.services.evidence import unreadable_files
from claw_files.services.messaging import task_news
from claw_files.services.tasks import recorded_ends, task_history
from claw_files.services.tasks.checkpoints import Checkpoints
from claw_files.services.tasks.outputs import missing
from claw_files.services.tasks.session_turns import next_turn
from claw_files.storage import task_recall
from claw_files.storage.task_restore import restore
from claw_files.storage.workspace import Workspace
from claw_files.system.files import Content, Files


def asker_of(ws: Workspace, runtime: ProcessRunner, task: Task, entry: Entry) -> Asker | None:
    """As `flows.asker`: None, without any reading, if no worker requested the task."""

    def live(name: TaskId) -> RunId | None:
        runs = (run for run in runtime.live() if run.alive and run.task == name and Key.parse(run.key).is_attempt)
        return next((run.id for run in runs), None)

    # The line counts, as everywhere for the assignee.
    return flow_tree.asker(ws.settings, replace(task, spawner=entry.spawner or task.spawner), ws.known, live)


def reports_of(ws: Workspace, task: TaskId, agent: AgentId | None) -> tuple[Report, ...]:
    """The agent's reports on the task: in `status/peter.md` here, and in `status/` of its own workspace."""
    if agent is None or agent not in ws.settings.agents:
        return ()
    found = list(_read(ws, ws.files, f"status/{agent}.md", agent, None))
    if (folder := ws.settings.agents[agent].workspace) and (files := ws.outside(folder)):
        there = [*_read(ws, files, f"status/{text.file_name(task)}", agent, task)]
        there += _read(ws, files, f"status/{agent}.md", agent, None)
        found += [_from(folder, report) for report in there]
    return tuple(report for report in found if report.task == task)


class Reporters:
    """The agents with a report file in `status/`, listed once per tick."""

    def __init__(self, workspace: Workspace) -> None:
        self._ws = workspace

    @cached_property
    def _written(self) -> dict[AgentId, datetime]:
        stamps = ((agent, self._ws.files.stamp(f"status/{agent}.md")) for agent in self._ws.settings.agents)
        return {agent: stamp.mtime for agent, stamp in stamps if stamp}

    def on(self, task: Task, holder: AgentId | None) -> tuple[Report, ...]:
        """Reports on an open task by other agents; a file is read if it is newer than the last write."""
        since, is_open = task.updated, task.state in (State.BACKLOG, State.IN_PROGRESS, State.BLOCKED)
        newer = (who for who, at in self._written.items() if is_open and since and who != holder and at > since)
        said = (it for who in newer for it in _read(self._ws, self._ws.files, f"status/{who}.md", who, None))
        return tuple(it for it in said if it.task == task.id)


def _read(ws: Workspace, files: Files, path: str, agent: AgentId, task: TaskId | None) -> Iterable[Report]:
    try:
        content = files.read(path)
        return reports.parse(content.data, path, agent, content.stamp.mtime, ws.zone, task, vocabulary=ws.vocabulary)
    except ClawError:  # doctor names it
        return ()


def _from(folder: str, report: Report) -> Report:
    """The report with its path relative to this workspace: it is in the agent's own workspace."""
    unclear = tuple(replace(it, path=f"{folder}/{it.path}") for it in report.unclear)
    return replace(report, path=f"{folder}/{report.path}", unclear=unclear)


Seen = TypeVar("Seen")


class EvidenceReader:
    """Reads the evidence about a task; writes nothing, except for quarantining unreadable inbox files."""

    def __init__(
        self,
        workspace: Workspace,
        runtime: ProcessRunner,
        checkpoints: Checkpoints,
        others: "Callable[[], Sequence[EvidenceReader]]" = tuple,
    ) -> None:
        """`others` is the evidence of the other places under the same limits: compartments, or the outer workspace."""
        self._ws = workspace
        self._runtime = runtime
        self._checkpoints = checkpoints
        self._others = others
        self._runs: list[str] | None = None
        self._of_others = Reporters(workspace).on
        self.problems: dict[str, str] = {}  # unreadable folders of this tick: path -> sentence

    def renew(self) -> None:
        """Read the list of runs and the reports of other agents anew: a tick begins."""
        self._runs, self._of_others = None, Reporters(self._ws).on

    def live(self) -> tuple[Run, ...]:
        """Runs that have not ended."""
        return tuple(self._runtime.live())

    def look(self, entry: Entry) -> TaskEvidence:
        """The evidence for one ledger line; an unreadable file is reported in it, never raised."""
        try:
            return self._look(entry)
        except NotFound:
            return unreadable_files.absent(self._ws, entry, reports_of(self._ws, entry.task, entry.agent))
        except (
            InvalidFile,
            UsageError,
        ) as wrong:  # one task with unreadable files must not delay the others
            if isinstance(wrong, CannotRead) and wrong.problem == "root-changed":
                raise
            return unreadable_files.broken(self._ws, entry, wrong)

    def _look(self, entry: Entry) -> TaskEvidence:
        # `patient=False`: a file that is being saved is left for the next tick; waiting here would hold up all lines.
        loaded = self._ws.load(entry.task, patient=False)
        first = loaded.task
        run = self.run_of(first, entry)
        if run is not None and not run.alive:
            loaded = self._ws.load(entry.task, patient=False)  # its last words came after our first look
        task = loaded.task
        # Only now the costly reads: most lines are in progress and unchanged, and need none of them.
        if _wants_terms(self._ws, task):
            task = recorded_ends.checked(self._ws, self._ws.bound(task))
        agent = task.assignee or entry.agent
        found = self._message(task, entry)
        if found is None and loaded.place is FilePlace.ARCHIVE and agent:
            found = self._ws.old_message(agent, task_key(task))
        if found:
            task = restore(task, found[0])
        # A backup or a sync service may have put an old version back; then the claim log and the journal are right.
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
            read=self._read_away(task, agent) if found is None and agent else None,
            run=run,
            missing=missing(self._ws, task),
            verify=self._verify_of(task),
            asker=asker_of(self._ws, self._runtime, task, entry),
            next_turn=next_turn(self._ws, task),
            before=self.blockers(task) if _wants_to_begin(task) or is_held(task) else (),
            **self._progress(task, loaded.content),
            **task_news.warnings(self._ws, task, loaded.content, found[0] if found else None, said),
        )

    def _progress(self, task: Task, content: Content) -> dict[str, Any]:
        """For a task in progress that a person follows: its last note, and when its progress was announced last."""
        people = [who for who in (task.requested_by, *task.followers) if who and self._ws.settings.is_human(who)]
        # People do not read status files: only for them the last note is announced. Agents read the file.
        if task.state is not State.IN_PROGRESS or not people:
            return {}
        head = f"{task_key(task, 'progress')}."
        boxes = [(self._ws.mailbox(person).files, f"inbox/{person}/{box}") for person in people for box in Box]
        paths = ((files, f"{box}/{name}") for files, box in boxes for name in files.names(box) if name.startswith(head))
        times = [stamp.mtime for files, path in paths if (stamp := files.stamp(path))]
        return {"note": body.last_note(content.data.decode("utf-8", "replace")), "announced": max(times, default=None)}

    def _is_due(self, entry: Entry) -> bool:
        return entry.at is None or entry.at <= self._ws.clock.now()

    def _message(self, task: Task, entry: Entry) -> tuple[Message, Box] | None:
        key = task_key(task)
        for agent in dict.fromkeys((task.assignee, entry.agent)):
            if agent and (found := self._find(agent, key)):
                return found
        return None

    def _read_away(self, task: Task, agent: AgentId) -> ReadMark | None:
        """Whether the message was read, checked before a send; for an unassigned task only the claim log is read."""
        waits = task.not_before is not None and self._ws.clock.now() < task.not_before
        if task.state is not State.BACKLOG or waits or not self._ws.claims.given(task.id).highest:
            return None
        return task_history.read_of(self._ws, task, agent)

    def _find(self, agent: AgentId, key: str) -> tuple[Message, Box] | None:
        try:
            return self._ws.find_message(agent, key)
        except NotFound:
            return self._ws.find_message(agent, key)  # it was moved between listing and reading
        except InvalidFile as wrong:  # it counts as missing, and is delivered again from the task's facts
            self._ws.set_aside(wrong)
            return None

    def run_of(self, task: Task, entry: Entry | None = None) -> Run | None:
        """The newest run of this attempt; before the acknowledgement only the run of the task message."""
        key = task_key(task)
        # By name, not by content: a thousand old runs must not be read for each line.
        runs = [self._runtime.look(RunId(name)) for name in self._run_names(key) if _is_run_of(name, task)]
        found = [run for run in runs if run and (run.key == key or task.state is not State.BACKLOG)]
        # Reviewers and answering agents also have runs on the task; only the holder's runs count for it.
        first = datetime.min.replace(tzinfo=UTC)
        return max(found, key=lambda r: (r.agent == task.assignee, r.alive, r.started or first), default=None)

    def _verify_of(self, task: Task) -> Run | None:
        """The newest run of the route's own check."""
        key = task_key(task, "verify")
        names = self._run_names(key) if task.state is State.DONE else []
        sends = [run.send for name in names if (run := Key.parse(name)).send and name == run_id(key, run.send)]
        return self._runtime.look(run_id(key, max(sends))) if sends else None

    def _run_names(self, key: str) -> list[str]:
        """Names of runs that begin with the key; the folder is listed once, in order."""
        if self._runs is None:
            self._runs = self.list_or_report(lambda: self._ws.files.names("runs"))
        # The list is sorted, and the runs of a task begin with its key: no other name is touched.
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
        # At most twenty attempts back: a task that was requeued for years must not make each tick slower.
        earlier = [task_key(replace(task, attempt=n)) for n in range(max(1, task.attempt - 20), task.attempt)]
        return tuple(agent for agent in agents if any(self._find(agent, key) for key in earlier))

    def blockers(self, task: Task) -> tuple[Predecessor, ...]:
        """Unfinished predecessors of the task, in any place."""
        found = (self._blocker(it) for it in task.after[:MOST_BEFORE])
        return tuple(it for it in found if it)

    def _blocker(self, task_id: TaskId) -> Predecessor | None:
        try:
            place = next((it for it in (self, *self._others()) if it._ws.find(task_id)), None)
            if place is None:
                return Predecessor(task=task_id, is_missing=True)
            task = place._ws.in_force(place._ws.load(task_id).task)
            return None if place.counts_as_done(task) else Predecessor(task=task_id, state=task.state)
        # A predecessor that cannot be read holds its successor back; it never counts as done.
        except ClawError:
            return Predecessor(task=task_id)

    def counts_as_done(self, task: Task) -> bool:
        """Whether the task, in its effective state, is done and verified; with a line, outputs are checked."""
        known = verified(task, self._ws.settings)
        if known is None:
            return task.state is State.DONE
        entry = self._ws.entry(task.id)
        if known and entry is None:
            return True
        look = self.look(entry or Entry(task=task.id, agent=task.assignee))
        return is_accepted(case_of(look, Snapshot(settings=self._ws.settings), self._ws.clock.now()))

    def list_or_report(self, look: Callable[[], list[Seen]]) -> list[Seen]:
        """The result of `look`; an unreadable folder or file counts as empty, and is recorded in `problems`."""
        try:
            return look()
        except InvalidFile as wrong:
            if wrong.problem == "root-changed":
                raise
            self.problems[wrong.path] = str(wrong)
            return []


def _wants_to_begin(task: Task) -> bool:
    return task.state is State.BACKLOG or manual_edits.is_begun(task)


def _wants_terms(ws: Workspace, task: Task) -> bool:
    """Whether the definition is read although the file is intact: for a close, or an edit in review."""
    is_ended = task.state in (State.DONE, State.DEAD)
    return not task.group and (is_ended or (task.state is State.REVIEW and task_recall.is_edited(ws, task)))


def _is_run_of(name: str, task: Task) -> bool:
    run = Key.parse(name)
    return (run.name, run.attempt) == (task.id.lower(), task.attempt) and run.send is not None and run.what != "verify"
