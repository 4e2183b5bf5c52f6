"""Calls the system's own programs, and tells them how to find this one."""

import os
import subprocess
import sys

from claw_files.core.errors import NotFound, RunFailed

WAIT_SECONDS = 20.0


def call(
    command: list[str], hint: str, text: str = "", wait_seconds: float | None = WAIT_SECONDS
) -> "subprocess.CompletedProcess[str]":
    """The result of the command, with output in English.

    Raises NotFound with the hint where there is no such program, and RunFailed when it does not end in time.
    """
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        return subprocess.run(  # noqa: S603 - our callers' own words and no shell; the PATH is the user's
            command,
            input=text,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=wait_seconds,
            env=environment,
            check=False,
        )
    except FileNotFoundError:
        raise NotFound("program", command[0], hint) from None
    except subprocess.TimeoutExpired:
        raise RunFailed(" ".join(command), f"it did not end within {wait_seconds:g} s") from None


def this_program() -> list[str]:
    """The words that start this program from anywhere: an absolute path, or this Python with the module."""
    called = os.path.abspath(sys.argv[0])
    if os.path.basename(called) == "clawfiles" and os.access(called, os.X_OK):
        return [called]
    return [os.path.abspath(sys.executable), "-m", "claw_files"]
