"""Named locks on a folder itself: there is no lock file that could be deleted.

Each name is one byte of the folder, held by an open file description lock, which the kernel drops with its process. A
folder cannot be opened for writing, so the kernel grants only shared locks on it: whoever wants a byte asks whether
another description has it, and takes it, under the flock of the folder that every write into the folder takes, too.

Linux only. Elsewhere, and on file systems that refuse, nothing is ever taken.
"""

import fcntl
import os
import struct

from claw_files.core.digest import digest
from claw_files.system.durable import locked

_SET, _ASK = getattr(fcntl, "F_OFD_SETLK", None), getattr(fcntl, "F_OFD_GETLK", None)
_FLOCK = "hhqqi4x"  # struct flock of Linux: type, whence, start, length, pid


def take(folder: int, name: str) -> bool:
    """Take the lock `name` until the descriptor `folder` and its copies are closed; False if it is held.

    Raises Busy where another process keeps the folder's flock for seconds.
    """
    with locked(folder, name):
        if is_taken(folder, name):
            return False
        _call(folder, _SET, fcntl.F_RDLCK, name)
        return True


def is_taken(folder: int, name: str) -> bool:
    """Whether another descriptor holds the lock `name`."""
    return _call(folder, _ASK, fcntl.F_WRLCK, name) != fcntl.F_UNLCK


def _call(folder: int, command: int | None, kind: int, name: str) -> int:
    # 56 bits: two names practically never share a byte, and the offset fits a signed 64-bit number.
    byte = int(digest(name.encode(), 7), 16)
    question = struct.pack(_FLOCK, kind, os.SEEK_SET, byte, 1, 0)
    try:
        answer = fcntl.fcntl(folder, command, question) if command else b""
    except OSError:
        answer = b""
    return int(struct.unpack(_FLOCK, answer)[0]) if answer else fcntl.F_UNLCK
