"""One lock file per run, flocked by its supervisor; the kernel releases it however the supervisor ends."""

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator

from claw_files.core.errors import CannotRead
from claw_files.core.model import RunId
from claw_files.system.file_owner import make_folder, make_folders, open_or_make
from claw_files.system.randomness import token

_SUFFIX = ".lock"


class RunLocks:
    """The lock files in `.clawfiles/runs/`; those of ended runs are removed, so a listing gives the live ones."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def path(self, run_id: RunId) -> str:
        """The path of the run's lock file."""
        return os.path.join(self._folder, run_id + _SUFFIX)

    def prepare(self, unended: Callable[[], list[RunId]]) -> None:
        """Create a missing folder with a file for each run that has not ended, so that `ids` is complete."""
        if os.path.isdir(self._folder):
            return
        temporary = f"{self._folder}-{token(4)}"
        make_folders(os.path.dirname(self._folder))
        make_folder(temporary)
        for run_id in unended():
            os.close(open_or_make(os.path.join(temporary, run_id + _SUFFIX), os.O_WRONLY))
        try:
            os.rename(temporary, self._folder)  # refused if another process has put one with files there
        except OSError:
            import shutil

            shutil.rmtree(temporary, ignore_errors=True)

    def ids(self) -> list[RunId] | None:
        """Runs with a lock file, sorted; None when the folder is gone."""
        try:
            names = sorted(os.listdir(self._folder))
        except FileNotFoundError:
            return None
        except PermissionError:
            raise CannotRead(self._folder, "permission", "no permission") from None
        return [RunId(name.removesuffix(_SUFFIX)) for name in names if name.endswith(_SUFFIX)]

    @contextlib.contextmanager
    def taking(self, run_id: RunId) -> Iterator[int | None]:
        """The run's held lock, as a descriptor that is closed at the end; None if it is held elsewhere."""
        fd = self._take(run_id)
        try:
            yield fd
        finally:
            if fd is not None:
                os.close(fd)

    def _take(self, run_id: RunId) -> int | None:
        for _ in range(5):  # `is_held` holds it for an instant, which does not count as held
            fd = open_or_make(self.path(run_id), os.O_RDWR | os.O_NOFOLLOW)
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(fd).st_nlink:  # or it was deleted between the two lines above
                    return fd
            os.close(fd)
            time.sleep(0.001)
        return None

    def is_held(self, run_id: RunId) -> bool:
        """Whether a process holds the run's lock."""
        try:
            fd = os.open(self.path(run_id), os.O_RDONLY | os.O_NOFOLLOW)
        except OSError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
        return False

    def forget(self, run_id: RunId) -> None:
        """Remove the lock file of a run whose end is written."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path(run_id))
