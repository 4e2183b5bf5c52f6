"""Optional libraries: whether they are installed."""

from importlib.util import find_spec

from claw_files.core.errors import NotInstalled

_MODULES = {
    "acp": "acp",
    "mcp": "mcp",
    "notify": "apprise",
    "openclaw": "websockets",
    "sql": "sqlalchemy",
    "web": "uvicorn",
}


def is_installed(extra: str) -> bool:
    """Whether the library of this extra is installed."""
    return find_spec(_MODULES[extra]) is not None


def need(what: str, extra: str) -> None:
    """Raises NotInstalled if the library that `what` needs is missing."""
    if not is_installed(extra):
        raise NotInstalled(what, extra)
