"""Optional libraries: whether they are installed."""

from importlib import import_module
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
    """Import the library that `what` needs. Raises NotInstalled if it, or something that it imports, is missing."""
    try:
        import_module(_MODULES[extra])
    except ImportError as missing:
        raise NotInstalled(what, extra) from missing
