"""The supervisor of one run of an agent: `python -I -S supervisor.py RUN-ID`.

It starts the agent in a session of its own, keeps its output within a cap, ends it at its time limit together with
everything it started, and writes into run.md how it went. It imports nothing from outside the standard library, and
little of that: it is started for every run. `docs/explanation/runs.md` tells the whole story.

Descriptors it is given: 3 the run's lock, held by this process for as long as it lives; 4 its order, fields separated
by NUL; 5 a pipe whose other end the starter holds until the run folder is in its place, or dies.
"""

import contextlib
import os
import resource
import select
import signal
import sys
import time

if __name__ == "__main__":  # -I leaves this package's own folder out of the search path
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from claw_files.system import keyring, procfs
from claw_files.system.file_owner import make_folders
from claw_files.system.output_capture import Capture, OutputTail, fenced, last_lines
from claw_files.system.private_files import load_file, replace_file

LOCK, ORDER, GO = procfs.LOCK, 4, 5
STOP = "stop"  # in the run's folder: a request to stop the run
DRAINED = "drained"  # as in claw_files.core.model, which would cost every run its import
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
LOOK_SECONDS = 1.0  # how often a stop request is looked for; the one who asks also sends a signal
REAP_SECONDS = 1.0
POLL_SECONDS = 0.02  # while ending
GIVE_UP_SECONDS = 10.0  # after KILL: a process that is still alive hangs in the kernel


class SupervisorOrder:
    """The order, as written by `processes.process_runner`."""

    def __init__(self, data: bytes) -> None:
        fields = [field.partition("=")[::2] for field in data.decode("utf-8", "surrogateescape").split("\0")]
        one = dict(fields)
        self.inode, self.head = int(one["inode"]), one["head"]
        self.staged, self.folder, self.lock = one["staged"], one["folder"], one["lock"]
        self.cwd, self.stdin = one["cwd"], one["stdin"]
        self.alone = bool(one["alone"])
        self.umask = int(one["umask"], 8) if one["umask"] else None
        self.limit = float(one["limit"]) if one["limit"] else None
        self.grace, self.cap_bytes = float(one["grace"]), int(one["cap"])
        self.memory_bytes = int(one["memory"]) if one["memory"] else None
        self.refused = one.get("refused", "")  # why it must not start
        self.sandboxed = "walled" in one  # its command is bubblewrap's
        self.door = one.get("door", "")  # a folder and a file beside it that end with the run
        self.fresh = [value for name, value in fields if name == "fresh"]  # files that were made empty for it
        self.command = [value for name, value in fields if name == "arg"]
        self.env = dict(value.partition("=")[::2] for name, value in fields if name == "env")


