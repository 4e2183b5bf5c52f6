"""Records usage: one line of the journal for each ended run, and for work without a run.

Runs to be recorded are listed in `.clawfiles/uncounted/`, one name per run, written before its start. Without that
folder every run of this month is checked once; the run.md of a recorded run has its `usage`.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from claw_files.core import text
from claw_files.core.digest import digest
from claw_files.core.errors import ClawError, InvalidFile, NotFound
from claw_files.core.journal_events import JournalEvent
from claw_files.core.keys import Key
from claw_files.core.model import AgentId, Audit, Run, RunId, Task, Usage, Value
from claw_files.formats import frontmatter_edits, runs
from claw_files.formats import usage as forms
from claw_files.policy import costs
from claw_files.policy.snapshot import TaskEvidence
from claw_files.processes.process_runner import ProcessRunner
from claw_files.services.accounting import unbilled_runs
from claw_files.services.accounting.spend import Spending
from claw_files.services.evidence.run_logs import LOG_BYTES
from claw_files.services.tasks.checkpoints import Checkpoints
from claw_files.storage.workspace import Workspace
from claw_files.system.files import read_or_empty

LONGEST = timedelta(days=31)  # how far back the journal is searched for earlier records


class ReportedUsage(Value, frozen=True):
    """A usage and its source; `own` if the run itself reported it, else a file of its agent."""

    usage: Usage
    source: str
    own: bool = True


class UsageRecorder:
    """Called under the tick's lock: two that note at once would note twice, which counts once."""

    def __init__(self, workspace: Workspace, runtime: ProcessRunner) -> None:
        self._ws = workspace
        self._runtime = runtime
        self._marks = unbilled_runs.marks(workspace)

    # --- runs

    def note_ended(self) -> None:
        """Note the usage of every run that has ended since the last time."""
        names = self._marks.names()
        if names is None:
            return self._note_all()
        for name in names:
            run = self._runtime.look(RunId(name))
            if run is not None and run.ended and not run.alive:
                self._note([run])
            elif run is not None and (run.alive or run.key):  # without a key: run.md cannot be read
                continue
            self._marks.remove(name)
        return None

    def _note_all(self) -> None:
        """Look at every run once, by its run.md alone: asking for the processes of each would take too long."""
        names = [name for name in unbilled_runs.run_names(self._ws) if not _is_check(name)]
        self._note([run for name in names if (run := self._told(name)) and run.ended])
        self._marks.prepare()
        for run in self._runtime.live():
            if not _is_check(run.id):
                self._marks.add(run.id)

    def _told(self, name: str) -> Run | None:
        """The run, read from its run.md."""
        path = f"runs/{name}/run.md"
        try:
            run = runs.parse(self._read(path), path)
        except InvalidFile:
            return None
        return run if run.id == name else None

    def _note(self, ended: list[Run]) -> None:
        month = costs.month_of(self._ws.clock.now(), self._ws.zone)
        for run in ended:
            if run.ended and not run.usage and self._is_recent(run.ended, month) and (found := self._of_run(run)):
                self._write(found, run, run.agent, self._task(run))

    def _is_recent(self, ended: datetime, month: str) -> bool:
        """Whether a run belongs to this month, or ended shortly before it."""
        now = self._ws.clock.now()
        return costs.month_of(ended, self._ws.zone) == month or now - ended < timedelta(days=2)

    def _of_run(self, run: Run) -> ReportedUsage | None:
        """The usage of the run: measured by its runtime, printed by its program, or written by its agent."""
        folder = f"runs/{run.id}"
        if (raw := self._read(f"{folder}/usage.json")) and (measured := forms.of_json(raw)):
            return ReportedUsage(usage=measured, source="usage.json")
        if (raw := self._read(f"{folder}/stdout.log")) and (printed := forms.of_output(raw)):
            return ReportedUsage(usage=printed, source="stdout.log")
        task = self._task(run)
        if task and task.label:
            path = Checkpoints.worker_path(task.label)
            claimed = forms.of_front_matter(self._read(path), path)
            return ReportedUsage(usage=claimed, source=path) if claimed else None
        return self._claimed(task, run.agent)

    # --- what files of agents claim

    def note_task(self, look: TaskEvidence | None) -> None:
        """Record the usage in the files of an ending task without a run, whose agent polls its inbox."""
        if look is None or look.task is None or look.run is not None:
            return
        agent = look.task.assignee or look.entry.agent
        found = self._claimed(look.task, agent) if agent else None
        if found and agent:
            self._write(found, None, agent, look.task)

    def _claimed(self, task: Task | None, agent: AgentId) -> ReportedUsage | None:
        paths = [self._path(task)] if task else []
        for path in (*paths, Checkpoints.path(agent)):
            raw = self._read(path) if path else None
            if path and raw and (claimed := forms.of_front_matter(raw, path)):
                return ReportedUsage(usage=claimed, source=path, own=False)
        return None

    def _path(self, task: Task) -> str | None:
        found = self._ws.find(task.id)
        return found[0] if found else None

    # --- the line

    def _write(self, found: ReportedUsage, run: Run | None, agent: AgentId, task: Task | None) -> None:
        model = self._model(agent, task, found.usage.model)
        priced = self._priced(found.usage, model)
        key = str(run.id) if found.own and run else self._key(found)
        if not found.own and key in Spending(self._ws).keys(self._ws.clock.now() - LONGEST):
            return  # it was recorded at the end of the previous attempt, and is still in the file
        audit = Audit(
            JournalEvent.USAGE,
            task=task.id if task else None,
            agent=agent,
            model=model,
            key=key,
            usage=priced,
            why=forms.render(priced, found.source, by_price=priced.cost is not None and found.usage.cost is None),
            actor=self._ws.settings.coordinator,
        )
        if run is None or not self._keep(run, priced, audit):
            self._ws.note(audit)

    def _keep(self, run: Run, usage: Usage, audit: Audit) -> bool:
        """Write the usage to run.md with its journal line: a run with usage is never recorded again."""
        path = f"runs/{run.id}/run.md"

        def change(raw: bytes | None) -> bytes:
            if raw is None:
                raise NotFound("file", path)
            return frontmatter_edits.edit(raw, {"usage": forms.figures(usage)}, path)

        try:
            self._ws.files.commit(path, change, self._ws.line(audit), keep_mtime=True)
        except ClawError:
            return False
        return True

    @staticmethod
    def _key(found: ReportedUsage) -> str:
        """The key of a usage: the same values in the same file are the same usage."""
        stem = found.source.rpartition("/")[2].removesuffix(".md").lower()
        return f"{stem}.usage.{digest(forms.render(found.usage, '').encode(), 4)}"

    def _model(self, agent: AgentId, task: Task | None, reported: str | None) -> str | None:
        known = self._ws.settings.agents.get(agent)
        return forms.model_name((task.model if task else None) or (known.model if known else None), reported)

    def _priced(self, usage: Usage, model: str | None) -> Usage:
        prices = self._ws.settings.prices
        names: Iterable[str] = (name for name in (model, usage.model) if name in prices)
        name = next(iter(names), None)
        if name is None:
            return usage
        price = prices[name]
        return forms.priced(usage, price.input, price.output, price.cached)

    def _task(self, run: Run) -> Task | None:
        return (self._ws.known(run.task) or Task(id=text.task_id(run.task))) if run.task else None

    def _read(self, path: str) -> bytes:
        return read_or_empty(self._ws.files, path, LOG_BYTES)


def _is_check(run: str) -> bool:
    """Whether the run is a route's check, which belongs to no agent and has no usage."""
    return Key.parse(run).what == "verify"
