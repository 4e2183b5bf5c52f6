"""Marks of open work, as names in a folder of `.clawfiles/`. If they are lost, everything is checked once."""

import os
from contextlib import suppress

from claw_files.system.file_owner import PrivateFolder, open_or_make

UNCOUNTED = "uncounted"  # runs whose usage is not noted yet; written before they start


class TodoMarks(PrivateFolder):
    """Empty files, one for each thing that is still to be done."""

    def names(self) -> list[str] | None:
        """What is still to be done, sorted; None where the folder is gone, and nobody knows."""
        if not self._is_ours():
            return []
        try:
            return sorted(os.listdir(self._folder))
        except OSError:
            return None

    def prepare(self) -> None:
        """Make the folder: from now on it says what is to be done."""
        with suppress(OSError):
            self._make()

    def add(self, name: str) -> None:
        """Note that `name` is to be done; what cannot be written is found by the look at everything."""
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