class Supervision:
    """One run, from the agent's start to the last line of run.md."""

    def __init__(self, order: SupervisorOrder, wakeup: int) -> None:
        self.order, self.wakeup = order, wakeup
        self.tail = OutputTail()
        self.captures: dict[int, Capture] = {}
        self.poll = select.poll()
        self.poll.register(wakeup, select.POLLIN)
        self.agent: int | None = None
        self.facts: dict[str, str] = {}
        self.exit: int | None = None
        self.reason = ""
        self.asked_to_stop = False
        self.told: set[int] = set()  # who got TERM
        self.kill_at = self.limit_at = float("inf")

    def run(self) -> None:
        """Start the agent, supervise it, stop what is left, write the end."""
        try:
            self._start()
        except OSError as error:
            self.reason = f"could not start: {error.strerror or error}" + (
                f": {error.filename}" if error.filename else ""
            )
        while not self._is_over():
            self._wait()
        self._finish()

    def _start(self) -> None:
        if self.order.refused:
            raise OSError(self.order.refused)
        program = resolved(self.order.command, self.order.env.get("PATH", os.defpath))
        # Pipes, not files: an agent can write without end, and a capture keeps to its limit.
        pipes = [os.pipe(), os.pipe()]
        for (source, _), name in zip(pipes, ("stdout.log", "stderr.log"), strict=True):
            path = os.path.join(self.order.folder, name)
            self.captures[source] = Capture(source, path, self.order.cap_bytes, self.tail)
            self.poll.register(source, select.POLLIN)
        self.agent = spawn(self.order, program, pipes[0][1], pipes[1][1])
        if self.order.limit is not None:
            self.limit_at = time.monotonic() + self.order.limit
        # Not before the agent runs: it should not wait for this write, and without it the run is told just as well.
        self.facts = {"pid": str(self.agent), "start_id": procfs.start_id(self.agent) or ""}
        with contextlib.suppress(OSError):
            self._write_run(self.facts, "")

    def _wait(self) -> None:
        # While the run ends, not every exit sends a signal, so poll often.
        pause = POLL_SECONDS if self.reason else min(LOOK_SECONDS, max(0.0, self.limit_at - time.monotonic()))
        for fd, _ in self.poll.poll(pause * 1000):
            if fd == self.wakeup:
                os.read(fd, 4096)
            elif not self.captures[fd].drain():
                self.poll.unregister(fd)
        self._reap()

    def _reap(self) -> None:
        """Collect every child that has ended: orphans of the agent become children of this process."""
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                if pid == self.agent:
                    self.exit = os.waitstatus_to_exitcode(status)

    def _is_over(self) -> bool:
        self.reason = self.reason or self._why_it_ends()
        if not self.reason:
            return False
        # By parentage: this process is the subreaper, so a child that became a daemon is still below it.
        left = procfs.below({os.getpid()}, self.order.folder)
        self._end(left)
        return not left or time.monotonic() > self.kill_at + GIVE_UP_SECONDS

    def _why_it_ends(self) -> str:
        """Return the reason of the run's end, or nothing while it continues."""
        if self.exit is not None:
            return "exited" if self.exit >= 0 else f"ended by {signal_name(-self.exit)}"
        if self.asked_to_stop or os.path.lexists(os.path.join(self.order.folder, STOP)):
            return DRAINED if order_in(self.order.folder) == DRAINED.encode() else "stopped"
        return "timed out" if time.monotonic() >= self.limit_at else ""

    def _end(self, left: set[int]) -> None:
        """Ask the processes that have not been asked; after the grace period, kill."""
        now = time.monotonic()
        if not self.told:
            self.kill_at = now + self.order.grace
        if now >= self.kill_at:
            send(left, signal.SIGKILL)
            return
        if self.order.alone and self.agent in left and now < self.kill_at - self.order.grace / 2:
            left = {self.agent}  # it must still cancel the turn in the program it started
        # bubblewrap would die of TERM, and kill everything in the sandbox at once.
        asked = left - self.told - ({self.agent} if self.order.sandboxed else set())
        send(asked, signal.SIGTERM)
        send(asked, signal.SIGCONT)  # one that has stopped itself would not see TERM
        self.told |= left

    def _finish(self) -> None:
        # A program with many threads can be dead and not yet collectable; wait for its exit code.
        until = time.monotonic() + REAP_SECONDS
        self._reap()
        while self.agent and self.exit is None and time.monotonic() < until:
            time.sleep(POLL_SECONDS)
            self._reap()
        told = self._tidy()
        # The agent's last output is still in the pipes, and people need it most.
        for capture in reversed(self.captures.values()):  # of standard error first
            capture.drain(reads=1024)
            capture.keep(told)
            told = b""
            capture.close()
        facts = self.facts | {"ended": instant(), "exit": "" if self.exit is None else str(self.exit)}
        facts["reason"] = quoted(self.reason)
        self._write_run({key: value for key, value in facts.items() if value}, fenced(last_lines(self.tail.bytes())))
        with contextlib.suppress(OSError):
            os.unlink(self.order.lock)  # still held, so that other processes find the end written

    def _tidy(self) -> bytes:
        """Remove empty folders created for this run; return the report about its protected names."""
        told = list[str]()
        for path in self.order.fresh:
            with contextlib.suppress(OSError):
                if os.lstat(path).st_size == 0:
                    os.unlink(path)
        if self.order.door:
            from claw_files.system import protected_paths

            told = protected_paths.finish(self.order.door, os.path.basename(self.order.folder))
            discard(self.order.door)
            with contextlib.suppress(OSError):
                os.unlink(f"{self.order.door}.json")
        return "".join(f"clawfiles: {one}\n" for one in told).encode("utf-8", "surrogateescape")

    def _write_run(self, facts: dict[str, str], body: str) -> None:
        lines = "".join(f"{key}: {value}\n" for key, value in facts.items())
        make_folders(self.order.folder)  # an agent may have tidied it away
        write_durably(self.order.folder, "run.md", f"{self.order.head}{lines}---\n{body}")


def order_in(folder: str) -> bytes:
    """Return the word in the request to stop the run; there is at most one."""
    with contextlib.suppress(OSError):
        return (load_file(os.path.join(folder, STOP), 20) or b"").strip()
    return b""


def resolved(command: list[str], path: str) -> str:
    """Return the program as an absolute path; relative folders of `path` are skipped.

    Raises OSError for a program that is not found, or that is named relative to wherever the agent happens to run.
    """
    name = command[0] if command else ""
    if os.path.isabs(name):
        return name
    if not name or "/" in name:
        raise OSError(f"the program {name!r} must be a name on the PATH or an absolute path")
    for folder in filter(os.path.isabs, path.split(os.pathsep)):
        program = os.path.join(folder, name)
        if os.access(program, os.X_OK) and os.path.isfile(program):
            return program
    raise OSError(f"there is no program {name!r} on the PATH")


