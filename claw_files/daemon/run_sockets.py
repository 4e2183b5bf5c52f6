"""The doors of sandboxed runs: one Unix socket per run for its commands; the socket identifies the caller.

The loop only looks which doors there should be; listening and serving is done in threads that end with the daemon.
"""

import json
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial

from claw_files.daemon.command_forwarder import serve
from claw_files.daemon.log import DaemonLog
from claw_files.policy.sandbox_arguments import SOCKET_NAME
from claw_files.processes.sandbox_builder import DOORS
from claw_files.processes.supervisor import discard
from claw_files.system.private_files import load_file

PER_DOOR, IN_ALL = 4, 16  # commands at once; who comes then waits in the kernel's queue
BACKLOG = 64
JOIN_SECONDS = 3.0
_PAUSE_SECONDS = 0.2


class RunSockets:
    """All doors of one daemon."""

    def __init__(self, log: DaemonLog) -> None:
        self._log = log
        self._open: dict[str, RunSocket] = {}
        self._slots = threading.BoundedSemaphore(IN_ALL)

    def refresh(self, roots: Iterable[str]) -> None:
        """Listen for exactly the sandboxed runs below these folders; two listings if there are none."""
        wanted = {os.path.join(root, ".clawfiles", DOORS, run): root for root in roots for run in _runs(root)}
        for folder in self._open.keys() - wanted.keys():
            self._open.pop(folder).close()
        for folder, root in wanted.items():
            known = self._open.get(folder)
            if known and not known.is_there():
                self._open.pop(folder).close()
            if folder not in self._open:
                self._listen(folder, root)

    def _listen(self, folder: str, root: str) -> None:
        try:
            self._open[folder] = RunSocket(folder, root, self._slots)
        except (OSError, ValueError) as wrong:
            self._log.news(f"door {os.path.basename(folder)}", str(wrong))

    def close(self) -> None:
        """Stop listening, and stop running commands."""
        doors, self._open = list(self._open.values()), {}
        for door in doors:
            door.close()
        for door in doors:
            door.join()


class RunSocket:
    """The socket of one run, and the threads that serve it."""

    def __init__(self, folder: str, root: str, slots: threading.BoundedSemaphore) -> None:
        """Raises OSError if the socket cannot be created."""
        self._path, self._root, self._slots = os.path.join(folder, SOCKET_NAME), root, slots
        self._own = threading.BoundedSemaphore(PER_DOOR)
        self._closed = threading.Event()
        self._json = f"{folder}.json"
        self._listener = _listening(folder)
        self._inode = os.stat(self._path).st_ino
        self._threads: set[threading.Thread] = set()
        self._start(self._listen)

    def is_there(self) -> bool:
        """Whether the socket still has its name."""
        try:
            return os.stat(self._path).st_ino == self._inode
        except OSError:
            return False

    def close(self) -> None:
        """Accept no more connections."""
        self._closed.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # ends an accept
        self._listener.close()
        with suppress(OSError):
            os.unlink(self._path)

    def join(self) -> None:
        """Wait until its threads have ended, for a while."""
        until = time.monotonic() + JOIN_SECONDS
        for thread in list(self._threads):
            thread.join(max(0.0, until - time.monotonic()))

    def _start(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=lambda: self._work(work), daemon=True)
        self._threads.add(thread)
        thread.start()

    def _work(self, work: Callable[[], None]) -> None:
        try:
            work()
        finally:
            self._threads.discard(threading.current_thread())

    def _listen(self) -> None:
        while self._takes(self._own):
            try:
                connection, _ = self._listener.accept()
            except OSError:  # closed, or no descriptor is left for a moment
                self._own.release()
                self._closed.wait(_PAUSE_SECONDS)
                continue
            self._start(partial(self._serve, connection))

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection:
                if _uid_of(connection) == os.geteuid() and self._takes(self._slots):
                    try:
                        serve(connection, self._root, _identity(self._json), self._closed.is_set)
                    finally:
                        self._slots.release()
        except (OSError, ValueError):
            pass  # the client has disconnected, or the run is unknown
        finally:
            self._own.release()

    def _takes(self, places: threading.Semaphore) -> bool:
        """Wait for a place; False once the door is closed."""
        while not self._closed.is_set():
            if places.acquire(timeout=_PAUSE_SECONDS):
                return True
        return False


def _runs(root: str) -> list[str]:
    """The live runs below this folder with a door; remains of ended ones are removed."""
    private = os.path.join(root, ".clawfiles")
    try:
        names = os.listdir(os.path.join(private, DOORS))
    except OSError:
        return []
    runs = []
    for name in names:
        run = name.removesuffix(".json")
        if not os.path.exists(os.path.join(private, "runs", f"{run}.lock")):
            _remove(os.path.join(private, DOORS, run))
        elif run == name:
            runs.append(run)
    return runs


def _remove(folder: str) -> None:
    discard(folder)
    with suppress(OSError):
        os.unlink(f"{folder}.json")


def _identity(path: str) -> dict[str, str]:
    """The run's identity, as CLAWFILES_* variables, recorded before the run outside of its sandbox.

    Raises OSError, ValueError.
    """
    found = json.loads(load_file(path, 1 << 16) or b"")
    return {str(name): str(value) for name, value in found.items() if name.startswith("CLAWFILES_")}


def _listening(folder: str) -> socket.socket:
    """A socket at its place in the folder, for its owner alone."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with suppress(FileNotFoundError):
            os.unlink(SOCKET_NAME, dir_fd=fd)  # of a daemon that was killed
        listener.bind(f"/proc/self/fd/{fd}/{SOCKET_NAME}")  # the path itself may be longer than a socket's can be
        os.chmod(SOCKET_NAME, 0o600, dir_fd=fd)  # before listen, while no client can connect
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    finally:
        os.close(fd)
    return listener


def _uid_of(connection: socket.socket) -> int:
    """The user at the other end, as the kernel says."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    uid: int = struct.unpack("3i", credentials)[1]
    return uid
