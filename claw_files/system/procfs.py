"""Facts about processes from the kernel's /proc, by pid.

Standard library only, and little of it: the supervisor of a run starts with this module in its bare interpreter. Every
process may vanish between two reads; then it simply is not in the answer.
"""

import os
import sys
from collections.abc import Iterable, Mapping

RUN = b"CLAWFILES_RUN_DIR="  # in the environment of an agent and of all it starts: a run id alone is not unique here
SUPERVISES = b"CLAWFILES_SUPERVISES="  # in the environment of a run's supervisor, never handed on
LOCK = 3  # the descriptor of a supervisor that holds the lock of its run


def start_id(pid: int) -> str | None:
    """Return boot id and start time of a process, or None without one: pids are reused."""
    fields = _stat(pid)
    if fields is None:
        return None
    return f"{_read('/proc/sys/kernel/random/boot_id').decode().strip()}:{fields[19]}"


def parents() -> dict[int, int]:
    """Return every living process with its parent; zombies are left out, nothing of them can act any more."""
    pids = (int(name) for name in os.listdir("/proc") if name.isdigit())
    found = ((pid, _stat(pid)) for pid in pids)
    return {pid: int(fields[1]) for pid, fields in found if fields and fields[0] not in ("Z", "X")}


def below(roots: set[int], folder: str) -> set[int]:
    """Return all living descendants of `roots`, without them.

    Supervisors of other runs and what is below them are left out: an agent may start a run, and that one outlives it.
    """
    children: dict[int, list[int]] = {}
    for pid, parent in parents().items():
        children.setdefault(parent, []).append(pid)
    found: set[int] = set()
    waiting = [child for root in roots for child in children.get(root, [])]
    while waiting:
        pid = waiting.pop()
        if pid not in found and not _is_foreign(pid, folder):
            found.add(pid)
            waiting += children.get(pid, [])
    return found


def of_run(folder: str) -> set[int]:
    """Return a run's agent and its processes: all with the run's folder in their environment, and descendants.

    `folder` is absolute and without links, as it was when the run was started.
    """
    wanted = RUN + os.fsencode(folder)
    marked = {pid for pid in parents() if pid != os.getpid() and wanted in _environ(pid)}
    return {pid for pid in marked if not _is_foreign(pid, folder)} | below(marked, folder)


def supervisor_of(folder: str) -> int | None:
    """Return the pid of the process that supervises a run, or None."""
    wanted = SUPERVISES + os.fsencode(folder)
    return next((pid for pid in parents() if wanted in _environ(pid)), None)


def run_folders() -> set[str]:
    """Return the folders of all runs with a live process or supervisor: /proc is read once for all."""
    entries = (entry for pid in parents() for entry in _environ(pid))
    return {os.fsdecode(entry.partition(b"=")[2]) for entry in entries if entry.startswith((RUN, SUPERVISES))}


def around(pid: int) -> list[dict[str, str]]:
    """Return the run variables of the supervisors above a process, as CLAWFILES_* variables, innermost first.

    Whoever empties its environment, begins a session or forks twice stays below its supervisor. What an environment
    says is believed of a supervisor only, and that is one because it holds the lock of its run: the kernel says so.
    """
    found = []
    for _ in range(1000):
        if lock := _lock_of(pid):
            pairs = (os.fsdecode(entry).partition("=")[::2] for entry in _environ(pid))
            said = {name: value for name, value in pairs if name.startswith("CLAWFILES_")} | lock
            found += [said] if "CLAWFILES_SUPERVISES" in said else []
        fields = _stat(pid)
        pid = int(fields[1]) if fields else 0
        if pid <= 1:
            break
    return found


def _lock_of(pid: int) -> dict[str, str] | None:
    """Return folder and id of the run whose lock a process holds as a supervisor does, or None."""
    try:
        path = os.readlink(f"/proc/{pid}/fd/{LOCK}").removesuffix(" (deleted)")
    except OSError:
        return None
    root, is_one, name = path.rpartition("/.clawfiles/runs/")
    is_held = b"FLOCK  ADVISORY  WRITE" in _read(f"/proc/{pid}/fdinfo/{LOCK}")
    return {"CLAWFILES_WORKSPACE": root, "CLAWFILES_RUN": name.removesuffix(".lock")} if is_one and is_held else None


def _is_foreign(pid: int, folder: str) -> bool:
    mine = SUPERVISES + os.fsencode(folder)
    return any(entry.startswith(SUPERVISES) and entry != mine for entry in _environ(pid))


def _environ(pid: int) -> list[bytes]:
    return _read(f"/proc/{pid}/environ").split(b"\0")


def _stat(pid: int) -> list[str] | None:
    # The name in brackets may hold anything, brackets and spaces included: the fields begin after the last one.
    text = _read(f"/proc/{pid}/stat").decode(errors="replace").rpartition(")")[2]
    return text.split() or None


def _read(path: str) -> bytes:
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read() or b""
    except OSError:
        return b""


def with_our_programs(path: str) -> str:
    """`path` with the folder of this Python at its end, so that programs such as `clawfiles` are found.

    Cron and agents often run with a PATH that lacks the virtual environment clawfiles lives in.
    """
    ours = os.path.dirname(os.path.abspath(sys.executable))
    return path if ours in path.split(os.pathsep) else os.pathsep.join(filter(None, (path, ours)))


def agent_environment(environ: Mapping[str, str], names: Iterable[str] = ()) -> dict[str, str]:
    """The environment of an agent: the usual variables and `names`, with clawfiles on its PATH."""
    seen = {name: environ[name] for name in ("PATH", "HOME", "LANG", "TZ", *names) if name in environ}
    return seen | {"PATH": with_our_programs(environ.get("PATH", os.defpath))}
