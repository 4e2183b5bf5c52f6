"""The addresses of a channel. They may contain passwords, so errors do not show them."""

import os
from collections.abc import Mapping

from claw_files.core.errors import Refused
from claw_files.system.private_files import load_file

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
        raw = load_file(path, FILE_BYTES, is_secret=True, follows=True)
    except OSError as wrong:
        raise Refused("channels", f"{name}: {wrong.strerror or wrong}") from None
    if raw is None:
        raise Refused("channels", f"{name} does not exist", "write one apprise address per line")
    lines = raw.decode("utf-8", "replace").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]
