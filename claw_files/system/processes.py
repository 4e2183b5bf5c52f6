"""Other processes of this machine: start, find and end them (Linux: /proc, pidfd, posix_spawn)."""

import contextlib
import os
import signal
import time
from collections.abc import Mapping, Sequence

from claw_files.system import procfs

HELD_BACK = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class SystemProcesses:
    """Starts processes that outlive this one, and finds a run's processes by its absolute folder.

    The folder and not the run id, which another workspace on this machine may have given, too.
    """

    def detach(self, argv: Sequence[str], env: Mapping[str, str], given: Sequence[int]) -> None:
        """Start `argv` as a detached process in a new session, with the descriptors `given` as 3, 4, 5, ...

        Nothing is left to be waited for. Its standard streams are /dev/null. TERM, INT and HUP are blocked, so that
        one sent before it has handlers for them waits until it unblocks them. Raises OSError.
        """
        # posix_spawn never runs our code in a copy of this process, which may have threads; the shell's "&" makes the
        # second fork, so that init is the parent and no zombie stays with a daemon. `argv` is never read as shell.
        import fcntl

        above = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 100) for fd in given]  # none in the way of another's new number
        try:
            actions = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1, 2)]
            moves = [(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate(above, 3)]
            shell = ["sh", "-c", '"$@" &', "sh", *argv]
            pid = os.posix_spawn(
                "/bin/sh", shell, dict(env), file_actions=[*actions, *moves], setsid=True, setsigmask=HELD_BACK
            )
        finally:
            for fd in above:
                os.close(fd)
        with contextlib.suppress(ChildProcessError):  # a starter that ignores SIGCHLD
            os.waitpid(pid, 0)

    def is_supervised(self, folder: str) -> bool:
        """Whether the run's supervisor lives, found by its environment. Reads all of /proc: some milliseconds."""
        return procfs.supervisor_of(folder) is not None

    def run_folders(self) -> set[str]:
        """The folders of all runs with a live process or supervisor, of any workspace: one pass over /proc."""
        return procfs.run_folders()

    def ask_to_end(self, folder: str) -> bool:
        """Send TERM to the run's supervisor; False without one."""
        pid = procfs.supervisor_of(folder)
        if pid is None:
            return False
        with contextlib.suppress(OSError):
            # First a hold on the process, then the look whether it is still the one: a pid may be given out again.
            fd = os.pidfd_open(pid)
            try:
                if procfs.supervisor_of(folder) == pid:
                    signal.pidfd_send_signal(fd, signal.SIGTERM)
                    return True
            finally:
                os.close(fd)
        return False

    def has_left(self, folder: str) -> bool:
        """Whether anything that the run's agent started, itself included, still lives."""
        return bool(procfs.of_run(folder))

    def kill_left(self, folder: str, patience_seconds: float = 5.0) -> bool:
        """Kill the run's remaining processes, and wait for their end; False if one hangs in the kernel."""
        until = time.monotonic() + patience_seconds
        while left := procfs.of_run(folder):
            for pid in left:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            if time.monotonic() > until:
                return False
            time.sleep(0.005)
        return True
