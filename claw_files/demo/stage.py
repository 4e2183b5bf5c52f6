"""The environment of the demo: a copy of the workspace, the command, and clean-up of processes."""

import os
import shlex
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType

from claw_files.core.errors import InvalidFile, Refused, RunFailed
from claw_files.system.package_data import folder

END_SECONDS = 10


@contextmanager
def workspace(keep: str | None) -> Iterator[str]:
    """The absolute path of a fresh copy of the example workspace.

    It is removed at the end, unless `keep` names it or the day failed. Raises Refused when `keep` holds something.
    """
    if keep is not None and os.path.lexists(keep) and (not os.path.isdir(keep) or os.listdir(keep)):
        raise Refused("nothing is written over", f"{keep} is not empty", "pass a new or empty folder")
    target = os.path.realpath(keep if keep is not None else tempfile.mkdtemp(prefix="clawfiles-demo-"))
    ignore = shutil.ignore_patterns("__pycache__", ".clawfiles")
    mode = os.stat(target).st_mode if os.path.isdir(target) else 0o700
    shutil.copytree(folder("workspace-example"), target, dirs_exist_ok=True, ignore=ignore)
    os.chmod(target, mode)
    try:
        yield target
    except RunFailed:
        raise  # its sentence says where to look
    except BaseException:
        _discard(target, keep)
        raise
    _discard(target, keep)


def _discard(target: str, keep: str | None) -> None:
    if keep is None:
        shutil.rmtree(target, ignore_errors=True)


def compress(text: str, changes: Mapping[str, str]) -> str:
    """The configuration's text with every change made; each must be there exactly once, or InvalidFile is raised."""
    for old, new in changes.items():
        if text.count(old) != 1:
            raise InvalidFile("workspace-example/clawfiles.toml", "demo", f"the demo looks for {old!r} once")
        text = text.replace(old, new)
    return text


@contextmanager
def commands() -> Iterator[str]:
    """A folder for PATH with this `clawfiles` and `python3`."""
    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    python = shlex.quote(sys.executable)
    with tempfile.TemporaryDirectory(prefix="clawfiles-bin-") as path:
        _script(path, "clawfiles", f'exec env PYTHONPATH={shlex.quote(package)} {python} -m claw_files "$@"')
        _script(path, "python3", f'exec {python} "$@"')
        yield path


def _script(path: str, name: str, line: str) -> None:
    file = os.path.join(path, name)
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o755), "w") as script:
        script.write(f"#!/bin/sh\n{line}\n")


def environment(root: str, path: str) -> dict[str, str]:
    """The environment of the demo's commands: without the caller's workspace or agent."""
    outer = {name: value for name, value in os.environ.items() if not name.startswith("CLAWFILES_")}
    return outer | {"PATH": os.pathsep.join([path, outer.get("PATH", os.defpath)]), "CLAWFILES_WORKSPACE": root}


@contextmanager
def everything_ended(root: str) -> Iterator[None]:
    """Ensure that no process of the workspace is left afterwards, even after Ctrl-C and TERM."""
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        end_all(root)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def end_all(root: str) -> None:
    """Ask every run of the workspace to stop, and wait for its end."""
    from claw_files.processes.process_runner import ProcessRunner
    from claw_files.system.clock import SystemClock
    from claw_files.system.processes import SystemProcesses

    runtime = ProcessRunner(root, SystemProcesses(), SystemClock(), os.environ)
    until = time.monotonic() + END_SECONDS
    while (live := runtime.live()) and time.monotonic() < until:
        for run in live:
            runtime.stop(run.id)
        time.sleep(0.1)
