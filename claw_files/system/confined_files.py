"""Text files below one folder, named by absolute paths as other programs name them.

They are reached as the gate reaches everything: folder by folder, through no link.
"""

import os
import stat
from contextlib import suppress

from claw_files.core.errors import CannotRead, CannotWrite, NotFound
from claw_files.system.durable import new_file, writing
from claw_files.system.path_gate import PathGate, status_in
from claw_files.system.paths import split
from claw_files.system.randomness import token

TEXT_BYTES = 16 << 20


class ConfinedFiles:
    """The files below `root`, an absolute path. Nothing outside of it is ever opened."""

    def __init__(self, root: str) -> None:
        self.root = os.path.realpath(root)
        self._gate = PathGate(self.root)

    def has(self, path: str) -> bool:
        """Whether the path is in the folder, after following every link."""
        try:
            self.relative(path)
            real = os.path.realpath(os.path.join(self.root, path))
        except (CannotRead, OSError, ValueError):
            return False
        return real == self.root or real.startswith(self._front)

    def relative(self, path: str) -> str:
        """The path relative to the root; "" is the root. Raises CannotRead (problem "escape") for one outside."""
        absolute = os.path.normpath(os.path.join(self.root, path))
        if absolute == self.root:
            return ""
        if not absolute.startswith(self._front):
            raise CannotRead(path, "escape", f"it is outside {self.root}")
        relative = absolute[len(self._front) :]
        split(relative)
        return relative

    @property
    def _front(self) -> str:
        return self.root.rstrip("/") + "/"

    def read(self, path: str) -> str:
        """The text of a file. Raises CannotRead, NotFound."""
        try:
            return self._gate.read(self._name(path), TEXT_BYTES).data.decode()
        except UnicodeDecodeError:
            raise CannotRead(path, "encoding", "it is not UTF-8 text") from None

    def write(self, path: str, text: str) -> None:
        """Put `text` in the file's place, whole or not at all. Raises CannotRead, CannotWrite."""
        data = text.encode("utf-8", "surrogatepass")
        if len(data) > TEXT_BYTES:
            raise CannotWrite(path, f"it is larger than {TEXT_BYTES} bytes")
        folder, name = split(self._name(path))
        fresh = f".{token(8)}.tmp"
        with writing(path), self._gate.making(folder) if folder else self._gate.folder("") as fd:
            like = status_in(fd, name)
            if like is not None and not stat.S_ISREG(like.st_mode):
                raise CannotRead(path, "not-a-file", "it is a link or not a regular file")
            try:
                new_file(fd, fresh, data, sync=True, like=like)
                os.rename(fresh, name, src_dir_fd=fd, dst_dir_fd=fd)
            except BaseException:
                with suppress(OSError):
                    os.unlink(fresh, dir_fd=fd)
                raise

    def _name(self, path: str) -> str:
        relative = self.relative(path)
        if not relative:
            raise NotFound("file", path)
        return relative
