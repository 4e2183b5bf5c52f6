"""Cached data that can be computed again: small files by name, written completely or not at all.

What programs are started by is cached outside of the workspace, so that nothing in a copied folder is taken for it.
"""

import os
from contextlib import suppress
from typing import TypeVar

import msgspec

from claw_files.core.digest import digest
from claw_files.core.errors import CannotWrite
from claw_files.system.file_owner import PrivateFolder, make_folders
from claw_files.system.home import CACHE, place
from claw_files.system.private_files import load_file, replace_file

CAP_BYTES = 256 << 20
Kept = TypeVar("Kept")


class NoCache:
    """Keeps nothing."""

    def load(self, name: str) -> bytes | None:
        """Nothing."""
        return None

    def save(self, name: str, data: bytes) -> None:
        """Forget it."""

    def known(self, name: str, form: type[Kept], head: bytes = b"") -> Kept | None:
        """What `keep` kept under the name and the head, where it is of that form."""
        raw = self.load(name) or b""
        with suppress(msgspec.MsgspecError, ValueError):
            return msgspec.json.decode(raw[len(head) :], type=form) if raw.startswith(head) else None
        return None

    def keep(self, name: str, value: object, head: bytes = b"") -> None:
        """Keep the value behind a head, which says for which version and state of all else it holds."""
        self.save(name, head + msgspec.json.encode(value))


class SharedCache(PrivateFolder, NoCache):
    """Files in a folder of `.clawfiles/`, for all who work here; every failure reads as "nothing kept"."""

    def load(self, name: str) -> bytes | None:
        """What was kept under the name, or None."""
        with suppress(OSError, ValueError):
            data = load_file(os.path.join(self._folder, name), CAP_BYTES) if self._is_ours() else None
            return data if data and len(data) <= CAP_BYTES else None
        return None

    def save(self, name: str, data: bytes) -> None:
        """Keep the bytes; no fsync, because nothing is lost with them."""
        with suppress(OSError):
            if not os.path.isdir(self._folder):
                self._make()
            if self._is_ours():
                replace_file(os.path.join(self._folder, name), data, 0o600)


class Cache(SharedCache):
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
