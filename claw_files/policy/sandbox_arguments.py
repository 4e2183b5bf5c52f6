"""The arguments that start a command in a bubblewrap sandbox: a pure function of the paths."""

from collections.abc import Iterable

from claw_files.config.value_forms import OWN_FOLDERS
from claw_files.core.errors import Refused
from claw_files.core.model import Value
from claw_files.policy.profiles import WORK

DOOR = "/run/clawfiles"  # in the sandbox: the folder in which the daemon's socket for this run lies
SOCKET_NAME = "socket"
SOCKET = f"{DOOR}/{SOCKET_NAME}"


class SandboxPlan(Value, frozen=True):
    """The plan of a sandbox. Every path is absolute, without links, and exists."""

    program: str  # bubblewrap's own
    links: tuple[tuple[str, str], ...]  # (path, where it leads): /bin on most systems
    readable: tuple[str, ...]  # folders and files outside of the workspace
    home: str | None  # becomes an empty one
    base: str  # the folder of clawfiles.toml
    root: str  # of the workspace; in a compartment its folder, below `base`
    hidden: tuple[str, ...]  # folders below these that become empty
    visible: tuple[str, ...]  # what can be read in them all the same
    writable: tuple[str, ...]
    protected: tuple[tuple[str, bool], ...]  # below the writable ones, by path; whether it stays writable, and in place
    covered: tuple[str, ...]  # files that cannot be read, wherever they lie
    door: str  # the folder that becomes DOOR
    cwd: str
    network: bool = True
    options: tuple[str, ...] = ()  # that not every version of bubblewrap knows


def argv(walls: SandboxPlan, command: tuple[str, ...]) -> list[str]:
    """The words that run `command`, whose first is an absolute path, behind these walls.

    Order matters: each mount covers what was there before. Nothing is given that may command a mount: every path comes
    after its own option, and the command after "--".
    """
    words = [walls.program, "--unshare-user", *walls.options, "--unshare-pid", "--unshare-ipc", "--unshare-uts"]
    words += ["--unshare-cgroup-try", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    words += [] if walls.network else ["--unshare-net"]
    words += ["--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp"]  # noqa: S108 - the sandbox's own, and empty
    for path, target in walls.links:
        words += ["--symlink", target, path]
    above = [path for path in walls.readable if walls.home and is_above(path, walls.home) and path != walls.home]
    words += _mounts("--ro-bind", above)
    words += ["--tmpfs", walls.home] if walls.home else []
    words += _mounts("--ro-bind", (path for path in walls.readable if path not in above))
    for layer in dict.fromkeys((walls.base, walls.root)):  # the compartment lies in a folder that was hidden
        words += ["--ro-bind", layer, layer]
        for path in walls.hidden:
            words += ["--tmpfs", path] if (walls.root if is_above(walls.root, path) else walls.base) == layer else []
    words += [*_mounts("--ro-bind", walls.visible), *_mounts("--bind", walls.writable)]
    for path, is_writable in walls.protected:
        words += ["--bind" if is_writable else "--ro-bind", path, path]
    for path in walls.covered:
        words += ["--ro-bind", "/dev/null", path]
    words += ["--ro-bind", walls.door, DOOR]
    for path in walls.hidden:
        words += ["--remount-ro", path]
    return [*words, "--remount-ro", "/", "--chdir", walls.cwd, "--", *command]


def _mounts(option: str, paths: Iterable[str]) -> list[str]:
    return [word for path in paths for word in (option, path, path)]


def check_folder(cwd: str, root: str, base: str, kept: tuple[str, ...]) -> None:
    """Raises Refused for a working folder in which a run could write other agents' files.

    Args:
        root: of the workspace, or of the compartment in it that the run belongs to.
        base: the folder of clawfiles.toml.
        kept: files that must stay out of its reach. All paths are absolute.
    """
    around = root if is_above(root, cwd) else base
    parts = cwd[len(around) :].strip("/").split("/") if is_above(around, cwd) else [""]
    is_ours = parts[0] in OWN_FOLDERS or any(part.startswith(".") for part in parts) or parts == [WORK]
    if is_ours or any(is_above(cwd, path) for path in (root, base, *kept)):
        right = "choose another folder: `cwd` of its profile, or --cwd of the spawn"
        raise Refused("sandbox", f"{cwd} holds files of the workspace and cannot be a working folder; {right}")


def is_above(folder: str, path: str) -> bool:
    """Whether the folder is the path, or contains it."""
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")
