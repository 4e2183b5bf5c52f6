"""Files outside of what a workspace keeps: nobody's but ours, and holding nothing that could be lost."""

import errno
import os
import stat

from claw_files.system.file_owner import hand_over
from claw_files.system.randomness import token


def replace_file(path: str, data: bytes) -> None:
    """Put `data` where `path` (absolute) is, whole or not at all; readable for everybody. Raises OSError."""
    part = f"{path}.{token(4)}.tmp"
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    hand_over(fd, os.path.dirname(path))
    try:
        with open(fd, "wb") as file:
            file.write(data)
        os.replace(part, path)
    except OSError:
        os.unlink(part)
        raise


def load_file(path: str, cap_bytes: int) -> bytes | None:
    """The bytes of the plain file at `path`, at most `cap_bytes` and one more; None where nothing is.

    Raises OSError for a link, a folder and everything else that is no plain file.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    with open(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", path)
        return file.read(cap_bytes + 1)
