"""Overwrites a file that cannot be replaced because it is bound into a sandbox."""

import os

from claw_files.core.errors import CannotWrite


def overwrite(path: str, data: bytes) -> None:
    """Put `data` in the place of what the file holds; it must be there. A crash may leave a mixture of both.

    Raises CannotWrite.
    """
    try:
        fd = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with open(fd, "wb") as file:  # not emptied first: who reads it meanwhile finds no empty one
            file.write(data)
            file.truncate()
            file.flush()
            os.fsync(fd)
    except OSError as error:
        raise CannotWrite(path, error.strerror or str(error)) from None
