"""Files outside of every workspace: their paths, and the key that authenticates content of a workspace.

A cloned or unpacked folder brings files along that look like ours; it cannot bring the key.
"""

import os
from functools import cache
from typing import Final

from claw_files.core.digest import digest
from claw_files.core.errors import CannotWrite
from claw_files.system.file_owner import make_folders, open_or_make
from claw_files.system.private_files import load_file
from claw_files.system.randomness import token

CONFIG, STATE, CACHE = ("XDG_CONFIG_HOME", ".config"), ("XDG_STATE_HOME", ".local/state"), ("XDG_CACHE_HOME", ".cache")
_KEY_BYTES: Final = 32


def place(kind: tuple[str, str]) -> str:
    """clawfiles' folder by the XDG standard, existing or not. Raises CannotWrite without a home."""
    named, home = os.environ.get(kind[0], ""), os.environ.get("HOME", "")
    if not os.path.isabs(named):
        if not os.path.isabs(home):
            raise CannotWrite("~", "set HOME to your home folder")
        named = os.path.join(home, kind[1])
    return os.path.join(named, "clawfiles")


def mac(*facts: str, size_bytes: int = 8) -> str:
    """The MAC of the facts with the private key, in hexadecimal; "" if no key can be stored."""
    try:
        key = _key(os.path.join(place(STATE), "key"))
    except (OSError, CannotWrite):
        return ""
    return digest("\0".join(facts).encode("utf-8", "surrogateescape"), size_bytes, key)


@cache
def _key(path: str) -> bytes:
    """The key, created at its first use; of two processes that create it one wins. Raises OSError."""
    key = load_file(path, _KEY_BYTES, is_secret=True)
    if key is None:
        _make_key(path)
        key = load_file(path, _KEY_BYTES, is_secret=True)
    if os.geteuid() not in (0, os.stat(path).st_uid) or len(key or b"") != _KEY_BYTES:
        raise PermissionError(path)
    return key or b""


def _make_key(path: str) -> None:
    part = f"{path}.{token(4)}"
    make_folders(os.path.dirname(path))
    with open(open_or_make(part, os.O_WRONLY | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC), "wb") as file:
        file.write(os.urandom(_KEY_BYTES))
    try:
        os.link(part, path)
    except FileExistsError:
        pass
    finally:
        os.unlink(part)