def spawn(order: SupervisorOrder, program: str, stdout: int, stderr: int) -> int:
    """Return the pid of the started agent; closes this process's copies. Raises OSError if it cannot run."""
    with open(order.stdin or os.devnull, "rb", buffering=0) as stdin:
        # The exec closes the child's end: nothing to read means that the agent runs, anything else is the reason.
        report, told = os.pipe()
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            _become(order, program, (stdin.fileno(), stdout, stderr), told, parent)
    for fd in (stdout, stderr, told):
        os.close(fd)
    with open(report, "rb", buffering=0) as file:
        problem = file.read()
    if problem:
        os.waitpid(pid, 0)
        raise OSError(problem.decode("utf-8", "replace"))
    return pid


def _become(order: SupervisorOrder, program: str, streams: tuple[int, int, int], told: int, parent: int) -> None:
    """Turn this child into the agent; never returns. Every other descriptor is closed by the exec."""
    try:
        os.setsid()
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # no agent without a supervisor that keeps its time
        # The supervisor may have died before the line above: then no signal will ever come.
        if os.getppid() != parent:
            os._exit(1)
        reset_signals()
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        if order.door:
            keyring.refuse_keys()
        os.chdir("/" if order.sandboxed else order.cwd)
        if order.memory_bytes is not None:
            # Not RLIMIT_AS: what a program maps and never touches counts there, gigabytes of it in Node and Go.
            resource.setrlimit(resource.RLIMIT_DATA, (order.memory_bytes, order.memory_bytes))
        os.execve(program, order.command, order.env)  # noqa: S606 - no shell is the point
    except OSError as error:
        os.write(told, f"{error.strerror or error}: {error.filename or program}".encode("utf-8", "surrogateescape"))
    finally:
        os._exit(127)


def reset_signals() -> None:
    """Give every signal back its default: cron, nohup and shells start processes that ignore some."""
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def send(pids: set[int], number: int) -> None:
    """Signal each process; an ended one is ignored."""
    for pid in pids:
        with contextlib.suppress(OSError):
            os.kill(pid, number)


def prctl(option: int, value: int) -> None:
    """Set a property of this process."""
    import ctypes  # here, because importers of this module's file writing do not need it

    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def signal_name(number: int) -> str:
    """Return "SIGSEGV", or "signal 40" for an unnamed one."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def instant() -> str:
    """Return the current time as in run.md, UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def quoted(text: str) -> str:
    """Return `text` as a double-quoted YAML scalar in ASCII."""
    text = text.encode("utf-8", "replace").decode()
    return '"' + text.encode("unicode_escape").decode().replace('"', '\\"') + '"'


def write_durably(folder: str, name: str, text: str) -> None:
    """Replace a file so that the new content survives a power cut once this returns."""
    replace_file(os.path.join(folder, name), text.encode("utf-8", "surrogateescape"), 0o600, sync=True)


def close_others() -> None:
    """Keep the three descriptors that were given, from everything below too, and none the starter had open."""
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            if int(name) > GO:
                os.close(int(name))
    for fd in (LOCK, ORDER, GO):
        os.set_inheritable(fd, False)


def is_in_place(order: SupervisorOrder) -> bool:
    """Wait until the starter has moved the run folder into place, or has ended; return whether it did.

    The folder, not the starter, says so: one killed after the move has started this run, one killed before has not.
    """
    os.read(GO, 1)
    try:
        return os.stat(order.folder).st_ino == order.inode
    except OSError:
        return False


def discard(folder: str) -> None:
    """Delete a staged run folder."""
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            os.unlink(os.path.join(folder, name))
        os.rmdir(folder)


def main() -> None:
    """Supervise the run that descriptor 4 orders."""
    close_others()
    with open(ORDER, "rb") as file:
        order = SupervisorOrder(file.read())
    if order.umask is not None:
        os.umask(order.umask)  # for the supervisor's files, and for the agent
    wakeup, woken = os.pipe()
    os.set_blocking(woken, False)
    supervision = Supervision(order, wakeup)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: setattr(supervision, "asked_to_stop", True))
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])  # a stop sent while this process was starting arrives now
    if not is_in_place(order):
        return discard(order.staged)
    # Orphans of the agent become our children instead of init's, so that none outlives its run unseen.
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    # A core file would hold the secrets of the environment, in a folder that others may read.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    return supervision.run()


if __name__ == "__main__":
    main()
