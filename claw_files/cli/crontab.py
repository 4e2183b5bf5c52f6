"""Handing the heartbeat to cron: a marked block in the user's crontab, all other lines left as they are."""

import os
import shlex
import subprocess
import sys

from claw_files.errors import BadValue, CannotWrite, NotFound
from claw_files.system.proc import with_our_programs

_WAIT_SECONDS = 20


def cron_block(root: str) -> str:
    """The lines for the workspace at `root`, an absolute path, between two marks of their own.

    Raises BadValue for a path with a line break: a crontab cannot hold it.
    """
    if any(letter in root for letter in "\r\n\0"):
        raise BadValue("workspace", root, "a path without line breaks")
    begin, end = _marks(root)
    # Cron knows almost no PATH, and reads "%" as the end of the command.
    path = shlex.quote(with_our_programs(os.environ.get("PATH", os.defpath)))
    where = shlex.quote(root)
    line = f"cd {where} && PATH={path} CLAWFILES_WORKSPACE={where} {_program()} heartbeat >/dev/null"
    return f"{begin}\n* * * * * {line.replace('%', chr(92) + '%')}\n{end}\n"


def install(block: str) -> bool:
    """Put the block into the user's crontab; False when it stands there already. Raises NotFound, CannotWrite."""
    before = _crontab()
    after = with_block(before, block)
    if after == before:
        return False
    _run(["crontab", "-"], after)
    return True


def is_installed(root: str) -> bool:
    """Whether the user's crontab, as far as it can be read, calls the heartbeat of the workspace at `root`."""
    try:
        lines = _crontab().splitlines()
    except (NotFound, CannotWrite):
        return False
    return any("heartbeat" in line and root in line.replace("\\%", "%") for line in lines if not line.startswith("#"))


def with_block(crontab: str, block: str) -> str:
    """The crontab with the block, in place of an older one between the same marks, else at its end."""
    lines = block.splitlines()
    begin, end = lines[0], lines[-1]
    there = crontab.splitlines()
    if begin in there and end in there[there.index(begin) :]:
        first = there.index(begin)
        last = there.index(end, first)
        return "\n".join([*there[:first], *lines, *there[last + 1 :]]) + "\n"
    gap = "" if not crontab or crontab.endswith("\n") else "\n"
    return f"{crontab}{gap}{block}"


def _marks(root: str) -> tuple[str, str]:
    return f"# clawfiles begin {root}", f"# clawfiles end {root}"


def _program() -> str:
    """How cron finds this program: by an absolute path."""
    called = os.path.abspath(sys.argv[0])
    if os.path.basename(called) == "clawfiles" and os.access(called, os.X_OK):
        return shlex.quote(called)
    return f"{shlex.quote(os.path.abspath(sys.executable))} -m claw_files"


def _crontab() -> str:
    """The user's crontab as it is; empty when there is none. Anything else that goes wrong must not empty it."""
    found = _call(["crontab", "-l"], "")
    if found.returncode == 0:
        return found.stdout
    if "no crontab for" in found.stderr.lower():
        return ""
    raise CannotWrite("crontab", found.stderr.strip()[:200] or f"crontab -l ended with {found.returncode}")


def _run(command: list[str], text: str) -> None:
    done = _call(command, text)
    if done.returncode:
        raise CannotWrite("crontab", done.stderr.strip()[:200] or f"it ended with {done.returncode}")


def _call(command: list[str], text: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        return subprocess.run(  # noqa: S603 - a fixed command, looked up on the user's own PATH
            command,
            input=text,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=_WAIT_SECONDS,
            env=environment,
            check=False,
        )
    except FileNotFoundError:
        raise NotFound("program", "crontab", "`clawfiles install cron --print` prints the lines to add") from None
    except subprocess.TimeoutExpired:
        raise CannotWrite("crontab", "crontab did not answer in time") from None
