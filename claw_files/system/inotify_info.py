"""The kernel's list of this process's watches, and the file system of a folder (Linux: /proc)."""

import os

MOUNTS = "/proc/self/mountinfo"

# Changes by other machines cause no events there; FUSE names look like "fuse.sshfs".
WITHOUT_EVENTS = frozenset(
    (
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "drvfs", "afs", "ceph", "glusterfs", "lustre", "gpfs"),
        *("fuse", "fuseblk", "virtiofs", "vboxsf", "vmhgfs", "prl_fs", "ocfs2", "gfs2"),
    )
)


def watched_inodes() -> set[int] | None:
    """The inodes that inotify watches for this process; None if /proc does not show them."""
    found = set[int]()
    try:
        for fd in os.listdir("/proc/self/fd"):
            if _link(f"/proc/self/fd/{fd}") == "anon_inode:inotify":
                found |= _inodes(_text(f"/proc/self/fdinfo/{fd}"))
    except OSError:
        return None
    return found


def filesystem_of(path: str) -> str | None:
    """The type of the file system of `path` (absolute), from /proc/self/mountinfo: "ext4", "nfs4"."""
    try:
        return filesystem_in(_text(MOUNTS), os.path.realpath(path))
    except OSError:
        return None


def filesystem_in(mountinfo: str, path: str) -> str | None:
    """As `filesystem_of`, from a mountinfo text; `path` has no links. The last mount on a folder counts."""
    best, found = -1, None
    for line in mountinfo.splitlines():
        fields, _, tail = line.partition(" - ")
        words = fields.split(" ")
        if len(words) < 5 or not tail:
            continue
        point = words[4].encode().decode("unicode_escape").encode("latin-1").decode("utf-8", "surrogateescape")
        if _is_below(path, point) and len(point) >= best:
            best, found = len(point), tail.split(" ")[0]
    return found


def tells_events(filesystem: str | None) -> bool:
    """Whether the file system reports every change to watchers; an unknown one is assumed to."""
    return filesystem is None or filesystem.partition(".")[0] not in WITHOUT_EVENTS


def _is_below(path: str, point: str) -> bool:
    return path == point or path.startswith(point.rstrip("/") + "/")


def _inodes(fdinfo: str) -> set[int]:
    lines = (line for line in fdinfo.splitlines() if line.startswith("inotify wd:"))
    return {int(word.partition(":")[2], 16) for line in lines for word in line.split() if word.startswith("ino:")}


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def _text(path: str) -> str:
    with open(path, "rb") as file:
        return file.read(1 << 22).decode("utf-8", "surrogateescape")
