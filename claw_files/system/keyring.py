"""Denies the kernel's keys to started programs. Standard library only: a supervisor's child calls it."""

import os
import struct

# For each kind of processor, and for its 32-bit programs: the architecture's number, and the first of the three calls
# add_key, request_key and keyctl, which follow one another.
_CALLS = {
    "x86_64": ((0xC000003E, 248), (0x40000003, 286)),
    "aarch64": ((0xC00000B7, 217), (0x40000028, 309)),
    "riscv64": ((0xC00000F3, 217),),
}
_ALLOW, _NO_SUCH_CALL = 0x7FFF0000, 0x00050000 | 38


def refuse_keys() -> None:
    """Join a new session keyring, then have the kernel refuse the key system calls, also for children.

    The keyring alone would not do: those of the user can be linked into it. Raises OSError.
    """
    import ctypes  # here: the supervisor of a run without a sandbox does not need it

    calls = _CALLS.get(os.uname().machine, ())
    libc = ctypes.CDLL(None, use_errno=True)
    if calls:
        libc.syscall(calls[0][1] + 2, 1, None)
    code = [(0x20, 0, 0, 4)]  # load the architecture
    for architecture, first in calls:
        code += [(0x15, 0, 5, architecture), (0x20, 0, 0, 0), (0x54, 0, 0, 0xBFFFFFFF)]  # load the call; x32 sets a bit
        code += [(0x35, 0, 2, first), (0x25, 1, 0, first + 2), (0x06, 0, 0, _NO_SUCH_CALL)]
    words = b"".join(struct.pack("HBBI", *one) for one in (*code, (0x06, 0, 0, _ALLOW)))
    held = ctypes.create_string_buffer(words, len(words))
    program = ctypes.create_string_buffer(struct.pack("HP", len(code) + 1, ctypes.addressof(held)))
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, program, 0, 0):
        raise OSError(f"the kernel's keys cannot be refused to it: {os.strerror(ctypes.get_errno())}")
