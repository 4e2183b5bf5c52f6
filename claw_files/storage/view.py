"""The read-only view of a workspace, for services that only read, and for a dry run."""

from typing import Any, Final, cast

from claw_files.core.errors import ClawError
from claw_files.storage.workspace import Workspace
from claw_files.system.files import Files

_WRITES: Final = ("commit", "move", "remove", "append", "recover", "adopt", "folder")


class WorkspaceView(Workspace):
    """A read-only `workspace`. A write is a bug, and fails; an unreadable message stays in its inbox."""

    def __init__(self, workspace: Workspace) -> None:
        vars(self).update(vars(workspace))
        self.files = cast(Files, _ReadOnly(workspace.files))

    def _set_aside(self, path: str, wrong: ClawError) -> None:
        """Keep the file in its place."""


class _ReadOnly:
    """The reading methods of `Files`."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def __getattr__(self, name: str) -> Any:
        if name in _WRITES:
            raise AttributeError(f"a view of a workspace is read-only: it has no {name}")
        return getattr(self._files, name)
