"""What can be computed anew, kept in `.clawfiles/cache/` to save time. Losing it costs the next call some time."""

import os
from contextlib import suppress

from claw_files.system.noise import token
from claw_files.system.owner import hand_over, make_folder

CAP_BYTES = 256 << 20


class NoCache:
    """Keeps nothing."""

    def load(self, name: str) -> bytes | None:
        """Nothing."""
        return None

    def save(self, name: str, data: bytes) -> None:
        """Forget it."""


class Cache(NoCache):
    """Files by name, whole or not at all; every failure reads as "nothing kept"."""

    def __init__(self, root: str, private: str = ".clawfiles", folder: str = "cache") -> None:
        self._private = os.path.join(root, private)
        self._folder = os.path.join(self._private, folder)

    def load(self, name: str) -> bytes | None:
        """What was kept under the name, or None."""
        try:
            fd = os.open(os.path.join(self._folder, name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
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
                for folder in (self._private, self._folder):  # never the workspace: whoever deleted it meant that
                    with suppress(FileExistsError):
                        make_folder(folder, 0o700)
            if not self._is_ours():
                return
            fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            hand_over(fd, self._folder)
            with open(fd, "wb") as file:
                file.write(data)
            os.replace(part, os.path.join(self._folder, name))
        except OSError:
            return

    def _is_ours(self) -> bool:
        """Whether the folder is one, and not a link that leads to somebody else's."""
        return not os.path.islink(self._private) and not os.path.islink(self._folder)


def _all_of(fd: int, size_bytes: int) -> bytes:
    with open(fd, "rb", closefd=False) as file:
        return file.read(size_bytes)
