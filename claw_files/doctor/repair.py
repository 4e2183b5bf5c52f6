"""Repairs unambiguous problems, through the services that write anyway. Repeating it changes nothing.

Repair deletes nothing and never edits user files; conflicting files are moved, with a .reason file.
"""

import os
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from msgspec.structs import replace

from claw_files.core import text
from claw_files.core.errors import ClawError, NotFound
from claw_files.core.journal_events import JournalEvent
from claw_files.core.keys import task_key
from claw_files.core.model import AFTER_LIMIT, AgentId, Audit, Entry, RunId, State, Task, TaskId, Value, Verb
from claw_files.doctor.checks import inboxes, leftovers
from claw_files.doctor.checks import ledger as ledger_checks
from claw_files.doctor.checkup import examine
from claw_files.doctor.findings import Finding
from claw_files.doctor.survey import Survey
from claw_files.formats import ledger as forms
from claw_files.processes import LOST
from claw_files.processes.process_runner import ProcessRunner
from claw_files.storage.workspace import Workspace
from claw_files.system.disk_files import DiskFiles

PATIENCE = timedelta(seconds=5)
_NEEDS_LINE = (State.IN_PROGRESS, State.REVIEW, State.BLOCKED, State.FAILED)


class RepairStep(Value, frozen=True):
    """One thing that was done."""

    code: str
    path: str
    did: str

    @property
    def file(self) -> str:
        return text.safe(self.path, 300)

    def as_json(self) -> dict[str, str]:
        return {"code": self.code, "file": self.file, "did": text.safe(self.did, 500)}

    def as_text(self) -> str:
        return f"repaired {self.code}: {self.file}: {text.safe(self.did, 500)}"


