"""Small secrets, one file each, in a folder below the root; read only if private to their owner."""

import os
import stat

from claw_files.core.errors import CannotRead, NotFound
from claw_files.system import kernel
from claw_files.system.access_modes import is_open
from claw_files.system.durable import forget, new_file, writing
from claw_files.system.path_gate import PathGate
from claw_files.system.private_files import read_up_to
from claw_files.system.randomness import token

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
CAP_BYTES = 4096


class SecretFiles:
    """The files in one folder (mode 0700), each with mode 0600, a single name, and owned by this user."""

    def __init__(self, root: str, folder: str) -> None:
        """`folder` is relative to `root`; it is created with the first secret."""
        self._gate, self._folder = PathGate(root), folder

    def path(self, name: str) -> str:
        """The path of the secret, relative to the root."""
        return f"{self._folder}/{name}"

    def names(self) -> list[str]:
        """The existing names, sorted. Raises CannotRead for a folder that is not private."""
        try:
            with self._gate.folder(self._folder) as fd:
                self._check(os.fstat(fd), self._folder, 0o700)
                return sorted(os.listdir(fd))
        except NotFound:
            return []

    def read(self, name: str) -> str | None:
        """The secret, without surrounding white space; None without one.

        Raises CannotRead for a link, for what is no regular file with one name, and for a file or folder of somebody
        else or that others have a right to.
        """
        path = self.path(name)
        try:
            with self._gate.folder(self._folder) as folder:
                self._check(os.fstat(folder), self._folder, 0o700)
                fd = os.open(name, _FLAGS, dir_fd=folder)
        except (FileNotFoundError, NotFound):
            return None
        except OSError as error:
            raise CannotRead(path, "not-a-file", error.strerror or "it cannot be opened") from None
        try:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
                raise CannotRead(path, "not-a-file", "it is not a regular file with a single name; remove it")
            self._check(found, path, 0o600)
            return read_up_to(fd, CAP_BYTES).decode("utf-8", "replace").strip()
        finally:
            os.close(fd)

    def keep(self, name: str, secret: str) -> bool:
        """Store a new secret; False if one exists. Raises CannotRead, CannotWrite."""
        part = f"{name}~{token(8)}"
        with writing(self.path(name)), self._gate.making(self._folder, sync=False) as folder:
            self._check(os.fstat(folder), self._folder, 0o700)
            new_file(folder, part, f"{secret}\n".encode(), sync=False)
            try:
                kernel.place(folder, part, folder, name)
            except FileExistsError:
                forget(folder, part)
                return False
        return True

    def remove(self, name: str) -> bool:
        """Remove the secret or anything in its place, unread; True if there was one. Raises CannotWrite."""
        try:
            with writing(self.path(name)), self._gate.folder(self._folder) as folder:
                try:
                    os.unlink(name, dir_fd=folder)
                except FileNotFoundError:
                    return False
        except NotFound:
            return False
        return True

    def _check(self, found: os.stat_result, path: str, mode: int) -> None:
        me = os.geteuid()
        if found.st_uid != me and not (me == 0 and found.st_uid == os.stat(self._gate.root).st_uid):
            raise CannotRead(path, "permission", "it belongs to another user; remove it, a new one is made then")
        if is_open(found.st_mode):
            raise CannotRead(path, "permission", f"others have a right to it; `chmod {mode:o}` it, or remove it")
