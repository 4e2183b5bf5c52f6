"""The gateway's address and token: from a variable, a file, or OpenClaw's own configuration."""

import os
from collections.abc import Mapping

from claw_files.config import OpenClaw
from claw_files.core.errors import GatewayRefused
from claw_files.core.model import Value
from claw_files.integrations.openclaw import installation
from claw_files.system.private_files import load_file

TOKEN_BYTES = 4096


class GatewayAccess(Value, frozen=True):
    """An address and its token."""

    url: str
    token: str

    def __repr__(self) -> str:
        return f"Access(url={self.url!r})"  # a token is never shown


def access(settings: OpenClaw, root: str, environ: Mapping[str, str]) -> GatewayAccess:
    """The address and token of the gateway.

    The token stands in the variable that `token_env` names, else in `token_file`, else in OpenClaw's own configuration
    on this machine. Raises GatewayRefused where it is nowhere, or in a file that others may read.
    """
    token = environ.get(settings.token_env, "").strip()
    if not token and settings.token_file:
        token = _from_file(os.path.join(root, os.path.expanduser(settings.token_file)))
    if not token:
        token = installation.token(environ)
    if not token:
        where = f"set {settings.token_env}, or token_file under [openclaw]"
        raise GatewayRefused("OpenClaw's gateway", "its token is not configured", where)
    return GatewayAccess(url=settings.url, token=token)


def _from_file(path: str) -> str:
    try:
        raw = load_file(path, TOKEN_BYTES, is_secret=True, follows=True)
    except OSError as wrong:
        raise GatewayRefused(f"token_file {path}", wrong.strerror or str(wrong)) from None
    if raw is None:
        raise GatewayRefused(f"token_file {path}", "it does not exist")
    return raw.decode("utf-8", "replace").strip()