class Repair:
    """Repairs one workspace. Each step checks again before it acts, under the lock of the commands."""

    def __init__(self, workspace: Workspace, files: DiskFiles, runtime: ProcessRunner, actor: AgentId) -> None:
        self._ws, self._files, self._runtime, self._actor = workspace, files, runtime, actor
        self.failed: list[str] = []  # problems that could not be repaired now, as sentences
        self._steps: dict[str, Callable[[Finding], Iterator[RepairStep]]] = {
            "journal-torn": self._end_line,
            "case-twins": self._part,
            "misplaced": self._replace,
            "stale-tmp": self._set_aside,
        }

    def mend(self) -> list[RepairStep]:
        """The repairs, in order. Raises Busy during a heartbeat."""
        with self._ws.ticking.hold("tick", PATIENCE, "clawfiles doctor --repair"):
            # Crash recovery first; each step works on the result of the one before.
            done = [*self._recover(), *self._runs()]
            for code, step in self._steps.items():
                found = (one for one in self._findings() if one.code == code)
                done += [it for one in found for it in self._safely(one.file, step, one)]
            return done + self._lines(self._findings())

    def _findings(self) -> list[Finding]:
        return examine(self._ws.root, self._ws.clock.now().timestamp(), self._ws.base)

    def _safely(self, what: str, step: Callable[..., Iterator[RepairStep]], *args: object) -> list[RepairStep]:
        try:
            return list(step(*args))
        except (ClawError, OSError) as wrong:
            self.failed.append(f"{what}: {wrong}")
            return []

    def _audit(self, why: str, task: str = "", key: str | None = None) -> Audit:
        return Audit(JournalEvent.REPAIR, task=TaskId(task) if task else None, actor=self._actor, key=key, why=why)

    # --- what a crash left

    def _recover(self) -> list[RepairStep]:
        before = leftovers.displaced(self._survey())

        def step() -> Iterator[RepairStep]:
            for path, verdict in self._files.recover():
                yield RepairStep(code="swap-left", path=path, did=verdict)
            told = self._files.adopt()
            for path, verdict in told:
                yield RepairStep(code="no-heartbeat", path=path, did=verdict)
            after = leftovers.displaced(self._survey())
            if gone := [path for path in before if path not in after][len(told) :]:
                did = f"checked {len(gone)} replaced file versions; they had no late edits"
                yield RepairStep(code="no-heartbeat", path=".clawfiles/kept", did=did)

        return self._safely("recover", step)

    def _survey(self) -> Survey:
        base = self._ws.base if self._ws.base != self._ws.root else None
        return Survey(self._ws.root, self._ws.clock.now().timestamp(), base)

    def _runs(self) -> list[RepairStep]:
        """Mark runs without supervisor and process as ended, including those without a lock file."""
        ids = {run.id for run in self._runtime.live()} if self._files.names("runs") else set[RunId]()
        named = (one.path.split("/")[1] for one in leftovers.runs(self._survey()) if one.code == "run-lost")
        ids |= {RunId(name) for name in named}
        return [it for run in sorted(ids) for it in self._safely(f"run {run}", self._end, run)]

    def _end(self, run_id: RunId) -> Iterator[RepairStep]:
        run = self._runtime.look(run_id)
        if run is None or run.ended or run.reason != LOST:
            return
        ended = self._runtime.end_lost(run_id)
        if ended and ended.ended:
            self._ws.note(Audit(JournalEvent.RUN_LOST, task=run.task, agent=run.agent, key=run.id, why="no supervisor"))
            yield RepairStep(
                code="run-lost", path=f"runs/{run_id}", did="its end is written; the next heartbeat fails it"
            )

    # --- files in the wrong place

    def _end_line(self, one: Finding) -> Iterator[RepairStep]:
        """Save the truncated line separately; the journal's next line ends it, and marks it as known."""
        raw = self._files.read(one.path, leftovers.JOURNAL_BYTES).data
        tail = raw.rpartition(b"\n")[2]
        if not tail:
            return
        key = leftovers.torn(tail)
        aside = f"quarantine/{one.path.replace('/', '-')}.{key.replace('.', '-')}"
        self._put_aside(aside, f"the last line of {one.path}, torn off by a crash")
        self._files.commit(aside, lambda there: tail if there is None else there, None)
        line = self._ws.line(self._audit(f"a torn line of {one.path} is in {aside}", key=key))
        self._files.append(one.path, line)
        yield RepairStep(code=one.code, path=one.path, did=f"the torn line is ended, and kept in {aside}")

    def _put_aside(self, target: str, reason: str) -> None:
        self._files.commit(f"{target}.reason", lambda _: f"{text.safe(reason)}\n".encode(), None)

    def _part(self, one: Finding) -> Iterator[RepairStep]:
        """Move the duplicate that does not count, if its bytes are the same."""
        folder, _, name = one.path.rpartition("/")
        if folder not in ("status", "dead-letter") or not (task := _id(name)):
            return
        with self._ws.locks.hold(task.lower(), PATIENCE, "clawfiles doctor --repair"):
            found = self._ws.find(task)
            if found is None or found[0] == one.path or found[0].rpartition("/")[0] != folder:
                return
            if self._files.read(found[0]).data == self._files.read(one.path).data:
                yield self._moved(one, "conflicts", f"it is the same as {found[0]}, which counts")

    def _moved(self, one: Finding, folder: str, why: str) -> RepairStep:
        """Move a file to conflicts/ or quarantine/ under a free name, its reason first."""
        target = f"{folder}/{one.path.replace('/', '-')[-150:]}~{os.urandom(4).hex()}"
        self._put_aside(target, f"{one.path}: {why}")
        self._files.move(one.path, target, self._ws.line(self._audit(why, one.task, text.safe(one.path))))
        return RepairStep(code=one.code, path=one.path, did=f"moved to {target}: {why}")

    def _replace(self, one: Finding) -> Iterator[RepairStep]:
        with self._ws.locks.hold(one.task.lower(), PATIENCE, "clawfiles doctor --repair"):
            loaded = self._ws.load(TaskId(one.task))
            is_dead = self._ws.in_force(loaded.task).state is State.DEAD
            target = "dead-letter" if is_dead else "status"
            if loaded.path != one.path or loaded.path.startswith(f"{target}/"):
                return
            self._ws.move(loaded, target, self._audit(f"it is {loaded.task.state}", one.task, loaded.path))
            yield RepairStep(code=one.code, path=one.path, did=f"moved to {target}/, for it is {loaded.task.state}")

    def _set_aside(self, one: Finding) -> Iterator[RepairStep]:
        stamp = self._files.stamp(one.path)
        if stamp and self._ws.clock.now() - stamp.mtime > timedelta(seconds=inboxes.STALE_SECONDS):
            yield self._moved(one, "quarantine", "half delivered, over 36 hours ago")

    # --- the ledger

    def _lines(self, findings: list[Finding]) -> list[RepairStep]:
        """A line for each task in progress; when the ledger is lost, for every open task that was given out."""
        is_lost = any(one.code == "ledger-lost" for one in findings)
        missing = [task.id for _, task in ledger_checks.unwatched(self._survey())]
        wanted = [it for task in missing for it in self._wanted(task, is_lost)]
        return self._safely("ledger", self._write, wanted, "ledger-lost" if is_lost else "no-line") if wanted else []

    def _wanted(self, task_id: str, is_lost: bool) -> list[tuple[Entry, str]]:
        """The missing line of a task and the origin of its check time; None if it has one."""
        try:
            task = self._ws.in_force(self._ws.load(TaskId(task_id)).task)
            sent = self._sent(task)
            states = _NEEDS_LINE if is_lost else (State.IN_PROGRESS,)
            if not (task.state in states or (is_lost and sent and task.state is State.BACKLOG)):
                return []
            entry, said = self._entry(task, sent)
            if entry.agent is None:
                raise NotFound("agent", task.id, "it has no agent: add the line by hand")
        except (ClawError, OSError) as wrong:
            self.failed.append(f"{task_id}: {wrong}")
            return []
        return [(entry, said)]

    def _write(self, wanted: list[tuple[Entry, str]], code: str) -> Iterator[RepairStep]:
        """Write all lines at once: half a ledger would not look lost any more."""
        path, zone, done = self._ws.settings.workspace.ledger, self._ws.zone, list[tuple[Entry, str]]()

        def change(raw: bytes | None) -> bytes:
            there, now = raw or b"", self._ws.clock.now()
            prefix = self._ws.settings.workspace.prefix
            named = {entry.task for entry in forms.entries(there, now, zone, prefix, lambda _: True)}
            done[:] = [(entry, said) for entry, said in wanted if entry.task not in named]
            for entry, _ in done:
                there = forms.add(there, entry, zone)
            return there

        why = f"{code}: {', '.join(entry.task for entry, _ in wanted)}"[:500]
        self._files.commit(path, change, self._ws.line(self._audit(why)))
        for entry, said in done:
            yield RepairStep(code=code, path=path, did=f"a line for {entry.task}, {entry.agent}: {said}")

    def _sent(self, task: Task) -> datetime | None:
        """The time at which the task's message of this attempt was sent, if any."""
        found = self._ws.find_message(task.assignee, task_key(task)) if task.assignee else None
        return (found[0].sent or self._ws.clock.now()) if found else None

    def _entry(self, task: Task, sent: datetime | None) -> tuple[Entry, str]:
        """The line, and the origin of its check time. The next tick checks a task whose time is lost."""
        now = self._ws.clock.now().replace(second=0, microsecond=0)
        given = self._ws.claims.given(task.id)
        agent = task.assignee or given.owner(given.highest)
        spawner = task.spawner if task.spawner != self._ws.settings.coordinator else None
        entry = Entry(task=task.id, agent=agent, spawner=spawner, at=now)
        if task.state is State.IN_PROGRESS and task.eta and task.eta > now:
            return replace(entry, verb=Verb.WAIT, at=task.eta), "until its ETA"
        if task.label and sent and task.timeout and sent + task.timeout + AFTER_LIMIT > now:
            at = text.next_look(sent, task.timeout + AFTER_LIMIT)
            return replace(entry, at=at), "at the end of its time limit"
        return entry, "the check time is not known; set to now, so the next heartbeat looks"


def _id(name: str) -> TaskId | None:
    try:
        return text.task_id(name.removesuffix(".md"))
    except ClawError:
        return None
