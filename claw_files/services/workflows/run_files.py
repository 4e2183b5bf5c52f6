"""The files of a workflow's run, `flows/tc-50/`: a copy of the workflow, inputs, record, and the items of maps."""

from collections.abc import Mapping

from claw_files.core.errors import InvalidFile, NotFound
from claw_files.core.journal_events import JournalEvent
from claw_files.core.model import Audit, TaskId
from claw_files.core.workflow import FILE_BYTES, RunRecord, StepState, Workflow
from claw_files.formats import frontmatter, workflow_file, workflow_record
from claw_files.formats.frontmatter_edits import block
from claw_files.storage.workspace import Workspace


class RunFiles:
    """Where a run keeps what no task shows."""

    def __init__(self, workspace: Workspace, run: TaskId) -> None:
        self._ws, self._run, self.folder = workspace, run, f"flows/{run.lower()}"

    def begin(self, name: str, copies: Mapping[str, bytes], inputs: Mapping[str, str], audit: Audit) -> None:
        """Write copies of the workflow and of what it nests, and the inputs, before there is a task."""
        given = block({"run": self._run.lower(), **inputs}).encode()
        frontmatter.parse(given, f"{self.folder}/inputs.md")  # what is too long to be read again is refused now
        files = {"inputs.md": given} | {f"uses/{other}.md": text for other, text in copies.items() if other != name}
        for path, content in (files | {"workflow.md": copies[name]}).items():
            self._write(path, content, audit)

    def begin_inside(self, outer: TaskId, name: str, inputs: Mapping[str, str], audit: Audit) -> bytes:
        """The same for a nested run, with the copies of the run around it; the workflow's own copy is returned."""
        there = f"flows/{outer.lower()}/uses"
        names = [it for it in self._ws.files.names(there) if it.endswith(".md")]
        copies = {it.removesuffix(".md"): self._ws.files.read(f"{there}/{it}", FILE_BYTES).data for it in names}
        self.begin(name, copies, inputs, audit)
        return copies[name]

    def _write(self, path: str, content: bytes, audit: Audit) -> None:
        self._ws.files.commit(f"{self.folder}/{path}", lambda _: content, self._ws.line(audit))

    def copy(self) -> bytes:
        """The workflow that the run follows, byte for byte."""
        return self._ws.files.read(f"{self.folder}/workflow.md", FILE_BYTES).data

    def workflow(self, name: str) -> Workflow:
        """The run's own copy, whatever has become of the file. Raises NotFound, InvalidFile, CannotRead."""
        path = f"{self.folder}/workflow.md"
        return workflow_file.parse(self.copy(), path, name)[0]

    def inputs(self) -> dict[str, str]:
        """What the run was given, by the names of the inputs."""
        path = f"{self.folder}/inputs.md"
        found = frontmatter.parse(self._ws.files.read(path).data, path).meta
        return {key: str(value) for key, value in found.items() if key != "run"}

    def record(self) -> RunRecord:
        """The record; an empty one where it is gone, or was changed into something else: the tasks tell the rest."""
        path = f"{self.folder}/record.md"
        try:
            return workflow_record.parse(self._ws.files.read(path).data, path)
        except (NotFound, InvalidFile):
            return RunRecord()

    def save(self, record: RunRecord, workflow: Workflow, why: str) -> None:
        audit = Audit(JournalEvent.WORKFLOW, task=self._run, actor=self._ws.settings.coordinator, why=why)
        new = workflow_record.render(record, workflow)
        self._ws.files.commit(f"{self.folder}/record.md", lambda _: new, self._ws.line(audit))

    def items(self, step: str, state: StepState) -> tuple[str, ...] | None:
        """The items of a map, one a line; None before they are written down."""
        try:
            raw = self._ws.files.read(self._items(step, state)).data
        except NotFound:
            return None
        return tuple(raw.decode("utf-8", "replace").splitlines())

    def _items(self, step: str, state: StepState) -> str:
        number = state.items_of or state.pass_number
        return f"{self.folder}/{step}{f'-p{number}' if number > 1 else ''}.items"

    def freeze(self, step: str, state: StepState, items: tuple[str, ...], audit: Audit) -> None:
        """Write the items down; what is written already stays."""
        lines = "".join(" ".join(item.split()) + "\n" for item in items)
        new, path = lines.encode(errors="backslashreplace"), self._items(step, state)
        self._ws.files.commit(path, lambda raw: new if raw is None else raw, self._ws.line(audit))
