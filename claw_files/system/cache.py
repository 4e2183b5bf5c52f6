"""What can be computed anew, or need not outlive the processes that say it: small files by name, whole or not at all.

What programs are started by is cached outside of the workspace, so that nothing in a copied folder is taken for it.
"""

import os
from contextlib import suppress

from claw_files.digest import digest
from claw_files.errors import CannotWrite
from claw_files.system.home import CACHE, place
from claw_files.system.noise import token
from claw_files.system.owner import hand_over, make_folder, make_folders

CAP_BYTES = 256 << 20


class NoCache:
    """Keeps nothing."""

    def load(self, name: str) -> bytes | None:
        """Nothing."""
        return None

    def save(self, name: str, data: bytes) -> None:
        """Forget it."""


class Kept(NoCache):
    """Files in a folder of `.clawfiles/`, for all who work here; every failure reads as "nothing kept"."""

    def __init__(self, root: str, folder: str) -> None:
        self._private = os.path.join(root, ".clawfiles")
        self._folder = os.path.join(self._private, folder)

    def load(self, name: str) -> bytes | None:
        """What was kept under the name, or None."""
        try:
            fd = os.open(os.path.join(self._folder, name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except (OSError, ValueError):
            return None
        try:
            size_bytes = os.fstat(fd).st_size
            return _all_of(fd, size_bytes) if 0 < size_bytes <= CAP_BYTES and self._is_ours() else None
        except OSError:
            return None
        finally:
            os.close(fd)

    def save(self, name: str, data: bytes) -> None:
        """Keep the bytes; no fsync, because nothing is lost with them."""
        part = os.path.join(self._folder, f"{name}.{token(4)}")
        try:
            if not os.path.isdir(self._folder):
                self._make()
            if not self._is_ours():
                return
            fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            hand_over(fd, self._folder)
            with open(fd, "wb") as file:
                file.write(data)
            os.replace(part, os.path.join(self._folder, name))
        except OSError:
            return

    def _make(self) -> None:
        for folder in (self._private, self._folder):  # never the workspace: whoever deleted it meant that
            with suppress(FileExistsError):
                make_folder(folder)

    def _is_ours(self) -> bool:
        """Whether the folder is one, and not a link that leads to somebody else's."""
        return not os.path.islink(self._private) and not os.path.islink(self._folder)


class Cache(Kept):
    """The same in a folder of ours outside of the workspace, for us alone; keeps nothing where we have no home."""

    def __init__(self, root: str) -> None:
        self._folder = ""
        with suppress(OSError, CannotWrite):
            real, found = os.path.realpath(root), os.stat(root)
            name = digest(f"{real}\0{found.st_dev}\0{found.st_ino}".encode("utf-8", "surrogateescape"), 16)
            self._folder = os.path.join(place(CACHE), name)

    def _make(self) -> None:
        if self._folder:
            make_folders(self._folder)

    def _is_ours(self) -> bool:
        found = os.lstat(self._folder)
        return found.st_uid == os.geteuid() and found.st_mode & 0o170077 == 0o040000


def _all_of(fd: int, size_bytes: int) -> bytes:
    with open(fd, "rb", closefd=False) as file:
        return file.read(size_bytes)
