"""`clawfiles` without the start of Python: a process that has loaded the package forks once for each command.

`command()` are the first words of a command line, in place of `python -m claw_files`. They start a small program, which
hands its arguments, environment, folder and standard streams to the loaded process, passes signals on, and ends as the
fork ends. What differs from a real start: the parent of the fork, its process id and all that is loaded already. Tests
of those, of whose run a command is part of, and of a command as another user start the real program.
"""

import atexit
import functools
import gc
import importlib
import os
import pkgutil
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, NoReturn, TextIO

ROOT = Path(__file__).parents[2]
LAUNCHER = Path(__file__).with_name("launch.py")
MOST_BYTES = 1 << 20


@functools.cache
def command() -> list[str]:
    """The first words of a command line; the loaded process is started by the first call and ends with this one."""
    folder = tempfile.mkdtemp(prefix="clawfiles-warm-", dir="/tmp")  # the name of a socket has to be short
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    words = [sys.executable, __file__, f"{folder}/door"]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    loaded = subprocess.Popen(words, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    atexit.register(_end, loaded)
    assert loaded.stdout
    assert loaded.stdout.readline() == b"ready\n"
    return [sys.executable, "-I", "-S", str(LAUNCHER), f"{folder}/door"]


def _end(loaded: "subprocess.Popen[bytes]") -> None:
    loaded.communicate()  # closes its standard input


# --- in the loaded process


class _Forked(NamedTuple):
    pid: int
    watch: int  # the descriptor that tells of its end
    caller: socket.socket  # of the program that stands for it


def _serve(door: socket.socket) -> None:
    """Fork for everybody who knocks, until standard input is closed; then whoever still runs is killed."""
    watched = selectors.DefaultSelector()
    watched.register(0, selectors.EVENT_READ)
    watched.register(door, selectors.EVENT_READ)
    while True:
        for key, _ in watched.select():
            if key.fd == 0:
                for left in {it.data for it in watched.get_map().values() if it.data}:
                    signal.pidfd_send_signal(left.watch, signal.SIGKILL)
                return
            if key.fileobj is door:
                caller, _ = door.accept()
                if forked := _fork(caller):
                    watched.register(forked.watch, selectors.EVENT_READ, forked)
                    watched.register(caller, selectors.EVENT_READ, forked)
            elif key.fileobj in watched.get_map():
                (_hear if key.fileobj is key.data.caller else _end_of)(watched, key.data)


def _fork(caller: socket.socket) -> _Forked | None:
    """The process that runs what the caller asks for."""
    asked, streams, _, _ = socket.recv_fds(caller, MOST_BYTES, 3)
    if not asked:  # it was killed before it could ask
        caller.close()
        return None
    length, _, asked = asked.partition(b"\n")
    while len(asked) < int(length):
        asked += caller.recv(MOST_BYTES)
    child = os.fork()
    if child == 0:
        _become(asked.split(b"\0"), streams)
    for stream in streams:
        os.close(stream)
    return _Forked(child, os.pidfd_open(child), caller)


def _hear(watched: selectors.BaseSelector, forked: _Forked) -> None:
    """Pass signals on; when the caller was killed, so is who it stands for."""
    told = b""
    with suppress(ConnectionError):
        told = forked.caller.recv(100)
    for number in told or [signal.SIGKILL]:
        signal.pidfd_send_signal(forked.watch, number)
    if not told:
        watched.unregister(forked.caller)


def _end_of(watched: selectors.BaseSelector, forked: _Forked) -> None:
    """Tell the caller how it ended."""
    status = os.waitstatus_to_exitcode(os.waitpid(forked.pid, 0)[1])
    watched.unregister(forked.watch)
    os.close(forked.watch)
    if forked.caller in watched.get_map():
        watched.unregister(forked.caller)
    with suppress(OSError):
        forked.caller.sendall(b"%d\n" % status)
    forked.caller.close()


def _become(asked: list[bytes], streams: list[int]) -> NoReturn:
    """Be the command, and end as it does."""
    code = 70
    try:
        mask, folder, count, *rest = asked
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        os.closerange(3, 1024)
        os.umask(int(mask))
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(tuple(os.fsdecode(pair).split("=", 1)) for pair in rest[int(count) :])
        time.tzset()
        sys.argv = [f"{ROOT}/claw_files/__main__.py", *map(os.fsdecode, rest[: int(count)])]
        sys.stdin, sys.stdout, sys.stderr = _stream(0, "r"), _stream(1, "w"), _stream(2, "w")
        sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr
        from claw_files.__main__ import start

        try:
            start()
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else bool(ended.code)
        for thread in threading.enumerate():
            if thread is not threading.current_thread() and not thread.daemon:
                thread.join()
        with suppress(OSError, ValueError):
            sys.stdout.flush()
    except BaseException:
        sys.excepthook(*sys.exc_info())
        raise
    finally:
        os._exit(code)


def _stream(number: int, mode: str) -> TextIO:
    """As Python opens it at its start."""
    is_prompt = number == 2 or os.isatty(number)
    errors = "backslashreplace" if number == 2 else None
    return open(number, mode, 1 if is_prompt else -1, errors=errors, closefd=False)


def main(path: str) -> None:
    """Load everything that is installed, and serve."""
    import claw_files

    for module in pkgutil.walk_packages(claw_files.__path__, "claw_files."):
        if not module.name.endswith("__main__"):
            with suppress(ImportError):
                importlib.import_module(module.name)
    gc.collect()
    gc.freeze()
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(path)
        door.listen(64)
        print("ready", flush=True)
        _serve(door)


if __name__ == "__main__":
    main(sys.argv[1])
