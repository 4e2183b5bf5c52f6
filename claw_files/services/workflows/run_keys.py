"""The keys of runs, `workflows/keys/`: a run that was begun with a key is begun once, for good."""

from claw_files.core import text as words
from claw_files.core.digest import digest
from claw_files.core.errors import NotFound
from claw_files.core.model import Audit, TaskId
from claw_files.formats import frontmatter
from claw_files.formats.frontmatter_edits import block
from claw_files.formats.task_fields import is_empty
from claw_files.storage.workspace import Workspace


class RunKey:
    """One key of one workflow. Its file is written before the run's task, which names the key as well."""

    def __init__(self, workspace: Workspace, workflow: str, key: str) -> None:
        self._ws, self._workflow, self._key = workspace, workflow, key
        name = digest(f"{workflow} {key}".encode(), 24)  # the name of a workflow has no space
        self._path = f"workflows/keys/{name}.md"

    def run(self) -> TaskId | None:
        """The run that was begun with the key, if its definition was written. The caller holds the lock of runs."""
        try:
            run = words.task_id(str(frontmatter.parse(self._ws.files.read(self._path).data, self._path).meta["run"]))
        except (NotFound, KeyError):
            return None
        known = self._ws.load(run) if self._ws.find(run) else self._ws.definition(run)
        kept = None if is_empty(self._key) else self._key.strip()  # as the file of a task has it
        is_ours = known is not None and (known.task.workflow, known.task.workflow_key) == (self._workflow, kept)
        return run if is_ours else None  # else a crash came before its task, and its number is anybody's

    def begun(self) -> TaskId | None:
        """The run that was begun with the key, if nothing of its beginning is missing."""
        run = self.run()
        found = self._ws.find(run) if run else None
        is_whole = found and run and (self._ws.entry(run) or self._ws.load(run).task.state.is_closed)
        return run if is_whole else None

    def save(self, run: TaskId, audit: Audit) -> None:
        new = block({"run": run.lower(), "workflow": self._workflow, "workflow_key": self._key}).encode()
        self._ws.files.commit(self._path, lambda _: new, self._ws.line(audit))
