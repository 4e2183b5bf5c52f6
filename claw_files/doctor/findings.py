"""One finding: its kind, place and sentence."""

import msgspec

from claw_files.core.text import safe
from claw_files.doctor.codes import CODES


class Finding(msgspec.Struct, frozen=True):
    """One finding. `path` is the raw name, for repairs; `file` is escaped for display."""

    code: str
    path: str = ""
    line: int | None = None
    detail: str = ""
    task: str = ""  # a checked id, or ""
    agent: str = ""  # a checked name, or ""
    key: str = ""  # by which a repair's note in the journal knows it

    @property
    def repairable(self) -> bool:
        """Whether `--repair` may mend it."""
        return CODES[self.code].repairable

    @property
    def file(self) -> str:
        return safe(self.path, 300)

    @property
    def meaning(self) -> str:
        means = CODES[self.code].means
        return f"{means}: {safe(self.detail, 300)}" if self.detail else means

    @property
    def do(self) -> str:
        return CODES[self.code].do.format(task=self.task or "TASK", agent=self.agent or "NAME")

    def as_json(self) -> dict[str, object]:
        """The promised `--json` form of one finding."""
        return {
            "code": self.code,
            "file": self.file,
            "line": self.line,
            "meaning": self.meaning,
            "do": self.do,
            "repairable": self.repairable,
        }

    def as_text(self) -> str:
        """Two lines for a terminal: place and problem, then what to do."""
        where = f"{self.file}:{self.line}: " if self.line else f"{self.file}: " if self.path else ""
        return f"{self.code}: {where}{self.meaning}\n    {self.do}"
