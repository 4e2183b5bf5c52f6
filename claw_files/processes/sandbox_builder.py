"""Builds a run's sandbox: facts of this machine, required folders, and bubblewrap's arguments.

`docs/explanation/sandbox.md` tells what it keeps out. Each run has a *door*, `.clawfiles/doors/RUN-ID/`: the folder in
which the daemon listens for the commands of that run, and of no other. Beside it lies, in RUN-ID.json, who the run is.
"""

import json
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import suppress

from claw_files.core.errors import ClawError, Refused
from claw_files.policy.sandbox_arguments import SOCKET, SandboxPlan, argv, check_folder, is_above
from claw_files.processes import Sandbox
from claw_files.processes.bubblewrap import PROGRAM, options, problem
from claw_files.processes.run_staging import RunPlan
from claw_files.processes.supervisor import resolved
from claw_files.system.file_owner import make_folders, open_or_make
from claw_files.system.protected_paths import protect

DOORS = "doors"
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/opt", "/nix", "/gnu")


def fields(plan: RunPlan, sandbox: Sandbox, private: str) -> list[tuple[str, str]]:
    """The sandbox fields of the supervisor's order, including the command.

    Where none can be built, the command as it is, or, where one is required, the reason why the run must not start.
    Raises OSError.
    """
    why = problem(plan.env)
    if why and not sandbox.required:
        return [("arg", item) for item in plan.command]
    try:
        if why:
            raise Refused("sandbox", f"its profile requires a sandbox, and {why}")
        inner = plan.command[sandbox.outside :]
        command = (resolved(list(inner), plan.env["PATH"]), *inner[1:])
        return _fields(plan, sandbox, command, private)
    except (OSError, ClawError) as error:
        said = (error.strerror if isinstance(error, OSError) else getattr(error, "message", "")) or str(error)
        return [("refused", said), *(("arg", item) for item in plan.command)]


def _fields(plan: RunPlan, sandbox: Sandbox, command: tuple[str, ...], private: str) -> list[tuple[str, str]]:
    door = os.path.join(private, DOORS, plan.run.id)
    fresh = _prepare(plan, sandbox, door)
    plan.env |= {"CLAWFILES_SOCKET": SOCKET, "CLAWFILES_SANDBOX": "1"}
    walls = _walls(plan, sandbox, command[0], door)
    return [
        ("door", door),
        *(("fresh", path) for path in fresh),
        *([] if sandbox.outside else [("walled", "1")]),
        *(("arg", word) for word in (*plan.command[: sandbox.outside], *argv(walls, command))),
        *(("env", f"{name}={plan.env[name]}") for name in ("CLAWFILES_SOCKET", "CLAWFILES_SANDBOX")),
    ]


# --- what has to be there


def _prepare(plan: RunPlan, sandbox: Sandbox, door: str) -> list[str]:
    """Create missing bound paths; returns the files among them. Raises OSError, Refused for a link in their place."""
    root = plan.order.workspace
    for folder in (*sandbox.hidden, os.path.join(root, sandbox.inbox)):
        make_folders(folder)
        _check_plain(folder)
    check_folder(plan.cwd, root, plan.order.base or root, sandbox.kept)
    base, home = plan.order.base or root, os.path.realpath(plan.env.get("HOME") or "/nonexistent")
    if is_above(base, home):
        raise Refused("sandbox", f"the workspace {base} contains the home {home}, which would be readable in a sandbox")
    if is_above(root, plan.cwd):
        _check_plain(plan.cwd, must_exist=False)
        make_folders(plan.cwd)
    _check_plain(plan.cwd)
    make_folders(door)
    with suppress(FileNotFoundError):
        os.unlink(f"{door}.json")  # left by a starter that was killed
    _write_new(f"{door}.json", json.dumps(plan.identity).encode())
    own = [os.path.join(root, path) for path in sandbox.own]
    return [path for path in own if _make_file(path)]


def _check_plain(path: str, must_exist: bool = True) -> None:
    """Raises Refused if the path leads through a link, whose target an agent could change."""
    if os.path.realpath(path) != os.path.normpath(path):
        raise Refused("sandbox", f"{path} is or is below a link; a sandbox can only contain real folders")
    if must_exist and not os.path.isdir(path):
        raise Refused("sandbox", f"{path} is not a folder")


