"""Notes of commands that create something: written before the first step, removed after the answer.

A note is an empty file whose name is the digest of the call, a dot and a nonce. Its process holds a flock on it, so a
repeat of the call can distinguish a failed command from a running one, and continues with its nonce.
"""

import os
from contextlib import ExitStack, suppress

from claw_files.core.digest import digest
from claw_files.core.errors import NotFound
from claw_files.core.model import Note
from claw_files.system.clock import Clock
from claw_files.system.durable import forget, locked, try_lock, writing
from claw_files.system.file_owner import open_or_make
from claw_files.system.path_gate import PathGate

DAY_SECONDS = 86_400
_FLAGS = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class CommandNotes:
    """The notes in `.clawfiles/pending/`; without them, a repeated command starts from the beginning."""

    def __init__(self, root: str, clock: Clock, private: str = ".clawfiles") -> None:
        self._gate, self._folder, self._clock = PathGate(root), f"{private}/pending", clock
        self._held: tuple[str, int] | None = None  # the note of this command, by name and descriptor

    def begin(self, call: bytes, nonce: str) -> Note:
        """The note of this call: a note of an ended process from the last day, with its nonce, or a new one.

        It is held until `end`. Raises CannotWrite, Busy.
        """
        head = f"{digest(call, 16)}."
        # The folder's lock: between the making of a note and its own lock it would look as if its process were gone.
        with (
            writing(self._folder),
            self._gate.making(self._folder, sync=False) as folder,
            locked(folder, self._folder),
        ):
            # The same call before: its process has ended if its note can be locked.
            for name in sorted(os.listdir(folder)):
                if name.startswith(head) and (fd := self._free(folder, name, old=False)) is not None:
                    self._held = (name, fd)
                    return Note(nonce=name.removeprefix(head), again=True)
            fd = open_or_make(head + nonce, _FLAGS, folder)
            self._held = (head + nonce, fd)
            try_lock(fd)
            return Note(nonce=nonce)

    def end(self, is_over: bool) -> None:
        """Release the note, and remove it if its command `is_over`. Raises CannotWrite."""
        held, self._held = self._held, None
        if held is None:
            return
        try:
            with writing(self._folder), suppress(NotFound, FileNotFoundError):
                # Before the lock is released: a repeat must not take over the note of a finished command.
                if is_over:
                    with self._gate.folder(self._folder) as folder:
                        os.unlink(held[0], dir_fd=folder)
        finally:
            os.close(held[1])

    def drop_old(self) -> None:
        """Remove the notes of a day ago whose process is gone."""
        with suppress(NotFound), self._gate.folder(self._folder) as folder:
            for name in os.listdir(folder):
                if (fd := self._free(folder, name, old=True)) is not None:
                    forget(folder, name)
                    os.close(fd)

    def _free(self, folder: int, name: str, old: bool) -> int | None:
        """The locked descriptor of an unheld note that is older or younger than a day, as requested."""
        with suppress(OSError), ExitStack() as unless_ours:
            fd = os.open(name, _FLAGS, dir_fd=folder)
            unless_ours.callback(os.close, fd)
            age = abs(self._clock.now().timestamp() - os.fstat(fd).st_mtime)
            if (age >= DAY_SECONDS) is old and try_lock(fd):
                unless_ours.pop_all()
                return fd
        return None
