"""Regular files outside of the workspace gate, read and replaced whole. Standard library only."""

import errno
import os
import stat

from claw_files.system.file_owner import hand_over
from claw_files.system.randomness import token


def replace_file(path: str, data: bytes, mode: int = 0o644, sync: bool = False) -> None:
    """Replace `path` (absolute) with `data`, atomically; with `sync` durably. Raises OSError."""
    folder, name = os.path.split(path)
    part = os.path.join(folder, f".{name}.{token(4)}.tmp")
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    hand_over(fd, folder)
    try:
        with open(fd, "wb") as file:
            file.write(data)
            if sync:
                file.flush()
                os.fsync(fd)
        os.replace(part, path)
    except OSError:
        os.unlink(part)
        raise
    if sync:
        sync_folder(folder)


def sync_folder(path: str) -> None:
    """Make the names in a folder durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def load_file(path: str, cap_bytes: int, is_secret: bool = False, follows: bool = False) -> bytes | None:
    """The bytes of the regular file at `path`, at most one over `cap_bytes`; None if it is missing.

    Args:
        is_secret: nobody but its owner may have a right to it.
        follows: a link to a file is read as the file.

    Raises OSError for anything else: a link, a pipe, a folder, no permission.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follows else os.O_NOFOLLOW))
    except FileNotFoundError:
        return None
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", path)
        if is_secret and found.st_mode & 0o077:
            raise PermissionError(errno.EACCES, f"it is readable by others: chmod 600 {path}", path)
        return read_up_to(fd, cap_bytes + 1)
    finally:
        os.close(fd)


def read_up_to(fd: int, limit: int) -> bytes:
    """The bytes from here to the end, at most `limit`."""
    parts = []
    while limit > 0 and (part := os.read(fd, min(limit, 1 << 20))):
        parts.append(part)
        limit -= len(part)
    return b"".join(parts)