def _make_file(path: str) -> bool:
    """Whether the file was created; raises Refused if one exists that is not a regular file."""
    make_folders(os.path.dirname(path))
    with suppress(FileExistsError):
        _write_new(path, b"")
        return True
    found = os.lstat(path)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        raise Refused("sandbox", f"{path} is not a regular file")
    return False


def _write_new(path: str, data: bytes) -> None:
    """Raises FileExistsError if the name exists."""
    fd = open_or_make(path, os.O_WRONLY | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC)
    with open(fd, "wb") as file:
        file.write(data)


# --- what there is


def _walls(plan: RunPlan, sandbox: Sandbox, program: str, door: str) -> SandboxPlan:
    root, base = plan.order.workspace, plan.order.base or plan.order.workspace
    home = os.path.realpath(plan.env.get("HOME") or "/nonexistent")
    has_home = os.path.isdir(home) and home != "/"
    readable = [path for path in _SYSTEM if os.path.isdir(path) and not os.path.islink(path)]
    readable += _programs(program, home, base)
    readable += [os.path.realpath(os.path.expanduser(path)) for path in sandbox.read]
    readable.append(os.path.realpath("/etc/resolv.conf"))  # which often lies in /run
    covered = tuple(one for path in sandbox.secrets for one in _ways_to(os.path.realpath(path)) if os.path.isfile(one))
    for path in filter(os.path.lexists, map(os.path.realpath, sandbox.secrets)):
        if not os.path.isfile(path) or os.stat(path).st_nlink > 1:
            raise Refused(
                "sandbox", f"{path} contains a secret and cannot be hidden: it has a hard link, or is no file"
            )
        if sandbox.outside and is_above(plan.cwd, path):
            raise Refused("sandbox", f"{path} contains a secret and is inside the working folder")
    aliases = (one for path in sandbox.hidden for one in _ways_to(path) if any(is_above(it, one) for it in readable))
    return SandboxPlan(
        program=resolved([PROGRAM], plan.env["PATH"]),
        options=options(plan.env),
        links=tuple((path, os.readlink(path)) for path in _SYSTEM if os.path.islink(path)),
        readable=tuple(path for path in dict.fromkeys(readable) if path in _SYSTEM or _is_extra(path)),
        home=home if has_home else None,
        base=base,
        root=root,
        hidden=tuple(dict.fromkeys((*sandbox.hidden, *aliases))),
        # Read-only: programs outside trust an inbox's messages, which start runs. Commands move messages.
        visible=(plan.folder, os.path.join(root, sandbox.inbox)),
        writable=(*(os.path.join(root, path) for path in sandbox.own), plan.cwd),
        protected=tuple(sorted(protect(plan.cwd, door, os.path.join(root, "quarantine")).items())),
        covered=(*covered, *filter(os.path.exists, ["/proc/keys"])),
        door=door,
        cwd=plan.cwd,
        network=sandbox.network,
    )


def _ways_to(path: str) -> Iterator[str]:
    """The path, which has no links, and all other paths to it through other mounts."""
    with open("/proc/self/mountinfo", "rb") as file:
        words = [line.split(b" ")[2:5] for line in reversed(file.readlines())]
    lines = [[os.fsdecode(word.decode("unicode_escape").encode("latin-1")) for word in line] for line in words]
    _, root, point = max((line for line in lines if is_above(line[2], path)), key=lambda line: len(line[2]))
    inside = os.path.join(root, path[len(point) :].lstrip("/"))
    for _, root, point in lines:
        other = os.path.join(point, inside[len(root) :].lstrip("/"))
        if is_above(root, inside) and os.path.lexists(other) and os.path.samefile(path, other):
            yield other


def _is_extra(path: str) -> bool:
    """Whether the path exists, and is not in the system's folders."""
    return os.path.exists(path) and not any(is_above(folder, path) for folder in _SYSTEM)


def _programs(program: str, home: str, base: str) -> list[str]:
    """The folders for the agent's program and clawfiles, unless they contain more than that."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    wanted = [package, sys.prefix, sys.base_prefix]
    for path in (program, os.path.realpath(program)):
        folder = os.path.dirname(path)
        wanted.append(path if any(is_above(folder, held) for held in (home, base)) else folder)
    return [path for path in wanted if not any(is_above(path, held) for held in (home, base))]
