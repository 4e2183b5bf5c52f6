"""Installs the heartbeat in cron: a marked block in the user's crontab; all other lines are kept."""

import os
import shlex

from claw_files.cli.system_programs import call, this_program
from claw_files.core.errors import BadValue, CannotWrite, NotFound, RunFailed
from claw_files.system.procfs import with_our_programs

_HINT = "`clawfiles install cron --print` prints the lines to add"


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
    line = f"cd {where} && PATH={path} CLAWFILES_WORKSPACE={where} {shlex.join(this_program())} heartbeat >/dev/null"
    return f"{begin}\n* * * * * {line.replace('%', chr(92) + '%')}\n{end}\n"


def install(block: str) -> bool:
    """Add the block to the user's crontab; False if it is already there.

    Raises NotFound, CannotWrite, RunFailed.
    """
    before = _crontab()
    after = with_block(before, block)
    if after == before:
        return False
    _run(["crontab", "-"], after)
    return True


def remove(root: str) -> str:
    """Remove the workspace's block from the user's crontab, and return it; "" without one.

    A crontab that holds nothing else is removed. Raises as `install`.
    """
    before = _crontab()
    after, block = without_block(before, root)
    if block:
        _run(["crontab", "-"] if after else ["crontab", "-r"], after)
    return block


def block_of(root: str) -> str:
    """The workspace's block in the user's crontab; "" without one. Raises as `install`."""
    return without_block(_crontab(), root)[1]


def is_installed(root: str) -> bool:
    """Whether the user's crontab, if readable, runs the heartbeat of the workspace at `root`."""
    try:
        lines = _crontab().splitlines()
    except (NotFound, CannotWrite, RunFailed):
        return False
    return any("heartbeat" in line and root in line.replace("\\%", "%") for line in lines if not line.startswith("#"))


def with_block(crontab: str, block: str) -> str:
    """The crontab with the block, in place of an older one between the same marks, else at its end."""
    lines, there = block.splitlines(), crontab.splitlines()
    if span := _span(there, lines[0], lines[-1]):
        return "\n".join([*there[: span[0]], *lines, *there[span[1] :]]) + "\n"
    gap = "" if not crontab or crontab.endswith("\n") else "\n"
    return f"{crontab}{gap}{block}"


def without_block(crontab: str, root: str) -> tuple[str, str]:
    """The crontab without the workspace's block, and that block; "" without one."""
    there = crontab.splitlines()
    span = _span(there, *_marks(root))
    if span is None:
        return crontab, ""
    rest, block = [*there[: span[0]], *there[span[1] :]], there[span[0] : span[1]]
    return "".join(f"{line}\n" for line in rest), "".join(f"{line}\n" for line in block)


def _span(lines: list[str], begin: str, end: str) -> tuple[int, int] | None:
    """The lines from one mark to the other: the index of the first, and of the one after the last."""
    if begin not in lines or end not in lines[lines.index(begin) :]:
        return None
    first = lines.index(begin)
    return first, lines.index(end, first) + 1


def _marks(root: str) -> tuple[str, str]:
    return f"# clawfiles begin {root}", f"# clawfiles end {root}"


def _crontab() -> str:
    """The user's crontab; empty if there is none. Any other error must not empty it."""
    found = call(["crontab", "-l"], _HINT)
    if found.returncode == 0:
        return found.stdout
    if "no crontab for" in found.stderr.lower():
        return ""
    raise CannotWrite("crontab", found.stderr.strip()[:200] or f"crontab -l ended with {found.returncode}")


def _run(command: list[str], text: str) -> None:
    done = call(command, _HINT, text)
    if done.returncode:
        raise CannotWrite("crontab", done.stderr.strip()[:200] or f"it ended with {done.returncode}")
