"""Trust in a workspace: whether other users can decide what is started, and trusted exceptions.

What is asked is what stat says of `clawfiles.toml`, its folder and `.clawfiles/`. The rules are those of git's
`safe.directory` and sshd's StrictModes.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from claw_files.core.errors import BadValue, CannotWrite, Untrusted
from claw_files.core.text import safe
from claw_files.system.file_owner import make_folders
from claw_files.system.home import CONFIG, place
from claw_files.system.inotify_info import filesystem_of
from claw_files.system.private_files import load_file, replace_file

READ, WRITE, ENTER = 4, 2, 1  # rights of others, as in a mode
SHARED: Final = stat.S_ISGID | stat.S_IWGRP  # a folder that a group shares
_DECIDING: Final = ("", "clawfiles.toml", ".clawfiles")  # who can write these decides what is started
# What is mounted there has no modes of its own: every file shows those that the mount was given.
_MODELESS: Final = frozenset({"vfat", "msdos", "exfat", "ntfs", "ntfs3", "fuseblk", "9p", "drvfs", "cifs", "smb3"})
_LISTED_BYTES = 1 << 20


def check(folder: str, base: str, fd: int | None = None) -> None:
    """Raises Untrusted if other users decide what is started in the folder, unless `base`, its workspace, is trusted.

    Args:
        fd: the folder, open: then what is checked is what is read from the descriptor.
    """
    for path, found in _deciding(folder, fd):
        if (why := _wrong(found, path)) and os.path.realpath(base) not in trusted():
            trust = f"if you trust its writers, run `clawfiles trust {quoted(base)}`"
            raise Untrusted(path, "others", f"{quoted(path)} decides which programs start here, and {why}; {trust}")


def _wrong(found: os.stat_result, path: str) -> str:
    """Why the configuration's author is uncertain, and what to type; "" if no other user can have written it."""
    owner = safe(name_of(found.st_uid))
    if found.st_uid not in ours():
        return f"belongs to {owner}"
    if not others_may(found, WRITE, path) or is_modeless(path):
        return ""
    return (
        f"others can write it (owner {owner}, mode {stat.S_IMODE(found.st_mode):o}): type `chmod go-w {quoted(path)}`"
    )


def quoted(path: str) -> str:
    """The path, quoted for a shell and for display."""
    from shlex import quote

    return safe(quote(path), 500)


def is_foreign(folder: str) -> bool:
    """Whether the folder or its configuration belongs to a user other than this one and root."""
    return any(found.st_uid not in ours() for _, found in _deciding(folder))


def _deciding(folder: str, fd: int | None = None) -> Iterator[tuple[str, os.stat_result]]:
    """The existing paths that decide what is started in the folder."""
    for name in _DECIDING:
        path = os.path.join(folder, name) if name else folder
        with suppress(OSError):
            yield path, os.stat(path if fd is None else name or ".", dir_fd=fd, follow_symlinks=not name)


def ours() -> set[int]:
    """The trusted owners: this user, root, and the user of sudo."""
    me, before = os.geteuid(), os.environ.get("SUDO_UID", "")
    return {0, me} | ({int(before)} if me == 0 and before.isascii() and before.isdigit() else set())


def others_may(found: os.stat_result, right: int, path: str) -> bool:
    """Whether other users than the owner and root have the right (4 read, 2 write, 1 enter)."""
    if stat.S_ISLNK(found.st_mode):
        return False
    if found.st_mode & right or not found.st_mode & right << 3:
        return bool(found.st_mode & right)
    # With an access control list, the group bits are the maximum for everybody that it names.
    return _has_acl(path) or not _is_private(found.st_gid, found.st_uid)


def is_modeless(path: str) -> bool:
    """Whether the path is on a file system without modes."""
    return filesystem_of(path) in _MODELESS


def name_of(uid: int) -> str:
    """The user's name, or the number without one."""
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def _is_private(gid: int, owner: int) -> bool:
    """Whether the group has no other member: the default of distributions with umask 002."""
    import grp
    import pwd

    try:
        members = grp.getgrgid(gid).gr_mem
    except KeyError:
        return gid == owner
    return {user.pw_uid for user in pwd.getpwall() if user.pw_gid == gid or user.pw_name in members} <= ours() | {owner}


def _has_acl(path: str) -> bool:
    try:
        return bool(os.getxattr(path, "system.posix_acl_access"))
    except OSError:
        return False


# --- what is trusted all the same


def trusted_path() -> str:
    """The path of the list of trusted folders. Raises CannotWrite without a home."""
    return os.path.join(place(CONFIG), "trusted")


def trusted() -> frozenset[str]:
    """The real paths of the trusted folders. Raises Untrusted if other users can write the list."""
    try:
        path = trusted_path()
        raw = load_file(path, _LISTED_BYTES) or b""
    except (OSError, CannotWrite):
        return frozenset()
    for it in (os.path.dirname(path), path):
        if raw and (why := _wrong(os.stat(it), it)):
            raise Untrusted(it, "others", f"{quoted(it)} says which folders are trusted, and {why}")
    return frozenset(os.fsdecode(raw).splitlines())


def remember(path: str, is_trusted: bool) -> str:
    """Add the folder to the trusted ones, or remove it; returns its real path.

    Raises BadValue, CannotWrite, and Untrusted for a list that others can write.
    """
    real, listing = os.path.realpath(path), trusted_path()
    if "\n" in real or (is_trusted and not os.path.isdir(real)):
        raise BadValue("DIR", real, "a folder that is there, without a line break in its path")
    listed = trusted() | {real} if is_trusted else trusted() - {real}
    try:
        make_folders(os.path.dirname(listing))
        replace_file(listing, os.fsencode("".join(f"{it}\n" for it in sorted(listed))))
    except OSError as error:
        raise CannotWrite(listing, error.strerror or str(error)) from None
    return real
