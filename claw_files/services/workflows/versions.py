"""The versions of a workflow, `workflows/versions/NAME/N.md`: byte copies, each made by its first run."""

from itertools import count

from claw_files.core.errors import NotFound
from claw_files.core.model import Audit
from claw_files.core.workflow import FILE_BYTES
from claw_files.storage.workspace import Workspace

FOLDER = "workflows"


class VersionStore:
    """The versions of one workflow of the workspace."""

    def __init__(self, workspace: Workspace, workflow: str) -> None:
        self._ws, self._workflow = workspace, workflow
        self._folder = f"{FOLDER}/versions/{workflow}"

    def numbers(self) -> list[int]:
        """The existing versions, in order."""
        stems = (name.removesuffix(".md") for name in self._ws.files.names(self._folder) if name.endswith(".md"))
        return sorted(int(stem) for stem in stems if stem.isascii() and stem.isdigit() and len(stem) < 10)

    def read(self, number: int) -> bytes:
        """The bytes of a version. Raises NotFound with the existing versions."""
        try:
            return self._ws.files.read(self.path(number), FILE_BYTES).data
        except NotFound:
            there = ", ".join(map(str, self.numbers())) or "none yet: its first run makes version 1"
            raise NotFound(f"version of {self._workflow}", str(number), f"there are {there}") from None

    def path(self, number: int) -> str:
        return f"{self._folder}/{number}.md"

    def number_of(self, raw: bytes) -> int | None:
        """The version with these bytes; None without one."""
        return next((number for number in reversed(self.numbers()) if self.read(number) == raw), None)

    def keep(self, raw: bytes, audit: Audit) -> int | None:
        """The number of the version with these bytes, which is made if they are those of the workflow's file.

        None for a text that is no workflow of the workspace. Two callers at once would give one number twice.
        """
        if number := self.number_of(raw):
            return number
        try:
            if self._ws.files.read(f"{FOLDER}/{self._workflow}.md", FILE_BYTES).data != raw:
                return None
        except NotFound:
            return None
        number = next(it for it in count(max(self.numbers(), default=0) + 1) if not self._ws.files.stamp(self.path(it)))
        self._ws.files.commit(self.path(number), lambda _: raw, self._ws.line(audit))
        return number
