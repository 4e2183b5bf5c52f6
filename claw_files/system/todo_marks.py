"""Marks of open work, as names in a folder of `.clawfiles/`. If they are lost, everything is checked once."""

import os
from contextlib import suppress

from claw_files.system.file_owner import PrivateFolder, open_or_make

UNCOUNTED = "uncounted"  # runs whose usage is not noted yet; written before they start


class TodoMarks(PrivateFolder):
    """Empty files, one per open item."""

    def names(self) -> list[str] | None:
        """The open items, sorted; None if the folder is missing and they are unknown."""
        if not self._is_ours():
            return []
        try:
            return sorted(os.listdir(self._folder))
        except OSError:
            return None

    def prepare(self) -> None:
        """Create the folder: from now on it lists the open items."""
        with suppress(OSError):
            self._make()

    def add(self, name: str) -> None:
        """Mark `name` as open; if that fails, the check of everything finds it."""
        if not self._is_ours():
            return
        flags = os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        with suppress(OSError):
            os.close(open_or_make(os.path.join(self._folder, name), flags))

    def remove(self, name: str) -> None:
        """Note that `name` is done."""
        with suppress(OSError):
            if not self._is_ours():
                return
            os.unlink(os.path.join(self._folder, name))
