"""The addresses behind a channel. They may hold passwords: what goes wrong with them is told without them."""

import os
import stat
from collections.abc import Mapping

from claw_files.core.errors import Refused

FILE_BYTES = 1 << 16


def addresses(channel: str, base: str, environ: Mapping[str, str]) -> list[str]:
    """The channel's addresses, in their order.

    Args:
        channel: as `config.channels` tells them; no `file:`.
        base: the folder of clawfiles.toml, from where a relative name of a file is meant.

    Raises Refused where there are none, or in a file that others may read.
    """
    kind, _, rest = channel.partition(":")
    if kind == "env":
        found = environ.get(rest, "").split()
        where = f"the variable {rest}"
    elif kind == "addresses":
        found = _in(rest, os.path.join(base, os.path.expanduser(rest)))
        where = rest
    else:
        return [channel]
    if not found:
        raise Refused("channels", f"{where} contains no address", "set it to an apprise address")
    return [address.removeprefix("apprise:") for address in found]


def _in(name: str, path: str) -> list[str]:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as wrong:
        raise Refused("channels", f"{name}: {wrong.strerror or wrong}", "write one apprise address per line") from None
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_mode & 0o077:
            raise Refused("channels", f"{name} is readable by others, or not a regular file", f"chmod 600 {name}")
        lines = os.read(fd, FILE_BYTES).decode("utf-8", "replace").splitlines()
    finally:
        os.close(fd)
    return [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]
