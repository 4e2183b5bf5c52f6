"""Removes access for everybody but the owner, without following a link."""

import os
import stat

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def is_open(mode: int) -> bool:
    """Whether anybody but the owner has access."""
    return bool(mode & 0o077)


def tighten(root: str, path: str = "") -> bool:
    """Restrict one file or folder below `root` to its owner; True if it was open. Links are left alone."""
    try:
        fd = os.open(os.path.join(root, path) if path else root, _FLAGS)
    except OSError:
        return False
    try:
        found = os.fstat(fd)
        if not is_open(found.st_mode) or not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
            return False
        os.fchmod(fd, stat.S_IMODE(found.st_mode) & 0o700)
    except OSError:
        return False
    finally:
        os.close(fd)
    return True


def opened(root: str) -> list[str]:
    """The paths at and below `root` that others have a right to, "" being itself; links are not followed."""
    found = []
    for folder, folders, files in os.walk(root):
        for path in (folder, *(os.path.join(folder, name) for name in files)):
            if not os.path.islink(path) and os.path.exists(path) and is_open(os.lstat(path).st_mode):
                found.append(os.path.relpath(path, root) if path != root else "")
        folders[:] = [name for name in folders if not os.path.islink(os.path.join(folder, name))]
    return found
